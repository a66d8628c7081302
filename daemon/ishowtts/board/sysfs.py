"""The Jetson's sensors, read from sysfs, procfs and /etc. What is not there is `None`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psutil

from ishowtts.board import BoardIdentity, BoardReading

_GPU_FOLDERS = ("17000000.gpu", "*.ga10b", "gpu-gpc-0", "*.gv11b", "*.gp10b", "*.gpu")
_GPU_LOADS = ("devices/platform/gpu.0/load", "devices/platform/17000000.gpu/load")
_GPU_ZONES = ("gpu-thermal", "gpu-therm")
_CPU_ZONES = ("cpu-thermal", "cpu-therm")
_OFF_C = -200.0  # NVIDIA's kernels say -256 °C of a sensor that is powered off
_WHOLE_BOARD_RAILS = ("VDD_IN", "VIN", "POM_5V_IN")
_JETPACKS = {35: 5, 36: 6, 38: 7, 39: 7}


class SysfsBoard:
    """A Jetson, or any other machine with fewer sensors.

    Args:
        sysfs: /sys, or a recorded tree.
        proc: /proc.
        etc: /etc.
        var: /var.
    """

    def __init__(
        self, sysfs: Path = Path("/sys"), proc: Path = Path("/proc"), etc: Path = Path("/etc"), var: Path = Path("/var")
    ) -> None:
        self._sysfs, self._proc, self._etc, self._var = sysfs, proc, etc, var
        # psutil's first answer is meaningless: there is no earlier moment to compare with.
        psutil.cpu_percent()

    def identity(self) -> BoardIdentity:
        """Model, JetPack and serial number, where the board says them."""
        tree = self._proc / "device-tree"
        release = _text(self._etc / "nv_tegra_release") or ""
        found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
        jetpack = None
        if found:
            name = f"JetPack {_JETPACKS[int(found[1])]} " if int(found[1]) in _JETPACKS else ""
            jetpack = f"{name}(L4T {found[1]}.{found[2]})"
        return BoardIdentity(_text(tree / "model"), jetpack, _text(tree / "serial-number"))

    def read(self) -> BoardReading:
        """A reading now."""
        gpu = self._gpu_folder()
        low, high = (_scaled(gpu / name, 1e-6) if gpu else None for name in ("min_freq", "max_freq"))
        memory = psutil.virtual_memory()
        return BoardReading(
            gpu_clock_mhz=_scaled(gpu / "cur_freq", 1e-6) if gpu else None,
            gpu_clock_max_mhz=high,
            gpu_clock_locked=None if low is None or high is None else low == high,
            gpu_load_pct=self._gpu_load_pct(),
            gpu_temp_c=self._zone_c(_GPU_ZONES),
            cpu_load_pct=psutil.cpu_percent(),
            cpu_temp_c=self._zone_c(_CPU_ZONES),
            power_mode=self._power_mode(),
            power_w=self._power_w(),
            fan_pct=self._fan_pct(),
            throttle_events=self._throttle_events(),
            memory_used_mb=(memory.total - memory.available) / 1e6,
            memory_total_mb=memory.total / 1e6,
        )

    def _gpu_folder(self) -> Path | None:
        devfreq = self._sysfs / "class" / "devfreq"
        return next((folder for name in _GPU_FOLDERS for folder in sorted(devfreq.glob(name))), None)

    def _gpu_load_pct(self) -> float | None:
        loads = (_scaled(self._sysfs / path, 0.1) for path in _GPU_LOADS)  # permille
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
        """The rail that feeds the whole board, or else the sum of all rails."""
        rails: dict[str, float] = {}
        for folder in self._hwmons("ina3221"):
            for label in sorted(folder.glob("in*_label")):
                number = label.name.removeprefix("in").removesuffix("_label")
                volts = _scaled(folder / f"in{number}_input", 1e-3)
                amperes = _scaled(folder / f"curr{number}_input", 1e-3)
                name = _text(label)
                if name and volts is not None and amperes is not None and "sum" not in name.lower():
                    rails[name] = volts * amperes
        whole = next((rails[name] for name in _WHOLE_BOARD_RAILS if name in rails), None)
        if whole is not None:
            return whole
        return sum(rails.values()) if rails else None

    def _fan_pct(self) -> float | None:
        pwms = (_scaled(folder / "pwm1", 100 / 255) for folder in self._hwmons("pwmfan"))
        return next((pwm for pwm in pwms if pwm is not None), None)

    def _throttle_events(self) -> int | None:
        """How often the board slowed itself down because of current or heat, since it was started."""
        counts = [_number(path) for path in (self._sysfs / "class" / "hwmon").glob("hwmon*/oc*_event_cnt")]
        known = [int(count) for count in counts if count is not None]
        return sum(known) if known else None

    def _power_mode(self) -> str | None:
        """The name of the mode: its number means another one on each board."""
        mode = re.search(r"pmode:(\d+)", _text(self._var / "lib" / "nvpmodel" / "status") or "")
        if mode is None:
            return None
        for line in (_text(self._etc / "nvpmodel.conf") or "").splitlines():
            found = re.match(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", line.strip())
            if found and int(found[1]) == int(mode[1]):
                return found[2]
        return f"mode {int(mode[1])}"


def _text(path: Path) -> str | None:
    """A small file's text without NULs and white space around; a sensor that is off answers with an error."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\x00 \t\r\n") or None
    except OSError:
        return None


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
