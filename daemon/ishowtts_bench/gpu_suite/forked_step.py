"""Runs a function in a forked child process that is bounded: its time, its output, and the processes that it leaves.

A fork inherits everything that the parent has imported, so a step starts at once. The parent must not have touched
CUDA: a forked process cannot use a context of its parent.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that end the whole call. A child gets their default actions back."""

GRACE_S = 3.0
"""Time between SIGTERM and SIGKILL."""

_POLL_S = 0.1
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES, _TAIL_BYTES = 64 << 10, 192 << 10
_LAST_CHUNKS = 16  # read after the end of a step: a process that it left may write for ever
_KILLED_S = 10.0  # after SIGKILL: a process that waits in a driver does not end, and the next step must start
_ORPHANS_S = 3.0
_MOST_SIDE_BY_SIDE, _KB_OF_ONE = 8, 4 << 20
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

_libc = ctypes.CDLL(None, use_errno=True)


class BoundedOutput:
    """Keeps the beginning and the end of an output, whatever its size is."""

    def __init__(self) -> None:
        self._head, self._tail = bytearray(), bytearray()
        self._dropped = 0

    def add(self, chunk: bytes) -> None:
        """Append a chunk."""
        room = _HEAD_BYTES - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if (excess := len(self._tail) - _TAIL_BYTES) > 0:
            del self._tail[:excess]
            self._dropped += excess

    @property
    def text(self) -> str:
        """What was kept, with a note about what was dropped between."""
        head, tail = (bytes(part).decode("utf-8", "replace") for part in (self._head, self._tail))
        return f"{head}\n[{self._dropped} bytes left out]\n{tail}" if self._dropped else head + tail


class ForkedStep:
    """A child process that runs a function, as a context that leaves no process of it behind.

    Args:
        function: returns the exit status. Its input is empty.
        capture: whether its output goes to `output`. If not, it goes where that of this process goes.
    """

    def __init__(self, function: Callable[[], int], *, capture: bool = True) -> None:
        self.output = BoundedOutput()
        self._others = set(_children())
        self._pipe, write_end = os.pipe()
        os.set_blocking(self._pipe, False)
        sys.stdout.flush()
        sys.stderr.flush()
        with signals_blocked():  # until the child has its own handlers
            self._pid = os.fork()
            if self._pid == 0:
                _run_child(function, (write_end, write_end) if capture else (1, 2))
        with suppress(OSError):  # the child does the same; whoever comes second may come too late
            os.setpgid(self._pid, self._pid)
        os.close(write_end)
        self._open = True
        self._status: int | None = None

    def __enter__(self) -> ForkedStep:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.end()

    def wait(self, limit_s: float, report: Callable[[], None] = lambda: None) -> int | None:
        """Wait until the step ends. Returns its exit status (negative: the signal), or `None` at the time limit.

        Args:
            report: called several times a second meanwhile.
        """
        deadline = time.monotonic() + limit_s
        while self._status is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            self._read(min(_POLL_S, left_s))
            self._reap()
            report()
        return self._status

    def end(self) -> None:
        """End the process and everything that it started: first those in its group, then those that left it."""
        with signals_blocked():
            if self._status is None:
                self._signal_group(signal.SIGTERM)
                self.wait(GRACE_S)
            self._signal_group(signal.SIGKILL)
            self.wait(_KILLED_S)
            for _ in range(_LAST_CHUNKS):
                if not self._read(0):
                    break
            _end_orphans(self._others)
            self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._pipe)

    def _read(self, longest_s: float) -> bool:
        """Wait for output and keep it. Returns whether there was any."""
        if not self._open:
            time.sleep(longest_s)
            return False
        if not select.select([self._pipe], [], [], longest_s)[0]:
            return False
        with suppress(BlockingIOError):
            if chunk := os.read(self._pipe, _CHUNK_BYTES):
                self.output.add(chunk)
                return True
            self._close()  # the step closed its output and goes on
        return False

    def _reap(self) -> None:
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._status = os.waitstatus_to_exitcode(status)

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # a group of dead processes may not be signalled
            os.killpg(self._pid, number)


def side_by_side() -> int:
    """How many processes with torch and CUDA may run at the same time: 8 at most, with two cores and 4 GB for each."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free_kb = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)
    return max(1, min(_MOST_SIDE_BY_SIDE, (os.cpu_count() or 1) // 2, free_kb // _KB_OF_ONE))


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose parent ends, so that `ForkedStep` can end it too."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Hold back the signals that end the call."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_child(function: Callable[[], int], outputs: tuple[int, int]) -> None:
    """Run the function in the child, and end the process whatever happens. `outputs`: where its output goes."""
    status = 1
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setpgid(0, 0)
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (outputs[0], 1), (outputs[1], 2)):
            os.dup2(source, target)
        # New objects: those of the parent may be a test's, or hold what the parent has not written yet.
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout, sys.stderr = (
            os.fdopen(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
            for number in (1, 2)
        )
        status = function()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:  # whatever it is, this process must not go on with the parent's work
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(status & 0xFF)


def _end_orphans(others: set[int]) -> None:
    """Kill the children that this process has got since then, and those that it gets by their deaths."""
    deadline = time.monotonic() + _ORPHANS_S
    while (orphans := set(_children()) - others) and time.monotonic() < deadline:
        for pid in orphans:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    time.sleep(0.01)


def _children() -> Iterator[int]:
    """The processes whose parent this process is."""
    own = os.getpid()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                if int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1]) == own:
                    yield int(entry.name)
