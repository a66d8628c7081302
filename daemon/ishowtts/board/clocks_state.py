"""Reads from sysfs which clocks are locked: GPU, CPU and memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ishowtts.board.sensor_files import read_text
from ishowtts.board.sysfs import SysfsBoard

EMC_LOCK = "kernel/debug/bpmp/debug/clk/emc/mrq_rate_locked"
_THOR_EMC = "class/devfreq/bwmgr"


@dataclass(frozen=True)
class ClocksState:
    """The clocks as sysfs shows them; `None` for what it does not show.

    Attributes:
        gpu_clock_mhz: The GPU's clock now.
        gpu_clock_max_mhz: The highest clock of the GPU that the power mode allows.
        locked: Whether the lowest clock of the GPU is the highest.
        cpu_cores: Cores that are online.
        cpu_cores_locked: Those of them whose lowest clock is the highest.
        emc_locked: Whether the clock of the memory controller (EMC) is locked. Only root can read it.
    """

    gpu_clock_mhz: float | None
    gpu_clock_max_mhz: float | None
    locked: bool | None
    cpu_cores: int | None = None
    cpu_cores_locked: int | None = None
    emc_locked: bool | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that can be read is locked, and the GPU can be read."""
        return bool(self.locked) and self.cpu_cores == self.cpu_cores_locked and self.emc_locked is not False

    def __str__(self) -> str:
        parts = [self._gpu()]
        if self.cpu_cores is not None:
            parts.append(f"{self.cpu_cores_locked} of {self.cpu_cores} CPU cores locked")
        if self.emc_locked is not None:
            parts.append("memory locked" if self.emc_locked else "memory not locked")
        return ", ".join(parts)

    def _gpu(self) -> str:
        if self.locked is None or self.gpu_clock_max_mhz is None:
            return "this machine shows no GPU clock"
        how = "locked" if self.locked else "not locked"
        now = "an unknown clock" if self.gpu_clock_mhz is None else f"{self.gpu_clock_mhz:g}"
        return f"GPU at {now} of {self.gpu_clock_max_mhz:g} MHz, {how}"


def read_clocks(sysfs: Path) -> ClocksState:
    """Reads the state of all clocks now."""
    reading = SysfsBoard(sysfs).read()
    bounds = [
        (read_text(folder / "scaling_min_freq"), read_text(folder / "scaling_max_freq"))
        for folder in (sysfs / "devices/system/cpu").glob("cpu[0-9]*/cpufreq")
    ]
    cores = [low == high for low, high in bounds if low is not None and high is not None]
    return ClocksState(
        reading.gpu_clock_mhz,
        reading.gpu_clock_max_mhz,
        reading.gpu_clock_locked,
        len(cores) or None,
        sum(cores) if cores else None,
        _emc_locked(sysfs),
    )


def _emc_locked(sysfs: Path) -> bool | None:
    override = read_text(sysfs / EMC_LOCK)
    if override is not None:
        return override == "1"
    low, high = (read_text(sysfs / _THOR_EMC / name) for name in ("min_freq", "max_freq"))
    return None if low is None or high is None else low == high
