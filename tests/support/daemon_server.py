"""Forks daemons from a process that has imported them: a start costs 0.1 s of computing instead of 1.5 s.

`python -m support.daemon_server FD` answers on that socket. A daemon that it forks is the one that
`python -m ishowtts run` starts, in a process of its own, from its command line on. Only the imports and the loading of
the grammars, of the language statistics and of the schemas, which all share and none changes, lie before the fork.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_LARGEST_MESSAGE = 150_000


class ForkedDaemon:
    """A process of the server, used as a `subprocess.Popen`."""

    def __init__(self, server: DaemonServer, pid: int) -> None:
        self.pid = pid
        self._server = server
        self._descriptor = os.pidfd_open(pid)
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status; `None` while it runs."""
        return self._ended(0.0)

    def wait(self, timeout_s: float | None = None) -> int:
        """Its exit status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: It runs on.
        """
        status = self._ended(timeout_s)
        if status is None:
            raise subprocess.TimeoutExpired("a daemon", timeout_s or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it is known to have ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout_s: float | None) -> int | None:
        if self._status is None:
            waiting = select.poll()
            waiting.register(self._descriptor, select.POLLIN)
            if not waiting.poll(None if timeout_s is None else timeout_s * 1000):
                return None
            self._status = self._server.reap(self.pid)
            os.close(self._descriptor)
        return self._status


class DaemonServer:
    """A process that forks daemons. `shared` gives the one of this process of pytest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.daemon_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_PATHS)},
                pass_fds=[theirs.fileno()],
            )

    def start(self, module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> ForkedDaemon:
        """Start `python -m MODULE ARGUMENT...` with its output at the end of a file."""
        asked = {"module": module, "arguments": list(arguments), "log": str(log), "environment": dict(environment)}
        return ForkedDaemon(self, self._ask({**asked, "folder": str(Path.cwd())}))

    def reap(self, pid: int) -> int:
        """The exit status of a daemon that has ended: negative if a signal ended it."""
        return self._ask({"reap": pid})

    def close(self) -> None:
        """End the server."""
        self._channel.close()
        self._process.wait(20)

    def _ask(self, request: dict[str, Any]) -> int:
        with self._lock:
            self._channel.send(json.dumps(request).encode())
            answer = self._channel.recv(_LARGEST_MESSAGE)
        if not answer:
            raise RuntimeError(f"the server of daemons has ended with exit status {self._process.wait(20)}")
        return int(json.loads(answer))


_PATHS = (str(Path(__file__).resolve().parents[2] / "daemon"), str(Path(__file__).resolve().parents[1]))


@cache
def shared() -> DaemonServer:
    """The server, started at the first call."""
    server = DaemonServer()
    atexit.register(server.close)
    return server


def main() -> int:
    """Serve until the other end is closed. In a forked daemon: run it, and return its exit status."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    programs = _programs()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a daemon would not have the other threads"
    while message := channel.recv(_LARGEST_MESSAGE):
        request = json.loads(message)
        if "reap" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["reap"], 0)[1])
        elif (answer := os.fork()) == 0:
            channel.close()
            return _become(request, programs)
        channel.send(json.dumps(answer).encode())
    return 0


def _programs() -> dict[str, Callable[[], int]]:
    """Import and load what a daemon needs."""
    import ishowtts.__main__ as ishowtts_main
    from ishowtts.cli import run
    from ishowtts.text import language_identifier, normalisation
    from support import payload_check, quick_daemon, scale_daemon

    payload_check.compile_schemas()
    normalisation.load_grammars()
    language_identifier.load_identifier()
    assert run
    return {
        "ishowtts": ishowtts_main.main,
        "support.quick_daemon": quick_daemon.main,
        "support.scale_daemon": scale_daemon.main,
    }


def _become(request: dict[str, Any], programs: Mapping[str, Callable[[], int]]) -> int:
    """Run a daemon in this process, which was forked for it."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(nothing, 0)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(nothing)
    os.close(log)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    from support import payload_check

    payload_check.install()
    site = Path(request["environment"]["PYTHONPATH"].split(os.pathsep)[0], "sitecustomize.py")
    if site.exists():
        runpy.run_path(str(site))
    sys.argv = [request["module"], *request["arguments"]]
    return programs[request["module"]]()


if __name__ == "__main__":
    sys.exit(main())
