"""Measures one start in a process of its own: its time and its peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ishowtts.errors import EngineError
from ishowtts.util import child_process

_LONGEST_S = 900.0
_TEXT = "This is the first thing that I say."


@dataclass(frozen=True)
class Start:
    """One start, from a new process to the first sound.

    Args:
        cold: Whether the weights were read from the disk. Otherwise they were in the page cache.
        ready_s: Time of imports, weights and warm-up, until the model can speak.
        first_s: Time of the first sound after that.
        peak_mb: Peak memory of the process in 10^6 bytes, with the mapped weights.
        compiled: Whether an earlier start had compiled the kernels; `None` if nothing is compiled.
        warm_s: The part of `ready_s` that loading and warming up took, without imports; `None` without a warm-up.
    """

    system: str
    cold: bool
    ready_s: float
    first_s: float
    peak_mb: float
    compiled: bool | None = None
    warm_s: float | None = None


def measure_all(folder: Path, device: str, nfe_step: int) -> Iterator[Start]:
    """Measure upstream and ours, from the disk and from memory. On a GPU, measure ours before and after compilation."""
    for cold in (True, False):
        yield measure(folder, "upstream", cold=cold, device=device, nfe_step=nfe_step)
    if device != "cuda":
        for cold in (True, False):
            yield measure(folder, "ours", cold=cold, device=device, nfe_step=nfe_step)
        return
    with tempfile.TemporaryDirectory(prefix="ishowtts-bench-") as cache_dir:
        for cold, compiled in ((True, False), (True, True), (False, True)):
            start = measure(folder, "ours", cold=cold, device=device, nfe_step=nfe_step, cache_dir=cache_dir)
            yield replace(start, compiled=compiled)


def measure(
    folder: Path, system: str, *, cold: bool, device: str, nfe_step: int, cache_dir: str | None = None
) -> Start:
    """Measure one start. Raises EngineError if it fails."""
    if cold:
        _evict(folder)
    request = {"folder": str(folder), "system": system, "device": device, "nfe_step": nfe_step, "cache_dir": cache_dir}
    command = child_process.command("ishowtts_bench.startup", json.dumps(request))
    started = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        raise EngineError(f"the start of {system} took longer than {_LONGEST_S:.0f} s; is the device busy?") from None
    whole_s = time.perf_counter() - started
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise EngineError(f"the start of {system} failed: {last}")
    result = json.loads(done.stdout.splitlines()[-1])
    return Start(
        system,
        cold,
        round(whole_s - result["first_s"], 2),
        round(result["first_s"], 2),
        result["peak_mb"],
        warm_s=result["warm_s"],
    )


def _evict(folder: Path) -> None:
    """Remove the weights from the page cache, so that they are read from the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def _start(folder: Path, system: str, device: str, nfe_step: int, cache_dir: str | None) -> dict[str, float | None]:
    warm_s = None
    if system == "upstream":
        synthesize = _upstream(folder, device, nfe_step)
    else:
        synthesize, warm_s = _ours(folder, device, nfe_step, cache_dir)
    started = time.perf_counter()
    synthesize()
    first_s = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return {"first_s": first_s, "peak_mb": round(peak_kb * 1024 / 1e6, 1), "warm_s": warm_s}


# Each function imports only what it needs, because imports take most of the time of a start.


def _upstream(folder: Path, device: str, nfe_step: int) -> Callable[[], object]:
    from ishowtts_bench import systems
    from ishowtts_bench.bench_env import BenchEnv

    upstream = systems.upstream(BenchEnv(folder, device), nfe_step)
    return lambda: upstream.synthesize(_TEXT)


def _ours(folder: Path, device: str, nfe_step: int, cache_dir: str | None) -> tuple[Callable[[], object], float | None]:
    from ishowtts.f5_switches import Switches
    from ishowtts.model import Segment
    from ishowtts_bench.bench_env import BenchEnv

    started = time.perf_counter()
    engine = BenchEnv(folder, device).engine(Switches(), nfe_step=nfe_step, cache_dir=cache_dir)
    warm_s = None
    if device == "cuda":  # there the warm-up takes most of the time
        engine.warm(lambda _: None)
        warm_s = round(time.perf_counter() - started, 2)
    return lambda: engine.render(Segment("bench", 0, 1, _TEXT, seed=0), lambda: False), warm_s


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    print(json.dumps(_start(**request | {"folder": Path(request["folder"])})))
