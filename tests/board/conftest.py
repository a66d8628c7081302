"""Fixtures: boards as trees of files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.sysfs_tree import Tree

_TREES = Path(__file__).parent / "trees"


@pytest.fixture
def orin(tmp_path: Path) -> Iterator[Tree]:
    """A Jetson AGX Orin with JetPack 6."""
    with Tree(tmp_path / "orin", _TREES / "agx-orin-jetpack6.json") as tree:
        yield tree


@pytest.fixture
def thor(tmp_path: Path) -> Iterator[Tree]:
    """A Jetson AGX Thor with JetPack 7, its clocks locked and its GPU's sensor powered off."""
    with Tree(tmp_path / "thor", _TREES / "agx-thor-jetpack7.json") as tree:
        yield tree
