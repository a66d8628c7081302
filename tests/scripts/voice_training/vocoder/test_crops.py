"""Which crops of the waves are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from voice_training.vocoder.crops import Crops

CPU = torch.device("cpu")


def crops(waves: list[Any], **changes: Any) -> Crops:
    settings = {"samples": 100, "batch": 64, "gain_db": (0.0, 0.0), "device": CPU, "seed": 7} | changes
    return Crops(waves, **settings)


def levels(count: int) -> list[Any]:
    """Waves of different lengths. Each has one constant value."""
    return [np.full(100 + 37 * i, (i + 1) / 10, np.float32) for i in range(count)]


def test_a_batch_depends_only_on_seed_and_step(speech: list[Any]) -> None:
    first, second = (crops(speech, gain_db=(-9.0, 3.0)) for _ in range(2))
    assert first.at(0).shape == (64, 100)
    for step in (3, 0, 3):
        assert torch.equal(first.at(step), second.at(3 if step else 0))
    assert not torch.equal(first.at(3), first.at(4))
    assert not torch.equal(first.at(3), crops(speech, seed=8, gain_db=(-9.0, 3.0)).at(3))


def test_a_crop_is_from_one_wave_and_every_wave_is_drawn() -> None:
    some = crops(levels(5))
    heard = torch.cat([some.at(step) for step in range(20)])
    assert torch.equal(heard.amax(1), heard.amin(1))
    assert sorted({round(x, 3) for x in heard[:, 0].tolist()}) == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_the_last_position_of_a_wave_is_drawn_too() -> None:
    ramp = np.arange(104, dtype=np.float32) / 200
    begins = {round(float(x) * 200) for x in crops([ramp]).at(0)[:, 0]}
    assert begins == {0, 1, 2, 3, 4}


def test_a_short_wave_is_followed_by_silence() -> None:
    heard = crops([np.full(60, 0.5, np.float32)]).at(0)
    assert torch.allclose(heard[:, :60], torch.tensor(0.5), atol=1e-4)
    assert not heard[:, 60:].any()


def test_gains_vary_and_never_clip() -> None:
    peaks = crops([np.full(200, 0.9, np.float32)], gain_db=(-6.0, 6.0)).at(0).amax(1)
    assert peaks.max() <= 0.9901
    assert peaks.min() < 0.6
    assert len(peaks.unique()) > 20


def test_an_empty_corpus_is_refused() -> None:
    with pytest.raises(ValueError, match="the corpus is empty"):
        crops([])
