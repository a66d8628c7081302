"""`ishowtts top` in a real terminal, with a real broker and a real daemon."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.appliance import Appliance
from support.broker import Broker, ShippedBroker
from support.client import Client
from support.service_process import DAEMON
from support.tmux import Tmux
from support.waiting import eventually

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed (apt-get install tmux)")
TOP = [sys.executable, "-m", "ishowtts", "top"]
DEVICES = ["--device", "kitchen", "--device", "hall"]
PROGRAM = {"PYTHONPATH": str(DAEMON)}
EVIL = "\x1b[2J\x07\u202eabc 👩\u200d👧"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Appliance, Client]]:
    """A daemon whose lines take 3 s, and a client of its broker."""
    folder: Path = tmp_path_factory.mktemp("board")
    (folder / "broker").mkdir()
    with (
        Broker(folder / "broker") as broker,
        Appliance(folder, broker, {"board": {"source": "simulated"}}, quick_s=3.0) as appliance,
        Client(broker.host, broker.port) as client,
    ):
        appliance.wait_ready(client, "ready", "degraded")
        yield appliance, client


def test_lines_keys_and_sizes(board: tuple[Appliance, Client], tmp_path: Path) -> None:
    appliance, client = board
    with Tmux(tmp_path, [*TOP, "--config", str(appliance.config_file)], 80, 24, PROGRAM) as terminal:
        terminal.wait_for("online, ready")
        appliance.say(client, "The tea is ready.", author="Ann", id="tea")
        appliance.say(client, EVIL, author="Eve", id="evil")
        terminal.wait_for("now   Ann: The tea is ready.")
        terminal.wait_for(r"next  Eve: \x1b[2J\x07abc 👩👧")
        assert "1300 MHz" in terminal.screen
        terminal.keys("s")
        assert appliance.final(client, "tea")["by"] == "skip"
        terminal.wait_for("skip: Ann: The tea is ready.")
        for size in ((40, 10), (200, 50), (20, 4), (80, 24)):
            terminal.resize(*size)
            terminal.wait_until(lambda lines, rows=size[1]: len(lines) == rows and "q quit" in lines[-1])
        for key, shown in (
            ("p", "paused"),
            ("p", "ready"),
            ("m", "ready, muted"),
            ("m", "ready  "),
            ("-", "volume 95 %"),
        ):
            terminal.keys(key)
            terminal.wait_until(lambda lines, shown=shown: shown in lines[0])
        terminal.wait_until(lambda lines: "the volume is 95" in lines[-1])
        terminal.keys("?")
        terminal.wait_for("previous board")
        terminal.keys("?", "q")
        terminal.wait_for("status 0")
        assert terminal.is_restored


def test_stop_and_continue_and_the_end_by_a_signal_and_with_the_terminal(
    board: tuple[Appliance, Client], tmp_path: Path
) -> None:
    appliance, _ = board
    with Tmux(tmp_path, [*TOP, "--config", str(appliance.config_file)], 80, 24, PROGRAM) as terminal:
        terminal.wait_for("online, ")
        [pid] = terminal.programs
        terminal.keys("C-z")
        terminal.wait_for("Stopped")
        assert terminal.is_restored
        terminal.keys("fg; echo status $?", "Enter")
        terminal.wait_for("online, ")
        assert not terminal.is_restored
        os.kill(pid, signal.SIGTERM)
        terminal.wait_for("status 143")
        assert terminal.is_restored
        terminal.keys("NO_COLOR=1 show", "Enter")
        terminal.wait_for("online, ")
        styled = terminal.styled_screen
        assert "\x1b[1m" in styled
        assert not any(f"\x1b[3{colour}m" in styled for colour in range(1, 8))
        [pid] = terminal.programs
        terminal.close()
        eventually(lambda: not Path(f"/proc/{pid}").exists(), "the end of the program")


def test_what_is_missing_is_said_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    config = tmp_path / "config.yaml"
    with ShippedBroker(folder, {"observer": "o", "ishowtts": "i"}) as broker:
        (tmp_path / "password").write_text("o\n")
        config.write_text(
            f"device: {{name: kitchen}}\nmqtt: {{host: {broker.host}, port: {broker.port}, username: observer, "
            f"password_file: {tmp_path}/password}}\nstate_dir: {tmp_path}\n"
        )
        with (
            Client(broker.host, broker.port, username="ishowtts", password="i") as daemon,
            Tmux(tmp_path, [*TOP, "--config", str(config), *DEVICES], 100, 20, PROGRAM) as terminal,
        ):
            terminal.wait_for("nothing is known of ishowtts/hall")
            terminal.keys("n")
            terminal.wait_for("nothing is known of ishowtts/kitchen")
            daemon.publish("ishowtts/kitchen/state", {"state": "ready", "queue_depth": 0}, retain=True)
            daemon.publish("ishowtts/kitchen/availability", "online", retain=True)
            terminal.wait_for("online, ready")
            terminal.keys("s")
            terminal.wait_for("the broker does not let")
            daemon.publish("ishowtts/kitchen/availability", "offline", retain=True)
            terminal.wait_for("kitchen is offline; on the board: sudo systemctl start ishowtts")
            broker.stop()
            terminal.wait_for("no broker")
            terminal.wait_until(lambda lines: "it is tried again" in " ".join(lines))
            broker.start()
            terminal.wait_for("kitchen is offline")
            terminal.keys("C-c")
            terminal.wait_for("status 130")
            assert terminal.is_restored
