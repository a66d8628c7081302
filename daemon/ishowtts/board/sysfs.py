"""Reads the Jetson's sensors from sysfs, procfs, /etc and /var. A value that is not there is `None`."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ishowtts.board import BoardIdentity, BoardReading
from ishowtts.board.jetpack import read_jetpack
from ishowtts.board.nvpmodel import PowerModes
from ishowtts.board.sensor_files import read_count, read_scaled, read_text
from ishowtts.board.sysfs_nodes import SysfsNodes, find_gpu, find_nodes
from ishowtts.util.files import file_version

log = logging.getLogger(__name__)

_Value = TypeVar("_Value")
_LOOK_AGAIN_S = 30.0  # drivers are late at boot; looking for all nodes takes 0.3 ms of CPU, and a reading 0.2 ms
_SLOW_S, _PAUSE_S = 2.0, 60.0
_MAX_MHZ = 10_000.0
_COLDEST_C, _HOTTEST_C = -40.0, 150.0  # NVIDIA's kernels report -256 °C for a sensor that is powered off
_MAX_W = 1000.0
_OFFSET_W = 1.0  # an INA3221 shows down to -0.4 W for a rail without load
# The rails that feed the whole module, and the rails that they feed: those would count twice.
_RAILS: tuple[tuple[set[str], set[str]], ...] = (
    ({"VDD_IN"}, {"VDD_CPU_GPU_CV", "VDD_SOC"}),  # Orin Nano, Orin NX, Xavier NX
    ({"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"}, {"VDDQ_VDD2_1V8AO"}),  # AGX Orin
    ({"VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"}, set()),  # Thor
    ({"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"}, set()),  # AGX Xavier
    ({"POM_5V_IN"}, {"POM_5V_GPU", "POM_5V_CPU"}),  # Nano
)


class SysfsBoard:
    """The source `sysfs`: a Jetson, or any other machine with fewer sensors.

    - GPU clock: `cur_freq`, `min_freq` and `max_freq` of devfreq. It is locked if the bounds are equal. A GPU that is
      powered off (its `runtime_status` is `suspended`) has no clock and no load.
    - GPU load: `load` of the driver nvgpu, the average of the last milliseconds. Thor's driver has no such file.
    - Temperatures: the thermal zones of GPU and CPU.
    - Power: the meter of the board's input (Thor), else the sum of the rails that feed the module, which is one rail
      on Orin Nano and Orin NX and three on AGX Orin. On a board with unknown rails it is the sum of all.
    - Throttling: `throttle_events` is the sum of the over-current counters since the boot. `throttled` is true while
      the kernel reduces a clock because of heat: a cooling device `*-throttle-alert` is above 0.

    Not thread-safe.

    Args:
        sysfs: /sys, or a recorded tree.
        proc: /proc, or a recorded tree.
        etc: /etc, or a recorded tree.
        var: /var, or a recorded tree.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        sysfs: Path = Path("/sys"),
        proc: Path = Path("/proc"),
        etc: Path = Path("/etc"),
        var: Path = Path("/var"),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sysfs, self._proc, self._etc, self._var = sysfs, proc, etc, var
        self._clock = clock
        self._nodes: SysfsNodes | None = None  # commands that need the serial number only do not look for them
        self._looked_at_s = 0.0
        self._not_before_s: dict[str, float] = {}
        self._modes = PowerModes(etc=etc, var=var)
        self._mode: str | None = None
        self._mode_versions: list[str | None] | None = None
        # The load is computed between two readings. This is the earlier one.
        self._cpu_ticks = self._read_cpu_ticks()

    name = "sysfs"

    def start(self) -> None:
        """Does nothing: sysfs is always there."""

    def close(self, timeout_s: float) -> None:
        """Does nothing."""

    def identity(self) -> BoardIdentity:
        """Returns model, JetPack and serial number, as far as the board reports them."""
        # Some units and containers hide /proc/device-tree.
        trees = self._proc / "device-tree", self._sysfs / "firmware" / "devicetree" / "base"
        model, serial = (
            next((text for tree in trees if (text := read_text(tree / name))), None)
            for name in ("model", "serial-number")
        )
        return BoardIdentity(model, read_jetpack(self._etc, self._var, self._proc), serial)

    def read(self) -> BoardReading:
        """Reads all sensors now."""
        nodes = self._find()
        low, high = (_megahertz(nodes.gpu, name) for name in ("min_freq", "max_freq"))
        suspended = nodes.gpu is not None and read_text(f"{nodes.gpu}/device/power/runtime_status") == "suspended"
        used_mb, total_mb = self._memory_mb()
        fan = nodes.fan
        return BoardReading(
            gpu_clock_mhz=None if suspended else _megahertz(nodes.gpu, "cur_freq"),
            gpu_clock_max_mhz=high,
            gpu_clock_locked=None if low is None or high is None else low == high,
            gpu_load_pct=None if suspended else self._in_time("GPU load", lambda: _first(nodes.gpu_loads, 0.1, 100.0)),
            gpu_temp_c=self._in_time("GPU temperature", lambda: _celsius(nodes.gpu_zone)),
            cpu_load_pct=self._cpu_load_pct(),
            cpu_temp_c=self._in_time("CPU temperature", lambda: _celsius(nodes.cpu_zone)),
            power_mode=self._power_mode(),
            power_w=self._in_time("power", lambda: _power_w(nodes)),
            fan_pct=None if fan is None else self._in_time("fan", lambda: read_scaled(fan, 100 / 255, 0.0, 100.0)),
            throttle_events=self._in_time("over-currents", lambda: _throttle_events(nodes)),
            throttled=self._in_time("throttling", lambda: _throttled(nodes)),
            memory_used_mb=used_mb,
            memory_total_mb=total_mb,
        )

    def _find(self) -> SysfsNodes:
        """Returns the nodes. Looks for all of them again from time to time, and at once if one has disappeared.

        The GPU is looked for at each reading until it is found: `ishowtts clocks` waits for it at boot.
        """
        now_s, nodes = self._clock(), self._nodes
        if (
            nodes is None
            or now_s - self._looked_at_s >= _LOOK_AGAIN_S
            or (nodes.gpu is None and find_gpu(self._sysfs) is not None)
            or nodes.disappeared()
        ):
            self._nodes = nodes = find_nodes(self._sysfs)
            self._looked_at_s = now_s
        return nodes

    def _in_time(self, sensor: str, read: Callable[[], _Value | None]) -> _Value | None:
        """Reads a sensor, unless it took too long within the last minute.

        If an I2C bus hangs, each read of a power meter takes 1 s, and the six files of a board delay `state` by 6 s.
        """
        began_s = self._clock()
        if began_s < self._not_before_s.get(sensor, began_s):
            return None
        value = read()
        took_s = self._clock() - began_s
        if took_s > _SLOW_S:
            if sensor not in self._not_before_s:
                log.warning(
                    "the sensor for %s took %.0f s to answer: it is read every %.0f s", sensor, took_s, _PAUSE_S
                )
            self._not_before_s[sensor] = began_s + _PAUSE_S
        return value

    def _read_cpu_ticks(self) -> tuple[int, int] | None:
        """Returns the ticks of all cores since the boot, and how many of them were idle."""
        first = (read_text(self._proc / "stat") or "").split("\n", 1)[0].split()
        if len(first) < 9 or first[0] != "cpu" or not all(re.fullmatch("[0-9]{1,20}", ticks) for ticks in first[1:9]):
            return None
        ticks = [int(value) for value in first[1:9]]  # the fields after these are included in them
        return sum(ticks), ticks[3] + ticks[4]

    def _cpu_load_pct(self) -> float | None:
        """Returns the CPU load since the previous reading."""
        before, now = self._cpu_ticks, self._read_cpu_ticks()
        self._cpu_ticks = now
        if before is None or now is None or now[0] <= before[0]:
            return None
        idle = (now[1] - before[1]) / (now[0] - before[0])
        return 100 * (1 - min(max(idle, 0.0), 1.0))  # the kernel's idle counters may decrease

    def _memory_mb(self) -> tuple[float | None, float | None]:
        """Returns used and total memory."""
        text = read_text(self._proc / "meminfo") or ""
        found = re.findall(r"^(MemTotal|MemAvailable):\s{1,40}(\d{1,15}) kB$", text, re.MULTILINE | re.ASCII)
        size_mb = {name: int(kibibytes) * 1024 / 1e6 for name, kibibytes in found}
        total, available = size_mb.get("MemTotal") or None, size_mb.get("MemAvailable")
        used = None if total is None or available is None or available > total else total - available
        return used, total

    def _power_mode(self) -> str | None:
        """Returns the name of the power mode. Its files are read again only if one of them has changed."""
        versions = [_version(path) for path in (self._var / "lib" / "nvpmodel" / "status", self._etc / "nvpmodel.conf")]
        if versions != self._mode_versions or self._mode is None:
            mode = self._modes.present()
            self._mode, self._mode_versions = mode.name if mode else None, versions
        return self._mode


def _version(path: Path) -> str | None:
    try:
        return file_version(path)
    except OSError:
        return None


def _megahertz(gpu: str | None, name: str) -> float | None:
    """Reads a file in Hz. A clock of 0 is that of a GPU that is powered off."""
    return None if gpu is None else read_scaled(f"{gpu}/{name}", 1e-6, 1e-6, _MAX_MHZ)


def _celsius(zone: str | None) -> float | None:
    return None if zone is None else read_scaled(zone, 1e-3, _COLDEST_C, _HOTTEST_C)


def _first(paths: tuple[str, ...], factor: float, high: float) -> float | None:
    values = (read_scaled(path, factor, 0.0, high) for path in paths)
    return next((value for value in values if value is not None), None)


def _power_w(nodes: SysfsNodes) -> float | None:
    """Returns the power of the whole board, or that of the module if no meter shows the board.

    A meter that does not answer is not replaced by another one: the value would jump. 0 W is not the power of a board
    that runs. A sum without one of its rails would be wrong.
    """
    if nodes.input_power is not None:
        return read_scaled(nodes.input_power, 1e-6, 1e-6, _MAX_W)
    rails = {rail.label: rail for rail in nodes.rails}
    single = next((feeding for feeding, _ in _RAILS if len(feeding) == 1 and feeding <= rails.keys()), None)
    feeding, fed = max(_RAILS, key=lambda board: len(rails.keys() & (board[0] | board[1])))
    names = single or (feeding if rails.keys() & (feeding | fed) else rails.keys())
    if not names <= rails.keys():
        return None
    total = 0.0
    for name in names:
        volts = read_scaled(rails[name].millivolts, 1e-3, 0.0, _MAX_W)
        amperes = read_scaled(rails[name].milliamperes, 1e-3, -_MAX_W, _MAX_W)
        watts = math.nan if volts is None or amperes is None else volts * amperes
        if not -_OFFSET_W <= watts <= _MAX_W:
            return None
        total += watts
    return total if 0.0 < total <= _MAX_W else None


def _throttle_events(nodes: SysfsNodes) -> int | None:
    """Returns the sum of the counters. Without one of them it would decrease, and increase again later."""
    counts = [read_count(path) for path in nodes.over_currents]
    known = [count for count in counts if count is not None and count >= 0]
    return sum(known) if known and len(known) == len(counts) else None


def _throttled(nodes: SysfsNodes) -> bool | None:
    states = [read_count(path) for path in nodes.heat_alerts]
    if any(state is not None and state > 0 for state in states):
        return True
    return False if states and all(state == 0 for state in states) else None
