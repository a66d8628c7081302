"""Weights whose text is spread over the frames run on the fast path, and sound as upstream has them."""

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
from support.tape import TapeRecorder

pytestmark = [pytest.mark.f5, pytest.mark.slow]

Make = Callable[..., F5Engine]
LINES = [
    Segment("line", 0, 1, "A first line, longer than the second.", nfe_step=5, seed=1),
    Segment("line", 0, 1, "Oh, 你好 friend; it’s “fine”.", nfe_step=5, seed=2, speed=1.4),
    Segment("line", 0, 1, "Hi.", nfe_step=5, seed=3),
]
# More tokens than the frames that its speed would leave: the length is that of the tokens, and one frame.
CROWDED = Segment("line", 0, 1, ("Every word of this comes in a rush. " * 16).strip(), nfe_step=5, seed=4, speed=100.0)


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def right(upsampling_checkpoint: Path) -> dict[Segment, np.ndarray]:
    """Each line alone, by upstream's own function."""
    original, clip = (
        UpstreamInfer(upsampling_checkpoint, "cpu"),
        BenchEnv(upsampling_checkpoint, "cpu").reference_clip(),
    )
    assert original.cfm.transformer.text_embed.average_upsampling
    return {
        line: original.synthesize(clip, line.text, nfe_step=line.nfe_step, seed=line.seed, speed=line.speed or 1.0)
        for line in (*LINES, CROWDED)
    }


@pytest.fixture
def make(make_engine: Make, upsampling_checkpoint: Path) -> Make:
    """An engine over them; with upstream's length of short texts."""

    def made(**switches: Any) -> F5Engine:
        return make_engine(weights=str(upsampling_checkpoint), switches={"short_text": False, **switches})

    return made


@pytest.mark.parametrize(
    "switches", [{}, {"text_once": False}, {"exact_padding": True}, {"exact_padding": True, "text_once": False}]
)
def test_every_line_sounds_as_upstream_has_it(
    make: Make, right: dict[Segment, np.ndarray], switches: dict[str, Any]
) -> None:
    ours = make(**switches)
    assert isinstance(ours._runner.model, FastModel)
    for line, sound in right.items():
        assert distance(ours.render(line, never), sound) <= TOLERANCE
    # From the caches of its tokens and its voice.
    assert distance(ours.render(LINES[0], never), right[LINES[0]]) <= TOLERANCE


def test_the_crowded_line_has_a_frame_more_than_tokens(make: Make) -> None:
    ours = make()
    job = ours._job(CROWDED)
    assert job.frames == ours._runner.model.tokens(job.text) + 1


@pytest.mark.parametrize("exact_padding", [False, True])
def test_lines_of_other_lengths_in_one_batch_sound_as_each_alone(
    make: Make, right: dict[Segment, np.ndarray], exact_padding: bool
) -> None:
    together = make(exact_padding=exact_padding, graphs=False).render_batch(LINES, never)
    for line, sound in zip(LINES, together, strict=True):
        assert distance(sound, right[line]) <= TOLERANCE


def test_recorded_runs_have_the_text_of_their_own_line(
    make: Make, right: dict[Segment, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duration, "BUCKETS", (544, 640, 768, 1088, 2112))
    tape = TapeRecorder()
    monkeypatch.setattr(fast_model, "make_recorder", lambda _: tape)
    ours = make(exact_padding=True, graphs=True)
    for _ in range(2):
        for line in LINES:
            assert distance(ours.render(line, never), right[line]) <= TOLERANCE
        while ours.idle():
            pass
    assert tape.replayed >= 5 * len(LINES)
    for line, sound in zip(LINES[:2], ours.render_batch(LINES[:2], never), strict=True):
        assert distance(sound, right[line]) <= TOLERANCE


def test_a_text_that_is_spread_over_a_bucket_would_be_heard(make: Make, right: dict[Segment, np.ndarray]) -> None:
    ours = make(exact_padding=True)
    with mutations.text_at_bucket_length():
        assert distance(ours.render(LINES[0], never), right[LINES[0]]) >= MUTATION_MIN_ERROR


def test_a_text_that_is_not_spread_would_be_heard(make: Make, right: dict[Segment, np.ndarray]) -> None:
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
