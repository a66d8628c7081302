"""The contract of every engine holds in process and in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ishowtts.engines import Engine, Progress
from ishowtts.engines.hibari.hibari_package import missing_package
from ishowtts.engines.worker import registry
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.errors import Cancelled, SynthesisError
from ishowtts.model import Segment

Say = Callable[..., Segment]
TEXT = "The quick brown fox jumps over the lazy dog."
SHORT = "A short one."

without_hibari = pytest.mark.skipif(missing_package() is not None, reason=str(missing_package()))
# In one pytest worker, so that each engine is loaded once.
pytestmark = pytest.mark.xdist_group("contract")


def never() -> bool:
    return False


@pytest.fixture(
    scope="module",
    params=[
        "espeak-in-process",
        "espeak-in-worker",
        pytest.param("hibari-in-worker", marks=without_hibari),
        pytest.param("f5-in-process", marks=[pytest.mark.f5, pytest.mark.slow]),
        pytest.param("f5-in-worker", marks=[pytest.mark.f5, pytest.mark.slow]),
    ],
)
def loaded(
    request: pytest.FixtureRequest, options_of: Callable[[str], dict[str, Any]], espeak_path: str
) -> Iterator[tuple[Engine, list[Progress]]]:
    kind, _, place = request.param.partition("-")
    steps: list[Progress] = []
    engine: Engine
    make = registry.make if place == "in-process" else WorkerEngine
    engine = make(kind, options_of(kind))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", espeak_path)
            engine.load(steps.append)
            engine.warm(steps.append)
        yield engine, steps
    finally:
        engine.close()
        engine.close()


@pytest.fixture
def engine(loaded: tuple[Engine, list[Progress]]) -> Engine:
    return loaded[0]


def test_loading_and_warming_report_progress(loaded: tuple[Engine, list[Progress]]) -> None:
    engine, steps = loaded
    assert engine.name in {"espeak", "f5", "hibari"}
    assert {"load", "warm"} <= {step.phase for step in steps}
    assert all(0 <= step.i <= step.n for step in steps)


def test_the_default_voice_accepts_a_sentence(engine: Engine) -> None:
    info = engine.prepare(None)
    assert info.name
    assert info.max_segment_bytes >= len(TEXT)


def test_voice_info_predicts_the_duration_of_a_text_and_speed_shortens_it(engine: Engine, say: Say) -> None:
    info = engine.prepare(None)
    slow, fast = (engine.synthesize(say(TEXT, speed=speed), never) for speed in (0.8, 1.6))
    assert slow.audio_s > 1.3 * fast.audio_s
    if engine.name == "espeak":
        assert (info.reference_s, info.bytes_per_s, info.seam_s, info.cost) == (None, None, 0.0, None)
        return
    assert info.reference_s is not None
    assert info.bytes_per_s is not None
    if engine.name == "hibari":
        assert (info.reference_s, info.seam_s) == (0.0, 0.0)
        for speed, spoken in ((0.8, slow), (1.6, fast)):
            assert spoken.audio_s == pytest.approx(len(TEXT) / info.bytes_per_s / speed, rel=0.25)
        return
    assert 1 <= info.reference_s <= 15
    assert info.seam_s == 0.15
    for speed, spoken in ((0.8, slow), (1.6, fast)):
        assert spoken.audio_s == pytest.approx(len(TEXT) / info.bytes_per_s / speed, abs=0.05)


def test_a_segment_becomes_mono_sound_at_the_engines_rate_and_more_text_more_sound(engine: Engine, say: Say) -> None:
    spoken = engine.synthesize(say(TEXT), never)
    assert spoken.samples.dtype == np.int16
    assert spoken.samples.ndim == 1
    assert spoken.rate_hz == engine.rate_hz
    assert 0.5 < spoken.audio_s < 30
    assert np.abs(spoken.samples).max() > 0
    assert spoken.synth_s > 0
    assert spoken.engine == engine.name
    assert spoken.voice
    assert spoken.audio_s > 1.3 * engine.synthesize(say(SHORT), never).audio_s


def test_the_same_seed_gives_the_same_sound(engine: Engine, say: Say) -> None:
    first, second = (engine.synthesize(say(SHORT, seed=7), never) for _ in range(2))
    assert np.array_equal(first.samples, second.samples)


def test_chinese_is_spoken_or_refused(engine: Engine, say: Say) -> None:
    if engine.name == "hibari":
        with pytest.raises(SynthesisError, match="English only"):
            engine.synthesize(say("今天天气很好。"), never)
        return
    assert engine.synthesize(say("今天天气很好。"), never).audio_s > 0.5


def test_a_cancelled_segment_makes_no_sound_and_the_next_one_does(engine: Engine, say: Say) -> None:
    with pytest.raises(Cancelled):
        engine.synthesize(say(SHORT), lambda: True)
    polls = iter([False, True])
    with pytest.raises(Cancelled):
        engine.synthesize(say(f"{TEXT} " * 8), lambda: next(polls, True))
    assert engine.synthesize(say(SHORT), never).audio_s > 0.3


def test_a_batch_gives_each_segment_in_order_as_it_sounds_alone(engine: Engine, say: Say) -> None:
    third = "And a third one." if engine.name == "hibari" else "今天天气很好。"
    segments = [say(text, seed=seed) for seed, text in enumerate([SHORT, TEXT, third])]
    together = engine.synthesize_batch(segments, never)
    alone = [engine.synthesize(segment, never) for segment in segments]
    for one, other in zip(together, alone, strict=True):
        # One step of S16: in a batch, sums have another order.
        assert one.samples.shape == other.samples.shape
        assert np.abs(one.samples.astype(int) - other.samples).max() <= 1
        assert (one.rate_hz, one.engine, one.voice, one.nfe_step) == (
            other.rate_hz,
            other.engine,
            other.voice,
            other.nfe_step,
        )
        assert one.synth_s > 0
    assert engine.synthesize_batch(segments[:1], never)[0].samples.tolist() == alone[0].samples.tolist()


def test_a_batch_with_one_bad_text_fails_as_a_whole_and_its_other_texts_are_spoken_alone(
    engine: Engine, say: Say
) -> None:
    segments = [say("Another."), say(""), say(SHORT)]
    with pytest.raises(SynthesisError):
        engine.synthesize_batch(segments, never)
    assert engine.synthesize(segments[0], never).audio_s > 0.1
    assert engine.synthesize(segments[2], never).audio_s > 0.1


def test_a_cancelled_batch_makes_no_sound_and_the_next_one_does(engine: Engine, say: Say) -> None:
    with pytest.raises(Cancelled):
        engine.synthesize_batch([say(SHORT), say(TEXT)], lambda: True)
    polls = iter([False, True])
    with pytest.raises(Cancelled):
        engine.synthesize_batch([say(f"{TEXT} " * 4) for _ in range(2)], lambda: next(polls, True))
    assert len(engine.synthesize_batch([say(SHORT), say(SHORT)], never)) == 2


def test_an_empty_text_fails_and_the_engine_goes_on(engine: Engine, say: Say) -> None:
    with pytest.raises(SynthesisError):
        engine.synthesize(say(""), never)
    assert engine.synthesize(say(SHORT), never).audio_s > 0.3
