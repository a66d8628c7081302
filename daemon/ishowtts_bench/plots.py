"""Plots of the results. matplotlib comes with f5-tts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ishowtts_bench.batch_bench import Batch
from ishowtts_bench.quality_sweep import SweepPoint
from ishowtts_bench.speed_result import SpeedResult


def speed(result: SpeedResult, path: Path) -> None:
    """Plot the RTF of each system over the length of the text. Every round is a point."""
    figure, axes = _figure()
    for name in dict.fromkeys(timing.system for timing in result.timings):
        timings = [timing for timing in result.timings if timing.system == name]
        axes.plot([timing.audio_s for timing in timings], [timing.rtf for timing in timings], "o", label=name)
    axes.axhline(1.0, color="grey", linewidth=0.8, label="real time")
    axes.set(xlabel="seconds of sound", ylabel="RTF (less is faster)", yscale="log")
    axes.legend()
    figure.savefig(path)


def sweep(points: Sequence[SweepPoint], path: Path) -> None:
    """Plot the deviation from NFE 32 over the RTF. Each point is an NFE or a variant."""
    figure, axes = _figure()
    points = [point for point in points if point.deviation is not None]
    for kind, mark in (("EPSS", "o"), ("uniform", "x")):
        of_kind = [point for point in points if point.schedule == kind]
        axes.plot([point.rtf for point in of_kind], [point.deviation for point in of_kind], mark, label=kind)
    for point in points:
        axes.annotate(
            point.name or str(point.nfe_step), (point.rtf, point.deviation), textcoords="offset points", xytext=(5, 5)
        )
    axes.set(xlabel="RTF", ylabel="deviation from NFE 32")
    axes.legend()
    figure.savefig(path)


def batches(found: Sequence[Batch], path: Path) -> None:
    """Plot the throughput over the number of segments in a run."""
    figure, axes = _figure()
    counts = [batch.segments for batch in found]
    axes.plot(counts, [batch.throughput for batch in found], "o-", label="measured")
    axes.plot(counts, [count * found[0].throughput for count in counts], "--", color="grey", label="in proportion")
    axes.set(xlabel="segments in one run", ylabel="seconds of sound made in a second")
    axes.legend()
    figure.savefig(path)


def shares(names: Sequence[str], values: Sequence[float], label: str, path: Path) -> None:
    """Plot bars, with the first one at the top."""
    figure, axes = _figure()
    axes.barh(list(names)[::-1], list(values)[::-1])
    axes.set(xlabel=label)
    figure.savefig(path)


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    return figure, figure.add_subplot()
