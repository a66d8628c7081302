"""`ishowtts bench sweep`: NFE and switches against speed, fidelity and judges."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ishowtts.cli.common import report_write_errors
from ishowtts.errors import EngineError
from ishowtts_bench.commands import bench_arguments
from ishowtts_bench.commands.measuring import say, setting_of, show

if TYPE_CHECKING:
    from ishowtts_bench.bench_env import BenchEnv
    from ishowtts_bench.metrics.all_metrics import AllMetrics
    from ishowtts_bench.quality_sweep import Point

_SENTENCES = 6
_UNITS = {"zh": "character"}


def options(parser: argparse.ArgumentParser) -> None:
    """What `bench sweep` takes."""
    parser.add_argument("--length", type=bench_arguments.length, default=3.0, metavar="S")
    parser.add_argument("--wav", type=bench_arguments.folder, metavar="FOLDER", help="a sample of each")
    parser.add_argument(
        "--steps", type=bench_arguments.several_evaluations, metavar="N,N,…", help="which NFE (default: nine)"
    )
    parser.add_argument(
        "--sentences", type=bench_arguments.none_or_more, default=_SENTENCES, metavar="N",
        help=f"for the judges, in each setting; 0: nobody judges (default: {_SENTENCES})",
    )  # fmt: skip
    parser.add_argument("--language", choices=("en", "zh"), help="of the sentences (default: that of the voice)")


def run(arguments: argparse.Namespace) -> int:
    """A table of every NFE, precision and switch, and of lines that begin early."""
    from ishowtts_bench import plots, quality_sweep
    from ishowtts_bench.sentences import HELD_OUT

    setting = setting_of(arguments)
    language = arguments.language or setting.language
    panel = _panel(arguments, setting, language)
    said = HELD_OUT[language] if panel is not None else ()
    if panel is not None and arguments.sentences > len(said):
        raise EngineError(f"there are {len(said)} sentences in this language; ask for no more with --sentences")
    plan = quality_sweep.Plan(
        arguments.length,
        arguments.steps or quality_sweep.STEPS,
        arguments.nfe,
        said[: arguments.sentences],
        arguments.wav,
    )
    points = quality_sweep.run(setting, plan, panel, lambda point: say(arguments, f"NFE {point.nfe_step} {point.name}"))
    unit = f"{_UNITS.get(language, 'word')} error"
    show(arguments, _table(points, unit), {"points": [_row(one, unit.replace(" ", "_")) for one in points]})
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.sweep(points, arguments.plot)
    return 0


def _panel(arguments: argparse.Namespace, setting: BenchEnv, language: str) -> AllMetrics | None:
    """The judges; `None`: not wanted, or not installed, which is said."""
    from ishowtts_bench.metrics import metric_packages

    if not arguments.sentences:
        return None
    if absent := metric_packages.missing():
        say(arguments, f"nobody judges the sound: {', '.join(absent)} not installed (scripts/setup test in a checkout)")
        return None
    from ishowtts_bench.metrics.all_metrics import AllMetrics

    clip = setting.clip()
    return AllMetrics(clip.audio.mean(dim=0).numpy(), clip.rate_hz, language, threads=os.cpu_count() or 1)


def _table(points: list[Point], unit: str) -> Table:
    judged = any(point.marks for point in points)
    table = Table("NFE", "steps", "", "RTF", "deviation from NFE 32", box=None)
    for column in (unit, "similarity", "DNSMOS") if judged else ():
        table.add_column(column)
    for point in points:
        cells = [str(point.nfe_step), point.steps, point.name, f"{point.rtf:.3f}"]
        cells.append("" if point.deviation is None else f"{point.deviation:.1e}")
        if marks := point.marks:
            cells += [f"{marks.error_rate:.1%}", _figure(marks.similarity), _figure(marks.mos)]
        table.add_row(*cells)
    return table


def _figure(value: float | None) -> str:
    return "silent" if value is None else f"{value:.2f}"


def _row(point: Point, unit: str) -> dict[str, Any]:
    row = {name: value for name, value in vars(point).items() if name != "marks"}
    if marks := point.marks:
        row |= {unit: marks.error_rate, "similarity": marks.similarity, "mos": marks.mos}
    return row
