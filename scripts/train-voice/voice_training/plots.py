"""Plots the logs of a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_NOT_PLOTTED = {"step", "step_s"}


def plot(logs: Sequence[Path], to: Path, title: str) -> None:
    """Draw one row of plots for each log: each logged value over the steps."""
    tables = [_columns(path) for path in logs]
    figure = Figure(figsize=(3.2 * max(len(table) for table in tables), 2.6 * len(logs)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    grid = figure.subplots(len(logs), max(len(table) for table in tables), squeeze=False)
    for path, table, row in zip(logs, tables, grid, strict=True):
        for axes in row[len(table) :]:
            axes.set_axis_off()
        for (name, points), axes in zip(table.items(), row, strict=False):
            axes.plot(*zip(*points, strict=True), linewidth=1)
            axes.set_title(f"{path.stem}: {name}", fontsize=9)
            axes.tick_params(labelsize=8)
    figure.savefig(to, dpi=110)


def _columns(path: Path) -> dict[str, list[tuple[float, float]]]:
    """The points (step, value) of each logged value, by name."""
    table: dict[str, list[tuple[float, float]]] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        for name, value in line.items():
            if name not in _NOT_PLOTTED:
                table.setdefault(name, []).append((line["step"], value))
    return table
