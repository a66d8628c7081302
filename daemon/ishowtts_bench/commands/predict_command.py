"""`ishowtts bench predict`: predicts the speed of boards. Needs neither a GPU nor torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from ishowtts.board.gpu_specs import BOARDS, GpuSpec, find
from ishowtts.cli import argument_types
from ishowtts.cli.common import print_json
from ishowtts.engines.f5.architecture import BASE
from ishowtts_bench import kernel_times, published_figures, roofline
from ishowtts_bench.commands import bench_arguments
from ishowtts_bench.roofline import ASSUMPTIONS, LIKELY, Assumptions
from ishowtts_bench.workload import COMPILED, OURS, UPSTREAM, Work

_NFE = 7
_REFERENCE_S, _SPEECH_S, _FIRST_S = 5.0, 8.0, 2.0
_DETAILED_BOARD = "agx-orin"
_SMALLEST_SHARE = 0.005


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    names = ", ".join(board.name for board in BOARDS)
    parser.add_argument("--board", default="all", metavar="NAME", help=f"{names}, or all (default)")
    parser.add_argument(
        "--reference",
        type=bench_arguments.reference,
        default=_REFERENCE_S,
        metavar="S",
        help=f"length of the reference clip, in seconds (default: {_REFERENCE_S:g})",
    )
    parser.add_argument(
        "--speech",
        type=bench_arguments.length,
        default=_SPEECH_S,
        metavar="S",
        help=f"length of the speech, in seconds (default: {_SPEECH_S:g})",
    )
    parser.add_argument(
        "--nfe",
        type=bench_arguments.evaluations,
        default=_NFE,
        metavar="N",
        help=f"number of evaluations (NFE), 4 to 64 (default: {_NFE})",
    )
    parser.add_argument(
        "--kernels",
        type=argument_types.existing_file,
        metavar="FILE",
        help="measured kernels: a file that `bench profile --json` wrote on a GPU",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the boards, the stages of one board, and the comparison with published figures."""
    boards = BOARDS if arguments.board == "all" else (find(arguments.board),)
    work = Work(arguments.reference, arguments.speech, arguments.nfe)
    efficiencies = profile = None
    if arguments.kernels is not None:
        profile = kernel_times.read(arguments.kernels)
        efficiencies = kernel_times.measured_efficiencies(profile, BASE.arch, LIKELY, arguments.reference)
    assumptions = (efficiencies.assumptions,) if efficiencies else ASSUMPTIONS
    explained = find(_DETAILED_BOARD) if arguments.board == "all" else boards[0]
    stages = roofline.line(BASE.arch, work, OURS, explained, efficiencies.assumptions if efficiencies else LIKELY)
    checks = [published_figures.check(BASE.arch, figure) for figure in published_figures.FIGURES]
    others = [
        published_figures.check(BASE.arch, figure, reference_s)
        for figure in published_figures.FIGURES
        for reference_s in published_figures.REFERENCES_S
    ]
    rows = [_row(board, work, assumptions) for board in boards]
    if arguments.json:
        print_json(
            {
                "reference_s": work.reference_s, "speech_s": work.speech_s, "nfe_step": work.nfe_step,
                "assumptions": [asdict(chosen) for chosen in assumptions],
                "measured": list(efficiencies.kinds) if efficiencies else [],
                "boards": [{"board": board.name} | row for board, row in zip(boards, rows, strict=True)],
                "explained": explained.name,
                "stages": [asdict(stage) for stage in stages.stages],
                "published": [_check(check) for check in checks],
                "other_references": [_check(check) for check in others],
            }
        )  # fmt: skip
        return 0
    console = Console()
    if arguments.board != "all":
        print(_answer(boards[0], rows[0]))
    console.print(_boards_table(boards, rows, assumptions, work))
    console.print(_comparison_table(boards, rows))
    console.print(_stages_table(explained, stages))
    console.print(_assumptions_table(assumptions))
    if profile and efficiencies:
        of = f"the data sheet of {efficiencies.board.title}" if efficiencies.board else "its own measured rates"
        kinds = ", ".join(efficiencies.kinds)
        console.print(
            f"Measured on {profile.device}, as shares of {of}: {kinds} (a list of {profile.listed:.0%} of the time); "
            "the others are assumed.\n",
            markup=False,
        )
    if arguments.board == "all":
        console.print(_checks_table(checks))
        console.print(_references_table(others))
    return 0


def _answer(board: GpuSpec, row: dict[str, Any]) -> str:
    """The answer for one board in a sentence, with the likely figures."""
    rtf, first_s = (row[name][len(row[name]) // 2] for name in ("rtf", "first_audio_s"))
    speed = f"about {1 / rtf:.2g} times faster than speech" if rtf < 1 else f"slower than speech, RTF {rtf:.2g}"
    return f"{board.title}: {speed}, first sound after about {first_s:.2g} s (predicted, not measured)\n"


def _row(board: GpuSpec, work: Work, assumptions: Sequence[Assumptions]) -> dict[str, Any]:
    """Figures of one board. Lists have one value for each set of assumptions."""
    first = Work(work.reference_s, _FIRST_S, work.nfe_step)
    middle = assumptions[len(assumptions) // 2]
    halved = roofline.line(BASE.arch, work, OURS, board.halved(), middle).rtf if board.half_rate_uncertain else None
    return {
        "rtf": [roofline.line(BASE.arch, work, OURS, board, chosen).rtf for chosen in assumptions],
        "first_audio_s": [roofline.line(BASE.arch, first, OURS, board, chosen).total_s for chosen in assumptions],
        "rtf_if_half_rate": halved,
        "rtf_compiled": roofline.line(BASE.arch, work, COMPILED, board, middle).rtf,
        "rtf_upstream": roofline.line(BASE.arch, work, UPSTREAM, board, middle).rtf,
        "arithmetic_rtf": roofline.arithmetic_rtf(BASE.arch, work, OURS, board),
    }


def _check(check: published_figures.PredictionCheck) -> dict[str, Any]:
    figure = check.figure
    return asdict(check) | {
        "figure": {
            "name": figure.title, "board": figure.board, "implementation": figure.implementation.name,
            "speech_s": figure.speech_s, "nfe_step": figure.nfe_step, "rtf": figure.rtf,
        }
    }  # fmt: skip


def _boards_table(
    boards: Sequence[GpuSpec], rows: Sequence[dict[str, Any]], assumptions: Sequence[Assumptions], work: Work
) -> Table:
    names = "measured" if len(assumptions) == 1 else " / ".join(reversed([chosen.name for chosen in assumptions]))
    title = (
        f"Predicted, not measured: {work.reference_s:g} s of reference, {work.speech_s:g} s of speech, "
        f"NFE {work.nfe_step}\n(efficiencies {names})"
    )
    table = Table("board", "RTF", f"first audio of {_FIRST_S:g} s", box=None, title=title, title_justify="left")
    for board, row in zip(boards, rows, strict=True):
        table.add_row(
            board.title,
            " / ".join(f"{rtf:.3f}" for rtf in reversed(row["rtf"])),
            " / ".join(f"{first_s:.2f}" for first_s in reversed(row["first_audio_s"])) + " s",
        )
    return table


def _comparison_table(boards: Sequence[GpuSpec], rows: Sequence[dict[str, Any]]) -> Table:
    """Table of the likely RTF, also for other implementations and assumptions."""
    table = Table(
        "board", "RTF", "arithmetic alone", "half rate", "torch.compile", "upstream",
        box=None, title="\nLikely RTF of other implementations and assumptions", title_justify="left",
    )  # fmt: skip
    table.columns[0].no_wrap = True
    for board, row in zip(boards, rows, strict=True):
        halved, rtfs = row["rtf_if_half_rate"], row["rtf"]
        table.add_row(
            board.title, f"{rtfs[len(rtfs) // 2]:.4f}", f"{row['arithmetic_rtf']:.4f}",
            f"{halved:.4f}" if halved else "", f"{row['rtf_compiled']:.4f}", f"{row['rtf_upstream']:.4f}",
        )  # fmt: skip
    return table


def _stages_table(board: GpuSpec, estimate: roofline.Estimate) -> Table:
    title = f"\nTime of each stage on {board.title}, {1000 * estimate.total_s:.0f} ms in all"
    table = Table("stage", "calls", "milliseconds", "share", "bound by", box=None, title=title, title_justify="left")
    listed = sorted(estimate.stages, key=lambda stage: -stage.spent_s)
    for stage in listed:
        if stage.share >= _SMALLEST_SHARE:
            table.add_row(
                stage.name, str(stage.calls), f"{1000 * stage.spent_s:.1f}", f"{stage.share:.1%}", stage.bound
            )
    small = [stage for stage in listed if stage.share < _SMALLEST_SHARE]
    spent_s, calls = sum(stage.spent_s for stage in small), sum(stage.calls for stage in small)
    table.add_row(
        "everything else", str(calls), f"{1000 * spent_s:.1f}", f"{sum(stage.share for stage in small):.1%}", ""
    )
    return table


def _assumptions_table(assumptions: Sequence[Assumptions]) -> Table:
    chosen = (
        "chosen before any comparison with the figures below"
        if len(assumptions) > 1
        else "measured if the list has them"
    )
    title = f"\nEfficiencies, {chosen}"
    table = Table("assumed", *(column.name for column in assumptions), box=None, title=title, title_justify="left")
    shares = {
        "products in fp16": "products", "attention": "attention", "positional convolutions": "convolution",
        "products in fp32": "single", "memory": "memory",
    }  # fmt: skip
    for title, name in shares.items():
        table.add_row(title, *(f"{getattr(column, name):.2f}" for column in assumptions))
    table.add_row("CPU work, as a number of launches", *(str(column.host_launches) for column in assumptions))
    return table


def _checks_table(checks: Sequence[published_figures.PredictionCheck]) -> Table:
    title = (
        f"\nComparison with published figures (reference {published_figures.ASSUMED_S:g} s, likely efficiencies;\n"
        "implied: efficiency of products that gives the published figure,\nat the full and at half rate)"
    )
    table = Table(
        "figure", "on", "published", "predicted", "off", "implied", "half rate",
        box=None, padding=(0, 1, 0, 0), title=title, title_justify="left",
    )  # fmt: skip
    table.columns[0].no_wrap = True
    for check in checks:
        figure = check.figure
        board = find(figure.board)
        table.add_row(
            figure.title, board.name, f"{figure.rtf:.3f}", f"{check.predicted:.3f}", f"{check.off:+.0%}",
            _implied(check.implied),
            _implied(check.implied_halved) if board.half_rate_uncertain and figure.implementation.half else "",
        )  # fmt: skip
    return table


def _references_table(checks: Sequence[published_figures.PredictionCheck]) -> Table:
    """Table of the predictions for other lengths of the reference, which is unknown."""
    columns = (f"{reference_s:g} s" for reference_s in published_figures.REFERENCES_S)
    title = "\nPredicted RTF for other lengths of the reference"
    table = Table("figure", *columns, box=None, title=title, title_justify="left")
    table.columns[0].no_wrap = True
    for figure in published_figures.FIGURES:
        cells = [f"{check.predicted:.3f}" for check in checks if check.figure == figure]
        table.add_row(figure.title, *cells)
    return table


def _implied(efficiency: float | None) -> str:
    return "none" if efficiency is None else f"{efficiency:.0%}"
