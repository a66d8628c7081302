"""The natural voice and espeak-ng in one line, with their real sound: equally loud, a pause apart, and no click."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyloudnorm
import pytest
from numpy.typing import NDArray

from ishowtts.engines import Engine
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.hibari.hibari_engine import HibariEngine, HibariOptions
from ishowtts.model import Segment, Utterance
from ishowtts.playback.playback_buffer import PlaybackBuffer, PlaybackClip
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.speech.engine_seam import EDGE_FADE_S, SENTENCE_PAUSE_S, after_other_engine

RATE_HZ = 24_000
TARGET_LUFS = -16.0
BLOCK = RATE_HZ // 100
AUDIBLE = 33  # -60 dBFS
ENGLISH = (
    "Good evening, everyone, and thank you for coming.",
    "I am on the ferry to the island, which leaves in a quarter of an hour, from the pier behind the lighthouse.",
    "If you are cold, there is a blanket in the bottom drawer, and tea on the stove.",
)
GERMAN = (
    "Guten Abend, ihr lieben Leute, und danke, dass ihr gekommen seid.",
    "Die Fähre zur Insel fährt in einer Viertelstunde, von der Mole hinter dem alten Leuchtturm.",
    "Wem kalt ist, der findet eine Decke in der untersten Schublade, und Tee auf dem Herd.",
)


@pytest.fixture(scope="module")
def natural() -> Iterator[Engine]:
    engine = HibariEngine(HibariOptions())
    engine.load(lambda _: None)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def spoken(natural: Engine) -> dict[str, list[Utterance]]:
    """Each sentence by each voice: that of hibari and two of espeak-ng."""
    voices: dict[str, tuple[Engine, tuple[str, ...]]] = {
        "heart": (natural, ENGLISH),
        "en-us": (EspeakEngine("en-us"), ENGLISH),
        "de": (EspeakEngine("de"), GERMAN),
    }
    return {
        name: [engine.synthesize(Segment("", 0, 1, text, seed=1), lambda: False) for text in texts]
        for name, (engine, texts) in voices.items()
    }


def post_processor() -> PostProcessor:
    return PostProcessor(rate_hz=RATE_HZ, loudness_lufs=TARGET_LUFS, peak_dbtp=-1.0)


def lufs(sound: NDArray[np.float32] | NDArray[np.int16]) -> float:
    return float(pyloudnorm.Meter(RATE_HZ).integrated_loudness(sound.astype(np.float64) / 32_768))


def test_the_first_segment_of_each_voice_is_as_loud_as_it_should_be(spoken: dict[str, list[Utterance]]) -> None:
    raw = [lufs(utterances[0].samples) for utterances in spoken.values()]
    assert max(raw) - min(raw) > 1, "by themselves they are not equally loud"
    processor = post_processor()
    levels = {name: lufs(processor.process(utterances[0], "line")) for name, utterances in spoken.items()}
    assert levels == pytest.approx(dict.fromkeys(levels, TARGET_LUFS), abs=1)


def test_voices_that_are_known_stay_within_one_lu_of_each_other(spoken: dict[str, list[Utterance]]) -> None:
    processor = post_processor()
    for number in range(3):
        for utterances in spoken.values():
            processor.process(utterances[number], f"line {number}")
    later = {
        name: [processor.process(each, f"later {number}") for number, each in enumerate(utterances)]
        for name, utterances in spoken.items()
    }
    levels = {name: lufs(np.concatenate(sounds)) for name, sounds in later.items()}
    assert max(levels.values()) - min(levels.values()) < 1, levels
    assert levels == pytest.approx(dict.fromkeys(levels, TARGET_LUFS), abs=1)


@pytest.mark.parametrize("order", [("heart", "en-us"), ("de", "heart")])
def test_the_seam_of_real_voices_is_a_pause_without_a_click(
    spoken: dict[str, list[Utterance]], order: tuple[str, str]
) -> None:
    processor = post_processor()
    before, after = (spoken[name][number] for number, name in enumerate(order))
    sounds = [np.asarray(processor.process(each, "line"), np.float32) for each in (before, after)]
    seamed = after_other_engine(after, sounds[1], RATE_HZ, before, ENGLISH[0])
    buffer = PlaybackBuffer(BLOCK)
    buffer.add(PlaybackClip(sounds[0].copy()))
    buffer.add(PlaybackClip(np.asarray(seamed.sound, np.float32)), fade_out=round(EDGE_FADE_S * RATE_HZ))
    blocks = []
    while (block := buffer.next_block(lambda _: 1.0, False, 0.0)) is not None:
        blocks.append(block)
    heard = np.concatenate(blocks).astype(np.int32)
    audible = np.flatnonzero(np.abs(heard) > AUDIBLE)
    last = int(audible[audible < len(sounds[0])][-1])
    first = int(audible[audible >= len(sounds[0])][0])
    assert SENTENCE_PAUSE_S - 0.05 < (first - last) / RATE_HZ < SENTENCE_PAUSE_S + 0.15
    # This sentence of espeak-ng begins with a step of 400.
    assert max(abs(heard[first]), abs(heard[len(sounds[0]) - 1])) < 100, "-50 dBFS"
