"""`ishowtts bench`: parity with upstream, speed, profile, and the other benches."""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import statistics
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from ishowtts.cli import argument_types
from ishowtts.cli.common import Commands, report_write_errors
from ishowtts.errors import EngineError
from ishowtts_bench.commands import batches_command, bench_arguments, predict_command, sweep_command, vocoder_command
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
    _add_speed_options(add_part("speed", run_speed, "base")).add_argument(
        "--save", type=argument_types.output_file, metavar="FILE", help="save the summary as a baseline"
    )
    _add_speed_options(add_part("regress", run_regress, "base")).add_argument(
        "baseline", type=argument_types.existing_file, metavar="BASELINE", help="file that `bench speed --save` wrote"
    )
    ablation = add_part("ablate", run_ablate, "small")
    _add_length(ablation)
    ablation.add_argument(
        "--rounds", type=bench_arguments.positive, default=3, metavar="N", help="number of rounds (default: 3)"
    )
    sweep_command.add_options(add_part("sweep", sweep_command.run, "small"))
    _add_length(add_part("profile", run_profile, "small"))
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


def _add_speed_options(speed: argparse.ArgumentParser) -> argparse.ArgumentParser:
    speed.add_argument(
        "--lengths",
        type=bench_arguments.lengths,
        default=(1.0, 3.0, 10.0),
        metavar="S,S,…",
        help="lengths of the texts, in seconds of speech (default: 1,3,10)",
    )
    speed.add_argument(
        "--rounds", type=bench_arguments.positive, default=3, metavar="N", help="number of rounds (default: 3)"
    )
    speed.add_argument("--compiled", action="store_true", help="also measure upstream through torch.compile")
    speed.add_argument("--int8", action="store_true", help="also measure our engine in int8")
    speed.add_argument("--default", action="store_true", help="also measure upstream at its default of 32 evaluations")
    speed.add_argument("--starts", action="store_true", help="also measure cold and warm starts and peak memory")
    return speed


def _with_torch(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wrap a command: raise one sentence if this installation lacks the F5 engine."""

    def run(arguments: argparse.Namespace) -> int:
        for package in ("torch", "f5_tts", "vocos", "torchaudio"):
            if importlib.util.find_spec(package) is None:
                raise EngineError(
                    f"a bench needs the package {package}, which is not installed; run install.sh again, with --bench"
                )
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


def run_speed(arguments: argparse.Namespace) -> int:
    """Print a table, then one line of JSON."""
    summary = _speed(arguments)
    print(json.dumps(summary))
    for path in (arguments.save, arguments.figures):
        if path is not None:
            with report_write_errors(path):
                path.write_text(json.dumps(summary) + "\n", encoding="utf-8")
    return 0


def run_regress(arguments: argparse.Namespace) -> int:
    """Measure the speed again. Returns 1 if a figure fell by more than 10 %."""
    from ishowtts_bench import regression

    then = regression.read(arguments.baseline)
    changes = regression.compare(then, _speed(arguments))
    table = Table("figure", "then", "now", "", box=None)
    for change in changes:
        table.add_row(change.name, f"{change.then:.3f}", f"{change.now:.3f}", ok_or_no(not change.worse))
    fallen = [f"{change.name} fell from {change.then:.3f} to {change.now:.3f}" for change in changes if change.worse]
    worse = bool(fallen)
    verdict = f"slower than the baseline: {', '.join(fallen)}" if fallen else "ok: no figure fell by more than 10 %"
    data = {"worse": worse, "changes": [vars(change) | {"worse": change.worse} for change in changes]}
    print_result(arguments, table, data, verdict)
    return 1 if worse else 0


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
    verdict = f"ok: {longest.name} take {longest.share:.0%} of the {1000 * sum(s.spent_s for s in found.stages):.0f} ms"
    print_result(arguments, table, profiling.as_dict(found), verdict)
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.shares(
                [kernel.name for kernel in found.kernels],
                [kernel.share for kernel in found.kernels],
                "share",
                arguments.plot,
            )
    return 0


def _speed(arguments: argparse.Namespace) -> dict[str, object]:
    from ishowtts_bench import plots, speed, startup

    if note := load_note(os.getloadavg()[0], os.cpu_count()):
        print(note, file=sys.stderr)
    env = make_env(arguments)
    extra = speed.ExtraSystems(arguments.compiled, arguments.int8, arguments.default)
    planned = speed.timings_planned(env.device, len(arguments.lengths), arguments.rounds, extra)
    number = itertools.count(1)

    def report(timing: speed.Timing) -> None:
        note = "" if timing.counted else " (warms up, is not counted)"
        took = f"{timing.audio_s:.1f} s of sound in {timing.synth_s:.2f} s"
        print_progress(arguments, f"{next(number)} of {planned}: {timing.system}: {took}{note}")

    result = speed.run(env, arguments.lengths, arguments.rounds, nfe_step=arguments.nfe, extra=extra, report=report)
    if arguments.starts:
        for start in startup.measure_all(env.folder, env.device, arguments.nfe):
            result.starts.append(start)
            print_progress(arguments, f"start of {start.system}, {_weights(start)}: {start.ready_s:.1f} s")
    if not arguments.json:
        for table in _speed_tables(result):
            Console().print(table)
        print("\n".join(_speed_sentences(result)))
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.speed(result, arguments.plot)
    return speed.summary(result, arguments.model or arguments.model_default)


def load_note(load: float, cores: int | None) -> str | None:
    """A sentence if other programs use this machine, so that the figures are too low; `None` if not."""
    if cores is None or load <= cores:
        return None
    return f"note: other programs run (load average {load:.1f}, {cores} cores): repeat on an idle machine"


def _speed_sentences(result: Any) -> list[str]:
    """What the tables mean: the rate of the machine, and the verdict."""
    best, fraction = result.machine, statistics.median(result.fractions)
    sentences = [
        f"this machine, {best.threads} threads: {best.flop_per_s / 1e9:.0f} GFLOP/s in products of {best.dtype}, "
        f"{best.bytes_per_s / 1e9:.0f} GB/s, the best of all rounds"
    ]
    sentences.append(
        f"fault of the measurement: {result.fault}"
        if result.fault
        else f"ours took {1 / fraction:.2f} times the minimum time of its arithmetic at that rate"
    )
    nfe = result.nfe_step
    ratio = result.ratio(f"upstream, NFE {nfe}", f"ours, NFE {nfe}")
    if ratio is not None:
        sentences.append(
            f"ok: our engine is {ratio:.2f} times as fast as upstream at NFE {nfe}"
            if ratio >= 1
            else f"slower than upstream: our engine takes {1 / ratio:.2f} times as long at NFE {nfe}"
        )
    return sentences


def _speed_tables(result: Any) -> list[Table]:
    table = Table("system", "sound", "RTF, median", "lowest to highest", "first sound", box=None)
    for row in result.rows():
        table.add_row(
            row.system,
            f"{row.audio_s:.1f} s",
            f"{row.rtf:.3f}",
            f"{row.lowest:.3f} to {row.highest:.3f}",
            "" if row.ttfa_s is None else f"{row.ttfa_s:.2f} s",
        )
    if not result.starts:
        return [table]
    starts = Table("start", "weights", "ready", "first sound after", "peak memory", box=None)
    for start in result.starts:
        starts.add_row(
            start.system, _weights(start), f"{start.ready_s:.1f} s", f"{start.first_s:.1f} s", f"{start.peak_mb:.0f} MB"
        )
    return [table, starts]


def _weights(start: Any) -> str:
    """Describe the source of the weights and of the compiled kernels."""
    weights = "from disk" if start.cold else "in memory"
    return weights if start.compiled is None else f"{weights}, {'compiled before' if start.compiled else 'compiling'}"
