"""`python -m ishowtts.bench.starts FOLDER stock|ours`: one start in a process of its own, for time and peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ishowtts.errors import EngineError

_LONGEST_S = 900.0
_TEXT = "This is the first thing that I say."


@dataclass(frozen=True)
class Start:
    """From nothing to the first sound.

    Args:
        cold: whether the weights had to come from the disk; else they were in the page cache.
        ready_s: imports and weights, until the model could speak.
        first_s: the first sound after that.
        peak_mb: the most memory of the process, in 10^6 bytes; it counts the mapped weights.
    """

    who: str
    cold: bool
    ready_s: float
    first_s: float
    peak_mb: float


def measure(folder: Path, who: str, *, cold: bool, device: str, nfe_step: int) -> Start:
    """Start once. Raises EngineError where that fails."""
    if cold:
        _evict(folder)
    command = [sys.executable, "-m", "ishowtts.bench.starts", str(folder), who, device, str(nfe_step)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    whole_s = time.perf_counter() - started
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise EngineError(f"the start of {who} failed: {last}")
    said = json.loads(done.stdout.splitlines()[-1])
    return Start(who, cold, round(whole_s - said["first_s"], 2), round(said["first_s"], 2), said["peak_mb"])


def _evict(folder: Path) -> None:
    """Have the kernel forget the weights' pages, so that they are read from the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def _start(folder: Path, who: str, device: str, nfe_step: int) -> dict[str, float]:
    speak = _stock(folder, device, nfe_step) if who == "stock" else _ours(folder, device, nfe_step)
    started = time.perf_counter()
    speak()
    first_s = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return {"first_s": first_s, "peak_mb": round(peak_kb * 1024 / 1e6, 1)}


# Each imports only what it needs: imports are most of a start.


def _stock(folder: Path, device: str, nfe_step: int) -> Callable[[], object]:
    from ishowtts.bench import contestants
    from ishowtts.bench.setting import Setting

    speaker = contestants.stock(Setting(folder, device), nfe_step)
    return lambda: speaker.whole(_TEXT)


def _ours(folder: Path, device: str, nfe_step: int) -> Callable[[], object]:
    from ishowtts.bench.setting import Setting
    from ishowtts.engines.f5.options import Optimisations
    from ishowtts.speech import Segment

    engine = Setting(folder, device).engine(Optimisations(), nfe_step=nfe_step)
    return lambda: engine.render(Segment("bench", 0, 1, _TEXT, seed=0), lambda: False)


if __name__ == "__main__":
    print(json.dumps(_start(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))))
