"""Fixtures: a speaker that records what it gets, and an ALSA configuration."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ishowtts.playback.silent_speaker import SilentSpeaker
from support.alsa import Alsa


class Ear(SilentSpeaker):
    """A silent speaker, paced in real time, that records the blocks it gets."""

    name = "ear"

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[NDArray[np.int16]] = []

    @property
    def heard(self) -> NDArray[np.int16]:
        return np.concatenate(self.blocks) if self.blocks else np.zeros(0, np.int16)

    @property
    def silent_at(self) -> float:
        return time.monotonic() + self.delay_s()

    def write(self, block: NDArray[np.int16]) -> None:
        self.blocks.append(block.copy())
        super().write(block)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def alsa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Alsa:
    (tmp_path / "alsa").mkdir()
    own = Alsa(tmp_path / "alsa")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(own.path))
    return own
