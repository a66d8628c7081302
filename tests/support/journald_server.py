"""A journald for tests: `NativeSocket` reads its protocol, and `RealJournald` is systemd-journald itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from support.waiting import eventually

_JOURNALD = Path("/usr/lib/systemd/systemd-journald")
_NAMESPACE = "test"


class NativeSocket:
    """Receives records as journald does, and reads them as its native protocol says."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)

    def records(self) -> list[dict[str, list[str]]]:
        """Takes all records that have arrived: the values of each field."""
        found = []
        while True:
            try:
                found.append(read_record(self._socket.recv(1 << 20, socket.MSG_DONTWAIT)))
            except BlockingIOError:
                return found

    @contextmanager
    def opened(self) -> Iterator[NativeSocket]:
        """Closes the socket at the end of the block."""
        try:
            yield self
        finally:
            self.close()

    def close(self) -> None:
        """Closes the socket; its file stays."""
        self._socket.close()


def read_record(datagram: bytes) -> dict[str, list[str]]:
    """Reads one datagram of https://systemd.io/JOURNAL_NATIVE_PROTOCOL."""
    fields: dict[str, list[str]] = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", rest)
            value, end, rest = rest[8 : 8 + length], rest[8 + length : 9 + length], rest[9 + length :]
            assert end == b"\n"
        fields.setdefault(name.decode(), []).append(value.decode())
        datagram = rest
    return fields


def missing_journald() -> str | None:
    """Says why the real journald cannot run here; `None` if it can."""
    if os.geteuid() != 0:
        return "systemd-journald needs root"
    if not _JOURNALD.exists() or shutil.which("journalctl") is None or shutil.which("unshare") is None:
        return "systemd-journald, journalctl or unshare is not installed"
    if not Path("/etc/machine-id").exists():
        return "systemd-journald needs /etc/machine-id"
    refused = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False).stderr
    return refused.strip() or None


class RealJournald:
    """systemd-journald in a mount namespace of its own, for a journal namespace: it reads no kernel log.

    Attributes:
        socket: Its native socket.
        stdout: Its socket for standard error of services.
    """

    def __init__(self, folder: Path) -> None:
        run, self._logs = folder / "run", folder / "log"
        for made in (run / "systemd", self._logs):
            made.mkdir(parents=True)
        mounts = f"mount --bind {run} /run && mount --bind {self._logs} /var/log && exec {_JOURNALD} {_NAMESPACE}"
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounts], stderr=subprocess.DEVNULL
        )
        sockets = run / "systemd" / f"journal.{_NAMESPACE}"
        self.socket, self.stdout = sockets / "socket", sockets / "stdout"
        try:
            eventually(self.socket.exists)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> RealJournald:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)

    def pause(self) -> None:
        """Makes it hang."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        self._process.send_signal(signal.SIGCONT)

    def find(self, *matches: str) -> list[dict[str, Any]]:
        """The records that `journalctl` finds with these arguments."""
        files = [f"--file={file}" for file in self._logs.rglob("*.journal")]
        command = ["journalctl", "--quiet", "--output=json", "--all", *files, *matches]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in printed.splitlines()]
