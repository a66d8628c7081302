"""`ishowtts top --once`, and the command's arguments, in this process."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ishowtts.cli.main import main
from ishowtts_gateway.terminal_view.top_app import open_terminal
from support.broker import Broker
from support.client import Client
from support.pseudo_terminal import PseudoTerminal

Capture = pytest.CaptureFixture[str]
TEXT = "The tea is ready, " * 20


@pytest.fixture
def once(broker: Broker, tmp_path: Path, capsys: Capture) -> Callable[..., tuple[int, list[str]]]:
    config = tmp_path / "config.yaml"
    mqtt = {"host": broker.host, "port": broker.port}
    config.write_text(json.dumps({"device": {"name": "kitchen"}, "mqtt": mqtt, "state_dir": str(tmp_path)}))

    def run(*arguments: str) -> tuple[int, list[str]]:
        status = main(["top", "--once", "--config", str(config), *arguments])
        return status, capsys.readouterr().out.splitlines()

    return run


def publish(client: Client, name: str, **state: Any) -> None:
    client.publish(f"ishowtts/{name}/availability", "online", retain=True)
    client.publish(f"ishowtts/{name}/info", {"version": "1"}, retain=True)
    client.publish(f"ishowtts/{name}/telemetry", {"gpu": {"clock_mhz": 612}}, retain=True)
    known = {"state": "ready", "queue_depth": 0, "speaking": {"id": "a", "text": TEXT}, **state}
    client.publish(f"ishowtts/{name}/state", known, retain=True)


def test_once_prints_a_frame_without_cutting_and_without_colours(
    once: Callable[..., tuple[int, list[str]]], mqtt_client: Client
) -> None:
    status, shown = once()
    assert status == 1
    assert shown[1].startswith("nothing is known of ishowtts/kitchen: no board of this name has run yet")
    publish(mqtt_client, "kitchen")
    status, shown = once()
    assert (status, shown[0][:24]) == (0, " kitchen   online, ready")
    assert f"now   {TEXT.strip()}" in shown
    assert "clock 612 MHz" in shown
    assert not any("\x1b" in line for line in shown)
    publish(mqtt_client, "attic")
    mqtt_client.publish("ishowtts/hall/availability", "offline", retain=True)
    status, shown = once("--device", "attic", "--device", "kitchen")
    assert (status, [line for line in shown if "online" in line and line.startswith(" ")] != []) == (0, True)
    assert [line.split()[0] for line in shown if line.startswith(" ") and "online" in line] == ["attic", "kitchen"]
    status, shown = once("--device", "+")
    assert status == 1
    assert "hall is offline; on the board: sudo systemctl start ishowtts" in shown
    assert once("--device", "hall")[0] == 1


def test_once_says_that_there_is_no_broker(once: Callable[..., tuple[int, list[str]]], broker: Broker) -> None:
    broker.stop()
    status, shown = once()
    assert status == 1
    assert "cannot be reached" in shown[1]


def test_a_terminal_that_cannot_be_redrawn_gets_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    with PseudoTerminal() as pty, os.fdopen(os.dup(pty.inner), "w") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        for term, is_used in (("xterm", True), ("dumb", False), ("", False)):
            monkeypatch.setenv("TERM", term)
            screen = open_terminal(Console())
            assert (screen is not None) is is_used
            if screen is not None:
                os.close(screen.descriptor)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert open_terminal(Console()) is None


def test_a_device_has_a_name(once: Callable[..., tuple[int, list[str]]]) -> None:
    with pytest.raises(SystemExit) as ended:
        once("--device", "Kitchen/#")
    assert ended.value.code == 2
