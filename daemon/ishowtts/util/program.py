"""Runs a short-lived program for its output, with limits of time and bytes, and kills everything it started."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from ishowtts.errors import Cancelled
from ishowtts.model import IsCancelled

_CANCEL_POLL_S = 0.02
_EXIT_POLL_S = 0.001
_READ_BYTES = 1 << 16
_MAX_MESSAGE_BYTES = 1 << 20
_KEPT_MESSAGE_BYTES = 4096
# With setpriv, the kernel kills the program when this process dies, even by SIGKILL. A `preexec_fn` is unsafe with
# other threads; setpriv costs 1.2 ms. It is searched in the system's folders only, because PATH may be anything.
_SETPRIV = shutil.which("setpriv", path=os.defpath)
_NOT_EXECUTED = (126, 127)  # how setpriv, like a shell, reports a program that it cannot execute


class ProgramMissing(Exception):
    """The program cannot be started. The text says why."""


class ProgramFailed(Exception):
    """The program failed, wrote too much or was too slow. The text says which, as the end of a sentence."""


class ProgramSlow(ProgramFailed):
    """The program did not end in time."""


@dataclass(frozen=True)
class ProgramLimits:
    """Limits of a run: `deadline_s` for the whole run, `max_output_bytes` for its standard output."""

    deadline_s: float
    max_output_bytes: int


def run(command: Sequence[str], text: bytes, limits: ProgramLimits, cancelled: IsCancelled) -> bytes:
    """Runs a program and returns its standard output.

    The program gets its own process group. The whole group is killed before this returns, so that nothing is left of a
    wrapper that does not `exec`.

    Args:
        command: The program, searched in PATH, and its arguments.
        text: The standard input of the program.
        limits: Limits of the run.
        cancelled: Asked every 20 ms. If it returns True, the program is killed.

    Raises:
        ProgramMissing: The program cannot be started.
        ProgramFailed: The program failed, or exceeded a limit; `ProgramSlow` if that of time.
        Cancelled: `cancelled()` returned True.
    """
    program = shutil.which(command[0])
    if program is None:
        raise ProgramMissing(f"{command[0]} is not installed")
    launcher = [_SETPRIV, "--pdeathsig", "KILL", "--"] if _SETPRIV else []
    try:
        process = subprocess.Popen(
            [*launcher, program, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ProgramMissing(f"{command[0]} cannot be started: {error.strerror}") from error
    with process:
        try:
            output, messages = _Exchange(process, text, limits).run(cancelled)
        finally:
            _kill_group(process)
    if process.returncode == 0:
        return output
    complaint = messages.decode("utf-8", "replace").strip()[:200]
    if launcher and process.returncode in _NOT_EXECUTED and complaint.startswith("setpriv:"):
        raise ProgramMissing(complaint)
    raise ProgramFailed(f"failed with exit status {process.returncode}: {complaint}")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kills what still runs. The program is not reaped yet, so no other group can have its number."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # no process of the group is left


class _Exchange:
    """Writes the input of a process and collects its output, until it ends or exceeds a limit."""

    def __init__(self, process: subprocess.Popen[bytes], text: bytes, limits: ProgramLimits) -> None:
        self._process = process
        self._unwritten = memoryview(text)
        self._limits = limits
        self._output = bytearray()
        self._messages = bytearray()
        self._message_bytes = 0
        self._selector = selectors.DefaultSelector()

    def run(self, cancelled: IsCancelled) -> tuple[bytes, bytes]:
        """Returns the output and the beginning of the messages. Raises ProgramFailed, Cancelled."""
        deadline = time.monotonic() + self._limits.deadline_s
        with self._selector:
            self._register()
            while not self._finished():
                if cancelled():
                    raise Cancelled
                if time.monotonic() > deadline:
                    raise ProgramSlow(f"did not finish within {self._limits.deadline_s:g} s")
        return bytes(self._output), bytes(self._messages)

    def _register(self) -> None:
        process = self._process
        for pipe, events, move in (
            (process.stdin, selectors.EVENT_WRITE, self._write),
            (process.stdout, selectors.EVENT_READ, self._read_output),
            (process.stderr, selectors.EVENT_READ, self._read_messages),
        ):
            assert pipe is not None  # noqa: S101  Popen was called with PIPE
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, events, move)

    def _finished(self) -> bool:
        """Transfers what is ready. Returns whether the process has ended and all of its output was read."""
        # Checked before reading: then what the process wrote before its end is still read below.
        ended = self._ended()
        pipes_open = len(self._selector.get_map()) > 0
        timeout_s = 0.0 if ended else _CANCEL_POLL_S
        ready = self._selector.select(timeout_s) if pipes_open else []
        for key, _ in ready:
            key.data(key.fileobj)
        if ended:
            # A process that it left behind may hold the pipes open. What is not here by now comes from that process.
            return not any(key.events & selectors.EVENT_READ for key, _ in ready)
        if not pipes_open:
            time.sleep(_EXIT_POLL_S)
        return False

    def _ended(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            self._unwritten = self._unwritten[os.write(pipe.fileno(), self._unwritten) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unwritten = self._unwritten[:0]  # it stopped reading; its exit status says whether that is an error
        if not self._unwritten:
            self._close(pipe)

    def _read_output(self, pipe: IO[bytes]) -> None:
        if not (data := _read(pipe)):
            self._close(pipe)
        self._output += data
        if len(self._output) > self._limits.max_output_bytes:
            raise ProgramFailed(f"wrote more than {self._limits.max_output_bytes} bytes of sound")

    def _read_messages(self, pipe: IO[bytes]) -> None:
        if not (data := _read(pipe)):
            self._close(pipe)
        self._message_bytes += len(data)
        self._messages += data[: _KEPT_MESSAGE_BYTES - len(self._messages)]
        if self._message_bytes > _MAX_MESSAGE_BYTES:
            raise ProgramFailed(f"wrote more than {_MAX_MESSAGE_BYTES} bytes of messages")

    def _close(self, pipe: IO[bytes]) -> None:
        self._selector.unregister(pipe)
        pipe.close()


def _read(pipe: IO[bytes]) -> bytes:
    return os.read(pipe.fileno(), _READ_BYTES)
