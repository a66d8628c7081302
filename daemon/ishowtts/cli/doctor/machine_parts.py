"""Examines the board, torch and the GPU. torch is probed in a child process that runs beside the other examinations."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from ishowtts.cli.findings import Finding
from ishowtts.config import Config
from ishowtts.util import child_process

_PROBE_S = 120.0


class TorchProbe:
    """A child process that imports torch and tries the GPU: about 3 s, most of the time of `doctor`.

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
        yield Finding("torch", "fault", f"torch does not start: {last}", "run install.sh again")
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
        fix = "apt-get install gcc python3-dev; on JetPack 6 install.sh --torch with triton beside the torch wheels"
        return Finding("GPU", "note", f"{measured}; {rates['fused_fault']}: synthesis is slower", fix)
    if measured.slow:
        fix = "choose power mode MAXN and systemctl start ishowtts-clocks; check whether another program uses the GPU"
        return Finding("GPU", "note", f"{measured}; flash attention works", fix)
    return Finding("GPU", "ok", f"{measured}; flash attention works")


def examine_board(settings: Config) -> Iterator[Finding]:
    """Describe the board and its clocks."""
    from ishowtts.board.detect import detect_board

    board = detect_board(settings.board.source, settings.board.sysfs_root)
    identity, reading = board.identity(), board.read()
    if identity.jetpack is None:
        yield Finding(
            "board",
            "note",
            f"{identity.model or 'no Jetson'}; telemetry shows null for sensors that it lacks",
        )
        return
    yield Finding("board", "ok", f"{identity.model}, {identity.jetpack}, power mode {reading.power_mode or 'unknown'}")
    clock = f"GPU {reading.gpu_clock_mhz} of {reading.gpu_clock_max_mhz} MHz"
    if reading.gpu_clock_locked:
        yield Finding("clocks", "ok", f"{clock}, locked")
    else:
        yield Finding("clocks", "note", f"{clock}, not locked", "sudo systemctl start ishowtts-clocks")
