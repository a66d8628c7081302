"""A child process that reads sensors through a library that may hang or crash, and writes readings as lines of JSON."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ishowtts.board import BoardReading
from ishowtts.util.logs import visible

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "gpu_clock_mhz": (1, 20_000),
    "gpu_clock_max_mhz": (1, 20_000),
    "gpu_load_pct": (0, 100),
    "gpu_temp_c": (-100, 200),
    "cpu_temp_c": (-100, 200),
    "power_w": (0, 10_000),
    "fan_pct": (0, 100),
}
_MAX_LINE_BYTES = 4096  # a reading has about 250
_MAX_READ_BYTES = 16 * 1024  # between two looks at the pipe
_MAX_MODE_CHARS = 64
_MAX_ERROR_CHARS = 300
_REAP_S = 2.0
_EXIT_S = 0.5  # between the end of its output and the end of the process
_EXIT_POLL_S = 0.01


class SensorChildFailed(Exception):
    """The child cannot be used any more. The text says why."""


class SensorsMissing(SensorChildFailed):
    """This machine has no such sensors, so it is not asked again soon."""


class SensorChild:
    """The child process.

    Args:
        command: Its command line.
        environment: Its environment; `None`: that of this process.
        name: Its name in the sentences about its end and its silence.

    Raises:
        SensorChildFailed: The process cannot be started.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, name: str = "its process"
    ) -> None:
        self.started_s = time.monotonic()
        self._name = name
        self._unfinished = b""
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,  # it may start programs, and its group is killed with it
            )
        except OSError as error:
            raise SensorChildFailed(f"{command[0]} cannot be started ({error.strerror})") from error
        assert self._process.stdin is not None  # noqa: S101  Popen was called with PIPE
        assert self._process.stdout is not None  # noqa: S101
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._output, False)

    def lines(self) -> list[bytes]:
        """Returns the complete lines that came since the last call. Does not wait.

        Raises:
            SensorChildFailed: The child has ended, or it writes too much.
        """
        ended = self._ended()
        try:
            data = os.read(self._output, _MAX_READ_BYTES)
        except BlockingIOError:
            if not ended:
                return []
            data = b""  # a program that it started holds the pipe open
        if not data:
            raise SensorChildFailed(self._why_it_ended())
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        if len(data) == _MAX_READ_BYTES or len(self._unfinished) > _MAX_LINE_BYTES:
            raise SensorChildFailed("its process writes too much")
        return lines

    def ask(self, within_s: float) -> bytes:
        """Writes an empty line, for which the child owes one line, and returns that.

        Raises:
            SensorChildFailed: The child has ended, it writes too much, or it does not answer.
        """
        with contextlib.suppress(BrokenPipeError):  # what it wrote before its end says why
            os.write(self._input, b"\n")
        ends_s = time.monotonic() + within_s
        readable = select.poll()
        readable.register(self._output, select.POLLIN)
        while True:
            if lines := self.lines():
                return lines[-1]
            left_s = ends_s - time.monotonic()
            if left_s <= 0 or not readable.poll(left_s * 1000):
                raise SensorChildFailed(f"{self._name} has not answered for {within_s:.0f} s")

    def kill(self) -> None:
        """Kills the child and what it started, and closes the pipes. One that hangs in the kernel ends later."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None  # noqa: S101  Popen was called with PIPE
            pipe.close()

    def exists(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def _ended(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _why_it_ended(self) -> str:
        ends_s = time.monotonic() + _EXIT_S
        while not self._ended() and time.monotonic() < ends_s:
            time.sleep(_EXIT_POLL_S)
        # WNOWAIT: the process keeps its id until `kill`, so that its group can be killed.
        status = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if status is not None and status.si_code in (os.CLD_KILLED, os.CLD_DUMPED):
            return f"{self._name} was ended by {_signal_name(status.si_status)}"
        return "its process ended without saying why"


def parse_reading(line: bytes) -> BoardReading:
    """Returns the reading that the child wrote. A value of the wrong type or outside its range counts as unknown.

    Raises:
        SensorChildFailed: The line is no reading, or says why there are none.
        SensorsMissing: It says that this machine has no such sensors.
    """
    try:
        if len(line) > _MAX_LINE_BYTES:
            raise ValueError
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SensorChildFailed("its process writes something else than readings")
    if "error" in found:
        raise SensorChildFailed(visible(str(found["error"]))[:_MAX_ERROR_CHARS])
    if "missing" in found:
        raise SensorsMissing(visible(str(found["missing"]))[:_MAX_ERROR_CHARS])

    def number(field: str) -> float | None:
        return _number(found.get(field), *_RANGES[field])

    def truth(field: str) -> bool | None:
        value = found.get(field)
        return value if isinstance(value, bool) else None

    mode = found.get("power_mode")
    return BoardReading(
        gpu_clock_mhz=number("gpu_clock_mhz"),
        gpu_clock_max_mhz=number("gpu_clock_max_mhz"),
        gpu_clock_locked=truth("gpu_clock_locked"),
        gpu_load_pct=number("gpu_load_pct"),
        gpu_temp_c=number("gpu_temp_c"),
        cpu_temp_c=number("cpu_temp_c"),
        power_mode=mode if isinstance(mode, str) and mode.isprintable() and 0 < len(mode) <= _MAX_MODE_CHARS else None,
        power_w=number("power_w"),
        fan_pct=number("fan_pct"),
        throttled=truth("throttled"),
    )


def _number(value: Any, low: float, high: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high and math.isfinite(value) else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
