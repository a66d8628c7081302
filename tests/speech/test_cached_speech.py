"""Cached speech is used again, even if no engine is ready, and only if nothing that determines its sound changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ishowtts.archive import ArchiveWriter, SpeechCache
from ishowtts.engines import VoiceInfo
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.errors import EngineUnavailable
from ishowtts.model import IsCancelled, Line, Segment, Utterance
from ishowtts.speech.fallback import FallbackSynthesizer
from ishowtts.speech.line_synthesis import LineSynthesis, PlannedSegment
from support.engine_order import engine_order, never, speak_planned

WHOLE = "Well, here it begins at last. And it goes on, for it has a lot to say. Then it ends. Or not yet, who knows?"
VOICE = VoiceInfo("anna", 60, reference_s=5.0, bytes_per_s=15.0, seam_s=0.15)


class Primary:
    """espeak-ng as a primary engine with a cloned voice; it may be unavailable."""

    name = "primary"

    def __init__(self, espeak: EspeakEngine) -> None:
        self._espeak = espeak
        self.unavailable = False
        self.voice_info = VOICE
        self.spoken: list[str] = []
        self.during_synthesis: Callable[[], None] = lambda: None

    def prepare(self, voice: str | None) -> VoiceInfo:
        if self.unavailable:
            raise EngineUnavailable("the engine is warming")
        return self.voice_info

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        self.prepare(segment.voice)
        self.spoken.append(segment.text)
        self.during_synthesis()
        return replace(self._espeak.synthesize(segment, cancelled), engine=self.name, voice=VOICE.name)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        return [self.synthesize(segment, cancelled) for segment in segments]


class Rig:
    """A primary engine, a fallback and a cache on disk."""

    def __init__(self, folder: Path) -> None:
        self.espeak = EspeakEngine()
        self.espeak.load(lambda _: None)
        self.folder = folder
        self.made_by: dict[str, Any] | None = {"weights": 1}
        self.primary = Primary(self.espeak)
        self.writer = ArchiveWriter(lambda: None, lambda: None)
        self.writer.start()
        cache = SpeechCache(folder, 100_000_000, self.writer, lambda: True)
        order = engine_order(self.primary, self.espeak, cache_key=lambda voice: self.made_by)
        self.synthesizer = FallbackSynthesizer(order, cache=cache)

    def say(self, whole: str = WHOLE, **fields: Any) -> list[Utterance]:
        """The sound of each segment of a line. On return all of it is on disk."""
        line = Line("line", whole, **fields)
        self.synthesis = self.synthesizer.begin_line()
        spoken = speak_planned(self.synthesis, self.synthesis.plan(line, whole))
        self.settle()
        return spoken

    def settle(self) -> None:
        settled = threading.Event()
        self.writer.offer(settled.set, must=True)
        assert settled.wait(20)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.writer.close(5)


def test_a_repeated_line_costs_nothing_and_sounds_the_same(rig: Rig) -> None:
    first = rig.say()
    assert len(first) > 1
    assert not any(one.cached for one in first)
    made = list(rig.primary.spoken)
    again = rig.say()
    assert rig.primary.spoken == made
    assert all(one.cached and one.synth_s == 0.0 and one.engine == "primary" for one in again)
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(first, again, strict=True))


def test_while_the_primary_is_unavailable_its_cached_sound_is_used_and_not_the_fallback(rig: Rig) -> None:
    rig.say()
    rig.primary.unavailable = True
    again = rig.say()
    assert {one.engine for one in again} == {"primary"}
    assert rig.synthesis.engines.first == "primary"
    assert rig.synthesis.seam_s("primary") == 0.15
    assert {one.engine for one in rig.say("Something else.")} == {"espeak"}


def test_speech_of_the_fallback_is_not_cached(rig: Rig) -> None:
    rig.primary.unavailable = True
    assert {one.engine for one in rig.say()} == {"espeak"}
    assert not any(rig.folder.glob("*.speech"))
    assert not any(rig.folder.glob("*.cut"))
    rig.primary.unavailable = False
    assert {(one.engine, one.cached) for one in rig.say()} == {("primary", False)}


def test_if_the_primary_fails_within_a_line_only_its_own_segments_are_cached(rig: Rig) -> None:
    def leave() -> None:
        rig.primary.unavailable = len(rig.primary.spoken) > 1
        rig.primary.prepare(None)

    rig.primary.during_synthesis = leave
    assert [one.engine for one in rig.say()][:2] == ["primary", "espeak"]
    assert len(list(rig.folder.glob("*.speech"))) == 1
    rig.primary.unavailable, rig.primary.during_synthesis = False, lambda: None
    assert [one.cached for one in rig.say()][:2] == [True, False], "and the text is split as before"


@pytest.mark.parametrize("fields", [{"speed": 1.5}, {"nfe_step": 9}, {"seed": 3}, {"seed": 0}])
def test_a_line_with_other_settings_is_not_taken_from_the_cache(rig: Rig, fields: dict[str, Any]) -> None:
    rig.say()
    assert not any(one.cached for one in rig.say(**fields))
    assert all(one.cached for one in rig.say(**fields))


def test_another_cache_key_misses_and_an_unknown_one_keeps_nothing(rig: Rig) -> None:
    rig.say()
    rig.made_by = {"weights": 2}
    assert not any(one.cached for one in rig.say())
    kept = len(list(rig.folder.iterdir()))
    rig.made_by = None
    assert not any(one.cached for one in rig.say())
    assert len(list(rig.folder.iterdir())) == kept


def test_speech_is_not_cached_if_the_key_changed_during_synthesis(rig: Rig) -> None:
    def change() -> None:
        rig.made_by = {"weights": len(rig.primary.spoken)}

    rig.made_by = {"weights": 0}
    rig.primary.during_synthesis = change
    rig.say()
    assert not any(rig.folder.glob("*.speech"))


def test_a_cached_text_is_split_as_before_although_the_cost_changed(rig: Rig) -> None:
    rig.primary.voice_info = replace(VOICE, max_segment_bytes=200)
    first = rig.say()
    rig.primary.voice_info = replace(rig.primary.voice_info, cost=0.05)
    assert len(rig.say(WHOLE + " So it is.")) > len(first), "a cheap engine begins with a short segment"
    again = rig.say()
    assert len(again) == len(first)
    assert all(one.cached for one in again)


def test_one_missing_segment_is_made_again_and_the_split_stays(rig: Rig) -> None:
    count = len(rig.say())
    next(rig.folder.glob("*.speech")).unlink()
    assert sorted(one.cached for one in rig.say()) == [False] + [True] * (count - 1)
    assert all(one.cached for one in rig.say())


def test_a_half_cached_line_is_spoken_by_the_fallback_while_the_primary_is_unavailable(rig: Rig) -> None:
    rig.say()
    next(rig.folder.glob("*.speech")).unlink()
    rig.primary.unavailable = True
    assert {one.engine for one in rig.say()} == {"espeak"}, "no line is spoken in two voices without need"


def test_a_text_is_split_again_if_none_of_its_sound_is_cached(rig: Rig) -> None:
    rig.say()
    for path in rig.folder.glob("*.speech"):
        path.unlink()
    rig.primary.voice_info = replace(VOICE, max_segment_bytes=200)
    assert len(rig.say()) == 1


def test_a_damaged_sound_is_synthesised_again(rig: Rig) -> None:
    rig.say()
    for path in rig.folder.glob("*.speech"):
        path.write_bytes(path.read_bytes()[:-2])
    assert not any(one.cached for one in rig.say())
    assert all(one.cached for one in rig.say())


def test_the_cost_model_learns_nothing_from_cached_speech(rig: Rig) -> None:
    rig.say()
    costs = [list(seen) for seen in rig.synthesizer.settings.cost_model._costs.values()]
    rig.say()
    assert [list(seen) for seen in rig.synthesizer.settings.cost_model._costs.values()] == costs


def planned(synthesis: LineSynthesis, texts: list[str]) -> list[PlannedSegment]:
    """Segments of a line, of which the first was spoken before."""
    whole = " ".join(["Hello.", *texts])
    synthesis.plan(Line("line", whole), whole)
    count = len(texts) + 1
    return [
        PlannedSegment(Segment("line", i + 1, count, one, language="en"), whole.index(one))
        for i, one in enumerate(texts)
    ]


def test_of_a_batch_only_missing_segments_are_made_and_all_are_cached(rig: Rig) -> None:
    rig.primary.voice_info = replace(VOICE, cost=0.01, batch_s=100.0)
    texts = [f"This is number {name}." for name in ("one", "two", "three", "four", "five")]
    synthesis = rig.synthesizer.begin_line()
    segments = planned(synthesis, texts)
    kept = [synthesis.synthesize_next(segments[i : i + 1], 60.0, never).utterances[0] for i in (0, 3)]
    rig.settle()
    rig.primary.spoken.clear()
    first = synthesis.synthesize_next(segments, 60.0, never).utterances
    assert [one.cached for one in first] == [True]
    assert np.array_equal(first[0].samples, kept[0].samples)
    rest = synthesis.synthesize_next(segments[1:], 60.0, never).utterances
    assert [one.cached for one in rest] == [False, False, True, False]
    assert np.array_equal(rest[2].samples, kept[1].samples)
    assert rig.primary.spoken == [texts[1], texts[2], texts[4]]
    rig.settle()
    again = synthesis.synthesize_next(segments, 60.0, never).utterances
    assert [one.cached for one in again] == [True] * 5


def test_a_batch_is_not_cached_if_the_key_changed_during_synthesis(rig: Rig) -> None:
    rig.primary.voice_info = replace(VOICE, cost=0.01, batch_s=100.0)
    synthesis = rig.synthesizer.begin_line()
    segments = planned(synthesis, ["This is one.", "And this is two."])
    rig.primary.during_synthesis = lambda: setattr(rig, "made_by", {"weights": 2})
    assert len(synthesis.synthesize_next(segments, 60.0, never).utterances) == 2
    rig.settle()
    assert not any(rig.folder.glob("*.speech"))
