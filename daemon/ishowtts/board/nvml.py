"""Reads the GPU through NVML, NVIDIA's driver library: for the load of a Jetson Thor, and for graphics cards.

NVML is `libnvidia-ml.so.1` of the driver; the package nvidia-ml-py (`pynvml`) calls it by ctypes. It gives, for the
first GPU in the order of the PCI bus:

- `gpu_clock_mhz`, `gpu_clock_max_mhz`: clock of the graphics engine, and its limit. Never 0: that is what the driver
  answers before it is ready, and for a GPU that is powered off.
- `gpu_load_pct`: share of the time in which a kernel ran, over the last 1/6 s to 1 s.
- `gpu_temp_c`: temperature of the chip. Never 0, for the same reason.
- `power_w`: power of the graphics card alone. A Jetson answers "not supported"; its own meters are in sysfs.
- `throttled`: whether heat or a power fault slows the clock down now. The limit of power that a card keeps to in normal
  operation does not count: under load, most cards run at it.

It does not give `gpu_clock_locked` (NVML sets locked clocks, but cannot show them) nor memory: a graphics card has its
own, and the memory of a reading is that of the machine.

A driver may hang or end the process that calls it. So `nvml_child.py`, a process of its own, calls it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ishowtts.board import BoardReading
from ishowtts.board.sensor_child import SensorChild, SensorChildFailed, SensorsMissing, parse_reading
from ishowtts.util import child_process
from ishowtts.util.backoff import Backoff
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_CALLER = "the process that calls the driver of the GPU"
_CLOSE_S = 1.0  # the thread may wait for the driver, and what it does at its end is not needed


@dataclass(frozen=True)
class NvmlTiming:
    """How often NVML is asked, in seconds.

    Args:
        interval_s: Time between two readings.
        start_s: The first answer of a new process may take so long: on a card that nothing else uses, the driver takes
            seconds to begin.
        stale_s: The driver hangs if a later answer takes longer. Its process is killed.
        first_retry_s: Pause after the first failure of the driver, for example early at boot. It doubles.
        retry_s: The longest pause.
        missing_s: The pause if there is no NVML.
        boot_s: Until this time after the boot, a load of 0 is not believed before another value came.
        reopen_s: How often NVML is opened again while the load is not believed.
    """

    interval_s: float = 2.0
    start_s: float = 15.0
    stale_s: float = 6.0
    first_retry_s: float = 2.0
    retry_s: float = 60.0
    missing_s: float = 600.0
    boot_s: float = 300.0
    reopen_s: float = 20.0


class NvmlSensors(LoopThread):
    """Keeps a child process that reads the GPU, and returns its latest reading.

    Early at boot the driver is missing, or answers 0 for everything. So a load of 0 counts as unknown, and NVML is
    opened again and again, until another value came or the boot is 5 minutes ago.

    Args:
        timing: How often NVML is asked.
        uptime_s: Returns the seconds since the boot.
        command: Returns the command line of the child.
    """

    def __init__(
        self,
        timing: NvmlTiming = NvmlTiming(),
        uptime_s: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        command: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        # Its name is the name of the source. A daemon thread: the process must end even if the driver hangs.
        super().__init__("nvml", daemon=True)
        self._timing = timing
        self._uptime_s = uptime_s
        self._backoff = Backoff(timing.first_retry_s, timing.retry_s)
        self._command = command or child_command
        self._child: SensorChild | None = None
        self._killed: SensorChild | None = None  # one that hangs in the driver may outlive its kill
        self._load_seen = False
        self._latest = BoardReading()
        self._absent = False
        self._problem: str | None = None

    @property
    def absent(self) -> bool:
        """Whether this machine has no NVML, as far as is known."""
        return self._absent

    @property
    def problem(self) -> str | None:
        """Why there are no readings now, as a clause; `None` if there are, or if the first is still awaited."""
        return self._problem

    def read(self) -> BoardReading:
        """Returns the latest reading; without values if there is none, or if the driver does not answer."""
        return self._latest if self.alive() and self.overdue_s() <= self._timing.stale_s else BoardReading()

    def run_once(self, last: bool) -> float:
        """Takes a reading. Returns the seconds until the next one."""
        if last:
            self._end_child()
            return 0.0
        try:
            reading = self._take_reading()
        except SensorsMissing as error:
            self._absent = True
            return self._fail(str(error), self._timing.missing_s)
        except SensorChildFailed as error:
            return self._fail(str(error), self._backoff.next_s())
        self._backoff.reset()
        self._latest = reading
        self._absent = False
        if self._problem is not None:
            self._problem = None
            log.info("NVML answers")
        return self._timing.interval_s

    def close(self, timeout_s: float) -> None:
        """Ends the thread. One that hangs in the driver is left alone: it cannot keep the process."""
        super().close(min(timeout_s, _CLOSE_S))

    def _take_reading(self) -> BoardReading:
        child = self._child
        if child is not None and self._doubts_load() and time.monotonic() - child.started_s >= self._timing.reopen_s:
            self._end_child()
        if self._child is None:
            if self._killed is not None and self._killed.exists():
                raise SensorChildFailed("the driver of the GPU hangs, and the process that calls it cannot be ended")
            self._child = SensorChild(self._command(), name=_CALLER)
            reading = parse_reading(self._child.ask(self._timing.start_s))
        else:
            reading = parse_reading(self._child.ask(self._timing.stale_s))
        self._load_seen = self._load_seen or bool(reading.gpu_load_pct)
        return replace(reading, gpu_load_pct=None) if self._doubts_load() else reading

    def _doubts_load(self) -> bool:
        """Whether a load of 0 may come from a driver that is not ready yet."""
        return not self._load_seen and self._uptime_s() < self._timing.boot_s

    def _fail(self, problem: str, pause_s: float) -> float:
        """Ends the child. Reports the problem once. Returns the seconds until the next attempt."""
        self._end_child()
        self._latest = BoardReading()
        if problem != self._problem:
            self._problem = problem
            log.info("there are no readings from NVML: %s; it is tried again, at least every %.0f s",
                     problem, max(pause_s, self._timing.retry_s))  # fmt: skip
        return pause_s

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            self._killed = child


def child_command() -> list[str]:
    """Returns the command line of the child."""
    return child_process.command("ishowtts.board.nvml_child", str(os.getpid()))
