"""`ishowtts say` says at once what happens to a line that is not spoken now, and why it was not heard."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ishowtts.cli import say
from ishowtts.cli.main import main
from support.fake_appliance import ROOT, FakeAppliance

ACCEPTED = {"event": "accepted", "queue_depth": 1}
QUIET = ACCEPTED | {"done": ["quiet"]}
FINISHED = {"event": "finished", "audio_s": 1.5, "queue_s": 0.25, "rtf": 0.1, "engine": "f5", "ttfa_s": 3.17}
UNTIL_SEVEN = "quiet hours: low and normal lines wait until 07:00"
Capture = pytest.CaptureFixture[str]


def run(fake: FakeAppliance, *words: str) -> int:
    return main(["say", *words, "--config", str(fake.config)])


def test_offline(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("offline")
    fake.client.subscribe(f"{ROOT}/say")
    assert run(fake, "The", "tea", "is", "ready.") == say.WAITS
    assert capsys.readouterr().out == (
        "sent: the appliance at ishowtts/test is offline (start it: sudo systemctl start ishowtts);"
        " the line waits at the broker for up to 900 s and is spoken when it comes back\n"
    )
    assert fake.client.wait_for(f"{ROOT}/say").json["text"] == "The tea is ready."


def test_offline_and_asked_to_wait(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("offline", detail="outdated")
    assert run(fake, "hello", "--wait", "0.3") == say.WAITS
    told = capsys.readouterr()
    assert told.out.startswith("sent: the appliance at ishowtts/test is offline (start it:")
    assert told.err == ""


HELD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "paused": ({"state": "paused", "paused": True}, ACCEPTED, "is paused, and all lines wait"),
    "quiet hours": ({"queue_depth": 1, "detail": UNTIL_SEVEN}, QUIET, f"accepted: {UNTIL_SEVEN}\n"),
    "without a card": ({"state": "degraded", "detail": "no sound card"}, ACCEPTED, "no sound card"),
    "behind a long line": ({"state": "speaking"}, ACCEPTED, "no outcome came within 0.5 s; the appliance at"),
}


@pytest.mark.parametrize("case", HELD)
@pytest.mark.parametrize("wait", [("--wait", "0.5"), ()])
def test_a_line_that_still_waits_has_one_status_with_and_without_wait(
    fake: FakeAppliance, capsys: Capture, monkeypatch: pytest.MonkeyPatch, case: str, wait: tuple[str, ...]
) -> None:
    monkeypatch.setattr(say, "_USUAL_WAIT_S", 0.5)
    state, event, sentence = HELD[case]
    fake.publish_state("online", **state)
    fake.answers("say", event)
    assert run(fake, "hello", *wait) == say.WAITS
    assert sentence in capsys.readouterr().out


@pytest.mark.parametrize("topic", ["say", "urgent"])
@pytest.mark.parametrize("wait", [("--wait", "0.5"), ()])
def test_an_appliance_that_is_online_and_accepts_nothing_has_no_right_to_read_lines(
    fake: FakeAppliance, capsys: Capture, monkeypatch: pytest.MonkeyPatch, topic: str, wait: tuple[str, ...]
) -> None:
    monkeypatch.setattr(say, "_USUAL_WAIT_S", 0.5)
    fake.publish_state("online", state="ready")
    assert run(fake, "hello", "--priority", "urgent" if topic == "urgent" else "normal", *wait) == 1
    told = capsys.readouterr().err
    assert told.startswith("ishowtts: the appliance at ishowtts/test is online, ready, but it did not accept the line")
    assert f"does not let the user of the appliance read ishowtts/test/{topic}" in told
    assert "ACL (docs/mqtt.md, Troubleshooting)" in told


def test_an_appliance_that_never_was(fake: FakeAppliance, capsys: Capture) -> None:
    assert run(fake, "hello") == 1
    assert "nothing is known of an appliance at ishowtts/test" in capsys.readouterr().err


@pytest.mark.parametrize("topic", ["say", "urgent"])
def test_paused(fake: FakeAppliance, capsys: Capture, topic: str) -> None:
    fake.publish_state("online", state="paused", paused=True)
    fake.answers(topic, ACCEPTED)
    assert run(fake, "hello", "--priority", "urgent" if topic == "urgent" else "normal") == say.WAITS
    told = capsys.readouterr().out
    assert told.startswith("accepted: the appliance at ishowtts/test is paused, and all lines wait, urgent ones too")
    assert told.endswith("this one expires after 900 s\n")


def test_a_rejection_comes_before_the_pause(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online", state="paused", paused=True)
    fake.answers("say", {"event": "rejected", "reason": "unknown_voice", "detail": "there is no voice x"})
    assert run(fake, "hello", "--voice", "x") == 1
    assert capsys.readouterr().out == "rejected: there is no voice x\n"


def test_quiet_hours_are_told_by_the_state_that_follows(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online")
    fake.answers("say", QUIET, then=lambda: fake.publish_state("online", queue_depth=1, detail=UNTIL_SEVEN))
    assert run(fake, "hello") == say.WAITS
    assert capsys.readouterr().out == f"accepted: {UNTIL_SEVEN}\n"


def test_quiet_hours_do_not_hold_a_line_that_the_appliance_does_not_hold(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online", queue_depth=3, detail=UNTIL_SEVEN)
    fake.answers("say", ACCEPTED, {"event": "started"}, FINISHED)
    assert run(fake, "hello", "--priority", "high") == 0
    assert capsys.readouterr().out == "finished: heard after 3.4 s, 1.50 s of speech by f5, RTF 0.100, waited 0.25 s\n"


def test_every_engine_that_spoke_is_named(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online", state="ready")
    fake.answers("say", ACCEPTED, {"event": "started"}, FINISHED | {"engines": ["espeak", "f5"]})
    assert run(fake, "hello") == 0
    assert "1.50 s of speech by espeak, f5, RTF 0.100" in capsys.readouterr().out


def test_the_appliance_stops_while_it_speaks(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online", state="ready")
    fake.answers("say", ACCEPTED, {"event": "started"}, then=lambda: fake.publish_state("offline"))
    assert run(fake, "hello") == say.WAITS
    assert "the line waits in its queue for up to 900 s and is spoken when it comes back\n" in capsys.readouterr().out


def test_degraded_and_nothing_starts(fake: FakeAppliance, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(say, "_DEGRADED_S", 0.2)
    fake.publish_state("online", state="degraded", detail="no sound card")
    fake.answers("say", ACCEPTED)
    assert run(fake, "hello") == say.WAITS
    told = capsys.readouterr()
    assert told.out == "accepted: the line waits until the appliance can speak again: no sound card\n"
    assert told.err == "ishowtts: the appliance is degraded: no sound card\n"


def test_degraded_and_spoken_all_the_same(
    fake: FakeAppliance, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(say, "_DEGRADED_S", 0.0)
    fake.publish_state("online", state="degraded", detail="f5 is parked", speaking={"id": "a", "text": "b"})
    fake.answers("say", ACCEPTED, {"event": "started"}, FINISHED | {"engine": "espeak", "note": "f5 is parked"})
    assert run(fake, "hello") == 0
    assert capsys.readouterr().out.endswith("by espeak, RTF 0.100, waited 0.25 s; f5 is parked\n")


def test_starting(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online", state="warming", detail="warm 2 of 9")
    fake.answers("say", ACCEPTED, {"event": "started"}, FINISHED)
    assert run(fake, "hello") == 0
    assert capsys.readouterr().err == (
        "ishowtts: the appliance is still starting, and the line may wait until it is ready:"
        " online, warming: warm 2 of 9\n"
    )


@pytest.mark.parametrize(
    ("state", "warning"),
    [
        ({"muted": True}, "the appliance is muted: the line is played without sound; sudo ishowtts unmute\n"),
        ({"volume": 0}, "the volume is 0: the line is played without sound; sudo ishowtts volume 80\n"),
        (
            {"audible": False, "silent": "card_muted"},
            "the sound card is muted: the line is played without sound; unmute it with alsamixer, or set audio.mixer\n",
        ),
    ],
)
def test_what_keeps_the_appliance_from_being_heard_is_told_before_the_outcome(
    fake: FakeAppliance, capsys: Capture, state: dict[str, Any], warning: str
) -> None:
    fake.publish_state("online", **state)
    fake.answers("say", ACCEPTED, FINISHED | {"audible": False, "note": "it says why"})
    assert run(fake, "hello") == 0
    told = capsys.readouterr()
    assert told.err == f"ishowtts: {warning}"
    assert told.out.startswith("finished, but not heard: it says why; 1.50 s of speech by f5")
    assert "heard after" not in told.out


@pytest.mark.parametrize(("volume", "own", "is_warned"), [(0, "30", True), (80, "0", False), (80, "30", False)])
def test_a_volume_of_the_line_changes_no_warning(
    fake: FakeAppliance, capsys: Capture, volume: int, own: str, is_warned: bool
) -> None:
    fake.publish_state("online", volume=volume)
    fake.answers("say", ACCEPTED, FINISHED)
    assert run(fake, "hello", "--volume", own) == 0
    assert bool(capsys.readouterr().err) == is_warned


def test_what_the_appliance_says_of_silence_wins(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online")
    fake.answers("say", FINISHED | {"audible": False, "silent": "card_muted", "note": "the card is muted"})
    assert run(fake, "hello", "--json") == 0
    assert json.loads(capsys.readouterr().out)["silent"] == "card_muted"
    event = {**FINISHED, "audible": False, "silent": "card_muted"}
    assert say.sentence(event).startswith("finished, but not heard: card_muted; 1.50 s")


def test_without_waiting_the_id_is_printed(fake: FakeAppliance, capsys: Capture) -> None:
    fake.client.subscribe(f"{ROOT}/say")
    assert run(fake, "hello", "--wait", "0") == 0
    line = fake.client.wait_for(f"{ROOT}/say").json
    assert capsys.readouterr().out == f"sent as {line['id']} to ishowtts/test\n"
    assert run(fake, "hello", "--wait", "0", "--json", "-v") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["event"] == "sent"
    assert "goes to ishowtts/test at 127.0.0.1:" in told.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["The", "tea", "is", "ready"], "The tea is ready"),
        (["The tea", "is ready"], "The tea is ready"),
        (["The", "tea", "--priority", "low", "is", "ready"], "The tea is ready"),
        (["--priority", "low", "The", "tea"], "The tea"),
        (["It", "is", "-5", "degrees"], "It is -5 degrees"),
        (["--", "--priority", "is", "an", "option"], "--priority is an option"),
        (["  kept  blanks  "], "  kept  blanks  "),
    ],
)
def test_words_without_quotes_are_joined(fake: FakeAppliance, words: list[str], text: str) -> None:
    fake.client.subscribe(f"{ROOT}/say")
    assert main(["say", "--config", str(fake.config), "--wait", "0", *words]) == 0
    assert fake.client.wait_for(f"{ROOT}/say").json["text"] == text


def test_an_unknown_option_between_words_is_wrong_usage(fake: FakeAppliance, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(fake, "The", "tea", "--loud", "is", "ready")
    assert "unrecognized arguments: --loud is ready; put a text into quotes" in capsys.readouterr().err


def test_an_argument_too_many_is_not_taken_for_a_text(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["top", "--device", "kitchen", "hall"])
    assert "unrecognized arguments: hall; `ishowtts top --help` shows what it takes" in capsys.readouterr().err
