"""What a process holds, and how much more of it each thousand lines add."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
from scipy.special import stdtrit

_SURE = 0.95
_FEWEST = 4  # samples whose interval says something


@dataclass(frozen=True)
class Usage:
    """What a process holds; memory in 10^6 bytes.

    Attributes:
        rss_mb: Resident memory, with pages that other processes have too.
        pss_mb: Resident memory; of a page that n processes have, the n-th part.
        anonymous_mb: Resident memory that belongs to no file: heaps and stacks. A leak grows here. Private memory
            (USS) also grows when another process ends that had the same pages of a file.
        children: Its child processes, with theirs.
    """

    rss_mb: float
    pss_mb: float
    anonymous_mb: float
    threads: int
    descriptors: int
    children: int


def usage(pid: int) -> Usage:
    """Measures a process."""
    process = psutil.Process(pid)
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, size, *_ = line.split()
        sizes[name.rstrip(":")] = int(size) * 1024
    return Usage(
        rss_mb=sizes["Rss"] / 1e6,
        pss_mb=sizes["Pss"] / 1e6,
        anonymous_mb=sizes["Anonymous"] / 1e6,
        threads=process.num_threads(),
        descriptors=process.num_fds(),
        children=len(process.children(recursive=True)),
    )


def workers(pid: int) -> dict[str, int]:
    """Returns the pid of each worker of a daemon, by the kind of its engine."""
    found = {}
    for child in psutil.Process(pid).children():
        try:
            command = child.cmdline()
        except psutil.NoSuchProcess:
            continue  # an espeak-ng that has ended
        if "ishowtts.engines.worker.worker_main" in command:
            found[command[-1]] = child.pid
    return found


def folder_mb(folder: Path) -> float:
    """Returns the size of all files in a folder, in 10^6 bytes. A file that is removed meanwhile does not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total / 1e6


@dataclass(frozen=True)
class Growth:
    """How a value changes with the lines.

    Attributes:
        first, last: Its mean in the first and in the last fifth of the samples.
        per_1000: What 1,000 lines add, by least squares.
        low, high: The interval of that, at 95 %. Samples that follow each other are taken for independent. `None` if
            there are fewer than four samples.
    """

    first: float
    last: float
    per_1000: float
    low: float | None
    high: float | None


def growth(lines: Sequence[int], values: Sequence[float]) -> Growth:
    """Puts a straight line through all samples."""
    x, y = np.array(lines) / 1000, np.array(values, dtype=float)
    fifth = max(1, len(y) // 5)
    ends = float(y[:fifth].mean()), float(y[-fifth:].mean())
    if len(y) < _FEWEST:
        return Growth(*ends, 0.0, None, None)
    slope, start = np.polyfit(x, y, 1)
    freedom = len(y) - 2
    error = math.sqrt(float(np.sum((y - start - slope * x) ** 2)) / freedom / float(np.sum((x - x.mean()) ** 2)))
    margin = float(stdtrit(freedom, (1 + _SURE) / 2)) * error
    return Growth(*ends, float(slope), float(slope) - margin, float(slope) + margin)


def row(name: str, found: Growth) -> str:
    """Returns one line of a table for a reader."""
    figures = " ".join(f"{'-':>9}" if value is None else f"{value:9.3f}" for value in asdict(found).values())
    return f"{name:34} {figures}"


HEAD = f"{'':34} {'first':>9} {'last':>9} {'per 1000':>9} {'low':>9} {'high':>9}"
