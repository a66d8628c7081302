"""Uses the appliance of a virtual machine over its agent, and knows that everything takes long there."""

from __future__ import annotations

import json
from typing import Any

from support.booted.installing import DEVICE, configuration, is_active
from support.booted.virtual_machine import VirtualMachine

# Ten times as long as on a board, and the tests share their cores.
_READY_S = 600.0
_EVENT_S = 600.0
EVENTS = "/run/events"
"""The file of `record_events`."""


def configure(machine: VirtualMachine, **sections: Any) -> None:
    """Writes the operator's configuration, and starts the service again."""
    chosen = {"engine": {"kind": "espeak", "fallback": False}, **sections}
    machine.write("/etc/ishowtts/config.yaml", configuration(**chosen))
    machine.run("systemctl", "restart", "ishowtts", timeout_s=_READY_S)


def wait_for_ready(machine: VirtualMachine) -> None:
    """Waits until the service is ready."""
    machine.wait_until(lambda: is_active(machine), "the service", _READY_S)


def record_events(machine: VirtualMachine) -> None:
    """Begins to record the events of the appliance."""
    topic = f"ishowtts/{DEVICE}/event"
    machine.run("systemd-run", "--quiet", "--unit=record", "sh", "-c", f"mosquitto_sub -t {topic} >{EVENTS}")
    machine.wait_until(lambda: machine.run("test", "-e", EVENTS, check=False).returncode == 0, "the recorder")


def events(machine: VirtualMachine, line_id: str) -> list[str]:
    """Returns the names of the events of a line, in order."""
    found = [json.loads(line) for line in machine.run("cat", EVENTS).stdout.splitlines()]
    return [event["event"] for event in found if event.get("id") == line_id]


def wait_for_event(machine: VirtualMachine, line_id: str, event: str) -> None:
    """Waits for an event of a line."""
    machine.wait_until(lambda: event in events(machine, line_id), f"{event} of {line_id}", _EVENT_S)


def publish(machine: VirtualMachine, **line: Any) -> None:
    """Publishes a line with QoS 1."""
    topic = f"ishowtts/{DEVICE}/say"
    machine.run("mosquitto_pub", "-q", "1", "-t", topic, "-m", json.dumps(line))


def history(machine: VirtualMachine) -> list[dict[str, Any]]:
    """Returns the lines of the history, the oldest first. Those that wait or play have no outcome."""
    listed = machine.run("ishowtts", "history", "--json", "-n", "100", timeout_s=_EVENT_S).stdout
    lines: list[dict[str, Any]] = json.loads(listed)
    return lines


def outcomes(machine: VirtualMachine) -> dict[str, str | None]:
    """Returns the outcome of each line of the history by its id."""
    return {line["id"]: line["outcome"] for line in history(machine)}


def status(machine: VirtualMachine) -> dict[str, Any]:
    """Returns what `ishowtts status --json` prints."""
    printed = machine.run("ishowtts", "status", "--json", check=False, timeout_s=_EVENT_S).stdout
    found: dict[str, Any] = json.loads(printed or "{}")
    return found
