"""What every engine keeps, in process and behind the worker alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ishowtts.engines import Engine, Progress
from ishowtts.engines.worker import registry
from ishowtts.engines.worker.remote_engine import RemoteEngine
from ishowtts.errors import Cancelled, SynthesisError
from ishowtts.model import Segment

Say = Callable[..., Segment]
TEXT = "The quick brown fox jumps over the lazy dog."

# On one test process, so that each engine is loaded once.
pytestmark = pytest.mark.xdist_group("contract")


def never() -> bool:
    return False


@pytest.fixture(
    scope="module",
    params=[
        "espeak-in-process",
        "espeak-behind-worker",
        pytest.param("f5-in-process", marks=[pytest.mark.f5, pytest.mark.slow]),
        pytest.param("f5-behind-worker", marks=[pytest.mark.f5, pytest.mark.slow]),
    ],
)
def loaded(
    request: pytest.FixtureRequest, options_of: Callable[[str], dict[str, Any]]
) -> Iterator[tuple[Engine, list[Progress]]]:
    kind, _, where = request.param.partition("-")
    steps: list[Progress] = []
    engine: Engine
    make = registry.make if where == "in-process" else RemoteEngine
    engine = make(kind, options_of(kind))
    try:
        engine.load(steps.append)
        engine.warm(steps.append)
        yield engine, steps
    finally:
        engine.close()
        engine.close()


@pytest.fixture
def engine(loaded: tuple[Engine, list[Progress]]) -> Engine:
    return loaded[0]


def test_it_is_an_engine_that_reports_its_way(loaded: tuple[Engine, list[Progress]]) -> None:
    engine, steps = loaded
    assert isinstance(engine, Engine)
    assert engine.name in {"espeak", "f5"}
    assert steps
    assert all(0 <= step.i <= step.n for step in steps)


def test_the_default_voice_takes_a_sentence(engine: Engine) -> None:
    card = engine.prepare(None)
    assert card.name
    assert card.max_segment_bytes >= len(TEXT)


def test_the_card_tells_of_the_clip_and_how_long_a_text_sounds(engine: Engine, say: Say) -> None:
    card = engine.prepare(None)
    if engine.name == "espeak":
        assert (card.reference_s, card.bytes_per_s, card.seam_s, card.cost) == (None, None, 0.0, None)
        return
    assert card.reference_s is not None
    assert card.bytes_per_s is not None
    assert 1 <= card.reference_s <= 15
    assert card.seam_s == 0.15
    for speed in (0.8, 1.0, 1.6):
        spoken = engine.synthesize(say(TEXT, speed=speed), never)
        assert spoken.audio_s == pytest.approx(len(TEXT) / card.bytes_per_s / speed, abs=0.05)


def test_a_segment_becomes_mono_sound_at_the_engines_rate(engine: Engine, say: Say) -> None:
    spoken = engine.synthesize(say(TEXT), never)
    assert spoken.samples.dtype == np.int16
    assert spoken.samples.ndim == 1
    assert spoken.rate_hz == engine.rate_hz
    assert 0.5 < spoken.audio_s < 30
    assert np.abs(spoken.samples).max() > 0
    assert spoken.synth_s > 0
    assert spoken.engine == engine.name
    assert spoken.voice


def test_more_text_is_more_sound(engine: Engine, say: Say) -> None:
    short, long = (engine.synthesize(say(text), never) for text in (TEXT, f"{TEXT} {TEXT}"))
    assert long.audio_s > 1.3 * short.audio_s


def test_speed_shortens(engine: Engine, say: Say) -> None:
    slow, fast = (engine.synthesize(say(TEXT, speed=speed), never) for speed in (0.8, 1.6))
    assert slow.audio_s > 1.3 * fast.audio_s


def test_the_same_seed_gives_the_same_sound(engine: Engine, say: Say) -> None:
    first, second = (engine.synthesize(say(TEXT, seed=7), never) for _ in range(2))
    assert np.array_equal(first.samples, second.samples)


def test_chinese_is_spoken(engine: Engine, say: Say) -> None:
    assert engine.synthesize(say("今天天气很好,我们去公园散步。"), never).audio_s > 0.5


def test_a_cancelled_segment_makes_no_sound_and_the_next_one_does(engine: Engine, say: Say) -> None:
    with pytest.raises(Cancelled):
        engine.synthesize(say(TEXT), lambda: True)
    polls = iter([False, True])
    with pytest.raises(Cancelled):
        engine.synthesize(say(f"{TEXT} " * 8), lambda: next(polls, True))
    assert engine.synthesize(say(TEXT), never).audio_s > 0.5


TEXTS = ["A short one.", TEXT, f"{TEXT} {TEXT}", "今天天气很好。"]


def test_a_batch_is_its_segments_in_order_each_as_it_sounds_alone(engine: Engine, say: Say) -> None:
    segments = [say(text, seed=seed) for seed, text in enumerate(TEXTS)]
    together = engine.synthesize_batch(segments, never)
    alone = [engine.synthesize(segment, never) for segment in segments]
    assert len(together) == len(alone)
    for one, other in zip(together, alone, strict=True):
        # A step of S16: in a batch a sum has another order.
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


def test_a_batch_with_one_bad_text_makes_no_sound_and_the_others_are_spoken_alone(engine: Engine, say: Say) -> None:
    segments = [say(TEXT), say(""), say("A short one.")]
    with pytest.raises(SynthesisError):
        engine.synthesize_batch(segments, never)
    assert engine.synthesize(segments[0], never).audio_s > 0.5
    assert engine.synthesize(segments[2], never).audio_s > 0.1


def test_a_cancelled_batch_makes_no_sound_and_the_next_one_does(engine: Engine, say: Say) -> None:
    segments = [say(f"{TEXT} " * 4) for _ in range(3)]
    with pytest.raises(Cancelled):
        engine.synthesize_batch(segments, lambda: True)
    polls = iter([False, True])
    with pytest.raises(Cancelled):
        engine.synthesize_batch(segments, lambda: next(polls, True))
    assert len(engine.synthesize_batch([say(TEXT), say(TEXT)], never)) == 2


def test_a_text_without_anything_to_say_ends_the_line_not_the_engine(engine: Engine, say: Say) -> None:
    with pytest.raises(SynthesisError):
        engine.synthesize(say(""), never)
    assert engine.synthesize(say(TEXT), never).audio_s > 0.5
