"""Weights that spread the text over the frames run in the fast model and sound like upstream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ishowtts.engines.f5 import duration, fast_model
from ishowtts.engines.f5.architecture import read_model
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.fast_model import FastModel
from ishowtts.errors import WeightsError
from ishowtts.model import Segment
from ishowtts_bench import mutations
from ishowtts_bench.bench_env import BenchEnv
from ishowtts_bench.fidelity import distance
from ishowtts_bench.parity import MUTATION_MIN_ERROR, TOLERANCE
from ishowtts_bench.upstream_infer import UpstreamInfer
from support.fake_cuda_graph import TapeRecorder

pytestmark = [pytest.mark.f5, pytest.mark.slow]

Make = Callable[..., F5Engine]
LINES = [
    Segment("line", 0, 1, "A first line, longer than the second.", nfe_step=4, seed=1),
    Segment("line", 0, 1, "Oh, 你好 friend; it’s “fine”.", nfe_step=4, seed=2, speed=1.4),
    Segment("line", 0, 1, "Hi.", nfe_step=4, seed=3),
]
# It has more tokens than its speed leaves frames. Its length is then the number of its tokens and one frame.
CROWDED = Segment("line", 0, 1, ("Every word of this comes in a rush. " * 4).strip(), nfe_step=4, seed=4, speed=100.0)


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def right(upsampling_checkpoint: Path, short_voice: dict[str, str]) -> dict[Segment, np.ndarray]:
    """Each line alone, made by upstream's own function."""
    upstream = UpstreamInfer(upsampling_checkpoint, "cpu")
    voices = Path(short_voice["voices_dir"])
    clip = BenchEnv(
        upsampling_checkpoint, "cpu", voices_dir=voices, voice=short_voice["default_voice"]
    ).reference_clip()
    assert upstream.cfm.transformer.text_embed.average_upsampling
    return {
        line: upstream.synthesize(clip, line.text, nfe_step=line.nfe_step, seed=line.seed, speed=line.speed or 1.0)
        for line in (*LINES, CROWDED)
    }


@pytest.fixture
def make(make_engine: Make, upsampling_checkpoint: Path, short_voice: dict[str, str]) -> Make:
    """An engine with these weights, and with upstream's length of short texts."""

    def made(**switches: Any) -> F5Engine:
        return make_engine(
            weights=str(upsampling_checkpoint),
            switches={"short_text": False, "cpu_kernels": False, **switches},
            **short_voice,
        )

    return made


@pytest.mark.parametrize(
    "switches", [{}, {"text_once": False}, {"exact_padding": True}, {"exact_padding": True, "text_once": False}]
)
def test_every_line_sounds_like_upstream(
    make: Make, right: dict[Segment, np.ndarray], switches: dict[str, Any]
) -> None:
    ours = make(**switches)
    assert isinstance(ours._runner.model, FastModel)
    for line, sound in right.items():
        assert distance(ours.render(line, never), sound) <= TOLERANCE
    # Again, from the caches of the tokens and of the voice.
    assert distance(ours.render(LINES[0], never), right[LINES[0]]) <= TOLERANCE


def test_the_crowded_line_has_a_frame_more_than_tokens(make: Make) -> None:
    ours = make()
    job = ours._job(CROWDED)
    assert job.frames == ours._runner.model.tokens(job.text) + 1


@pytest.mark.parametrize("exact_padding", [False, True])
def test_a_batch_of_mixed_lengths_sounds_like_each_line_alone(
    make: Make, right: dict[Segment, np.ndarray], exact_padding: bool
) -> None:
    together = make(exact_padding=exact_padding, graphs=False).render_batch(LINES, never)
    for line, sound in zip(LINES, together, strict=True):
        assert distance(sound, right[line]) <= TOLERANCE


def test_captured_runs_have_the_text_of_their_own_line(
    make: Make, right: dict[Segment, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duration, "BUCKETS", (160, 192, 256, 640))
    tape = TapeRecorder()
    monkeypatch.setattr(fast_model, "make_capturer", lambda _: tape)
    ours = make(exact_padding=True, graphs=True)
    for _ in range(2):
        for line in LINES:
            assert distance(ours.render(line, never), right[line]) <= TOLERANCE
        while ours.idle():
            pass
    assert tape.replayed >= 4 * len(LINES)
    for line, sound in zip(LINES[:2], ours.render_batch(LINES[:2], never), strict=True):
        assert distance(sound, right[line]) <= TOLERANCE


def test_a_text_spread_over_a_whole_bucket_is_noticed(make: Make, right: dict[Segment, np.ndarray]) -> None:
    ours = make(exact_padding=True)
    with mutations.text_at_bucket_length():
        assert distance(ours.render(LINES[0], never), right[LINES[0]]) >= MUTATION_MIN_ERROR


def test_a_text_that_is_not_spread_is_noticed(make: Make, right: dict[Segment, np.ndarray]) -> None:
    ours = make()
    model = ours._runner.model
    model._text = replace(model._text, upsamples=False)
    assert distance(ours.render(LINES[0], never), right[LINES[0]]) >= MUTATION_MIN_ERROR


def test_a_model_that_cannot_tell_text_from_filler_is_refused(upsampling_checkpoint: Path, tmp_path: Path) -> None:
    description = yaml.safe_load((upsampling_checkpoint / "model.yaml").read_text())
    description["arch"]["text_mask_padding"] = False
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(description))
    with pytest.raises(WeightsError, match="text_embedding_average_upsampling needs text_mask_padding"):
        read_model(tmp_path / "model.yaml")
