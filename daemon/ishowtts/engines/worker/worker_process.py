"""The worker as a process: started with one end of a socket, ended without fail or told to be unendable."""

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

_log = logging.getLogger(__name__)

_NOT_FOR_THE_WORKER = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_POLL_S = 0.01


@dataclass(frozen=True)
class ShutdownTimeouts:
    """How long each way of ending a worker may take before the next, harder one."""

    leave_s: float = 5.0
    abort_s: float = 2.0
    reap_s: float = 5.0


class WorkerProcess:
    """One worker process and the daemon's end of its channel.

    The kernel ends the worker when the *thread* that made it ends: make it from one that lives on.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {k: v for k, v in os.environ.items() if k not in _NOT_FOR_THE_WORKER}
        command = child_process.command("ishowtts.engines.worker.worker_main", str(theirs.fileno()))
        try:
            self._popen = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a group of its own, so that what it starts ends with it
            )
        except OSError as error:
            ours.close()
            raise WorkerDied(f"the worker cannot be started: {error.strerror}") from error
        finally:
            theirs.close()
        self.channel = Channel(ours)

    @property
    def pid(self) -> int:
        """Process id of the worker, and of its group."""
        return self._popen.pid

    def end(self, abort: bool, grace: ShutdownTimeouts) -> bool:
        """End the worker and all that it started, harder at each step; whether it is gone and reaped.

        Args:
            abort: it does not answer: have it put its stacks into the log instead of waiting for it to leave.
            grace: how long each step may take.
        """
        self.channel.close()
        if abort:
            self._signal(signal.SIGABRT)
        if not self._ends_within(grace.abort_s if abort else grace.leave_s):
            _log.warning("worker %d does not end; killing it", self.pid)
        # Also when the worker has ended: its children are of its group, which stays ours until it is reaped.
        self._signal(signal.SIGKILL)
        return self.reap(grace.reap_s)

    def reap(self, within_s: float) -> bool:
        """Collect the ended process; whether there was one to collect in time."""
        if not self._ends_within(within_s):
            return False
        self._popen.wait()
        return True

    def how_it_ended(self) -> str:
        """One clause about the exit of a reaped worker."""
        status = self._popen.returncode
        if status is None:
            return "it cannot be ended"
        if status < 0:
            name = signal.Signals(-status).name
            return f"killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")
        return f"exit status {status}"

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            _log.debug("worker %d is gone already", self.pid)

    def _ends_within(self, within_s: float) -> bool:
        """Whether the process ends in time. It is left unreaped, so that its group cannot be another's."""
        deadline = time.monotonic() + within_s
        while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        return True
