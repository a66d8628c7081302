"""Prints the readings of jetson-stats: one JSON object a line. A program of its own that the daemon never imports.

`ishowtts.board.jetson_stats` runs it by its path, with the Python that has jetson-stats. That may be an older Python of
another installation, so this file imports nothing of iShowTTS. It is meant for jetson-stats from 4.2 on.

jetson-stats is under the AGPL-3.0. Its import changes how multiprocessing starts processes, its `start` can wait for
ever, and it unpickles what its service sends: four reasons to keep it out of the daemon.

Its argument is the time between two readings in seconds. If nobody else asks the service, it also measures this often.
If there are no readings any more, the last line is `{"error": "why"}`.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_SOCKET = Path("/run/jtop.sock")
_LOWEST_KHZ = 20_000  # jetson-stats gives the clocks of devfreq in kHz, those of NVML in MHz
_OFF_C = -200.0  # it gives -256 for a sensor that is powered off
_MAX_ERROR_CHARS = 300
_PR_SET_PDEATHSIG = 1


def _print_json(message: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _value(ask: Callable[[], Any]) -> Any:
    """Returns what `ask` returns; `None` if it fails, because each version and each board lacks something."""
    try:
        found = ask()
    except Exception:
        return None
    if isinstance(found, float) and not math.isfinite(found):
        return None
    return found


def _clock_mhz(frequencies: Mapping[str, Any], name: str) -> float | None:
    """Returns a clock in MHz; `None` if it is unknown, for which jetson-stats says 0."""
    clock = _value(lambda: float(frequencies[name]))
    if not clock:
        return None
    return float(clock / 1000 if clock >= _LOWEST_KHZ else clock)


def _temp_c(zones: Mapping[str, Any], chip: str) -> float | None:
    """Returns the temperature of the zone of a chip: `gpu`, `GPU`, `gpu-thermal` or `GPU-therm`."""
    zone: Mapping[str, Any] = next((zone for name, zone in zones.items() if name.lower().split("-")[0] == chip), {})
    temp_c = float(zone["temp"])
    return temp_c if temp_c > _OFF_C and zone.get("online", True) else None


def reading(client: Any) -> dict[str, object]:
    """Returns what a client of jetson-stats knows now, by the names of `BoardReading`."""
    gpu = _value(lambda: next(iter(client.gpu.values()))) or {}
    frequencies = gpu.get("freq", {})
    low, high = _clock_mhz(frequencies, "min"), _clock_mhz(frequencies, "max")
    # If NVML does not know the load, jetson-stats says 0. iShowTTS asks NVML itself.
    by_nvml = gpu.get("power_control") == "nvml"
    return {
        "gpu_clock_mhz": _clock_mhz(frequencies, "cur"),
        "gpu_clock_max_mhz": high,
        "gpu_clock_locked": None if low is None or high is None else low == high,
        "gpu_load_pct": None if by_nvml else _value(lambda: float(gpu["status"]["load"])),
        "gpu_temp_c": _value(lambda: _temp_c(client.temperature, "gpu")),
        "cpu_temp_c": _value(lambda: _temp_c(client.temperature, "cpu")),
        "power_mode": _value(lambda: str(client.nvpmodel.name)),
        "power_w": _value(lambda: client.power["tot"]["power"] / 1000 if client.power["rail"] else None),
        "fan_pct": _value(lambda: float(next(iter(client.fan.values()))["speed"][0])),
    }


def _follow(interval_s: float) -> None:
    """Prints readings until the service is gone. Raises whatever jetson-stats raises."""
    if _SOCKET.exists() and not os.access(_SOCKET, os.R_OK | os.W_OK):
        raise PermissionError(f"this user may not use {_SOCKET}: it is not in the group jtop (docs/security.md)")
    from jtop import jtop

    client = jtop(interval=interval_s)
    client.start()
    while client.ok():
        _print_json(reading(client))
    raise ConnectionError("the service of jetson-stats does not answer any more")


def main() -> None:
    """Prints readings, then the reason for the end. The kernel ends this process when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        _follow(float(sys.argv[1]))
    except BaseException as error:
        _print_json({"error": (" ".join(str(error).split()) or type(error).__name__)[:_MAX_ERROR_CHARS]})
    finally:
        os._exit(1)  # at once: threads of jetson-stats may wait for its service


if __name__ == "__main__":
    main()
