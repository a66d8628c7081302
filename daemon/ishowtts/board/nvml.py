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
"""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ishowtts.board import BoardReading
from ishowtts.util.backoff import Backoff
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_LIBRARY = "libnvidia-ml.so.1"
_MAX_CLOCK_MHZ, _MAX_TEMP_C, _MAX_POWER_MW = 20_000, 200, 10_000_000
_CLOSE_S = 1.0  # the thread may be stuck in the driver, and what it does at its end is not needed


@dataclass(frozen=True)
class NvmlTiming:
    """How often NVML is asked, in seconds.

    Args:
        interval_s: Time between two readings.
        stale_s: The driver hangs if a reading takes longer.
        first_retry_s: Pause after the first failure of the driver, for example early at boot. It doubles.
        retry_s: The longest pause, and the one if there is no NVML.
        boot_s: Until this time after the boot, a load of 0 is not believed before another value came.
        reopen_s: How often NVML is opened again while the load is not believed.
    """

    interval_s: float = 2.0
    stale_s: float = 6.0
    first_retry_s: float = 2.0
    retry_s: float = 60.0
    boot_s: float = 300.0
    reopen_s: float = 20.0


class NvmlSensors(LoopThread):
    """Reads the GPU in a thread of its own, because a call of the driver may take long or hang.

    Early at boot the driver is missing, or answers 0 for everything. So a load of 0 counts as unknown, and NVML is
    opened again and again, until another value came or the boot is 5 minutes ago.

    Args:
        timing: How often NVML is asked.
        uptime_s: Returns the seconds since the boot.
    """

    def __init__(
        self,
        timing: NvmlTiming = NvmlTiming(),
        uptime_s: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        # Its name is the name of the source. A daemon thread: the process must end even if the driver hangs.
        super().__init__("nvml", daemon=True)
        self._timing = timing
        self._uptime_s = uptime_s
        self._backoff = Backoff(timing.first_retry_s, timing.retry_s)
        self._gpu: _Gpu | None = None
        self._opened_at_s = 0.0
        self._load_seen = False
        self._latest = BoardReading()
        self._hangs = False  # as `read` last reported it
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
        """Returns the latest reading; without values if there is none, or if the driver hangs."""
        hangs = self.alive() and self.overdue_s() > self._timing.stale_s
        if hangs != self._hangs:
            self._hangs = hangs
            if hangs:
                log.warning("NVML has not answered for %.0f s: the driver of the GPU hangs", self._timing.stale_s)
            else:
                log.info("NVML does not hang any more")
        return self._latest if self.alive() and not hangs else BoardReading()

    def run_once(self, last: bool) -> float:
        """Takes a reading. Returns the seconds until the next one."""
        if last:
            self._close_gpu()
            return 0.0
        try:
            reading = self._take_reading()
        except _NvmlMissing as error:
            self._absent = True
            return self._fail(str(error), self._timing.retry_s)
        except _NvmlFailed as error:
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
        if self._gpu is not None and self._doubts_load() and self._opened_s() >= self._timing.reopen_s:
            self._close_gpu()
        if self._gpu is None:
            self._gpu = _Gpu()
            self._opened_at_s = time.monotonic()
        reading = self._gpu.read()
        self._load_seen = self._load_seen or bool(reading.gpu_load_pct)
        return replace(reading, gpu_load_pct=None) if self._doubts_load() else reading

    def _doubts_load(self) -> bool:
        """Whether a load of 0 may come from a driver that is not ready yet."""
        return not self._load_seen and self._uptime_s() < self._timing.boot_s

    def _opened_s(self) -> float:
        return time.monotonic() - self._opened_at_s

    def _fail(self, problem: str, pause_s: float) -> float:
        """Forgets the GPU. Reports the problem once. Returns the seconds until the next attempt."""
        self._close_gpu()
        self._latest = BoardReading()
        if problem != self._problem:
            self._problem = problem
            log.info("there are no readings from NVML: %s; it is tried again, at least every %.0f s",
                     problem, self._timing.retry_s)  # fmt: skip
        return pause_s

    def _close_gpu(self) -> None:
        gpu, self._gpu = self._gpu, None
        if gpu is not None:
            gpu.close()


class _NvmlMissing(Exception):
    """This machine has no NVML."""


class _NvmlFailed(Exception):
    """NVML cannot be used now. The text says why."""


class _Gpu:
    """The first GPU, with NVML opened.

    Raises:
        _NvmlMissing: There is no library of the driver, or no package that calls it.
        _NvmlFailed: The driver is not ready, or there is no GPU.
    """

    def __init__(self) -> None:
        try:
            ctypes.CDLL(_LIBRARY)  # before the package: most boards have no such driver, and need no package
        except OSError as error:
            raise _NvmlMissing(f"{_LIBRARY} of NVIDIA's driver cannot be loaded") from error
        try:
            import pynvml
        except ImportError as error:
            raise _NvmlMissing("the package nvidia-ml-py is not installed") from error
        self._nvml = pynvml
        self._lost = {
            pynvml.NVML_ERROR_UNINITIALIZED,
            pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
            pynvml.NVML_ERROR_GPU_IS_LOST,
            pynvml.NVML_ERROR_RESET_REQUIRED,
        }
        self._throttling = (
            pynvml.nvmlClocksThrottleReasonHwSlowdown
            | pynvml.nvmlClocksThrottleReasonSwThermalSlowdown
            | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
            | pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown
        )
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise _NvmlFailed(f"the driver says {error}") from error
        try:
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        except pynvml.NVMLError as error:
            self.close()
            raise _NvmlFailed(f"the driver has no GPU: {error}") from error

    def read(self) -> BoardReading:
        """Asks for each value. What the driver does not answer is `None`.

        Raises:
            _NvmlFailed: The GPU or the driver is gone.
        """
        nvml, handle = self._nvml, self._handle
        load = self._ask(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu, 0, 100)
        power_mw = self._ask(lambda: nvml.nvmlDeviceGetPowerUsage(handle), 1, _MAX_POWER_MW)
        reasons = self._ask(lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle), 0, 1 << 63)
        if reasons is None:  # older drivers know this name only
            reasons = self._ask(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle), 0, 1 << 63)
        return BoardReading(
            gpu_clock_mhz=self._clock_mhz(nvml.nvmlDeviceGetClockInfo),
            gpu_clock_max_mhz=self._clock_mhz(nvml.nvmlDeviceGetMaxClockInfo),
            gpu_load_pct=None if load is None else float(load),
            gpu_temp_c=self._temp_c(),
            power_w=None if power_mw is None else power_mw / 1000,
            throttled=None if reasons is None else bool(reasons & self._throttling),
        )

    def close(self) -> None:
        """Closes NVML. The library stays loaded."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError as error:
            log.debug("NVML was not closed: %s", error)

    def _clock_mhz(self, ask: Callable[[Any, int], int]) -> float | None:
        clock_mhz = self._ask(lambda: ask(self._handle, self._nvml.NVML_CLOCK_GRAPHICS), 1, _MAX_CLOCK_MHZ)
        return None if clock_mhz is None else float(clock_mhz)

    def _temp_c(self) -> float | None:
        nvml, handle, sensor = self._nvml, self._handle, self._nvml.NVML_TEMPERATURE_GPU
        temp_c = self._ask(lambda: nvml.nvmlDeviceGetTemperatureV(handle, sensor), 1, _MAX_TEMP_C)
        if temp_c is None:  # older drivers know this function only
            temp_c = self._ask(lambda: nvml.nvmlDeviceGetTemperature(handle, sensor), 1, _MAX_TEMP_C)
        return None if temp_c is None else float(temp_c)

    def _ask(self, question: Callable[[], int], low: int, high: int) -> int | None:
        """Returns the answer; `None` if the driver does not answer, or answers nonsense."""
        try:
            answer = question()
        except self._nvml.NVMLError as error:
            if error.value in self._lost:
                raise _NvmlFailed(f"the driver says {error}") from error
            return None
        return answer if low <= answer <= high else None
