"""What was spoken before is not made again, whoever is there, and only where nothing of its making has changed."""

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
from ishowtts.speech.cached_speech import CachedSpeech
from ishowtts.speech.fallback import FallbackSynthesizer

WHOLE = "Well, here it begins at last. And it goes on, for it has a lot to say. Then it ends. Or not yet, who knows?"
CARD = VoiceInfo("anna", 60, reference_s=5.0, bytes_per_s=15.0, seam_s=0.15)


class Lead:
    """espeak-ng behind the card of a cloned voice; it may be away."""

    name = "lead"

    def __init__(self, espeak: EspeakEngine) -> None:
        self._espeak = espeak
        self.away = False
        self.card = CARD
        self.spoke: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def prepare(self, voice: str | None) -> VoiceInfo:
        if self.away:
            raise EngineUnavailable("the engine is warming")
        return self.card

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        self.prepare(segment.voice)
        self.spoke.append(segment.text)
        self.meanwhile()
        return replace(self._espeak.synthesize(segment, cancelled), engine=self.name, voice=CARD.name)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        return [self.synthesize(segment, cancelled) for segment in segments]


class House:
    """A synthesizer that remembers."""

    def __init__(self, folder: Path) -> None:
        self.espeak = EspeakEngine()
        self.espeak.load(lambda _: None)
        self.folder = folder
        self.made_by: dict[str, Any] | None = {"weights": 1}
        self.lead = Lead(self.espeak)
        self.writer = ArchiveWriter(lambda: None, lambda: None)
        self.writer.start()
        cache = SpeechCache(folder, 100_000_000, self.writer, lambda: True)
        self.synthesizer = FallbackSynthesizer(
            self.lead, self.espeak, cached_speech=CachedSpeech(cache, lambda voice: self.made_by)
        )

    def say(self, whole: str = WHOLE, **fields: Any) -> list[Utterance]:
        """Each segment's sound, as a line's performance asks for it; all of it is on disk then."""
        line = Line("line", whole, **fields)
        self.part = self.synthesizer.begin_line()
        parts = self.part.split(line, whole)
        spoken = [
            self.part.synthesize(
                Segment(line.id, i, len(parts), part, line.voice, line.nfe_step, line.seed, line.speed), lambda: False
            )
            for i, part in enumerate(parts)
        ]
        self.settle()
        return spoken

    def settle(self) -> None:
        settled = threading.Event()
        self.writer.offer(settled.set, must=True)
        assert settled.wait(20)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.writer.close(5)


def test_a_line_that_is_said_again_costs_nothing_and_is_the_same(house: House) -> None:
    first = house.say()
    assert len(first) > 1
    assert not any(one.cached for one in first)
    made = list(house.lead.spoke)
    again = house.say()
    assert house.lead.spoke == made
    assert all(one.cached and one.synth_s == 0.0 and one.engine == "lead" for one in again)
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(first, again, strict=True))


def test_while_the_lead_is_away_its_own_sound_is_heard_and_not_the_spare_voice(house: House) -> None:
    house.say()
    house.lead.away = True
    again = house.say()
    assert {one.engine for one in again} == {"lead"}
    assert house.part.fallback_reason is None
    assert house.part.seam_s == 0.15
    assert {one.engine for one in house.say("Something else.")} == {"espeak"}


def test_what_the_spare_voice_spoke_is_never_taken_for_the_leads(house: House) -> None:
    house.lead.away = True
    assert {one.engine for one in house.say()} == {"espeak"}
    assert not any(house.folder.glob("*.speech"))
    assert not any(house.folder.glob("*.cut"))
    house.lead.away = False
    assert {(one.engine, one.cached) for one in house.say()} == {("lead", False)}


def test_a_lead_that_leaves_in_the_middle_keeps_its_own_part(house: House) -> None:
    def leave() -> None:
        house.lead.away = len(house.lead.spoke) > 1
        house.lead.prepare(None)

    house.lead.meanwhile = leave
    assert [one.engine for one in house.say()][:2] == ["lead", "espeak"]
    assert len(list(house.folder.glob("*.speech"))) == 1
    house.lead.away, house.lead.meanwhile = False, lambda: None
    assert [one.cached for one in house.say()][:2] == [True, False], "and the cut is as it was"


@pytest.mark.parametrize("fields", [{"speed": 1.5}, {"nfe_step": 9}, {"seed": 3}, {"seed": 0}])
def test_a_line_with_other_settings_is_another(house: House, fields: dict[str, Any]) -> None:
    house.say()
    assert not any(one.cached for one in house.say(**fields))
    assert all(one.cached for one in house.say(**fields))


def test_another_making_misses_and_an_unknown_one_keeps_nothing(house: House) -> None:
    house.say()
    house.made_by = {"weights": 2}
    assert not any(one.cached for one in house.say())
    kept = len(list(house.folder.iterdir()))
    house.made_by = None
    assert not any(one.cached for one in house.say())
    assert len(list(house.folder.iterdir())) == kept


def test_what_changed_while_it_was_spoken_is_kept_under_no_name(house: House) -> None:
    def change() -> None:
        house.made_by = {"weights": len(house.lead.spoke)}

    house.made_by = {"weights": 0}
    house.lead.meanwhile = change
    house.say()
    assert not any(house.folder.glob("*.speech"))


def test_a_text_is_cut_as_before_though_costs_have_changed(house: House) -> None:
    house.lead.card = replace(CARD, max_segment_bytes=200)
    first = house.say()
    house.lead.card = replace(house.lead.card, cost=0.05)
    assert len(house.say(WHOLE + " So it is.")) > len(first), "a cheap engine begins with a short segment"
    again = house.say()
    assert len(again) == len(first)
    assert all(one.cached for one in again)


def test_one_segment_that_is_gone_is_made_again_and_the_cut_stays(house: House) -> None:
    count = len(house.say())
    next(house.folder.glob("*.speech")).unlink()
    assert sorted(one.cached for one in house.say()) == [False] + [True] * (count - 1)
    assert all(one.cached for one in house.say())


def test_a_line_half_of_which_is_gone_is_the_spare_voices_while_the_lead_is_away(house: House) -> None:
    house.say()
    next(house.folder.glob("*.speech")).unlink()
    house.lead.away = True
    assert {one.engine for one in house.say()} == {"espeak"}, "no line is spoken by two voices without need"


def test_a_cut_without_any_sound_left_is_made_anew(house: House) -> None:
    house.say()
    for path in house.folder.glob("*.speech"):
        path.unlink()
    house.lead.card = replace(CARD, max_segment_bytes=200)
    assert len(house.say()) == 1


def test_a_damaged_sound_is_made_again(house: House) -> None:
    house.say()
    for path in house.folder.glob("*.speech"):
        path.write_bytes(path.read_bytes()[:-2])
    assert not any(one.cached for one in house.say())
    assert all(one.cached for one in house.say())


def test_costs_learn_nothing_from_what_cost_nothing(house: House) -> None:
    house.say()
    costs = [list(seen) for seen in house.synthesizer.cost_model._costs.values()]
    house.say()
    assert [list(seen) for seen in house.synthesizer.cost_model._costs.values()] == costs


def test_of_a_batch_only_what_is_not_kept_is_made_and_all_of_it_is_kept(house: House) -> None:
    house.lead.card = replace(CARD, cost=0.01, batch_s=100.0)
    texts = [f"This is number {name}." for name in ("one", "two", "three", "four", "five")]
    segments = [Segment("line", i + 1, 6, one) for i, one in enumerate(texts)]
    part = house.synthesizer.begin_line()
    part.split(Line("line", "hello"), "hello")
    kept = [part.synthesize(segments[i], lambda: False) for i in (0, 3)]
    house.settle()
    house.lead.spoke.clear()
    first = part.synthesize_next(segments, 60.0, lambda: False)
    assert [one.cached for one in first] == [True]
    assert np.array_equal(first[0].samples, kept[0].samples)
    rest = part.synthesize_next(segments[1:], 60.0, lambda: False)
    assert [one.cached for one in rest] == [False, False, True, False]
    assert np.array_equal(rest[2].samples, kept[1].samples)
    assert house.lead.spoke == [texts[1], texts[2], texts[4]]
    house.settle()
    again = part.synthesize_next(segments, 60.0, lambda: False)
    assert [one.cached for one in again] == [True] * 5


def test_of_a_batch_nothing_is_kept_whose_making_changed_meanwhile(house: House) -> None:
    house.lead.card = replace(CARD, cost=0.01, batch_s=100.0)
    part = house.synthesizer.begin_line()
    part.split(Line("line", "hello"), "hello")
    house.lead.meanwhile = lambda: setattr(house, "made_by", {"weights": 2})
    segments = [Segment("line", i + 1, 3, one) for i, one in enumerate(["This is one.", "And this is two."])]
    assert len(part.synthesize_next(segments, 60.0, lambda: False)) == 2
    house.settle()
    assert not any(house.folder.glob("*.speech"))
