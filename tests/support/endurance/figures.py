"""What the figures of all runs have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def faults_of(figures: object, names: Iterable[str]) -> dict[str, Any]:
    """The figures of these names that are not empty, 0 or false, as they all should be."""
    return {name: found for name in names if (found := getattr(figures, name))}
