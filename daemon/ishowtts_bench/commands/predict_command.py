"""`ishowtts bench predict`: predicts the speed of boards. Needs neither a GPU nor torch."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from ishowtts.board.gpu_specs import BOARDS, GpuSpec, find
from ishowtts.cli import argument_types
from ishowtts.cli.common import print_json
from ishowtts.engines.f5.architecture import BASE
from ishowtts_bench import kernel_times, optimisation_steps, published_figures, roofline
from ishowtts_bench.commands import bench_arguments
from ishowtts_bench.commands.command_output import make_console
from ishowtts_bench.kernel_times import KernelProfile, MeasuredEfficiencies
from ishowtts_bench.optimisation_steps import EIGHT_BIT, STEPS, OptimisationStep
from ishowtts_bench.roofline import LIKELY, Assumptions
from ishowtts_bench.workload import COMPILED, OURS, UPSTREAM, Work

_NFE = 7
_REFERENCE_S, _SPEECH_S, _FIRST_S = 5.0, 8.0, 2.0
_DETAILED_BOARD = "agx-orin"
_STEPS_ON = ("agx-orin", "thor", "h200")
_SMALLEST_SHARE = 0.005
_SMALL_RTF = 0.01


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
    """Print the boards, the stages of one board, the steps, and the comparison with published figures."""
    everything = arguments.board == "all"
    boards: Sequence[GpuSpec] = BOARDS if everything else (find(arguments.board),)
    work = Work(arguments.reference, arguments.speech, arguments.nfe)
    efficiencies = profile = None
    if arguments.kernels is not None:
        profile = kernel_times.read(arguments.kernels)
        efficiencies = _measured(profile, arguments.reference)
        if everything and efficiencies.board is not None:  # what one GPU reaches says little about another one
            boards, everything = (efficiencies.board,), False
    assumptions = {
        board.name: (efficiencies.assumptions,) if efficiencies else roofline.assumptions(board) for board in boards
    }
    explained = find(_DETAILED_BOARD) if everything else boards[0]
    middle = _middle(assumptions[explained.name])
    stages = roofline.line(BASE.arch, work, OURS, explained, middle)
    checks = [published_figures.check(BASE.arch, figure) for figure in published_figures.FIGURES]
    others = [
        published_figures.check(BASE.arch, figure, reference_s)
        for figure in published_figures.FIGURES
        for reference_s in published_figures.REFERENCES_S
    ]
    rows = [_row(board, work, assumptions[board.name]) for board in boards]
    stepped = [find(name) for name in _STEPS_ON] if everything else [explained]
    if arguments.json:
        print_json(
            {
                "reference_s": work.reference_s, "speech_s": work.speech_s, "nfe_step": work.nfe_step,
                "measured": list(efficiencies.kinds) if efficiencies else [],
                "boards": [
                    {"board": board.name} | row
                    | {"assumptions": [asdict(chosen) for chosen in assumptions[board.name]]}
                    for board, row in zip(boards, rows, strict=True)
                ],
                "explained": explained.name,
                "stages": [asdict(stage) for stage in stages.stages],
                "steps": [_step(step, stepped, work) for step in STEPS] if efficiencies is None else [],
                "eight_bit": [_step(step, stepped, work) for step in EIGHT_BIT] if efficiencies is None else [],
                "published": [_check(check) for check in checks],
                "other_references": [_check(check) for check in others],
            }
        )  # fmt: skip
        return 0
    console = make_console()
    if not everything:
        print(_answer(boards[0], rows[0]))
    console.print(_boards_table(boards, rows, work, measured=efficiencies is not None))
    console.print(_comparison_table(boards, rows))
    console.print(_stages_table(explained, stages))
    console.print(_assumptions_table(boards, assumptions))
    if profile and efficiencies:
        console.print(_of_profile(profile, efficiencies), markup=False)
        return 0
    console.print(_steps_table("What each step gains, likely", STEPS, stepped, work))
    console.print(_steps_table("Products in eight bits", EIGHT_BIT, stepped, work))
    if everything:
        console.print(_checks_table(checks))
        console.print(_references_table(others))
    return 0


def _measured(profile: KernelProfile, reference_s: float) -> MeasuredEfficiencies:
    """The efficiencies of a profile. Kinds that it lacks have those of its own board, if that is known."""
    found = kernel_times.measured_efficiencies(profile, BASE.arch, LIKELY, reference_s)
    if found.board is None:
        return found
    return kernel_times.measured_efficiencies(profile, BASE.arch, roofline.likely(found.board), reference_s)


def _middle(assumptions: Sequence[Assumptions]) -> Assumptions:
    """The likely assumptions, or the only ones."""
    return assumptions[len(assumptions) // 2]


def _of_profile(profile: KernelProfile, efficiencies: MeasuredEfficiencies) -> str:
    of = f"the data sheet of {efficiencies.board.title}" if efficiencies.board else "its own measured rates"
    kinds = ", ".join(efficiencies.kinds)
    return (
        f"Measured on {profile.device}, as shares of {of}: {kinds} (a list of {profile.listed:.0%} of the time); "
        "the others are assumed.\n"
    )


def _answer(board: GpuSpec, row: dict[str, Any]) -> str:
    """The answer for one board in a sentence, with the likely figures."""
    rtf, first_s = (row[name][len(row[name]) // 2] for name in ("rtf", "first_audio_s"))
    speed = f"about {1 / rtf:.2g} times faster than speech" if rtf < 1 else f"slower than speech, RTF {rtf:.2g}"
    return f"{board.title}: {speed}, first sound after about {first_s:.2g} s (predicted, not measured)\n"


def _row(board: GpuSpec, work: Work, assumptions: Sequence[Assumptions]) -> dict[str, Any]:
    """Figures of one board. Lists have one value for each set of assumptions."""
    first = Work(work.reference_s, _FIRST_S, work.nfe_step)
    middle = _middle(assumptions)
    return {
        "rtf": [roofline.line(BASE.arch, work, OURS, board, chosen).rtf for chosen in assumptions],
        "first_audio_s": [roofline.line(BASE.arch, first, OURS, board, chosen).total_s for chosen in assumptions],
        "rtf_predicted_first": optimisation_steps.predict_first(BASE.arch, work, board),
        "rtf_compiled": roofline.line(BASE.arch, work, COMPILED, board, middle).rtf,
        "rtf_upstream": roofline.line(BASE.arch, work, UPSTREAM, board, middle).rtf,
        "arithmetic_rtf": roofline.arithmetic_rtf(BASE.arch, work, OURS, board),
    }


def _step(step: OptimisationStep, boards: Sequence[GpuSpec], work: Work) -> dict[str, Any]:
    return {"step": step.title, "s": {board.name: step.predict_s(BASE.arch, work, board) for board in boards}}


def _check(check: published_figures.PredictionCheck) -> dict[str, Any]:
    figure = check.figure
    return asdict(check) | {
        "figure": {
            "name": figure.title, "board": figure.board, "implementation": figure.implementation.name,
            "speech_s": figure.speech_s, "nfe_step": figure.nfe_step, "rtf": figure.rtf,
        }
    }  # fmt: skip


def _boards_table(boards: Sequence[GpuSpec], rows: Sequence[dict[str, Any]], work: Work, *, measured: bool) -> Table:
    names = "measured" if measured else "/".join(reversed(roofline.NAMES))
    title = (
        f"Predicted, not measured: {work.reference_s:g} s of reference, {work.speech_s:g} s of speech, "
        f"NFE {work.nfe_step}\n(efficiencies {names})"
    )
    table = Table(
        "board", "RTF", "RTF predicted first", f"first audio of {_FIRST_S:g} s",
        box=None, padding=(0, 1, 0, 0), title=title, title_justify="left",
    )  # fmt: skip
    for column in table.columns[1:]:
        column.no_wrap = True
    for board, row in zip(boards, rows, strict=True):
        first_audio = "/".join(f"{first_s:.2f}" for first_s in reversed(row["first_audio_s"]))
        table.add_row(board.title, _rtfs(row["rtf"]), _rtfs(row["rtf_predicted_first"]), f"{first_audio} s")
    return table


def _rtfs(low_to_high: Sequence[float]) -> str:
    return "/".join(f"{rtf:.3f}" if rtf >= _SMALL_RTF else f"{rtf:.4f}" for rtf in reversed(low_to_high))


def _comparison_table(boards: Sequence[GpuSpec], rows: Sequence[dict[str, Any]]) -> Table:
    """Table of the likely RTF, also of other implementations."""
    table = Table(
        "board", "ours", "arithmetic alone", "torch.compile", "upstream",
        box=None, title="\nLikely RTF of each implementation", title_justify="left",
    )  # fmt: skip
    table.columns[0].no_wrap = True
    for board, row in zip(boards, rows, strict=True):
        likely = row["rtf"][len(row["rtf"]) // 2]
        others = (row["arithmetic_rtf"], row["rtf_compiled"], row["rtf_upstream"])
        table.add_row(board.title, *(f"{rtf:.4f}" for rtf in (likely, *others)))
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


def _assumptions_table(boards: Sequence[GpuSpec], assumptions: Mapping[str, Sequence[Assumptions]]) -> Table:
    """Table of the efficiencies of each board. Boards with the same ones share a column."""
    shared: dict[tuple[Assumptions, ...], list[str]] = {}
    for board in boards:
        shared.setdefault(tuple(assumptions[board.name]), []).append(board.title)
    names = "measured" if len(next(iter(shared))) == 1 else " / ".join(roofline.NAMES)
    table = Table(
        "kernels", *(", ".join(titles) for titles in shared.values()),
        box=None, padding=(0, 1, 0, 0), title=f"\nEfficiencies ({names})", title_justify="left",
    )  # fmt: skip
    kinds = {
        "products in fp16": "products", "products in int8, fp8": "eight_bit", "attention": "attention",
        "memory": "memory", "positional convolutions": "convolution", "products in fp32": "single",
    }  # fmt: skip
    for title, name in kinds.items():
        table.add_row(title, *("/".join(f"{getattr(one, name):.2f}" for one in column) for column in shared))
    launches = ("/".join(str(one.host_launches) for one in column) for column in shared)
    table.add_row("work of the CPU, launches", *launches)
    return table


def _steps_table(title: str, steps: Sequence[OptimisationStep], boards: Sequence[GpuSpec], work: Work) -> Table:
    """Table of the time of a line after each step, in milliseconds."""
    columns = (f"{board.title}, ms" for board in boards)
    table = Table("step", *columns, box=None, title=f"\n{title}", title_justify="left")
    for step in steps:
        table.add_row(step.title, *(f"{1000 * step.predict_s(BASE.arch, work, board):.1f}" for board in boards))
    return table


def _checks_table(checks: Sequence[published_figures.PredictionCheck]) -> Table:
    title = (
        f"\nComparison with published figures (reference {published_figures.ASSUMED_S:g} s, likely efficiencies;\n"
        "implied: efficiency of products that gives the published figure)"
    )
    table = Table(
        "figure", "on", "published", "predicted", "off", "implied",
        box=None, padding=(0, 1, 0, 0), title=title, title_justify="left",
    )  # fmt: skip
    table.columns[0].no_wrap = True
    for check in checks:
        figure = check.figure
        board = find(figure.board)
        table.add_row(
            figure.title, board.name, f"{figure.rtf:.3f}", f"{check.predicted:.3f}", f"{check.off:+.0%}",
            _implied(check.implied),
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
