"""Texts to learn from and to be judged by, all written for this project."""
