"""The vocoder, its adversary and their training."""
