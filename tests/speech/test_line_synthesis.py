"""The order of three engines: who speaks which segment while engines are away, fail, or do not know the language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ishowtts.archive import ArchiveWriter, SpeechCache
from ishowtts.engines import VoiceInfo
from ishowtts.engines.candidates import EngineCandidate
from ishowtts.errors import Cancelled, EngineUnavailable, SynthesisError, VoiceError, WorkerDied
from ishowtts.model import IsCancelled, Line, Segment, Utterance
from ishowtts.speech import FallbackSynthesizer, late_engine
from ishowtts.speech.line_notes import Substitution
from support.engine_order import engine_order, speak_planned
from support.speech_harness import ToneEngine

ENGLISH, RUSSIAN, CHINESE = "Here is one sentence.", "Привет, как у тебя дела?", "你好吗？"
MIXED = f"{ENGLISH} {CHINESE} {RUSSIAN} And this is the end."


class Spoken(ToneEngine):
    """Also notes the segments."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.segments: list[Segment] = []

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        spoken = super().synthesize(segment, cancelled)
        self.segments.append(segment)
        return spoken


class Rig:
    """F5 (en, zh), hibari (en) and espeak (en, zh, ru) as fakes; a test takes some of them away."""

    def __init__(self) -> None:
        self.f5, self.hibari, self.espeak = (Spoken(name) for name in ("f5", "hibari", "espeak"))
        self.order = [
            EngineCandidate(
                self.f5,
                "f5",
                languages=lambda: frozenset({"en", "zh"}),
                problem=self.f5.why_not,
                clones=True,
                mixes_languages=True,
            ),
            EngineCandidate(self.hibari, "hibari", languages=lambda: frozenset({"en"}), problem=self.hibari.why_not),
            EngineCandidate(
                self.espeak,
                "espeak",
                languages=lambda: frozenset({"en", "zh", "ru", "de"}),
                problem=self.espeak.why_not,
                reads_latin=True,
            ),
        ]
        self.synthesizer = FallbackSynthesizer(lambda: self.order, language_of=lambda _voice: "en-GB")

    def say(self, text: str, default_voice: str | None = None, **fields: object) -> list[str]:
        """The engine of each segment."""
        line = Line("line", text, **fields)  # type: ignore[arg-type]
        self.synthesis = self.synthesizer.begin_line()
        return [one.engine for one in speak_planned(self.synthesis, self.synthesis.plan(line, text, 0, default_voice))]

    def substitutions(self) -> list[Substitution | None]:
        """For each engine: which one its last segment should have had."""
        return [
            self.synthesis.substitution(engine.segments[-1], engine.name) if engine.segments else None
            for engine in (self.f5, self.hibari, self.espeak)
        ]


class SlowEngine(Spoken):
    """Needs so many seconds for a segment, by the clock of the test. Its cost was measured as 0.1."""

    def __init__(self, clock: SteppedClock, takes_s: float) -> None:
        super().__init__("f5")
        self.voice = VoiceInfo("any", 60, reference_s=0.0, bytes_per_s=40.0, cost=0.1)
        self.clock, self.takes_s, self.prepare_s = clock, takes_s, 0.0

    def prepare_slowly(self, voice: str | None, cancelled: IsCancelled) -> VoiceInfo:
        self._work(self.prepare_s, cancelled)
        return self.prepare(voice)

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        self._work(self.takes_s, cancelled)
        return replace(super().synthesize(segment, cancelled), synth_s=self.takes_s)

    def _work(self, takes_s: float, cancelled: IsCancelled) -> None:
        began_s = self.clock.now_s
        while self.clock.now_s < began_s + takes_s:
            self.clock.now_s += 0.01
            if cancelled():
                raise Cancelled


class SteppedClock:
    """A monotonic clock that only the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


class LateRig:
    """A slow F5 with a measured cost, and hibari, with a listener who waits from the start of each line."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, takes_s: float, deputy: bool = True, **fields: object) -> None:
        self.clock = SteppedClock()
        monkeypatch.setattr(late_engine, "time", self.clock)
        self.f5, self.hibari = SlowEngine(self.clock, takes_s), Spoken("hibari")
        self.given_up = 0
        fields = {"slow_prepare": self.f5.prepare_slowly, "given_up": self._give_up, **fields}
        order = engine_order(self.f5, self.hibari if deputy else None, **fields)
        self.synthesizer = FallbackSynthesizer(order, late_s=1.5)

    def _give_up(self) -> None:
        self.given_up += 1

    def say(self, *, listener: bool = True, nfe_step: int | None = None) -> tuple[str, float]:
        """The engine of a line, and how long it took."""
        self.synthesis, began_s = self.synthesizer.begin_line(), self.clock.now_s
        silent = (lambda: self.clock.now_s - began_s) if listener else (lambda: 0.0)
        planned = self.synthesis.plan(Line("line", ENGLISH, nfe_step=nfe_step), ENGLISH, silent_s=silent)
        self.segment = planned[0].segment
        run = self.synthesis.synthesize_next(planned, 0.0, lambda: False, silent)
        return run.utterances[0].engine, round(self.clock.now_s - began_s, 1)


def test_an_engine_that_keeps_a_listener_waiting_gives_way_to_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = LateRig(monkeypatch, takes_s=60.0)
    assert rig.say() == ("hibari", 1.5)
    assert rig.synthesis.substitution(rig.segment, "hibari") == Substitution("f5", "f5 had not spoken after 1.5 s")
    assert rig.synthesis.engines.engine_error is None, "the line is not at fault"
    assert rig.given_up == 1


@pytest.mark.parametrize("listener", [True, False])
def test_a_voice_that_is_not_ready_in_time_leaves_the_line_to_the_next_engine(
    monkeypatch: pytest.MonkeyPatch, listener: bool
) -> None:
    rig = LateRig(monkeypatch, takes_s=0.1)
    rig.f5.prepare_s = 6.0
    spoken_by, took_s = rig.say(listener=listener)
    assert (spoken_by, took_s) == (("hibari", 1.5) if listener else ("f5", 6.1))
    reason = "f5 had not made its voice ready after 1.5 s"
    assert rig.synthesis.substitution(rig.segment, spoken_by) == (Substitution("f5", reason) if listener else None)


@pytest.mark.parametrize(("nfe_step", "spoken"), [(14, ("hibari", 1.5)), (7 * 32, ("f5", 4.0))])
def test_the_cost_of_another_number_of_evaluations_is_estimated(
    monkeypatch: pytest.MonkeyPatch, nfe_step: int, spoken: tuple[str, float]
) -> None:
    rig = LateRig(monkeypatch, takes_s=4.0)
    rig.f5.voice = replace(rig.f5.voice, cost_nfe_step=7)
    assert rig.say(nfe_step=nfe_step) == spoken


def test_an_engine_that_became_slow_for_good_is_soon_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = LateRig(monkeypatch, takes_s=4.0)
    spoken = [rig.say() for _ in range(9)]
    assert spoken[0] == ("hibari", 1.5)
    assert spoken[-1] == ("f5", 4.0)
    assert sum(engine == "hibari" for engine, _ in spoken) <= 5


@pytest.mark.parametrize("reason", ["nobody listens", "no deputy", "slow by nature", "cost unknown"])
def test_an_engine_is_waited_for(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = LateRig(monkeypatch, 4.0, deputy=reason != "no deputy")
    if reason == "slow by nature":
        rig.f5.voice = replace(rig.f5.voice, cost=3.0)
    if reason == "cost unknown":
        rig.f5.voice = replace(rig.f5.voice, cost=None)
    assert rig.say(listener=reason != "nobody listens") == ("f5", 4.0)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_mixed_line_is_spoken_by_the_engines_of_its_languages_in_order(rig: Rig) -> None:
    assert rig.say(MIXED) == ["f5", "espeak", "f5"]
    assert rig.f5.spoken == [f"{ENGLISH} {CHINESE}", "And this is the end."]
    assert rig.espeak.spoken == [RUSSIAN]
    assert rig.substitutions() == [None, None, None], "F5 does not speak Russian: nobody was replaced"
    segments = [*rig.f5.segments, *rig.espeak.segments]
    assert sorted((one.index, one.count, one.language) for one in segments) == [
        (0, 3, "en-GB"), (1, 3, "ru"), (2, 3, "en-GB"),
    ]  # fmt: skip


def test_while_f5_is_away_hibari_speaks_english_and_espeak_the_rest(rig: Rig) -> None:
    rig.f5.ready = False
    assert rig.say(MIXED) == ["hibari", "espeak", "espeak", "hibari"]
    assert rig.substitutions() == [None, Substitution("f5", "it is warming"), None]


def test_f5_and_hibari_away(rig: Rig) -> None:
    rig.f5.ready = rig.hibari.ready = False
    assert rig.say(MIXED) == ["espeak"] * 4
    assert {one.language for one in rig.espeak.segments} == {"en-GB", "zh", "ru"}


def test_only_a_line_that_names_a_voice_gets_a_substitution_for_a_language_that_f5_does_not_speak(rig: Rig) -> None:
    assert rig.say(RUSSIAN, voice="anna") == ["espeak"]
    assert rig.substitutions()[2] == Substitution("f5", "f5 does not speak the language 'ru'")
    assert rig.espeak.segments[-1].voice is None, "only F5 gets the name of a voice"
    assert rig.say(ENGLISH, voice="anna") == ["f5"]
    assert rig.f5.segments[-1].voice == "anna"


def test_a_default_voice_that_was_set_speaks_and_does_not_count_as_named_by_the_line(rig: Rig) -> None:
    assert rig.say(ENGLISH, "bob") == ["f5"]
    assert rig.f5.segments[-1].voice == "bob"
    assert rig.say(ENGLISH, "bob", voice="anna") == ["f5"]
    assert rig.f5.segments[-1].voice == "anna"
    assert rig.say(RUSSIAN, "bob") == ["espeak"]
    assert rig.substitutions()[2] is None, "nobody was replaced: the line named no voice"
    rig.f5.unusable_voices = {"bob"}
    del rig.order[1:]
    with pytest.raises(EngineUnavailable, match="the default voice cannot be used: the voice 'bob' holds nothing"):
        rig.say(ENGLISH, "bob")
    assert rig.synthesis.engines.engine_error is None
    with pytest.raises(VoiceError, match="the voice 'bob' holds nothing"):
        rig.say(ENGLISH, voice="bob")


def test_a_mixed_segment_that_f5_fails_at_is_divided_for_the_next_engines(rig: Rig) -> None:
    rig.f5.errors_at = {f"{ENGLISH} {CHINESE}": WorkerDied("the worker died")}
    assert rig.say(MIXED) == ["hibari", "espeak", "espeak", "hibari"]
    assert (rig.hibari.spoken, rig.espeak.spoken) == ([ENGLISH, "And this is the end."], [CHINESE, RUSSIAN])
    assert rig.synthesis.engines.engine_error == "the worker died"


def test_an_engine_that_fails_in_the_middle_is_not_asked_again_for_this_line(rig: Rig) -> None:
    rig.f5.errors_at = {"And this is the end.": SynthesisError("no")}
    assert rig.say(f"{MIXED} {RUSSIAN} It goes on.") == ["f5", "espeak", "hibari", "espeak", "hibari"]
    assert [one.index for one in rig.hibari.segments] == [2, 4]
    assert [one.count for one in rig.hibari.segments] == [5, 5]
    assert rig.say(ENGLISH) == ["f5"]


def test_each_engine_fails_in_turn_until_the_last_one_speaks(rig: Rig) -> None:
    rig.f5.errors, rig.hibari.errors = [WorkerDied("one")], [SynthesisError("two")]
    assert rig.say(ENGLISH) == ["espeak"]
    assert rig.substitutions()[2] == Substitution("f5", "one")


def test_a_language_that_nobody_speaks_fails_the_line_before_anything_is_heard(rig: Rig) -> None:
    with pytest.raises(SynthesisError, match=r"no engine speaks the language 'el'.*f5, hibari, espeak\)$"):
        rig.say(f"{ENGLISH} Καλημέρα, τι κάνεις σήμερα;")
    assert rig.f5.spoken == []


def test_a_line_waits_only_for_an_engine_that_may_come_back_and_speaks_its_language(rig: Rig) -> None:
    rig.order = rig.order[:2]
    rig.f5.ready = False
    with pytest.raises(EngineUnavailable, match="it is warming"):
        rig.say(CHINESE)
    assert rig.say(ENGLISH) == ["hibari"]
    with pytest.raises(SynthesisError, match=r"no engine speaks the language 'ru'.*; add espeak to engine.fallback"):
        rig.say(RUSSIAN)
    assert rig.synthesis.engines.engine_error is None


def test_an_engine_that_failed_and_one_that_is_away_give_one_more_try(rig: Rig) -> None:
    rig.f5.errors, rig.hibari.ready, rig.espeak.ready = [SynthesisError("a bad text")], False, False
    with pytest.raises(EngineUnavailable, match="a bad text; it is warming"):
        rig.say(ENGLISH)
    assert rig.synthesis.engines.engine_error == "a bad text"


def test_a_voice_that_f5_cannot_use_is_spoken_by_the_next_engine(rig: Rig) -> None:
    rig.f5.unusable_voices = {"anna"}
    assert rig.say(ENGLISH, voice="anna") == ["hibari"]
    assert rig.synthesis.engines.voice_unusable
    assert rig.substitutions()[1] == Substitution("f5", "the voice 'anna' holds nothing")
    rig.order = rig.order[:1]
    with pytest.raises(VoiceError):
        rig.say(ENGLISH, voice="anna")


def test_no_sound_is_a_failure_and_the_next_engine_speaks(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(segment: Segment, cancelled: IsCancelled) -> Utterance:
        return Utterance(np.zeros(0, np.int16), 24_000, 0.0, "hibari", "heart")

    rig.f5.ready = False
    monkeypatch.setattr(rig.hibari, "synthesize", nothing)
    assert rig.say(ENGLISH) == ["espeak"]
    assert rig.synthesis.engines.engine_error == "hibari made no sound from this text"


def test_a_prefetched_line_is_outdated_once_an_engine_is_back(rig: Rig) -> None:
    rig.f5.ready = False
    rig.say(ENGLISH)
    assert not rig.synthesis.engines.outdated
    rig.f5.ready = True
    assert rig.synthesis.engines.outdated


def test_the_line_goes_on_from_a_position_with_the_languages_of_the_whole(rig: Rig) -> None:
    synthesis = rig.synthesizer.begin_line()
    planned = synthesis.plan(Line("line", MIXED), MIXED, MIXED.index("как"))
    assert [(one.segment.text, one.segment.language) for one in planned] == [
        ("как у тебя дела?", "ru"), ("And this is the end.", "en-GB"),
    ]  # fmt: skip
    assert [MIXED.index(one.segment.text) for one in planned] == [one.position for one in planned]


def test_a_line_that_names_its_language_is_spoken_in_it(rig: Rig) -> None:
    assert rig.say("Taxi.", language="de-AT") == ["espeak"]
    assert rig.espeak.segments[-1].language == "de-AT"
    assert rig.say("Taxi.") == ["f5"]


def test_a_batch_holds_only_segments_of_one_engine(rig: Rig) -> None:
    rig.f5.voice = replace(rig.f5.voice, reference_s=0.1, bytes_per_s=15.0, cost=0.001, batch_s=600.0)
    text = " ".join(f"This sentence has the number {name} and is as long as it gets." for name in ("one", "two"))
    synthesis = rig.synthesizer.begin_line()
    whole = f"{text} {RUSSIAN} {text}"
    spoken = speak_planned(synthesis, synthesis.plan(Line("line", whole), whole), unplayed_s=60.0)
    assert {one.engine for one in spoken} == {"f5", "espeak"}
    assert rig.f5.runs
    assert not any(RUSSIAN in run for run in rig.f5.runs)
    assert rig.espeak.spoken == [RUSSIAN]


def test_the_speech_of_hibari_is_cached_while_it_leads_or_not_and_found_while_it_is_away(
    rig: Rig, tmp_path: Path
) -> None:
    writer = ArchiveWriter(lambda: None, lambda: None)
    writer.start()
    cache = SpeechCache(tmp_path, 10_000_000, writer, lambda: True)
    keys: list[Callable[[str | None], dict[str, str] | None]] = [lambda _: {"by": "f5"}, lambda _: {"by": "hibari"}]
    rig.order = [*(replace(each, cache_key=key) for each, key in zip(rig.order, keys, strict=False)), rig.order[2]]
    rig.synthesizer = FallbackSynthesizer(lambda: rig.order, cache=cache)
    rig.f5.ready = False
    text = f"{ENGLISH} {RUSSIAN}"
    assert rig.say(text) == ["hibari", "espeak"]
    writer.close(10)
    rig.hibari.ready = False
    assert rig.say(text) == ["hibari", "espeak"]
    assert (rig.hibari.spoken, rig.espeak.spoken) == ([ENGLISH], [RUSSIAN, RUSSIAN])
    assert rig.say(f"{ENGLISH} Something else.") == ["espeak"], "its cached half is not used alone"
