"""Signals without a meaning for the daemon do not end it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ishowtts import app, cli
from ishowtts.__main__ import main
from ishowtts.config import Config
from ishowtts.engines import build
from ishowtts.util import stop_signals
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.waiting import eventually

IGNORED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


def test_the_daemon_logs_and_ignores_them_and_continues_to_speak(tmp_path: Path, broker: Broker) -> None:
    # A session of its own: started from a terminal, SIGHUP says that the terminal is gone.
    with (
        Appliance(tmp_path, broker, quick_s=0.1, wrap=["setsid"]) as appliance,
        Client(broker.host, broker.port) as client,
    ):
        appliance.wait_ready(client)
        for number in IGNORED:
            assert appliance.process is not None
            appliance.process.send_signal(number)
            eventually(lambda number=number: f"{number.name} is ignored" in appliance.log, f"a word on {number.name}")
        appliance.process.send_signal(signal.SIGHUP)
        eventually(lambda: "has no change" in appliance.log, "the reload")
        config_file = appliance.config_file.read_text()
        appliance.config_file.write_text(f"{config_file}\nno_such_key: 1\n")
        appliance.process.send_signal(signal.SIGHUP)
        eventually(lambda: "the configuration has faults: the daemon goes on" in appliance.log, "the faults")
        assert "no_such_key" in appliance.log
        assert appliance.final(client, appliance.say(client, "I am still here."))["event"] == "finished"
        assert appliance.process.poll() is None
        assert [message.json["state"] for message in client.on(f"{appliance.root}/state")][-1] in ("ready", "speaking")
        assert appliance.stop() == 0


@pytest.mark.parametrize("command", ["run", "gateway"])
def test_a_hang_up_during_the_imports_waits_until_it_is_handled(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    reloads = []

    def serve() -> int:
        signal.pthread_kill(threading.get_ident(), signal.SIGHUP)  # other threads of the tests do not block it
        with stop_signals.stop_asked(lambda: reloads.append("asked")):
            return 7

    monkeypatch.setattr(sys, "argv", ["ishowtts", command])
    monkeypatch.setattr(cli, "main", serve)
    monkeypatch.setattr(stop_signals, "has_terminal", lambda: False)
    try:
        assert (main(), reloads) == (7, ["asked"])
    finally:
        stop_signals.release_hang_up()


def test_a_hang_up_while_another_one_is_handled_is_handled_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler takes locks: within itself it would wait for ever."""
    lock, reloads = threading.Lock(), []

    def reload() -> None:
        assert lock.acquire(blocking=False)
        if not reloads:
            for _ in range(3):
                signal.raise_signal(signal.SIGHUP)
        reloads.append("asked")
        lock.release()

    monkeypatch.setattr(stop_signals, "has_terminal", lambda: False)
    with stop_signals.stop_asked(reload):
        signal.raise_signal(signal.SIGHUP)
    assert reloads == ["asked", "asked"]


def test_a_stop_during_the_start_starts_no_more_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a large queue, or a damaged one, can take seconds."""

    def engines(config: Config, chosen: build.EngineChoice, on_change: Callable[[], None]) -> build.Engines:
        os.kill(os.getpid(), signal.SIGTERM)
        return build.build_engines(config, chosen, on_change)

    def start(_: app.Daemon) -> None:
        pytest.fail("it was to stop")

    monkeypatch.setattr(app.Daemon, "start", start)
    settings = {
        "state_dir": tmp_path,
        "cache_dir": tmp_path,
        "engine": {"kind": "espeak"},
        "audio": {"device": "silent"},
    }
    assert app.run(Config.model_validate(settings), app.Factories(engines)) == 0
