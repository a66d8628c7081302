"""Trains the default voice: a small F5 and a small Vocos, on synthetic speech that anyone may make."""
