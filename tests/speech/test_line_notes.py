"""`finished` says what a listener could miss: silence, another engine, another device, a chime that failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ishowtts.errors import EngineUnavailable, OperatorFileError, SynthesisError
from ishowtts.inbox import read_history
from ishowtts.model import Line, Priority, Samples
from ishowtts.playback.audibility import Silence, SilentCause
from ishowtts.speech.line_notes import LineNotes, Substitution
from support.speech_harness import Harness, ToneEngine
from support.waiting import eventually

MakeHarness = Callable[..., Harness]
CARD = Silence(SilentCause.CARD_MUTED, "the sound card hw:CARD=A is muted (Master)")
FIRST, SECOND = "This is the first sentence, a segment of its own.", "This is the second sentence, and it follows."


def finished(harness: Harness, line_id: str) -> dict[str, Any]:
    assert harness.await_outcome(line_id) == "finished"
    return next(entry.data for entry in read_history(harness.path, 50) if entry.id == line_id)


def test_a_line_that_was_heard_has_nothing_to_note(harness: Harness) -> None:
    harness.say(Line("a", "one"))
    data = finished(harness, "a")
    assert (data["audible"], data["silent"], data["muted"], data["volume"]) == (True, None, False, 100)
    assert data["device"] == harness.speaker.name
    assert (data["substituted_for"], data["substitute_reason"], data["note"]) == (None, None, None)
    assert "engines" not in data


@pytest.mark.parametrize(
    ("make_silent", "line", "expected", "note"),
    [
        (lambda player: player.set_muted(True), Line("a", "one"), ("muted", 100), "the command unmute"),
        (lambda player: player.set_volume(0), Line("a", "one"), ("volume_0", 0), "volume/set"),
        (lambda player: player.set_volume(0), Line("a", "one", volume=50), ("volume_0", 0), "volume/set"),
        (lambda _: None, Line("a", "one", volume=0), ("volume_0", 0), "the volume of this line is 0"),
        (lambda player: player.set_card_silence(CARD), Line("a", "one", volume=7), ("card_muted", 7), CARD.sentence),
    ],
)
def test_a_line_that_nobody_can_hear_says_so(
    harness: Harness, make_silent: Callable[..., None], line: Line, expected: tuple[str, int], note: str
) -> None:
    make_silent(harness.player)
    harness.say(line)
    data = finished(harness, "a")
    assert (data["audible"], data["silent"], data["volume"]) == (False, *expected)
    assert data["muted"] is (expected[0] == "muted")
    assert note in data["note"]


def test_a_line_whose_volume_the_quiet_hours_set_to_0_says_so(harness: Harness) -> None:
    harness.policy.quiet_volume = 0
    harness.say(Line("a", "one", volume=50))
    data = finished(harness, "a")
    assert (data["audible"], data["silent"], data["volume"]) == (False, "volume_0", 0)


def test_several_causes_are_all_noted_and_the_first_of_them_is_named(harness: Harness) -> None:
    harness.player.set_card_silence(CARD)
    harness.player.set_muted(True)
    harness.player.set_volume(0)
    harness.say(Line("a", "one"))
    data = finished(harness, "a")
    assert (data["silent"], data["muted"], data["volume"]) == ("muted", True, 0)
    assert data["note"].count("; ") >= 2
    assert data["note"].endswith(CARD.sentence)


def test_a_line_that_was_muted_for_a_part_of_it_says_so(paced: Harness, tmp_path: Path) -> None:
    paced.say(Line("a", f"{FIRST} {SECOND}"))
    eventually(lambda: ("a", "started") in paced.events(), "the start")
    paced.player.set_muted(True)
    size = (tmp_path / "sound.wav").stat().st_size
    eventually(lambda: (tmp_path / "sound.wav").stat().st_size > size + 4800, "0.1 s of muted sound")
    paced.player.set_muted(False)
    assert finished(paced, "a")["muted"] is True
    paced.say(Line("b", "one"))
    assert finished(paced, "b")["muted"] is False


def test_what_was_silent_before_an_interruption_is_not_forgotten(paced: Harness) -> None:
    paced.player.set_muted(True)
    paced.say(Line("a", f"{FIRST} {SECOND}"))
    eventually(lambda: ("a", "started") in paced.events(), "the start")
    paced.await_synthesis(SECOND)
    paced.say(Line("b", "now", priority=Priority.URGENT))
    eventually(lambda: ("a", "interrupted") in paced.events(), "the interruption")
    paced.player.set_muted(False)
    assert finished(paced, "b")["engine"] == "primary"
    assert finished(paced, "a")["muted"] is True


def test_a_line_that_the_fallback_engine_speaks_names_both_engines_and_the_reason(make_harness: MakeHarness) -> None:
    harness = make_harness(fallback=ToneEngine("espeak"))
    harness.primary.prepare_error = EngineUnavailable("it is loading")
    harness.say(Line("a", "one"))
    data = finished(harness, "a")
    assert (data["engine"], data["substituted_for"], data["substitute_reason"]) == (
        "espeak",
        "primary",
        "it is loading",
    )
    assert data["note"] == "espeak spoke in place of primary: it is loading"
    assert data["audible"] is True
    assert "engines" not in data


def test_a_line_that_two_engines_speak_names_both_in_order(make_harness: MakeHarness) -> None:
    harness = make_harness(fallback=ToneEngine("espeak"))
    harness.primary.errors_at = {SECOND: SynthesisError("this text cannot be spoken")}
    harness.say(Line("a", f"{FIRST} {SECOND}"))
    data = finished(harness, "a")
    assert data["engines"] == ["primary", "espeak"]
    assert (data["substituted_for"], data["substitute_reason"]) == ("primary", "this text cannot be spoken")


def test_a_chime_that_cannot_be_played_is_noted_once(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    def chime(line: Line) -> tuple[Samples, int] | None:
        raise OperatorFileError("gong.wav: is not a sound; save it as WAV, FLAC or OGG")

    monkeypatch.setattr(harness.policy, "chime", chime)
    harness.say(Line("a", f"{FIRST} {SECOND}"))
    data = finished(harness, "a")
    assert data["note"] == "the chime was not played: gong.wav: is not a sound; save it as WAV, FLAC or OGG"
    assert data["audible"] is True


def test_notes_of_an_earlier_part_come_first_and_none_is_repeated() -> None:
    now, before = LineNotes(), LineNotes()
    before.silences.add(CARD)
    before.devices, now.devices = ["a"], ["b"]
    before.spoken_by("f5", None)
    now.spoken_by("espeak", Substitution("f5", "the worker died"))
    now.spoken_by("espeak", Substitution("f5", "later"))
    before.remark("first")
    now.remark("first")
    now.remark(None)
    now.add_earlier(before)
    data = now.event_data(50)
    assert data["note"] == (
        f"{CARD.sentence}; espeak spoke in place of f5: the worker died; the sound device changed: a, then b; first"
    )
    assert (data["silent"], data["device"], data["engines"]) == ("card_muted", "b", ["f5", "espeak"])
