"""Training of the vocoder: losses, discriminators, crops, trainer."""
