"""Answers with the readings of the GPU through NVML: one JSON object a line. A program of its own.

The driver may hang or end the process that calls it, so the daemon never loads its library. For each line of input it
answers with a reading, by the names of `BoardReading`. If there are none, it answers with `{"error": "why"}`, or with
`{"missing": "why"}` if this machine has no NVML, and ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, TextIO

from ishowtts.board import BoardReading
from ishowtts.util import child_process

_LIBRARY = "libnvidia-ml.so.1"
_MAX_CLOCK_MHZ, _MAX_TEMP_C, _MAX_POWER_MW = 20_000, 200, 10_000_000


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


def answer(requests: Iterable[str], answers: TextIO) -> None:
    """Writes a reading for each request, and why there are no more."""
    try:
        gpu = _Gpu()
        for _ in requests:
            _write(answers, asdict(gpu.read()))
    except _NvmlMissing as error:
        _write(answers, {"missing": str(error)})
    except _NvmlFailed as error:
        _write(answers, {"error": str(error)})


def _write(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def main() -> None:
    """Answers until the input ends. The kernel ends this process when its parent ends.

    The only argument is the process id of the parent, which may have ended before the kernel knew of this.
    """
    child_process.end_with_parent()
    if os.getppid() != int(sys.argv[1]):
        return
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the driver prints is no answer
        answer(sys.stdin, answers)


if __name__ == "__main__":
    main()
