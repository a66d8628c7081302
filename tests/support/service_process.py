"""A command of ours in a process of its own, as systemd would run it: started, watched, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from support.daemon_server import DaemonServer, ForkedDaemon

TESTS = Path(__file__).resolve().parents[1]
DAEMON = TESTS.parent / "daemon"


class ServiceProcess:
    """Runs one process after another. All of them write to the same log.

    Attributes:
        server: Forks the process, which takes less time than `python -m`; the tests set it.

    Args:
        log_file: Where the process writes its log.
        environment: Further variables of the process.
    """

    server: Callable[[], DaemonServer] | None = None

    def __init__(self, log_file: Path, environment: Mapping[str, str]) -> None:
        self.process: subprocess.Popen[bytes] | ForkedDaemon | None = None
        self._log = log_file
        self._environment = {**os.environ, "PYTHONPATH": f"{DAEMON}:{TESTS}", **environment}

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self.process is not None
        return self.process.pid

    def launch(self, module: str, arguments: Sequence[str], *, wrap: Sequence[str] = (), forked: bool = True) -> None:
        """Start `python -m module`.

        Args:
            wrap: A program and its arguments under which a new process is run.
            forked: Fork it from the server, if there is one.
        """
        if self.server is not None and forked:
            self.process = self.server().start(module, list(arguments), self._log, self._environment)
            return
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(
                [*wrap, sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._environment,
            )

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout_s: float = 30) -> int:
        """End it and give its exit status."""
        assert self.process is not None
        self.process.send_signal(how)
        status = self.process.wait(timeout_s)
        self.process = None
        return status

    def end(self) -> None:
        """End it if it runs, by force if it must be."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
