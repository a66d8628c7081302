"""Starts the worker process with one end of a socketpair. `end` returns whether the process is gone."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

from ishowtts.engines.worker.wire import Channel
from ishowtts.errors import WorkerDied
from ishowtts.util import child_process
from ishowtts.util.logs import log_fields

log = logging.getLogger(__name__)

_SYSTEMD_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_POLL_S = 0.01


@dataclass(frozen=True)
class ShutdownTimeouts:
    """How long each step of ending a worker may take before the next, harder one.

    Attributes:
        leave_s: the worker leaves by itself after the connection was closed.
        abort_s: the worker ends after SIGABRT.
        reap_s: the worker ends after SIGKILL.
    """

    leave_s: float = 5.0
    abort_s: float = 2.0
    reap_s: float = 5.0


class WorkerProcess:
    """One worker process and the daemon's end of its channel.

    The kernel kills the worker when the *thread* that started it ends: start it from a thread that lives on.

    Args:
        kind: name of the engine that it will run, for the log.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        daemon_end, worker_end = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if name not in _SYSTEMD_VARIABLES}
        command = child_process.command("ishowtts.engines.worker.worker_main", str(worker_end.fileno()), kind)
        try:
            self._popen = subprocess.Popen(
                command,
                pass_fds=[worker_end.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a process group of its own, so that its children end with it
            )
        except OSError as error:
            daemon_end.close()
            raise WorkerDied(f"the {kind} worker cannot be started: {error.strerror}") from error
        finally:
            worker_end.close()
        self.channel = Channel(daemon_end)
        self._killed = False  # by the daemon, which explains its exit status

    @property
    def pid(self) -> int:
        """Process id of the worker, and id of its process group."""
        return self._popen.pid

    def end(self, abort: bool, timeouts: ShutdownTimeouts) -> bool:
        """Ends the worker and its children, harder at each step.

        Args:
            abort: send SIGABRT first, because the worker hangs; it then writes its stacks to the log.
            timeouts: how long each step may take.

        Returns:
            Whether the worker is gone and reaped.
        """
        self.channel.close()
        if abort:
            self._signal(signal.SIGABRT)
        if not self._ends_within(timeouts.abort_s if abort else timeouts.leave_s):
            killed = "%s worker %d does not end in time; it is killed"
            log.warning(killed, self._kind, self.pid, extra=log_fields(engine=self._kind))
            self._killed = True
        # Also if the worker has ended: its children are in its group, whose id is not reused until it is reaped.
        self._signal(signal.SIGKILL)
        return self.reap(timeouts.reap_s)

    def reap(self, within_s: float) -> bool:
        """Reaps the process. Returns False if it has not ended in time."""
        if not self._ends_within(within_s):
            return False
        self._popen.wait()
        return True

    def exit_cause(self) -> str:
        """Returns one clause about the exit of the worker."""
        status = self._popen.returncode
        if status is None:
            return "it cannot be killed"
        if status < 0:
            name = signal.Signals(-status).name
            if self._killed and name == "SIGKILL":
                return "it did not end in time, and the daemon killed it"
            return f"killed by {name}" + (", perhaps because memory ran out" if name == "SIGKILL" else "")
        return f"exit status {status}"

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            log.debug("%s worker %d is already gone", self._kind, self.pid)

    def _ends_within(self, within_s: float) -> bool:
        """Waits for the end of the process. It stays unreaped, so that no other process can get the id of its group."""
        deadline = time.monotonic() + within_s
        while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        return True
