"""Finds files of an installed package without importing it."""

from __future__ import annotations

import errno
import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path


def missing_packages(names: Iterable[str]) -> list[str]:
    """Returns the top-level packages that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def package_file(package: str, name: str) -> Path | None:
    """Returns where a file of a package would be; `None` if the package is not installed. The file may be missing."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / name


def read_package_file(package: str, name: str) -> bytes:
    """Returns the content of a file of a package. Raises FileNotFoundError or another OSError."""
    path = package_file(package, name)
    if path is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), package)
    return path.read_bytes()
