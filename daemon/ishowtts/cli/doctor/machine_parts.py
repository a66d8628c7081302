"""Examines the board, torch and the GPU. torch is probed in a child process that runs beside the other examinations."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ishowtts.board import Board, BoardReading
from ishowtts.cli.findings import Finding
from ishowtts.config import Config
from ishowtts.engines.f5 import load_faults
from ishowtts.util import child_process

if TYPE_CHECKING:
    from ishowtts.board.nvpmodel import PowerMode

_PROBE_S = 120.0
_FUSED_FIX = "apt-get install gcc python3-dev; on JetPack 6 install.sh --torch with triton beside the torch wheels"
_SENSORS_S = 2.0
_READINGS: tuple[tuple[str, str, str | None], ...] = (
    ("cpu_temp_c", "the CPU temperature is unknown: its thermal zone does not answer", "look at dmesg for errors"),
    (
        "power_w",
        "the power is unknown: no meter of this board answers",
        "look at dmesg for errors of ina3221 or ina238",
    ),
    ("power_mode", "the power mode is unknown: nvpmodel has not set one", "systemctl status nvpmodel"),
    ("memory_used_mb", "the memory is unknown: /proc/meminfo does not answer", "in a container, mount /proc"),
    ("throttled", "this kernel does not show whether heat slows the board down", None),
    ("throttle_events", "this kernel does not count over-currents", None),
)
"""Field, what is wrong if a Jetson has no value for it, and the fix. A board without fan is in order, and a GPU that is
powered off has no temperature."""


class TorchProbe:
    """A child process that imports torch and tries the GPU: about 3 s, 6 s on a Jetson; most of the time of `doctor`.

    It starts with the block `with probe:`, and is killed at its end if it is not done.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._ends_s = 0.0

    def __enter__(self) -> None:
        self._started()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def findings(self) -> Iterator[Finding]:
        """Wait for the probe, and describe torch and the GPU. Starts it if that was not done before."""
        process = self._started()
        try:
            out, err = process.communicate(timeout=max(0.0, self._ends_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            yield Finding(
                "torch",
                "fault",
                f"torch did not answer within {_PROBE_S:.0f} s",
                "look at dmesg for GPU errors, and restart the board",
            )
            return
        self._process = None
        yield from torch_findings(process.returncode, out, err)

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._ends_s = time.monotonic() + _PROBE_S
            command = child_process.command("ishowtts.engines.f5.device_probe")
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self._process


def torch_findings(status: int, out: str, err: str) -> Iterator[Finding]:
    """Describe torch and the GPU by the exit status and the output of the probe."""
    if status != 0:
        last = (err.strip().splitlines() or [f"status {status}, no output"])[-1]
        explained = load_faults.explain(last, stock=load_faults.has_stock_libraries())
        fix = explained[1] if explained else "run install.sh again"
        yield Finding("torch", "fault", f"torch does not start: {last}", fix)
        return
    found = json.loads(out.splitlines()[-1])
    versions = f"torch {found['torch']}, built for CUDA {found['cuda_build'] or 'none'}"
    if found["cuda_fault"] is None:
        yield Finding("torch", "ok", f"{versions}, a matrix product on {found['gpu']} is correct")
        yield gpu_finding(found)
    elif found["gpu"]:
        yield Finding(
            "torch", "fault", f"{versions}, but {found['gpu']} cannot compute: {found['cuda_fault']}",
            "install the torch wheel of this JetPack: install.sh --torch",
        )  # fmt: skip
    else:
        yield Finding("torch", "note", f"{versions}; no GPU here, F5 runs on the CPU")


def gpu_finding(found: dict[str, Any]) -> Finding:
    """Compare the measured speed of the GPU with its data sheet."""
    from ishowtts.board import gpu_specs

    rates = found["rates"]
    if rates["fault"] is not None:
        return Finding(
            "GPU", "note", f"its speed could not be measured: {rates['fault']}", "stop the daemon and try again"
        )
    board = gpu_specs.identify(found["gpu"], rates["sms"], rates["memory_mb"], rates["clock_mhz"])
    measured = gpu_specs.MeasuredRates(rates["flop_per_s"], rates["bytes_per_s"], board)
    if rates["flash_fault"] is not None:
        fix = "install the torch wheel of this JetPack: install.sh --torch"
        return Finding("GPU", "note", f"{measured}; {rates['flash_fault']}, a slower one is used", fix)
    if rates["fused_fault"] is not None:
        fix = "sudo apt-get install cuda-nvcc-13-0" if rates["no_assembler"] else _FUSED_FIX
        return Finding("GPU", "note", f"{measured}; {rates['fused_fault']}: synthesis is slower", fix)
    if measured.slow:
        fix = "choose power mode MAXN and systemctl restart ishowtts-clocks; check whether another program uses the GPU"
        return Finding("GPU", "note", f"{measured}; flash attention works", fix)
    return Finding("GPU", "ok", f"{measured}; flash attention works")


def examine_board(settings: Config) -> Iterator[Finding]:
    """Describe the board, the sources of its readings, the readings that are missing, and the clocks."""
    from ishowtts.board.detect import detect_board
    from ishowtts.board.nvpmodel import PowerModes
    from ishowtts.board.sysfs_nodes import has_thor_gpu

    if settings.board.source == "none":
        yield Finding("board", "note", "board.source is none: telemetry has no readings", "set board.source: auto")
        return
    if settings.board.source == "simulated":
        yield Finding("board", "note", "board.source is simulated: all readings are invented", "set board.source: auto")
        return
    configured = settings.board
    board = detect_board(configured.source, configured.sysfs_root, jetson_stats=configured.jetson_stats)
    yield from board_findings(board, thor=has_thor_gpu(settings.board.sysfs_root))
    yield from power_mode_findings(configured.power_mode, PowerModes().present())


def board_findings(board: Board, *, thor: bool) -> Iterator[Finding]:
    """Describe a board that is not started yet. `thor`: its GPU is that of a Thor."""
    identity = board.identity()
    if identity.jetpack is None and "Jetson" not in (identity.model or ""):
        named = f" ({identity.model})" if identity.model else ""
        yield Finding("board", "note", f"there is no Jetson here{named}: telemetry shows null for what it lacks")
        return
    board.start()
    try:
        reading = _settled_reading(board)
    finally:
        board.close(1.0)
    sources = sorted(set(board.sources().values()))
    yield Finding(
        "board",
        "ok",
        f"{identity.model or 'unknown model'}, {identity.jetpack or 'unknown JetPack'}, "
        f"power mode {reading.power_mode or 'unknown'}, readings from {' and '.join(sources) or 'no source'}",
    )
    yield from _missing_readings(reading, thor=thor)
    yield from _clocks(reading)


def power_mode_findings(name: str | None, present: PowerMode | None) -> Iterator[Finding]:
    """Note a power mode that is not the configured one."""
    if name is not None and present is not None and not present.is_called(name):
        yield Finding(
            "clocks",
            "note",
            f"the power mode is {present.name}, but board.power_mode is {name}",
            "systemctl status ishowtts-clocks says why: the name may be unknown, or the mode may take a reboot",
        )


def _settled_reading(board: Board) -> BoardReading:
    """Return a reading with all values, or the last one before the deadline. NVML and the CPU load take a moment."""
    ends_s = time.monotonic() + _SENSORS_S
    while None in vars(reading := board.read()).values() and time.monotonic() < ends_s:
        time.sleep(0.1)
    return reading


def _missing_readings(reading: BoardReading, *, thor: bool) -> Iterator[Finding]:
    """Yield a note for each reading that a Jetson should have, and what to do about it."""
    off = reading.gpu_clock_max_mhz is not None and reading.gpu_clock_mhz is None
    if reading.gpu_clock_max_mhz is None:
        fix = "look at dmesg for errors of the GPU; in a container, mount /sys"
        yield Finding("board", "note", "the GPU clock is unknown: its driver is not in /sys/class/devfreq", fix)
    elif off:
        yield Finding("board", "note", "the GPU is powered off until it has work: its clock is unknown now")
    if reading.gpu_load_pct is None and thor:
        fix = "install nvidia-ml-py: run install.sh again; if it is there, look at dmesg for errors of the GPU"
        yield Finding("board", "note", "the GPU load is unknown: on Thor it comes from NVML, which has none now", fix)
    elif reading.gpu_load_pct is None and not off:
        yield Finding("board", "note", "the GPU load is unknown: its driver shows none", "look at dmesg for errors")
    for field, sentence, remedy in _READINGS:
        if getattr(reading, field) is None:
            yield Finding("board", "note", sentence, remedy)


def _clocks(reading: BoardReading) -> Iterator[Finding]:
    if reading.gpu_clock_max_mhz is None or reading.gpu_clock_locked is None:
        return
    now = "an unknown clock" if reading.gpu_clock_mhz is None else f"{reading.gpu_clock_mhz:g}"
    clock = f"GPU at {now} of {reading.gpu_clock_max_mhz:g} MHz"
    if reading.gpu_clock_locked:
        yield Finding("clocks", "ok", f"{clock}, locked")
    else:
        yield Finding("clocks", "note", f"{clock}, not locked", "sudo systemctl restart ishowtts-clocks")
