"""Examines the daemon and its broker, from what the daemon publishes and from systemd."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ishowtts.cli.appliance_view import ApplianceView, bounded_text, connect, read_view
from ishowtts.cli.common import root_topic
from ishowtts.cli.findings import Finding, fault
from ishowtts.cli.other_appliance import CHANGE_NAME, other_appliance
from ishowtts.config import Config
from ishowtts.errors import BrokerError, ConfigError
from ishowtts.model import AlertName
from ishowtts.util.user_rights import as_owner_of

BOOTED_WITH_SYSTEMD = Path("/run/systemd/system")
"""This folder exists if systemd runs this machine, as sd_booted(3) says."""
_UNIT = "ishowtts"
_START = f"sudo systemctl start {_UNIT} (without an installation: ishowtts run)"
_LOG = f"sudo journalctl -u {_UNIT} -n 50"
_ABSENT_FIX = "the rows engine and natural voice say what is missing; then sudo systemctl restart ishowtts"
_SYSTEMCTL_S = 3.0
_STILL_SPEAKS = {
    AlertName.THROTTLED,
    AlertName.HOT,
    AlertName.CLOCKS_UNLOCKED,
    AlertName.SLOW,
    AlertName.FALLBACK_VOICE,
}
"""Alerts during which lines are heard."""
_RUNNING = ("active", "activating", "reloading")


@dataclass(frozen=True)
class UnitState:
    """What systemd says about the service."""

    loaded: bool
    active: str
    result: str


def examine_daemon(settings: Config) -> Iterator[Finding]:
    """Examine the daemon, and then the broker through which it is asked."""
    root = root_topic(settings)
    unit = unit_state()
    try:
        with connect(settings, root) as client:
            view = read_view(client, root, ("alerts", "state", "telemetry", "info"))
    except (BrokerError, ConfigError) as error:
        yield _without_broker(root, unit)
        yield _broker_fault(error)
        return
    yield from daemon_findings(settings, view, unit)
    where = f"{settings.mqtt.host}:{settings.mqtt.port}"
    yield Finding("broker", "ok", f"{where} accepts us; our topics are {root}/…")
    yield from _discovery(settings, root)


def daemon_findings(settings: Config, view: ApplianceView, unit: UnitState | None) -> Iterator[Finding]:
    """Describe the daemon by its retained messages."""
    if not view.online:
        yield _offline(view, unit)
        return
    if (other := other_appliance(settings, view.root, view.info)) is not None:
        yield Finding("daemon", "fault", other, CHANGE_NAME)
    state = bounded_text(view.state.get("state")) or "unknown"
    leader = _other_leader(settings, view)
    detail, alerts = view.detail_without_alerts, view.active_alerts  # each alert has its own row
    detail = detail if leader is None else detail.replace(_reason(view), "").strip("; ")  # and so has this
    found = f"online on {view.root}: {state}" + (f", {detail}" if detail else "")
    if view.degraded:
        # One sentence ends with its fix. Several cannot be told apart, and each part has its own row below.
        several = Finding("daemon", "fault", found, f"fix the faults below; {_LOG} says more")
        yield fault("daemon", found) if found.count("; ") == 1 and not alerts else several
    elif view.paused:
        yield Finding("daemon", "note", f"{found}: lines wait", "sudo ishowtts resume")
    elif view.starting:
        yield Finding("daemon", "note", f"{found}: it is loading", "wait until its state is ready")
    else:
        yield Finding("daemon", "ok", found)
    if view.silence is not None:
        silence, fix = view.silence
        yield Finding("daemon", "note", f"{silence}: no line can be heard", fix)
    yield from _alerts(view)
    yield from _quiet(settings)
    yield from _engines(view)
    if leader is not None:
        yield leader


def _alerts(view: ApplianceView) -> Iterator[Finding]:
    for name, detail in view.active_alerts.items():
        row = fault("daemon", f"{name.value}: {detail or 'it does not say why'}", None if "; " in detail else _LOG)
        yield replace(row, verdict="note") if name in _STILL_SPEAKS else row


def _discovery(settings: Config, root: str) -> Iterator[Finding]:
    """Whether Home Assistant can find the appliance, as far as the daemon of the local `state_dir` knows."""
    from ishowtts.inbox import read_setting
    from ishowtts.mqtt.discovery import REFUSAL_FIX, REFUSAL_KEY
    from ishowtts.mqtt.discovery_message import discovery_topic

    if not settings.home_assistant.discovery:
        return
    topic = discovery_topic(settings.home_assistant.prefix, root)
    try:
        with as_owner_of(settings.state_dir):
            refusal = read_setting(settings.inbox_file, REFUSAL_KEY)
    except OSError:  # a command without sudo may not look into the folder
        return
    if refusal:
        refused = f"the broker refuses the discovery message on {topic} ({bounded_text(refusal)})"
        yield Finding("home assistant", "note", refused, REFUSAL_FIX)
    elif refusal is not None:
        unsure = "; over MQTT 3.1.1 a broker does not say whether it takes it" if settings.mqtt.protocol != 5 else ""
        yield Finding("home assistant", "ok", f"the discovery message was published on {topic}{unsure}")


def _quiet(settings: Config) -> Iterator[Finding]:
    from ishowtts.policies.quiet_hours import active_quiet_hours

    quiet = active_quiet_hours(settings.policies.quiet, datetime.now())
    if quiet is not None:
        does = "wait" if quiet.volume is None else f"are spoken at volume {quiet.volume} at most"
        yield Finding(
            "daemon",
            "note",
            f"quiet hours until {quiet.until}: low and normal lines {does}",
            "send the line with priority high, or change policies.quiet",
        )


def _engines(view: ApplianceView) -> Iterator[Finding]:
    """Which engines do not work, and who speaks in their place."""
    from ishowtts.cli.engine_findings import in_its_place

    names = [name for name, _ in view.engines]
    told = AlertName.FALLBACK_VOICE in view.active_alerts
    for i, (name, state) in enumerate(view.engines):
        if name == "remote":
            continue  # the row of the boards says it
        if not (told and i == 0) and state in ("absent", "unresponsive", "restarting", "parked", "stopped"):
            fix = _ABSENT_FIX if state == "absent" else _LOG
            yield Finding("daemon", "note", f"{name} is {state}: {in_its_place(names[i + 1 :])}", fix)


def _other_leader(settings: Config, view: ApplianceView) -> Finding | None:
    """Why another engine leads than the configuration lets expect; `None` if the expected one leads.

    F5 was too slow at its warm-up, or the daemon was started before the weights came or the file was changed.
    """
    from ishowtts.engines.engine_choice import choose_engine

    leads, expected = bounded_text(view.info.get("engine")), choose_engine(settings)
    told = _reason(view) in view.active_alerts.get(AlertName.FALLBACK_VOICE, "")
    if not leads or leads == expected.kind or expected.problem is not None or (told and _reason(view)):
        return None
    reason = _reason(view) or "it does not say why"
    fix = None if "; " in reason else "sudo systemctl restart ishowtts, if configuration or weights have changed"
    return replace(fault("daemon", f"{leads} leads, and not {expected.kind}: {reason}", fix), verdict="note")


def _reason(view: ApplianceView) -> str:
    return bounded_text(view.info.get("engine_why"))


def _offline(view: ApplianceView, unit: UnitState | None) -> Finding:
    if view.availability is None:
        found = f"no daemon has reported on {view.root} yet, or the broker does not let us read that topic"
    else:
        found = f"{view.availability} on {view.root}"
    if view.deaf is not None:
        found += f"; it reported: {view.deaf}"
    if unit is None or not unit.loaded:
        # Without a service, a daemon that never ran is a fresh installation, or one that is started by hand.
        return Finding("daemon", "note" if view.availability is None else "fault", found, _START)
    found += f"; systemd says: {unit.active}" + (f" ({unit.result})" if unit.active == "failed" else "")
    if unit.active == "failed":
        return Finding("daemon", "fault", found, f"{_LOG} says why; then {_START}")
    if unit.active in _RUNNING:
        return Finding("daemon", "fault", found, f"{_LOG} says why messages do not reach it")
    return Finding("daemon", "fault", found, _START)


def _without_broker(root: str, unit: UnitState | None) -> Finding:
    """What is known of the daemon if the broker does not answer: what systemd says."""
    if unit is None or not unit.loaded:
        found = f"unknown whether it runs as {root}: the broker does not answer, and systemd has no service {_UNIT}"
        return Finding("daemon", "note", found, "fix the broker first")
    if unit.active in _RUNNING:
        return Finding("daemon", "note", f"systemd says: {unit.active}; no line can reach it", "fix the broker first")
    result = f" ({unit.result})" if unit.active == "failed" else ""
    return Finding("daemon", "fault", f"systemd says: {unit.active}{result}", _START)


def _broker_fault(error: BrokerError | ConfigError) -> Finding:
    return fault("broker", "; ".join(error.problems) if isinstance(error, ConfigError) else error)


def unit_state() -> UnitState | None:
    """Ask systemd for the service; `None` if systemd does not run this machine or does not answer."""
    if not BOOTED_WITH_SYSTEMD.is_dir():
        return None
    command = ["systemctl", "show", _UNIT, "--property=LoadState,ActiveState,Result"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SYSTEMCTL_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if "ActiveState" not in values:
        return None
    return UnitState(values.get("LoadState") == "loaded", values["ActiveState"], values.get("Result", "unknown"))
