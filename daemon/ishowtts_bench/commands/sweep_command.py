"""`ishowtts bench sweep`: measures speed, fidelity and speech metrics for several NFE and switches."""

from __future__ import annotations

import argparse
import itertools
import os
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ishowtts.cli.common import report_write_errors
from ishowtts.errors import EngineError
from ishowtts_bench.commands import bench_arguments
from ishowtts_bench.commands.command_output import make_env, print_progress, print_result

if TYPE_CHECKING:
    from ishowtts_bench.bench_env import BenchEnv
    from ishowtts_bench.metrics.all_metrics import AllMetrics
    from ishowtts_bench.quality_sweep import SweepPoint

_SENTENCES = 6
_UNITS = {"zh": "character"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--length",
        type=bench_arguments.length,
        default=3.0,
        metavar="S",
        help="length of the text, in seconds of speech (default: 3)",
    )
    parser.add_argument(
        "--wav", type=bench_arguments.folder, metavar="FOLDER", help="folder for a WAV file of each point"
    )
    parser.add_argument(
        "--nfe-values",
        type=bench_arguments.several_evaluations,
        metavar="N,N,…",
        help="NFE values to compare (default: nine values, 5 to 32)",
    )
    parser.add_argument(
        "--sentences", type=bench_arguments.none_or_more, default=_SENTENCES, metavar="N",
        help=f"number of sentences for the metrics of each point; 0: no metrics (default: {_SENTENCES})",
    )  # fmt: skip
    parser.add_argument(
        "--language", choices=("en", "zh"), help="language of the sentences (default: the language of the voice)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a table of every NFE, precision and switch, and of lines with a short first segment."""
    from ishowtts_bench import plots, quality_sweep
    from ishowtts_bench.sentences import HELD_OUT

    env = make_env(arguments)
    language = arguments.language or env.language
    metrics = _metrics(arguments, env, language)
    sentences = HELD_OUT[language] if metrics is not None else ()
    if metrics is not None and arguments.sentences > len(sentences):
        raise EngineError(f"there are {len(sentences)} sentences in this language; ask for fewer with --sentences")
    plan = quality_sweep.SweepPlan(
        arguments.length,
        arguments.nfe_values or quality_sweep.NFE_VALUES,
        arguments.nfe,
        sentences[: arguments.sentences],
        arguments.wav,
    )
    planned, number = quality_sweep.points_planned(env, plan), itertools.count(1)
    points = quality_sweep.run(
        env,
        plan,
        metrics,
        lambda point: print_progress(
            arguments, f"{next(number)} of {planned}: NFE {point.nfe_step} {point.schedule} {point.name}".rstrip()
        ),
    )
    unit = f"{_UNITS.get(language, 'word')} error"
    data = {"points": [_row(point, unit.replace(" ", "_")) for point in points]}
    print_result(arguments, _table(points, unit), data, _verdict(points))
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.sweep(points, arguments.plot)
    return 0


def _metrics(arguments: argparse.Namespace, env: BenchEnv, language: str) -> AllMetrics | None:
    """Load the metrics; `None` if they are not wanted, or not installed, which is printed."""
    from ishowtts_bench.metrics import metric_packages

    if not arguments.sentences:
        return None
    if absent := metric_packages.missing():
        print_progress(arguments, f"no metrics: {', '.join(absent)} not installed (scripts/setup test in a checkout)")
        return None
    from ishowtts_bench.metrics.all_metrics import AllMetrics

    clip = env.reference_clip()
    return AllMetrics(clip.audio.mean(dim=0).numpy(), clip.rate_hz, language, threads=os.cpu_count() or 1)


def _table(points: list[SweepPoint], unit: str) -> Table:
    measured = any(point.scores for point in points)
    table = Table("NFE", "schedule", "variant", "RTF", "deviation from NFE 32", box=None)
    for column in (unit, "similarity", "DNSMOS") if measured else ():
        table.add_column(column)
    for point in points:
        cells = [str(point.nfe_step), point.schedule, point.name, f"{point.rtf:.3f}"]
        cells.append("" if point.deviation is None else f"{point.deviation:.1e}")
        if scores := point.scores:
            cells += [f"{scores.error_rate:.1%}", _figure(scores.similarity), _figure(scores.mos)]
        table.add_row(*cells)
    return table


def _verdict(points: list[SweepPoint]) -> str:
    fastest, finest = min(points, key=lambda point: point.rtf), max(points, key=lambda point: point.nfe_step)
    name = " ".join(filter(None, (f"NFE {fastest.nfe_step}", fastest.schedule, fastest.name)))
    times = f", {finest.rtf / fastest.rtf:.1f} times faster than NFE {finest.nfe_step}" if finest is not fastest else ""
    return f"ok: the fastest is {name}, RTF {fastest.rtf:.3f}{times}"


def _figure(value: float | None) -> str:
    return "silent" if value is None else f"{value:.2f}"


def _row(point: SweepPoint, unit: str) -> dict[str, Any]:
    row = {name: value for name, value in vars(point).items() if name != "scores"}
    if scores := point.scores:
        row |= {unit: scores.error_rate, "similarity": scores.similarity, "mos": scores.mos}
    return row
