"""`ishowtts bench predict`: tables of what boards are expected to reach. Neither a GPU nor torch is needed."""

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
from ishowtts_bench.workload import EARLIER, OURS, STOCK, Work

_NFE = 7
_REFERENCE_S, _SPEECH_S, _FIRST_S = 5.0, 8.0, 2.0
_EXPLAINED = "agx-orin"
_SMALLEST_SHARE = 0.005


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `bench predict` takes."""
    names = ", ".join(board.name for board in BOARDS)
    parser.add_argument("--board", default="all", metavar="NAME", help=f"{names}, or all (default)")
    parser.add_argument(
        "--reference", type=bench_arguments.reference, default=_REFERENCE_S, metavar="S", help="of the voice"
    )
    parser.add_argument("--speech", type=bench_arguments.length, default=_SPEECH_S, metavar="S", help="that are spoken")
    parser.add_argument(
        "--nfe", type=bench_arguments.evaluations, default=_NFE, metavar="N", help="evaluations, 4 to 64"
    )
    parser.add_argument(
        "--kernels", type=argument_types.existing_file, metavar="FILE", help="of `bench profile --json` on a GPU"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Boards, the stages of one of them, and the check against what was published."""
    boards = BOARDS if arguments.board == "all" else (find(arguments.board),)
    work = Work(arguments.reference, arguments.speech, arguments.nfe)
    learned = profile = None
    if arguments.kernels is not None:
        profile = kernel_times.read(arguments.kernels)
        learned = kernel_times.learn(profile, BASE.arch, LIKELY, arguments.reference)
    given = (learned.given,) if learned else ASSUMPTIONS
    explained = find(_EXPLAINED) if arguments.board == "all" else boards[0]
    stages = roofline.line(BASE.arch, work, OURS, explained, learned.given if learned else LIKELY)
    checks = [published_figures.check(BASE.arch, figure) for figure in published_figures.FIGURES]
    others = [
        published_figures.check(BASE.arch, figure, reference_s)
        for figure in published_figures.FIGURES
        for reference_s in published_figures.REFERENCES_S
    ]
    rows = [_row(board, work, given) for board in boards]
    if arguments.json:
        print_json(
            {
                "reference_s": work.reference_s, "speech_s": work.speech_s, "nfe_step": work.nfe_step,
                "assumptions": [asdict(one) for one in given],
                "measured": list(learned.kinds) if learned else [],
                "boards": [{"board": board.name} | row for board, row in zip(boards, rows, strict=True)],
                "explained": explained.name,
                "stages": [asdict(stage) for stage in stages.stages],
                "published": [_check(check) for check in checks],
                "other_references": [_check(check) for check in others],
            }
        )  # fmt: skip
        return 0
    console = Console()
    console.print(_boards_table(boards, rows, given, work))
    console.print(_beside_table(boards, rows))
    console.print(_stages_table(explained, stages))
    console.print(_assumptions_table(given))
    if profile and learned:
        of = f"the data sheet of {learned.board.title}" if learned.board else "its own measured rates"
        kinds = ", ".join(learned.kinds)
        console.print(
            f"Measured on {profile.device}, as shares of {of}: {kinds} (a list of {profile.listed:.0%} of the time); "
            "the rest is assumed.\n",
            markup=False,
        )
    console.print(_checks_table(checks))
    console.print(_references_table(others))
    return 0


def _row(board: GpuSpec, work: Work, given: Sequence[Assumptions]) -> dict[str, Any]:
    """Figures of one board, each a list along the assumptions."""
    first = Work(work.reference_s, _FIRST_S, work.nfe_step)
    middle = given[len(given) // 2]
    halved = roofline.line(BASE.arch, work, OURS, board.halved(), middle).rtf if board.half_rate_uncertain else None
    return {
        "rtf": [roofline.line(BASE.arch, work, OURS, board, one).rtf for one in given],
        "first_audio_s": [roofline.line(BASE.arch, first, OURS, board, one).total_s for one in given],
        "rtf_if_half_rate": halved,
        "rtf_earlier": roofline.line(BASE.arch, work, EARLIER, board, middle).rtf,
        "rtf_stock": roofline.line(BASE.arch, work, STOCK, board, middle).rtf,
        "arithmetic_rtf": roofline.arithmetic_rtf(BASE.arch, work, OURS, board),
    }


def _check(check: published_figures.PredictionCheck) -> dict[str, Any]:
    figure = check.figure
    return asdict(check) | {
        "figure": {
            "name": figure.title, "board": figure.board, "recipe": figure.recipe.name, "speech_s": figure.speech_s,
            "nfe_step": figure.nfe_step, "rtf": figure.rtf,
        }
    }  # fmt: skip


def _boards_table(
    boards: Sequence[GpuSpec], rows: Sequence[dict[str, Any]], given: Sequence[Assumptions], work: Work
) -> Table:
    names = "measured" if len(given) == 1 else " / ".join(reversed([one.name for one in given]))
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


def _beside_table(boards: Sequence[GpuSpec], rows: Sequence[dict[str, Any]]) -> Table:
    """What the likely RTF stands between."""
    table = Table(
        "board", "RTF", "arithmetic alone", "half rate", "earlier", "stock",
        box=None, title="\nBeside it, with likely efficiencies", title_justify="left",
    )  # fmt: skip
    table.columns[0].no_wrap = True
    for board, row in zip(boards, rows, strict=True):
        halved, rtfs = row["rtf_if_half_rate"], row["rtf"]
        table.add_row(
            board.title, f"{rtfs[len(rtfs) // 2]:.4f}", f"{row['arithmetic_rtf']:.4f}",
            f"{halved:.4f}" if halved else "", f"{row['rtf_earlier']:.4f}", f"{row['rtf_stock']:.4f}",
        )  # fmt: skip
    return table


def _stages_table(board: GpuSpec, estimate: roofline.Estimate) -> Table:
    title = f"\nWhere the time of {board.title} goes, {1000 * estimate.total_s:.0f} ms"
    table = Table("stage", "calls", "milliseconds", "share", "bound by", box=None, title=title, title_justify="left")
    listed = sorted(estimate.stages, key=lambda stage: -stage.spent_s)
    for stage in listed:
        if stage.share >= _SMALLEST_SHARE:
            table.add_row(
                stage.name, str(stage.calls), f"{1000 * stage.spent_s:.1f}", f"{stage.share:.1%}", stage.bound
            )
    small = [stage for stage in listed if stage.share < _SMALLEST_SHARE]
    spent_s, calls = sum(stage.spent_s for stage in small), sum(stage.calls for stage in small)
    table.add_row("the rest", str(calls), f"{1000 * spent_s:.1f}", f"{sum(stage.share for stage in small):.1%}", "")
    return table


def _assumptions_table(given: Sequence[Assumptions]) -> Table:
    chosen = "chosen before any figure below was looked at" if len(given) > 1 else "measured where the list names them"
    title = f"\nEfficiencies, {chosen}"
    table = Table("assumed", *(one.name for one in given), box=None, title=title, title_justify="left")
    shares = {
        "products in fp16": "products", "attention": "attention", "positional convolutions": "convolution",
        "products in fp32": "single", "memory": "memory",
    }  # fmt: skip
    for title, name in shares.items():
        table.add_row(title, *(f"{getattr(one, name):.2f}" for one in given))
    table.add_row("the processor's part, in launches", *(str(one.host_launches) for one in given))
    return table


def _checks_table(checks: Sequence[published_figures.PredictionCheck]) -> Table:
    title = (
        f"\nHeld against what others published (reference {published_figures.ASSUMED_S:g} s, likely efficiencies;\n"
        "implied: efficiency of products that would give their figure,\nat the full and at half rate)"
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
            _implied(check.implied_halved) if board.half_rate_uncertain and figure.recipe.half else "",
        )  # fmt: skip
    return table


def _references_table(checks: Sequence[published_figures.PredictionCheck]) -> Table:
    """How much the length of the reference, which is not known, changes the check."""
    columns = (f"{reference_s:g} s" for reference_s in published_figures.REFERENCES_S)
    title = "\nThe same with other references: predicted RTF"
    table = Table("figure", *columns, box=None, title=title, title_justify="left")
    table.columns[0].no_wrap = True
    for figure in published_figures.FIGURES:
        cells = [f"{one.predicted:.3f}" for one in checks if one.figure == figure]
        table.add_row(figure.title, *cells)
    return table


def _implied(efficiency: float | None) -> str:
    return "none" if efficiency is None else f"{efficiency:.0%}"
