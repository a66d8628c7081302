"""The composition root: starts every part in order, and stops them in reverse."""

from ishowtts.service.daemon import Makers, run

__all__ = ["Makers", "run"]
