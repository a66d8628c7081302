"""Training of the vocoder: losses, discriminators, crops, trainer."""

from ishowtts.engines.f5 import upstream

__all__ = ["upstream"]  # imported before vocos
