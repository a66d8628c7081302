"""What systemd hears, on real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ishowtts.systemd import Notifier

ROOT = Path(__file__).parents[1]


@pytest.fixture(params=["path", "abstract"])
def ears(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end of the notify socket, in both of the kinds it uses."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@ishowtts-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(name.replace("@", "\0", 1))
        ears.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield ears


def test_systemd_hears_every_word(ears: socket.socket) -> None:
    notifier = Notifier()
    notifier.status("starting")
    notifier.ready("espeak\nspeaks\x1b[2J\u2028MAINPID=1\u202e")
    notifier.watchdog()
    notifier.stopping()
    assert [ears.recv(4096).decode() for _ in range(4)] == [
        "STATUS=starting",
        "READY=1\nSTATUS=espeak speaks\\x1b[2J MAINPID=1\\u202e",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


@pytest.mark.parametrize(("usec", "pid", "interval_s"), [
    ("10000000", "ours", 5.0),
    ("10000000", None, 5.0),
    ("10000000", "1", None),
    ("", "ours", None),
    ("0", "ours", None),
    ("soon", "ours", None),
])  # fmt: skip
def test_the_watchdog_is_fed_twice_as_often_as_asked(
    ears: socket.socket, monkeypatch: pytest.MonkeyPatch, usec: str, pid: str | None, interval_s: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    if pid is None:
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
    else:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "ours" else pid)
    assert Notifier().watchdog_interval_s() == interval_s


def test_off_systemd_nothing_is_said_and_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    notifier = Notifier()
    notifier.ready("well")
    notifier.watchdog()
    assert notifier.watchdog_interval_s() is None


def test_a_socket_that_went_away_ends_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    Notifier().watchdog()
    assert "systemd did not receive WATCHDOG=1" in caplog.text


SAY = "import sys; sys.path.append('daemon'); from ishowtts.systemd import Notifier; Notifier().ready('from here')"


def test_the_checkouts_own_systemd_folder_does_not_stand_in_the_way(ears: socket.socket) -> None:
    assert (ROOT / "systemd").is_dir()
    subprocess.run([sys.executable, "-c", SAY], cwd=ROOT, check=True, timeout=60)
    assert ears.recv(4096) == b"READY=1\nSTATUS=from here"


def test_without_the_package_the_checkouts_folder_is_not_taken_for_it(ears: socket.socket) -> None:
    # -S: no site-packages, so that the only `systemd` to be found is the folder.
    done = subprocess.run([sys.executable, "-S", "-c", SAY], cwd=ROOT, check=False, timeout=60, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    ears.setblocking(False)
    with pytest.raises(BlockingIOError):
        ears.recv(4096)
