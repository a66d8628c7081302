"""The first rows of `ishowtts doctor`: the daemon and its broker."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ishowtts.cli.appliance_view import ApplianceView
from ishowtts.cli.doctor import running_daemon
from ishowtts.cli.doctor.running_daemon import UnitState, daemon_findings, examine_daemon, unit_state
from ishowtts.cli.findings import Finding
from ishowtts.config import Config
from ishowtts.engines.engine_choice import choose_engine
from ishowtts.mqtt.client import Message
from support.broker import Broker
from support.client import Client

ROOT = "ishowtts/kitchen"
READY = {"state": "ready", "detail": None, "paused": False, "muted": False, "volume": 80}


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
    return port


def settings(**sections: Any) -> Config:
    return Config.model_validate({"device": {"name": "kitchen"}, **sections})


def view_of(availability: str | None, topics: dict[str, Any]) -> ApplianceView:
    """What is known after these retained messages."""
    view = ApplianceView(ROOT)
    if availability is not None:
        view = view.with_message(Message(f"{ROOT}/availability", availability.encode()))
    for topic, payload in topics.items():
        view = view.with_message(Message(f"{ROOT}/{topic}", json.dumps(payload).encode()))
    return view


def found(state: dict[str, Any], **topics: dict[str, Any]) -> list[Finding]:
    """The findings about an online daemon with this state."""
    values = {"state": READY | state, **{name.replace("_", "/"): value for name, value in topics.items()}}
    return list(daemon_findings(settings(), view_of("online", values), None))


@pytest.mark.parametrize(
    ("state", "verdict", "says", "fix"),
    [
        ({}, "ok", "online on ishowtts/kitchen: ready", None),
        ({"state": "speaking"}, "ok", "speaking", None),
        ({"state": "paused", "paused": True}, "note", "paused: lines wait", "ishowtts resume"),
        ({"state": "paused", "paused": True, "detail": "since before"}, "note", "since before", "ishowtts resume"),
        ({"state": "starting", "detail": "load 1 of 3"}, "note", "load 1 of 3: it is loading", "wait"),
        ({"state": "warming"}, "note", "warming", "wait"),
        ({"state": "degraded", "detail": "the sound card is away"}, "fault", "the sound card is away", "journalctl"),
        ({"state": "degraded"}, "fault", "degraded", "journalctl"),
        (
            {"state": "degraded", "detail": "the card X is gone; plug it in"},
            "fault",
            "the card X is gone",
            "plug it in",
        ),
        ({"state": "degraded", "detail": "a is b; do c; d is e; do f"}, "fault", "d is e; do f", "faults below"),
        (
            {"state": "degraded", "detail": "Speaker is off; amixer sset Speaker unmute", "silent": "card_muted"},
            "fault",
            "Speaker is off",
            "amixer sset Speaker unmute",
        ),
    ],
)
def test_the_state_of_a_daemon_is_the_first_row(
    state: dict[str, Any], verdict: str, says: str, fix: str | None
) -> None:
    [first] = found(state)
    assert (first.part, first.verdict) == ("daemon", verdict)
    assert says in first.detail
    assert first.fix is None if fix is None else fix in (first.fix or "")


@pytest.mark.parametrize(
    ("state", "says", "fix"),
    [
        ({"muted": True}, "muted", "sudo ishowtts unmute"),
        ({"volume": 0}, "the volume is 0", "sudo ishowtts volume 80"),
        ({"muted": True, "volume": 0}, "muted", "unmute"),
        ({"audible": False, "silent": "card_muted"}, "the sound card is muted", "alsamixer"),
        ({"audible": False, "silent": "card_volume_0"}, "volume of the sound card is 0", "alsamixer"),
        ({"audible": False, "silent": "no_device"}, "there is no sound device", "audio.device"),
        ({"audible": False, "silent": "silent_device"}, "audio.device is silent", "audio.device"),
    ],
)
def test_what_keeps_it_from_being_heard_is_a_note_with_a_fix(state: dict[str, Any], says: str, fix: str) -> None:
    first, second = found(state)
    assert (first.verdict, second.verdict) == ("ok", "note")
    assert says in second.detail
    assert fix in (second.fix or "")


def test_values_of_other_types_are_ignored() -> None:
    """Anybody may publish on an open broker."""
    odd: dict[str, Any] = {"muted": "yes", "volume": False, "silent": ["x"], "paused": 1, "detail": {"a": 1}}
    assert [
        finding.verdict
        for finding in found(odd, telemetry={"engine": [1], "engines": [1, {"name": [2]}]}, alert_deaf={"active": "no"})
    ] == ["ok"]


def test_a_deaf_daemon_is_a_fault_with_the_reason_and_the_fix() -> None:
    detail = "the broker does not let us subscribe to ishowtts/kitchen/say (Not authorized); allow it in its ACL"
    _, deaf = found({}, alert_deaf={"active": True, "detail": detail})
    assert (deaf.verdict, deaf.fix) == ("fault", "allow it in its ACL")
    assert "Not authorized" in deaf.detail
    assert found({}, alert_deaf={"active": True})[1].fix


def alert(detail: str) -> dict[str, Any]:
    return {"active": True, "detail": detail, "value": None}


def test_each_active_alert_has_one_row_with_its_fix() -> None:
    lost, full = "the card X is gone; plug it in", "less than 100 MB are free in /var; make room"
    state = {"state": "degraded", "detail": f"{lost}; {full}; the cache is off; clear it"}
    alerts = {"alert/no_sound": alert(lost), "alert/disk_short": alert(full), "alert/hot": alert("it is hot; cool it")}
    view = view_of("online", {"state": READY | state, **alerts, "alert/slow": {"active": False, "detail": None}})
    first, *rows = daemon_findings(settings(), view, None)
    assert (first.verdict, first.detail) == ("fault", f"online on {ROOT}: degraded, the cache is off; clear it")
    assert "faults below" in (first.fix or "")
    assert [(row.verdict, row.detail, row.fix) for row in rows] == [
        ("note", "hot: it is hot", "cool it"),
        ("fault", "no_sound: the card X is gone", "plug it in"),
        ("fault", "disk_short: less than 100 MB are free in /var", "make room"),
    ]


def test_another_voice_that_speaks_has_one_row() -> None:
    parked = "the f5 engine is parked: it died"
    engines = [{"name": "f5", "state": "parked"}, {"name": "hibari", "state": "parked"}, {"name": "espeak"}]
    view = view_of(
        "online",
        {
            "state": READY | {"state": "degraded", "detail": parked},
            "alert/fallback_voice": alert(f"{parked}, so espeak speaks in its place; restart it"),
            "telemetry": {"engines": engines},
        },
    )
    _, voice, hibari = daemon_findings(settings(), view, None)
    assert (voice.verdict, voice.detail) == ("note", f"fallback_voice: {parked}, so espeak speaks in its place")
    assert "hibari is parked" in hibari.detail
    slow = "F5 needs 27 s for a second of speech here, so f5 leads; choose a smaller model"
    told = {"alert/fallback_voice": alert(f"{slow}, and engine.kind f5 accepts it"), "state": READY | {"detail": slow}}
    view = view_of("online", {**told, "info": {"engine": "f5", "engine_why": slow}})
    first, voice = daemon_findings(settings(), view, None)
    assert (first.verdict, first.detail) == ("ok", f"online on {ROOT}: ready")
    assert voice.fix == "choose a smaller model, and engine.kind f5 accepts it"


def test_another_engine_that_speaks_is_a_note() -> None:
    ready = [{"name": name, "state": "ready"} for name in ("f5", "hibari", "espeak")]
    assert len(found({}, telemetry={"engines": ready})) == 1
    parked = [{"name": "f5", "state": "parked"}, {"name": "hibari", "state": "restarting"}, ready[2]]
    _, f5, hibari = found({}, telemetry={"engines": parked})
    assert "f5 is parked: the natural voice (English only) and espeak-ng speak in its place" in f5.detail
    assert "hibari is restarting: espeak-ng speaks in its place" in hibari.detail
    assert "journalctl" in (f5.fix or "")
    _, absent = found({}, telemetry={"engines": [{"name": "f5", "state": "absent"}, *ready[1:]]})
    assert "the rows engine and natural voice" in (absent.fix or "")
    _, alone = found({}, telemetry={"engines": parked[:1]})
    assert alone.detail == "f5 is parked: no other engine speaks in its place, as engine.fallback says"


def test_another_engine_that_leads_is_a_note_with_the_reason() -> None:
    slow = "F5 needs 27 s for a second of speech here; choose a smaller model, or engine.kind: f5 forces it"
    leads = choose_engine(settings()).kind
    assert len(found({}, info={"engine": leads, "engine_why": slow})) == 1
    first, note = found({"detail": f"muted by hand; {slow}"}, info={"engine": "f5", "engine_why": slow})
    assert (first.verdict, first.detail) == ("ok", f"online on {ROOT}: ready, muted by hand")
    assert (note.verdict, note.fix) == ("note", "choose a smaller model, or engine.kind: f5 forces it")
    assert note.detail == f"f5 leads, and not {leads}: F5 needs 27 s for a second of speech here"
    _, note = found({}, info={"engine": "f5", "engine_why": "weights were found in /w"})
    assert "restart ishowtts" in (note.fix or "")


@pytest.mark.parametrize(("action", "does"), [("wait", "wait"), ("quieter", "are spoken at volume 20 at most")])
def test_quiet_hours_that_are_in_force_are_a_note(monkeypatch: pytest.MonkeyPatch, action: str, does: str) -> None:
    class Night(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime(2026, 1, 1, 23)

    monkeypatch.setattr(running_daemon, "datetime", Night)
    quiet = {"from": "22:00", "to": "07:00", "action": action, "volume": 20}
    _, note = daemon_findings(settings(policies={"quiet": quiet}), view_of("online", {"state": READY}), None)
    assert note.detail == f"quiet hours until 07:00: low and normal lines {does}"
    assert "priority high" in (note.fix or "")


@pytest.mark.parametrize(
    ("availability", "unit", "verdict", "says", "fix"),
    [
        ("offline", None, "fault", "offline on ishowtts/kitchen", "sudo systemctl start ishowtts"),
        ("offline", UnitState(False, "inactive", "success"), "fault", "offline", "ishowtts run"),
        ("offline", UnitState(True, "inactive", "success"), "fault", "systemd says: inactive", "systemctl start"),
        ("offline", UnitState(True, "failed", "exit-code"), "fault", "failed (exit-code)", "journalctl"),
        ("offline", UnitState(True, "active", "success"), "fault", "systemd says: active", "journalctl"),
        ("offline", UnitState(True, "activating", "success"), "fault", "activating", "journalctl"),
        (None, UnitState(True, "inactive", "success"), "fault", "no daemon has reported", "systemctl start"),
        (None, None, "note", "no daemon has reported on ishowtts/kitchen", "systemctl start"),
        ("\x1b[31m" * 100, None, "fault", "\\x1b[31m", "systemctl start"),
    ],
)
def test_a_daemon_that_is_off_is_told_with_what_systemd_knows(
    availability: str | None, unit: UnitState | None, verdict: str, says: str, fix: str
) -> None:
    [row] = daemon_findings(settings(), view_of(availability, {"state": READY}), unit)
    assert (row.part, row.verdict) == ("daemon", verdict)
    assert says in row.detail
    assert fix in (row.fix or "")
    assert len(row.detail) < 200


def test_a_daemon_that_is_offline_because_it_is_deaf_is_told_why() -> None:
    view = view_of("offline", {"alert/deaf": {"active": True, "detail": "the broker refuses say (Not authorized)"}})
    [row] = daemon_findings(settings(), view, UnitState(True, "active", "success"))
    assert (row.verdict, "it reported: the broker refuses say (Not authorized)" in row.detail) == ("fault", True)


def test_the_retained_messages_are_read_from_the_broker(broker: Broker) -> None:
    mqtt = {"mqtt": {"host": broker.host, "port": broker.port}}
    with Client(broker.host, broker.port) as client:
        client.publish(f"{ROOT}/availability", "online", retain=True)
        client.publish(f"{ROOT}/state", json.dumps(READY | {"muted": True}), retain=True)
        client.publish(f"{ROOT}/alert/deaf", json.dumps({"active": True, "detail": "refused; allow it"}), retain=True)
        daemon, muted, deaf, row = examine_daemon(settings(**mqtt))
        assert (daemon.verdict, muted.verdict, row.verdict) == ("ok", "note", "ok")
        assert (deaf.verdict, deaf.detail, deaf.fix) == ("fault", "deaf: refused", "allow it")
        assert row.detail == f"127.0.0.1:{broker.port} accepts us; our topics are {ROOT}/…"
        client.publish(f"{ROOT}/availability", "offline", retain=True)
        daemon, row = examine_daemon(settings(**mqtt))
        assert (daemon.verdict, daemon.part, row.verdict) == ("fault", "daemon", "ok")


@pytest.mark.parametrize(
    ("unit", "verdict", "says"),
    [
        (None, "note", "systemd has no service ishowtts"),
        (UnitState(True, "active", "success"), "note", "systemd says: active; no line can reach it"),
        (UnitState(True, "failed", "exit-code"), "fault", "failed (exit-code)"),
        (UnitState(True, "inactive", "success"), "fault", "inactive"),
    ],
)
def test_without_a_broker_the_daemon_is_what_systemd_says(
    monkeypatch: pytest.MonkeyPatch, unused_port: int, unit: UnitState | None, verdict: str, says: str
) -> None:
    monkeypatch.setattr(running_daemon, "unit_state", lambda: unit)
    daemon, row = examine_daemon(settings(mqtt={"host": "127.0.0.1", "port": unused_port}))
    assert (daemon.part, daemon.verdict, row.part, row.verdict) == ("daemon", verdict, "broker", "fault")
    assert says in daemon.detail
    assert daemon.fix
    assert row.detail == f"no broker answers at 127.0.0.1:{unused_port} (Connection refused)"
    assert "systemctl start mosquitto" in (row.fix or "")


def test_each_way_of_not_reaching_the_broker_has_a_sentence_without_numbers(
    tmp_path: Path, make_broker: Callable[..., Broker]
) -> None:
    strict = make_broker(users={"ishowtts": "right"})
    (tmp_path / "password").write_text("wrong\n")
    cases: dict[str, tuple[dict[str, Any], str, str]] = {
        "name": ({"host": "no-such-host.invalid"}, "the name cannot be resolved", "fix mqtt.host, or the DNS"),
        "password": (
            {
                "host": strict.host,
                "port": strict.port,
                "username": "ishowtts",
                "password_file": str(tmp_path / "password"),
            },
            "refuses us (Not authorized)",
            "check mqtt.username and mqtt.password_file",
        ),
        "file": (
            {"password_file": str(tmp_path / "none")},
            "names a file that does not exist: /",
            "or fix mqtt.password_file",
        ),
        "ca": ({"host": strict.host, "port": strict.port, "tls": {"ca": str(tmp_path / "none")}}, "", ""),
    }
    for name, (mqtt, says, fix) in cases.items():
        *_, row = examine_daemon(settings(mqtt=mqtt))
        assert (row.part, row.verdict) == ("broker", "fault"), name
        assert says in row.detail, name
        assert fix in (row.fix or ""), name
        assert row.fix, name
        assert "Errno" not in row.detail, name


def test_systemd_is_asked_only_if_it_runs_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\nprintf 'LoadState=loaded\\nActiveState=failed\\nResult=oom-kill\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(running_daemon, "BOOTED_WITH_SYSTEMD", tmp_path / "none")
    assert unit_state() is None
    monkeypatch.setattr(running_daemon, "BOOTED_WITH_SYSTEMD", tmp_path)
    assert unit_state() == UnitState(True, "failed", "oom-kill")
    program.write_text("#!/bin/sh\nexit 1\n")
    assert unit_state() is None
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert unit_state() is None
