"""`ishowtts skip`, `volume` and the others send one command and print the answer; `status` prints what there is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.cli import control, status
from ishowtts.cli.appliance_view import ApplianceView
from ishowtts.cli.main import main
from support.broker import Broker
from support.fake_appliance import ROOT, FakeAppliance

Capture = pytest.CaptureFixture[str]
INFO = {"version": "0.1.0", "host": "jetson", "board": "Orin", "jetpack": "JetPack 6.2 (L4T 36.4.3)",
        "engine": "f5", "voices": ["default"], "weights_licence": "CC-BY-NC-4.0",
        "engine_why": "weights were found in /weights"}  # fmt: skip
TELEMETRY = {
    "uptime_s": 7200.0,
    "gpu": {"clock_mhz": 1300.5, "clock_max_mhz": 1300.5, "clock_locked": True, "temp_c": 54.2, "load_pct": None},
    "cpu": {"temp_c": 49.0},
    "speech": {"rtf": 0.2134, "rtf_p50": 0.2, "ttfa_s_p50": 0.4, "lines_total": 12},
    "engine": {"name": "f5", "state": "ready", "restarts": 0},
    "engines": [
        {"name": "f5", "state": "ready"},
        {"name": "hibari", "state": "restarting"},
        {"name": "espeak", "state": "ready"},
    ],
    "audio": {"device": "plughw:CARD=USB"},
}


def run(fake: FakeAppliance, *words: str) -> int:
    return main([*words, "--config", str(fake.config)])


@pytest.mark.parametrize("command", ["skip", "stop", "pause", "resume", "mute", "unmute", "replay", "reload"])
def test_a_command_is_sent_and_its_answer_is_printed(fake: FakeAppliance, capsys: Capture, command: str) -> None:
    fake.publish_state("online")
    others = {"event": "command", "command": command, "ok": False, "detail": "of somebody else", "transaction": "t"}
    answer = {"event": "command", "command": command, "ok": True, "detail": "it was done"}
    fake.answers("command", others, answer)
    assert run(fake, command) == 0
    assert capsys.readouterr().out == "it was done\n"
    assert fake.client.wait_for(f"{ROOT}/command").json["command"] == command


def test_a_refused_command(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online")
    fake.answers("command", {"event": "command", "ok": False, "detail": "nothing is \x1b[31mbeing spoken"})
    assert run(fake, "skip") == 1
    assert capsys.readouterr().out == "refused: nothing is \\x1b[31mbeing spoken\n"


def test_cancel_names_the_line(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online")
    fake.answers("command", {"event": "command", "ok": True, "detail": "1 line was cancelled"})
    assert run(fake, "cancel", "tea-2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["detail"] == "1 line was cancelled"
    assert fake.client.wait_for(f"{ROOT}/command").json["id"] == "tea-2"


def test_cancel_names_the_author(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online")
    fake.answers("command", {"event": "command", "ok": True, "detail": "3 lines were cancelled"})
    assert run(fake, "cancel", "--author", "Bob") == 0
    assert capsys.readouterr().out == "3 lines were cancelled\n"
    sent = fake.client.wait_for(f"{ROOT}/command").json
    assert (sent["author"], "id" in sent) == ("Bob", False)
    assert run(fake, "cancel") == 2
    assert "name a line (ID) or an author (--author NAME)" in capsys.readouterr().err


def test_the_volume_is_set_and_printed(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online", volume=35, muted=True)
    assert run(fake, "volume") == 0
    assert capsys.readouterr().out == "35, muted\n"
    assert run(fake, "volume", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"volume": 35, "muted": True}
    fake.answers("volume/set", {"event": "command", "command": "volume", "ok": True, "detail": "the volume is 40"})
    assert run(fake, "volume", "40%") == 0
    assert capsys.readouterr().out == "the volume is 40\n"
    assert fake.client.wait_for(f"{ROOT}/volume/set").text == "40"


def test_the_default_voice_is_set_and_printed(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("online")
    assert run(fake, "voice") == 1
    assert "the voice is not known: the appliance at ishowtts/test is online" in capsys.readouterr().err
    fake.publish_state("online", voice="anna")
    assert run(fake, "voice") == 0
    assert capsys.readouterr().out == "anna\n"
    assert run(fake, "voice", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"voice": "anna"}
    fake.answers("voice/set", {"event": "command", "command": "voice", "ok": True, "detail": "the default voice is b"})
    assert run(fake, "voice", "b") == 0
    assert capsys.readouterr().out == "the default voice is b\n"
    assert fake.client.wait_for(f"{ROOT}/voice/set").json == {"voice": "b"}
    fake.client.forget()
    fake.answers("voice/set", {"event": "command", "command": "voice", "ok": False, "detail": "there is no voice"})
    assert run(fake, "voice", "--configured") == 1
    assert capsys.readouterr().out == "refused: there is no voice\n"
    assert fake.client.wait_for(f"{ROOT}/voice/set").json == {"voice": None}
    with pytest.raises(SystemExit, match="2"):
        run(fake, "voice", "b", "--configured")


@pytest.mark.parametrize("level", ["101", "-1", "x", "0.5", "%", "40%%", "٤٠"])
def test_a_volume_that_cannot_be_is_wrong_usage(fake: FakeAppliance, capsys: Capture, level: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(fake, "volume", level)
    assert capsys.readouterr().err


def test_nothing_is_sent_to_an_appliance_that_is_offline(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state("offline")
    fake.client.subscribe(f"{ROOT}/command")
    for words in (["pause"], ["volume", "40"], ["volume"]):
        assert run(fake, *words) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert "ishowtts/test is offline" in told.err
        assert "sudo systemctl start ishowtts" in told.err
    assert fake.client.on(f"{ROOT}/command") == []


def test_no_answer(fake: FakeAppliance, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_ANSWER_S", 0.2)
    fake.publish_state("online")
    assert run(fake, "pause") == 1
    assert "no answer to pause came within 0.2 s; the appliance at ishowtts/test is online" in capsys.readouterr().err


def test_status_of_an_appliance_that_works(fake: FakeAppliance, capsys: Capture) -> None:
    fake.retain("info", INFO)
    fake.retain("telemetry", TELEMETRY)
    fake.publish_state(
        "online",
        state="speaking",
        engine="f5",
        queue_depth=2,
        voice="default",
        speaking={"id": "tea-2", "text": "The tea."},
    )
    assert run(fake, "status") == 0
    assert capsys.readouterr().out.splitlines() == [
        "ishowtts/test: online, speaking",
        "  volume    80",
        "  speaking  The tea. (tea-2)",
        "  waiting   2 lines",
        "  sound     plughw:CARD=USB",
        "  engine    f5, then hibari (restarting) and espeak",
        "  why       weights were found in /weights",
        "  weights   licence CC-BY-NC-4.0, commercial use NOT allowed",
        "  voice     default",
        "  voices    default",
        "  speech    RTF 0.213, median 0.200, first sound after 0.40 s (median), 12 lines since the start",
        "  GPU       1300 MHz of 1300 MHz, locked, 54 °C",
        "  CPU       49 °C",
        "  version   0.1.0, host jetson, Orin, JetPack 6.2 (L4T 36.4.3), up for 2.0 h",
    ]
    fake.publish_state("online", voice="anna", engines=["hibari", "espeak"])
    assert run(fake, "status") == 0
    assert "  voice     anna, not heard: F5 does not speak now\n" in capsys.readouterr().out
    fake.publish_state("online", queue_depth=2)
    assert run(fake, "status", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["root"], told["availability"], told["info"]) == (ROOT, "online", INFO)
    assert (told["state"]["queue_depth"], told["telemetry"]) == (2, TELEMETRY)


def test_status_says_what_keeps_lines_from_being_heard(fake: FakeAppliance, capsys: Capture) -> None:
    fake.publish_state(
        "online", state="paused", detail="paused since before", muted=True, volume=30, volume_configured=80
    )
    assert run(fake, "status") == 0
    told = capsys.readouterr().out
    assert "ishowtts/test: online, paused\n  detail    paused since before\n" in told
    assert "volume    30, not heard: the appliance is muted (sudo ishowtts unmute), audio.volume is 80\n" in told
    fake.publish_state("online", audible=False, silent="silent_device")
    assert run(fake, "status") == 0
    fix = "name a sound card, or auto, in audio.device"
    assert f"volume    80, not heard: audio.device is silent ({fix})\n" in capsys.readouterr().out


def test_status_says_once_why_the_engine_leads(fake: FakeAppliance, capsys: Capture) -> None:
    slow = "F5 needs 1.2 s for a second of speech here, so hibari leads"
    fake.retain("info", {**INFO, "engine": "hibari", "engine_why": slow})
    fake.publish_state("online", engine="hibari", detail=slow)
    assert run(fake, "status") == 0
    told = capsys.readouterr().out
    assert f"  detail    {slow}\n" in told
    assert told.count(slow) == 1


def test_status_shows_the_active_alerts_and_says_nothing_twice(fake: FakeAppliance, capsys: Capture) -> None:
    lost, slow = "the card is gone; plug it in", "F5 needs 1.2 s for a second of speech here, so hibari leads"
    alerts = {"no_sound": lost, "fallback_voice": f"{slow}; a GPU would help", "hot": "it is hot; cool it"}
    for name, detail in alerts.items():
        fake.retain(f"alert/{name}", {"active": True, "detail": detail, "value": None})
    fake.retain("alert/deaf", {"active": False, "detail": None, "value": None})
    fake.retain("info", {**INFO, "engine": "hibari", "engine_why": slow})
    fake.publish_state("online", state="degraded", detail=f"{lost}; the cache is full", alerts=list(alerts))
    assert run(fake, "status") == 0
    told = capsys.readouterr().out
    assert told.startswith(
        "ishowtts/test: online, degraded\n"
        "  alert     hot: it is hot; cool it\n"
        f"  alert     no_sound: {lost}\n"
        f"  alert     fallback_voice: {slow}; a GPU would help\n"
        "  detail    the cache is full\n"
    )
    assert told.count(slow) == told.count("the card is gone") == 1
    assert run(fake, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["alerts"]["hot"]["detail"] == "it is hot; cool it"


def test_status_wraps_a_fix_and_cuts_a_spoken_text(
    fake: FakeAppliance, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "terminal_width", lambda: 60)
    detail = "the GPU has reached 85 °C (alerts.hot_c); check the fan and the air flow"
    fake.retain("alert/hot", {"active": True, "detail": detail})
    fake.publish_state("online", speaking={"id": "1", "text": "word " * 90}, alerts=["hot"])
    assert run(fake, "status") == 0
    told = capsys.readouterr().out
    assert (
        "  alert     hot: the GPU has reached 85 °C (alerts.hot_c);\n            check the fan and the air flow\n"
        in told
    )
    assert [len(line) for line in told.splitlines() if "speaking" in line] == [60]


def test_status_names_an_alert_that_its_user_may_not_read() -> None:
    shown = list(status.lines_of(ApplianceView(ROOT, "online", {"state": "ready", "alerts": ["hot", "new"]}, {}, {})))
    assert [line for line in shown if "alert" in line] == [
        f"  alert     hot: this user of the broker may not read {ROOT}/alert/hot, which says why"
    ]
    quiet = {"hot": {"active": False, "detail": None}}
    assert not ApplianceView(ROOT, "online", {"alerts": ["hot"]}, {}, {}, quiet).active_alerts


def test_status_names_the_boards_that_render() -> None:
    boards = [{"name": "attic", "ready": False}, {"name": "kitchen", "ready": True}, "hostile", {"ready": 1}]
    state = {"state": "ready", "engines": ["remote"], "voice": "anna"}
    view = ApplianceView(ROOT, "online", state, {"engine": "remote"}, {"boards": boards})
    shown = list(status.lines_of(view))
    assert "  boards    attic (not ready), kitchen" in shown
    assert "  voice     anna" in shown
    view = replace(view, state={**state, "engines": ["espeak"]})
    assert "  voice     anna, not heard: no board renders now" in status.lines_of(view)


def test_status_of_an_appliance_that_is_offline_or_unknown(fake: FakeAppliance, capsys: Capture) -> None:
    assert run(fake, "status") == 1
    assert "ishowtts/test: unknown: no appliance has ever run there" in capsys.readouterr().out
    fake.publish_state("offline", detail="outdated")
    assert run(fake, "status") == 1
    assert capsys.readouterr().out == "ishowtts/test: offline (start it: sudo systemctl start ishowtts)\n"
    assert run(fake, "status", "--json") == 1
    assert json.loads(capsys.readouterr().out)["availability"] == "offline"


@pytest.mark.parametrize("words", [["status"], ["skip"], ["volume"]])
def test_without_a_broker_it_is_one_sentence(
    fake: FakeAppliance, broker: Broker, capsys: Capture, words: list[str]
) -> None:
    broker.stop()
    assert run(fake, *words) == 1
    told = capsys.readouterr()
    assert (told.out, len(told.err.splitlines())) == ("", 1)
    assert f"no broker answers at {broker.host}:{broker.port}" in told.err


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
STATE_KEYS = [
    "state",
    "detail",
    "voice",
    "engines",
    "volume",
    "muted",
    "speaking",
    "queue_depth",
    "engine",
    "volume_configured",
    "silent",
]


@given(
    st.dictionaries(st.sampled_from(STATE_KEYS), values),
    st.dictionaries(st.sampled_from(list(INFO)), values),
    st.dictionaries(st.sampled_from(list(TELEMETRY)), values | st.dictionaries(st.text(), values)),
    st.dictionaries(st.sampled_from(["active", "detail", "value"]), values | st.just(True)),
)
def test_status_shows_any_payload(
    state: dict[str, Any], info: dict[str, Any], telemetry: dict[str, Any], alert: dict[str, Any]
) -> None:
    view = ApplianceView(ROOT, "online", state, info, telemetry, {"hot": alert})
    assert all(line.isprintable() for line in status.lines_of(view))
