"""Finds the sensors of a Jetson in sysfs. Names and numbers of the nodes differ between boards and releases."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from ishowtts.board.sensor_files import read_text

# JetPack 6 and 7 on Orin, JetPack 5 on Orin, Thor, Xavier, TX2, and Nano.
_GPU_FOLDERS = ("17000000.gpu", "*.ga10b", "gpu-gpc-0", "*.gv11b", "*.gp10b", "*.gpu")
# On Thor there is none: its driver reports the load to NVML only.
_GPU_LOADS = ("devices/platform/gpu.0/load", "devices/gpu.0/load", "devices/platform/17000000.gpu/load")
_GPU_ZONES = ("gpu-thermal", "gpu-therm", "gpu_thermal")
_CPU_ZONES = ("cpu-thermal", "cpu-therm", "cpu_thermal", "mcpu-therm", "x86_pkg_temp")
_INPUT_METERS = ("ina238",)  # Thor has a meter for the input of the whole board
_FANS = ("pwmfan", "pwm-fan", "pwm_fan")
_ALERT = "-throttle-alert"


@dataclass(frozen=True)
class Rail:
    """A power rail of an INA3221: its label, and the files with its voltage (mV) and current (mA)."""

    label: str
    millivolts: str
    milliamperes: str


@dataclass(frozen=True)
class SysfsNodes:
    """The files of the sensors; `None` or empty for what the board lacks.

    Attributes:
        gpu: Folder of the GPU's clock in `class/devfreq`.
        gpu_loads: GPU load in permille. All of them show the same number.
        gpu_zone: Temperature of the GPU in 0.001 °C.
        cpu_zone: Temperature of the CPU in 0.001 °C.
        input_power: Power of the whole board in µW.
        rails: Rails of the module.
        fan: Duty cycle of the fan, 0 to 255.
        over_currents: Counters of the events in which the hardware reduced the clocks because of current or voltage.
        heat_alerts: Above 0 while the kernel reduces clocks because of heat. There is one for each part of the chip.
        existing: All of these that existed when they were looked for.
    """

    gpu: str | None
    gpu_loads: tuple[str, ...]
    gpu_zone: str | None
    cpu_zone: str | None
    input_power: str | None
    rails: tuple[Rail, ...]
    fan: str | None
    over_currents: tuple[str, ...]
    heat_alerts: tuple[str, ...]
    existing: tuple[str, ...] = ()

    def disappeared(self) -> bool:
        """Whether one of the files is gone: its driver was removed, or loaded again under another number."""
        return not all(os.access(path, os.F_OK) for path in self.existing)

    def files(self) -> Iterator[str]:
        """Yields all files, whether they exist or not."""
        paths = (self.gpu, *self.gpu_loads, self.gpu_zone, self.cpu_zone, self.input_power, self.fan)
        yield from (path for path in paths if path is not None)
        yield from (path for rail in self.rails for path in (rail.millivolts, rail.milliamperes))
        yield from (*self.over_currents, *self.heat_alerts)


def find_nodes(sysfs: Path) -> SysfsNodes:
    """Looks for all sensors."""
    root = str(sysfs)
    gpu = find_gpu(sysfs)
    zones = {
        (read_text(f"{zone}/type") or "").lower(): f"{zone}/temp" for zone in reversed(_thermal(root, "thermal_zone"))
    }
    coolers = [
        (read_text(f"{cooler}/type") or "", f"{cooler}/cur_state") for cooler in _thermal(root, "cooling_device")
    ]
    hwmons = [(read_text(f"{folder}/name") or "", folder) for folder in _numbered(f"{root}/class/hwmon", "hwmon")]
    loads = [*([f"{gpu}/device/load"] if gpu else []), *(f"{root}/{path}" for path in _GPU_LOADS)]
    inputs = [f"{folder}/power1_input" for name, folder in hwmons if name in _INPUT_METERS]
    fans = [f"{folder}/pwm1" for name, folder in hwmons if name in _FANS]
    nodes = SysfsNodes(
        gpu=gpu,
        gpu_loads=tuple(path for path in loads if os.access(path, os.F_OK)),
        gpu_zone=next((zones[name] for name in _GPU_ZONES if name in zones), None),
        cpu_zone=next((zones[name] for name in _CPU_ZONES if name in zones), None),
        input_power=next(iter(inputs), None),
        rails=tuple(rail for name, folder in hwmons if name == "ina3221" for rail in _rails(folder)),
        fan=next(iter(fans), None),
        over_currents=tuple(
            f"{folder}/{file}" for _, folder in hwmons for file in _names(folder) if fnmatch(file, "oc*_event_cnt")
        ),
        heat_alerts=tuple(path for kind, path in coolers if kind.endswith(_ALERT)),
    )
    return replace(nodes, existing=tuple(path for path in nodes.files() if os.access(path, os.F_OK)))


def find_gpu(sysfs: Path) -> str | None:
    """Returns the folder of the GPU's clock, if its driver is loaded. It is late at boot."""
    devfreq = f"{sysfs}/class/devfreq"
    names = _names(devfreq)
    return next((f"{devfreq}/{name}" for glob in _GPU_FOLDERS for name in names if fnmatch(name, glob)), None)


def has_thor_gpu(sysfs: Path) -> bool:
    """Whether the GPU is that of a Thor, whose load only NVML knows."""
    return (find_gpu(sysfs) or "").endswith("/gpu-gpc-0")


def _rails(folder: str) -> Iterator[Rail]:
    """Yields the rails of an INA3221, except unconnected channels (NC, or disabled) and sums of others."""
    for number in (1, 2, 3):
        label = read_text(f"{folder}/in{number}_label")
        if label is None or label == "NC" or "sum" in label.lower():
            continue
        if read_text(f"{folder}/in{number}_enable") == "0":
            continue
        yield Rail(label, f"{folder}/in{number}_input", f"{folder}/curr{number}_input")


def _thermal(root: str, kind: str) -> list[str]:
    return _numbered(f"{root}/class/thermal", kind)


def _numbered(folder: str, prefix: str) -> list[str]:
    """Returns the entries `<prefix><number>` of a folder, in the order of their numbers."""
    found = [(int(name[len(prefix) :]), name) for name in _names(folder) if re.fullmatch(rf"{prefix}\d{{1,6}}", name)]
    return [f"{folder}/{name}" for _, name in sorted(found)]


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except (OSError, ValueError):
        return []
