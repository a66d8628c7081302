"""Measures every candidate kernel at the model's shapes, each alone, in processes that may fail.

One that breaks CUDA's context, ends its process, or never ends is reported, and another process goes on with the
candidate after it. The figures are a file that is written after each candidate. `candidate_timing` measures one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from ishowtts.errors import EngineError
from ishowtts_bench.gpu_suite.forked_step import ForkedStep, side_by_side
from ishowtts_bench.json_files import read_json, write_atomically

_LONGEST_S = 60.0
"""Time for one candidate: the first call of a kernel compiles it."""

_BROKEN = 3  # exit status of a process whose device answers no more
_MAX_BYTES = 4 << 20


class KernelFigures:
    """What was measured until now.

    Args:
        path: the file. If it is there, its candidates are not measured again.

    Attributes:
        content: `chosen` has the kernels that the choice at load took, by their part of the model. `groups` has, by the
            name of each group, its `part`, `flop` and `bytes`, and the figures of its `candidates` or their `fault`.
            `running` is the group and the name of a candidate that has begun.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        found = read_json(path, _MAX_BYTES)
        self.content: dict[str, Any] = found if isinstance(found, dict) else {"chosen": {}, "groups": {}}

    @property
    def count(self) -> int:
        """The number of candidates that have ended."""
        return sum(len(group["candidates"]) for group in self.content["groups"].values())

    def is_known(self, group: str, name: str) -> bool:
        """Whether this candidate was measured, or has failed."""
        return name in self.content["groups"].get(group, {}).get("candidates", {})

    def begin(self, group: str, name: str, **about_group: object) -> None:
        """A candidate starts. `about_group`: figures of its group."""
        self.content["groups"].setdefault(group, {**about_group, "candidates": {}})
        self.content["running"] = [group, name]
        write_atomically(self._path, self.content)

    def finish(self, **figures: object) -> None:
        """The candidate has ended."""
        group, name = self.content.pop("running")
        self.content["groups"][group]["candidates"][name] = figures
        write_atomically(self._path, self.content)


def run(
    path: Path, measure: Callable[[KernelFigures], bool], report: Callable[[str], None], longest_s: float = _LONGEST_S
) -> KernelFigures:
    """Measure all candidates, in as many processes as they need.

    Args:
        path: the file of the figures. It is replaced.
        measure: measures the candidates that are not known, in a forked process. Returns whether the device works
            still.
        report: is told which candidate ended its process.
        longest_s: time for one candidate.

    Raises:
        EngineError: a process ended, and not because of a candidate.
        OSError: the file cannot be written.
    """
    write_atomically(path, {"chosen": {}, "groups": {}})
    known = -1
    while True:
        status = _run_once(path, measure, longest_s)
        figures = KernelFigures(path)
        if status == 0:
            return figures
        if "running" in figures.content:
            group, name = figures.content["running"]
            why = f"it takes longer than {longest_s:.0f} s" if status is None else f"its process ended with {status}"
            figures.finish(fault=why)
            report(f"{group} | {name}: {why}")
        if figures.count == known:
            write_atomically(path, figures.content)  # a full disk ends each process too, and its error says more
            raise EngineError(f"no kernel can be measured: the process ended with {status}; its output says more")
        known = figures.count


def compile_ahead(compile_share: Callable[[int, int], None], longest_s: float = _LONGEST_S) -> None:
    """Compile the kernels side by side before they are measured one by one.

    Compiling takes most of the time of a first run. What fails here fails again when it is measured, and is reported
    then.

    Args:
        compile_share: compiles the kernels of one of several forked processes: its number, and how many there are.
        longest_s: time for all of them.
    """
    count, deadline_s = side_by_side(), time.monotonic() + longest_s
    if count == 1:
        return
    with ExitStack() as stack:
        children = [
            stack.enter_context(ForkedStep(partial(_exit_status, compile_share, number, count)))
            for number in range(count)
        ]
        for child in children:
            child.wait(max(0.0, deadline_s - time.monotonic()))


def _exit_status(compile_share: Callable[[int, int], None], number: int, count: int) -> int:
    compile_share(number, count)
    return 0


def _run_once(path: Path, measure: Callable[[KernelFigures], bool], longest_s: float) -> int | None:
    """Run a process until it ends, or until a candidate takes too long. Returns its exit status."""
    with ForkedStep(lambda: 0 if measure(KernelFigures(path)) else _BROKEN, capture=False) as child:
        changed_s, known = time.monotonic(), None
        while True:
            if (status := child.wait(1.0)) is not None:
                return status
            now = path.stat().st_mtime_ns if path.exists() else None
            if now != known:
                changed_s, known = time.monotonic(), now
            elif time.monotonic() - changed_s > longest_s and "running" in KernelFigures(path).content:
                return None
