"""The messages that systemd receives, on real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ishowtts.systemd import Notifier

ROOT = Path(__file__).parents[1]


@pytest.fixture(params=["path", "abstract"])
def receiver(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """systemd's end of the notify socket, in both kinds that it uses."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@ishowtts-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1))
        receiver.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield receiver


def test_systemd_receives_every_message(receiver: socket.socket) -> None:
    notifier = Notifier()
    notifier.status("starting")
    notifier.ready("espeak\nspeaks\x1b[2J\u2028MAINPID=1\u202e")
    notifier.watchdog()
    before_us = time.monotonic_ns() // 1000
    notifier.reloading()
    notifier.reloaded()
    notifier.stopping()
    received = [receiver.recv(4096).decode() for _ in range(6)]
    reloading, reload_us = received.pop(3).split("\nMONOTONIC_USEC=")
    assert reloading == "RELOADING=1"
    assert before_us <= int(reload_us) <= time.monotonic_ns() // 1000
    assert received == [
        "STATUS=starting",
        "READY=1\nSTATUS=espeak speaks\\x1b[2J MAINPID=1\\u202e",
        "WATCHDOG=1",
        "READY=1",
        "STOPPING=1",
    ]


def test_a_reload_during_the_start_does_not_report_ready(receiver: socket.socket) -> None:
    notifier = Notifier()
    notifier.reloading()
    notifier.reloaded()
    notifier.status("the first message")
    assert receiver.recv(4096) == b"STATUS=the first message"


@pytest.mark.parametrize(("usec", "pid", "interval_s"), [
    ("10000000", "ours", 5.0),
    ("10000000", None, 5.0),
    ("10000000", "1", None),
    ("", "ours", None),
    ("0", "ours", None),
    ("soon", "ours", None),
])  # fmt: skip
def test_the_watchdog_is_fed_twice_per_interval(
    receiver: socket.socket, monkeypatch: pytest.MonkeyPatch, usec: str, pid: str | None, interval_s: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    if pid is None:
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
    else:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "ours" else pid)
    assert Notifier().watchdog_interval_s() == interval_s


def test_without_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    notifier = Notifier()
    notifier.ready("well")
    notifier.watchdog()
    assert notifier.watchdog_interval_s() is None


def test_a_missing_socket_is_only_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    Notifier().watchdog()
    assert "systemd did not receive WATCHDOG=1" in caplog.text


SEND_READY = (
    "import sys; sys.path.append('daemon'); from ishowtts.systemd import Notifier; Notifier().ready('from here')"
)


def test_the_systemd_folder_of_the_checkout_does_not_hide_the_package(receiver: socket.socket) -> None:
    assert (ROOT / "systemd").is_dir()
    subprocess.run([sys.executable, "-c", SEND_READY], cwd=ROOT, check=True, timeout=60)
    assert receiver.recv(4096) == b"READY=1\nSTATUS=from here"


def test_without_the_package_the_systemd_folder_is_not_used(receiver: socket.socket) -> None:
    # -S: without site-packages, the folder is the only `systemd` that Python finds.
    done = subprocess.run(
        [sys.executable, "-S", "-c", SEND_READY], cwd=ROOT, check=False, timeout=60, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(4096)
