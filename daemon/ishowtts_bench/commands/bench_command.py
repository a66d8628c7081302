"""`ishowtts bench`: parity with upstream, speed, profile, and the other benches."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable

from rich.table import Table

from ishowtts.cli import argument_types
from ishowtts.cli.common import Commands, report_write_errors
from ishowtts.engines.f5.upstream_packages import INSTALL_FIX
from ishowtts.errors import EngineError
from ishowtts_bench.commands import (
    batches_command,
    bench_arguments,
    kernels_command,
    predict_command,
    speed_command,
    sweep_command,
    vocoder_command,
)
from ishowtts_bench.commands.bench_help import add_bench
from ishowtts_bench.commands.command_output import check_model, make_env, ok_or_no, print_progress, print_result

_NFE = 7


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command and its subcommands."""
    bench = commands.add_parser("bench")
    parts = bench.add_subparsers(required=True, metavar="WHAT", title="benches")
    plot_option = argparse.ArgumentParser(add_help=False)
    plot_option.add_argument(
        "--plot", type=bench_arguments.picture, metavar="FILE", help="also draw a plot, .png or .svg"
    )

    def add_part(
        name: str, command: Callable[[argparse.Namespace], int], model: str, *, plot: bool = True
    ) -> argparse.ArgumentParser:
        parents = [common, _common_options(model), *([plot_option] if plot else [])]
        part = add_bench(parts, name, parents)
        part.set_defaults(command=_with_torch(command), model_default=model)
        return part

    add_part("parity", run_parity, "tiny", plot=False)
    speed_command.add_options(add_part("speed", speed_command.run, "base"))
    speed_command.add_regress_options(add_part("regress", speed_command.run_regress, "base"))
    ablation = add_part("ablate", run_ablate, "small")
    _add_length(ablation)
    ablation.add_argument(
        "--rounds", type=bench_arguments.positive, default=3, metavar="N", help="number of rounds (default: 3)"
    )
    sweep_command.add_options(add_part("sweep", sweep_command.run, "small"))
    _add_length(add_part("profile", run_profile, "small"))
    add_part("kernels", kernels_command.run, "small", plot=False)
    expected = add_bench(parts, "predict", [common])
    predict_command.add_options(expected)
    expected.set_defaults(command=predict_command.run)
    batches_command.add_options(add_part("batches", batches_command.run, "small"))
    vocoder_command.add_options(add_part("vocoder", vocoder_command.run, "small", plot=False))


def _common_options(model: str) -> argparse.ArgumentParser:
    """The options of every bench that runs the engine; `model` is the default of this one."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--model",
        default=None,
        help=f"tiny, small or base (random weights), or a folder of weights (default: {model})",
    )
    options.add_argument(
        "--device", choices=("cpu", "cuda"), default=None, help="device of the engine (default: cuda if it works)"
    )
    options.add_argument(
        "--precision",
        choices=("auto", "fp32", "fp16", "bf16"),
        default="auto",
        help="number format (default: auto, which is fp16 with cuda, bf16 on a CPU with such instructions, else fp32)",
    )
    options.add_argument(
        "--nfe",
        type=bench_arguments.evaluations,
        default=_NFE,
        metavar="N",
        help=f"number of evaluations (NFE), 4 to 64 (default: {_NFE})",
    )
    options.add_argument("--json", action="store_true", help="print only one line of JSON")
    options.add_argument(
        "--figures", type=argument_types.output_file, metavar="FILE", help="also write that line of JSON to this file"
    )
    return options


def _add_length(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--length",
        type=bench_arguments.length,
        default=3.0,
        metavar="S",
        help="length of the text, in seconds of speech (default: 3)",
    )


def _with_torch(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wrap a command: raise one sentence if this installation lacks the F5 engine."""

    def run(arguments: argparse.Namespace) -> int:
        for package in ("torch", "f5_tts", "vocos", "torchaudio"):
            if importlib.util.find_spec(package) is None:
                raise EngineError(f"a bench needs the package {package}, which is not installed; {INSTALL_FIX}")
        check_model(arguments)
        return command(arguments)

    return run


def run_parity(arguments: argparse.Namespace) -> int:
    """Print a table. Returns 1 if a row failed."""
    from ishowtts_bench import parity

    env = make_env(arguments)
    rows: list[parity.ParityRow] = []

    def report(row: parity.ParityRow) -> None:
        rows.append(row)
        print_progress(arguments, f"{len(rows)}: {'ok  ' if row.passed else 'FAIL'} {row.name}")

    passed = parity.run(env, report)
    table = Table("comparison", "difference", "must be", "", box=None)
    for row in rows:
        sign = "at least" if row.mutation else "at most"
        name = f"[mutation] {row.name}" if row.mutation else row.name
        table.add_row(name.replace("[", r"\["), f"{row.error:.1e}", f"{sign} {row.limit:.1e}", ok_or_no(row.passed))
    failed = [row.name for row in rows if not row.passed]
    mutated = sum(row.mutation for row in rows)
    verdict = (
        f"failed: {len(failed)} of {len(rows)} comparisons: {', '.join(failed)}"
        if failed
        else f"ok: our sound is upstream's in {len(rows) - mutated} comparisons, and {mutated} mutations were noticed"
    )
    data = {"passed": passed, "rows": [vars(row) | {"passed": row.passed} for row in rows]}
    print_result(arguments, table, data, verdict)
    return 0 if passed else 1


def run_ablate(arguments: argparse.Namespace) -> int:
    """Print a table of every switch."""
    from ishowtts_bench import ablation, plots

    variants = ablation.run(
        make_env(arguments),
        arguments.length,
        arguments.rounds,
        arguments.nfe,
        lambda text: print_progress(arguments, text),
    )
    table = Table("switches", "seconds", "times as long", "largest difference", "deviation", box=None)
    for variant in variants:
        table.add_row(
            variant.name, f"{variant.synth_s:.3f}", f"{variant.ratio:.2f}", f"{variant.error:.1e}",
            f"{variant.deviation:.1e}",
        )  # fmt: skip
    slowest = max(variants, key=lambda variant: variant.ratio)
    verdict = f"ok: the largest effect has {slowest.name!r}, which takes {slowest.ratio:.2f} times as long"
    print_result(arguments, table, {"variants": [vars(variant) for variant in variants]}, verdict)
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.shares(
                [variant.name for variant in variants],
                [variant.ratio for variant in variants],
                "times as long",
                arguments.plot,
            )
    return 0


def run_profile(arguments: argparse.Namespace) -> int:
    """Print a table of stages and kernels."""
    from ishowtts_bench import plots, profiling

    found = profiling.run(make_env(arguments), arguments.length, arguments.nfe)
    table = Table("stage or kernel", "milliseconds", "share", "calls", box=None)
    for shares in (found.stages, found.kernels):
        for share in shares:
            table.add_row(share.name, f"{1000 * share.spent_s:.1f}", f"{share.share:.1%}", str(share.calls))
        table.add_section()
    longest = max(found.stages, key=lambda stage: stage.share)
    notes = [] if found.choice is None else [f"kernels: {found.choice}"]
    if found.busy is not None:
        notes.append(
            f"without the profiler the segment takes {1000 * found.busy.whole_s:.1f} ms; the GPU is idle for "
            f"{found.busy.idle_share:.0%} of it"
        )
    verdict = f"ok: {longest.name} take {longest.share:.0%} of the {1000 * sum(s.spent_s for s in found.stages):.0f} ms"
    print_result(arguments, table, profiling.as_dict(found), "\n".join([*notes, verdict]))
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.shares(
                [kernel.name for kernel in found.kernels],
                [kernel.share for kernel in found.kernels],
                "share",
                arguments.plot,
            )
    return 0
