"""Trains the voice in the box: a small F5 and a small Vocos on speech that may be freely made."""
