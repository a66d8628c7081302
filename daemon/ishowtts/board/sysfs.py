"""Reads the Jetson's sensors from sysfs, procfs, /etc and /var. A value that is not there is `None`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ishowtts.board import BoardIdentity, BoardReading

_GPU_FOLDERS = ("17000000.gpu", "*.ga10b", "gpu-gpc-0", "*.gv11b", "*.gp10b", "*.gpu")
_GPU_LOADS = ("devices/platform/gpu.0/load", "devices/platform/17000000.gpu/load")
_GPU_ZONES = ("gpu-thermal", "gpu-therm")
_CPU_ZONES = ("cpu-thermal", "cpu-therm")
_OFF_C = -200.0  # NVIDIA's kernels report -256 °C for a sensor that is powered off
_WHOLE_BOARD_RAILS = ("VDD_IN", "VIN", "POM_5V_IN")
_MAX_BYTES = 256 * 1024  # no sensor writes more; nvpmodel.conf is the longest file here
_JETPACKS = {35: 5, 36: 6, 38: 7, 39: 7}


class SysfsBoard:
    """A Jetson, or any other machine with fewer sensors.

    Args:
        sysfs: /sys, or a recorded tree.
        proc: /proc, or a recorded tree.
        etc: /etc, or a recorded tree.
        var: /var, or a recorded tree.
    """

    def __init__(
        self, sysfs: Path = Path("/sys"), proc: Path = Path("/proc"), etc: Path = Path("/etc"), var: Path = Path("/var")
    ) -> None:
        self._sysfs, self._proc, self._etc, self._var = sysfs, proc, etc, var
        # The load is computed between two readings. This is the earlier one.
        self._cpu_ticks = self._read_cpu_ticks()

    name = "sysfs"

    def start(self) -> None:
        """Does nothing: sysfs is always there."""

    def close(self, timeout_s: float) -> None:
        """Does nothing."""

    def identity(self) -> BoardIdentity:
        """Returns model, JetPack and serial number, as far as the board reports them."""
        tree = self._proc / "device-tree"
        release = _text(self._etc / "nv_tegra_release") or ""
        found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
        jetpack = None
        if found:
            name = f"JetPack {_JETPACKS[int(found[1])]} " if int(found[1]) in _JETPACKS else ""
            jetpack = f"{name}(L4T {found[1]}.{found[2]})"
        return BoardIdentity(_text(tree / "model"), jetpack, _text(tree / "serial-number"))

    def read(self) -> BoardReading:
        """Reads all sensors now."""
        gpu = self._gpu_folder()
        low, high = (_scaled(gpu / name, 1e-6) if gpu else None for name in ("min_freq", "max_freq"))
        used_mb, total_mb = self._memory_mb()
        return BoardReading(
            gpu_clock_mhz=_scaled(gpu / "cur_freq", 1e-6) if gpu else None,
            gpu_clock_max_mhz=high,
            gpu_clock_locked=None if low is None or high is None else low == high,
            gpu_load_pct=self._gpu_load_pct(gpu),
            gpu_temp_c=self._zone_c(_GPU_ZONES),
            cpu_load_pct=self._cpu_load_pct(),
            cpu_temp_c=self._zone_c(_CPU_ZONES),
            power_mode=self._power_mode(),
            power_w=self._power_w(),
            fan_pct=self._fan_pct(),
            throttle_events=self._throttle_events(),
            memory_used_mb=used_mb,
            memory_total_mb=total_mb,
        )

    def _read_cpu_ticks(self) -> tuple[int, int] | None:
        """Returns the ticks of all cores since the boot, and how many of them were idle."""
        first = (_text(self._proc / "stat") or "").split("\n", 1)[0].split()
        if len(first) < 9 or first[0] != "cpu" or not all(ticks.isdecimal() for ticks in first[1:9]):
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
        found = re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", _text(self._proc / "meminfo") or "", re.MULTILINE)
        size_mb = {name: int(kibibytes) * 1024 / 1e6 for name, kibibytes in found}
        total, available = size_mb.get("MemTotal"), size_mb.get("MemAvailable")
        return None if total is None or available is None else total - available, total

    def _gpu_folder(self) -> Path | None:
        devfreq = self._sysfs / "class" / "devfreq"
        return next((folder for name in _GPU_FOLDERS for folder in sorted(devfreq.glob(name))), None)

    def _gpu_load_pct(self, gpu: Path | None) -> float | None:
        paths = [self._sysfs / path for path in _GPU_LOADS]
        if gpu is not None:
            paths.append(gpu / "device" / "load")
        loads = (_scaled(path, 0.1) for path in paths)  # permille
        return next((load for load in loads if load is not None), None)

    def _zone_c(self, names: tuple[str, ...]) -> float | None:
        for zone in sorted((self._sysfs / "class" / "thermal").glob("thermal_zone*")):
            if (_text(zone / "type") or "").lower() in names:
                temp_c = _scaled(zone / "temp", 1e-3)
                return None if temp_c is None or temp_c < _OFF_C else temp_c
        return None

    def _hwmons(self, name: str) -> Iterator[Path]:
        for folder in sorted((self._sysfs / "class" / "hwmon").glob("hwmon*")):
            if _text(folder / "name") == name:
                yield folder

    def _power_w(self) -> float | None:
        """Returns the power of the rail that feeds the whole board, or else the sum of all rails."""
        for folder in self._hwmons("ina238"):  # Thor has a separate meter for its input, without a label
            watts = _scaled(folder / "power1_input", 1e-6)
            if watts is not None:
                return watts
        rails = dict(rail for folder in self._hwmons("ina3221") for rail in _rails_w(folder))
        total = next((rails[name] for name in _WHOLE_BOARD_RAILS if rails.get(name) is not None), None)
        if total is not None:
            return total
        known = [watts for watts in rails.values() if watts is not None]
        # A sum without one of the rails would be wrong.
        return sum(known) if known and len(known) == len(rails) else None

    def _fan_pct(self) -> float | None:
        pwms = (_scaled(folder / "pwm1", 100 / 255) for folder in self._hwmons("pwmfan"))
        return next((pwm for pwm in pwms if pwm is not None), None)

    def _throttle_events(self) -> int | None:
        """Returns how often the board has throttled itself, because of current or heat, since the boot."""
        counts = [_number(path) for path in (self._sysfs / "class" / "hwmon").glob("hwmon*/oc*_event_cnt")]
        known = [int(count) for count in counts if count is not None]
        return sum(known) if known else None

    def _power_mode(self) -> str | None:
        """Returns the name of the power mode: its number means a different mode on each board."""
        mode = re.search(r"pmode:(\d+)", _text(self._var / "lib" / "nvpmodel" / "status") or "")
        if mode is None:
            return None
        for line in (_text(self._etc / "nvpmodel.conf") or "").splitlines():
            found = re.match(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", line.strip())
            if found and int(found[1]) == int(mode[1]):
                return found[2]
        return f"mode {int(mode[1])}"


def _rails_w(folder: Path) -> Iterator[tuple[str, float | None]]:
    """Yields each labelled rail of an INA3221 with its power, except unconnected ones (NC) and sums of others."""
    for label in sorted(folder.glob("in*_label")):
        name = _text(label)
        if name is None or name == "NC" or "sum" in name.lower():
            continue
        number = label.name.removeprefix("in").removesuffix("_label")
        volts = _scaled(folder / f"in{number}_input", 1e-3)
        amperes = _scaled(folder / f"curr{number}_input", 1e-3)
        yield name, None if volts is None or amperes is None else volts * amperes


def _text(path: Path) -> str | None:
    """Reads a small file, without NULs and surrounding white space. Returns `None` on an error or an empty file.

    This does not use `Path.read_text` or `util.files`: if the kernel answers EAGAIN, as it does for a thermal zone that
    is powered off, Python's buffered files raise TypeError. O_NONBLOCK: no sensor may block the daemon.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    found = b""
    try:
        while len(found) < _MAX_BYTES and (more := os.read(handle, 65536)):
            found += more
    except OSError:
        return None
    finally:
        os.close(handle)
    return found.decode("utf-8", "replace").strip("\x00 \t\r\n") or None


def _number(path: Path) -> float | None:
    text = _text(path)
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < 1e15 else None


def _scaled(path: Path, factor: float) -> float | None:
    number = _number(path)
    return None if number is None else number * factor
