"""`ishowtts bench`: parity with upstream, speed against it, and where the time goes."""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from ishowtts.cli import argument_types
from ishowtts.cli.common import Commands, report_write_errors
from ishowtts.errors import EngineError
from ishowtts_bench.commands import batches_command, bench_arguments, predict_command, sweep_command, vocoder_command
from ishowtts_bench.commands.measuring import say, setting_of, show, verdict

_NFE = 7


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command and its parts."""
    bench = commands.add_parser("bench", help="hold the F5 engine against upstream and against this machine")
    parts = bench.add_subparsers(required=True, metavar="WHAT", title="benches")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--model", default=None, help="tiny, small or base (random weights), or a folder of weights")
    where.add_argument("--device", choices=("cpu", "cuda"), default=None, help="default: CUDA where it works")
    where.add_argument("--precision", choices=("auto", "fp32", "fp16", "bf16"), default="auto")
    where.add_argument(
        "--nfe",
        type=bench_arguments.evaluations,
        default=_NFE,
        metavar="N",
        help=f"evaluations, 4 to 64 (default: {_NFE})",
    )
    where.add_argument("--json", action="store_true", help="only one line of JSON")
    where.add_argument(
        "--figures", type=argument_types.new_file, metavar="FILE", help="that line of JSON, beside the table"
    )
    drawn = argparse.ArgumentParser(add_help=False)
    drawn.add_argument(
        "--plot", type=bench_arguments.picture, metavar="FILE", help="a picture beside the table, .png or .svg"
    )
    both = [common, where, drawn]

    parity = parts.add_parser(
        "parity", parents=[common, where], help="our sound is upstream's, and a fault would be noticed"
    )
    parity.set_defaults(command=_with_torch(run_parity), model_default="tiny")
    for name, text, command in (
        ("speed", "stock f5-tts and ours, interleaved", run_speed),
        ("regress", "speed against a saved baseline; 1 where it fell by more than a tenth", run_regress),
    ):
        speed = parts.add_parser(name, parents=both, help=text)
        speed.add_argument(
            "--lengths", type=bench_arguments.lengths, default=(1.0, 3.0, 10.0), metavar="S,S,…", help="of the texts"
        )
        speed.add_argument("--rounds", type=bench_arguments.positive, default=3, metavar="N")
        speed.add_argument("--recipe", action="store_true", help="torch.compile as the earlier system had it, too")
        speed.add_argument("--int8", action="store_true", help="ours in whole numbers, too")
        speed.add_argument("--default", action="store_true", help="stock at its default of 32 evaluations, once")
        speed.add_argument("--starts", action="store_true", help="cold and warm starts and peak memory, too")
        speed.set_defaults(command=_with_torch(command), model_default="base")
        if name == "speed":
            speed.add_argument(
                "--save", type=argument_types.new_file, metavar="FILE", help="keep the summary as a baseline"
            )
        else:
            speed.add_argument("baseline", type=argument_types.old_file, metavar="BASELINE", help="of `speed --save`")
    ablation = parts.add_parser("ablate", parents=both, help="each switch the other way, in turn")
    ablation.add_argument("--length", type=bench_arguments.length, default=3.0, metavar="S")
    ablation.add_argument("--rounds", type=bench_arguments.positive, default=3, metavar="N")
    ablation.set_defaults(command=_with_torch(run_ablate), model_default="small")
    evaluations = parts.add_parser(
        "sweep", parents=both, help="NFE 5 to 32 and switches: speed, distance to NFE 32, and what judges hear"
    )
    sweep_command.options(evaluations)
    evaluations.set_defaults(command=_with_torch(sweep_command.run), model_default="small")
    profiling = parts.add_parser("profile", parents=both, help="where the time goes, by stage and by kernel")
    profiling.add_argument("--length", type=bench_arguments.length, default=3.0, metavar="S")
    profiling.set_defaults(command=_with_torch(run_profile), model_default="small")
    expected = parts.add_parser("predict", parents=[common], help="what boards should reach, from their data sheets")
    predict_command.options(expected)
    expected.set_defaults(command=predict_command.run)
    together = parts.add_parser("batches", parents=both, help="several lines in one run: what that is worth")
    batches_command.options(together)
    together.set_defaults(command=_with_torch(batches_command.run), model_default="small")
    vocoder = parts.add_parser("vocoder", parents=[common, where], help="Vocos alone, and its share of a segment")
    vocoder_command.options(vocoder)
    vocoder.set_defaults(command=_with_torch(vocoder_command.run), model_default="small")


def _with_torch(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command, or one sentence where this installation has no F5 engine to measure."""

    def run(arguments: argparse.Namespace) -> int:
        for package in ("torch", "f5_tts", "vocos"):
            if importlib.util.find_spec(package) is None:
                raise EngineError(f"a bench needs the package {package}, which is not installed; run install.sh again")
        return command(arguments)

    return run


def run_parity(arguments: argparse.Namespace) -> int:
    """A table; 1 where a row failed."""
    from ishowtts_bench import parity

    setting = setting_of(arguments)
    rows: list[parity.ParityRow] = []

    def report(row: parity.ParityRow) -> None:
        rows.append(row)
        say(arguments, f"{'ok  ' if row.passed else 'FAIL'} {row.name}")

    passed = parity.run(setting, report)
    table = Table("comparison", "difference", "must be", "", box=None)
    for row in rows:
        sign = "at least" if row.canary else "at most"
        name = f"[a fault] {row.name}" if row.canary else row.name
        table.add_row(name.replace("[", r"\["), f"{row.error:.1e}", f"{sign} {row.limit:.1e}", verdict(row.passed))
    show(arguments, table, {"passed": passed, "rows": [vars(row) | {"passed": row.passed} for row in rows]})
    return 0 if passed else 1


def run_speed(arguments: argparse.Namespace) -> int:
    """A table, then one line of JSON."""
    summary = _speed(arguments)
    print(json.dumps(summary))
    for path in (arguments.save, arguments.figures):
        if path is not None:
            with report_write_errors(path):
                path.write_text(json.dumps(summary) + "\n", encoding="utf-8")
    return 0


def run_regress(arguments: argparse.Namespace) -> int:
    """Speed again; 1 where a figure fell by more than a tenth."""
    from ishowtts_bench import regression

    then = regression.read(arguments.baseline)
    changes = regression.compare(then, _speed(arguments))
    table = Table("figure", "then", "now", "", box=None)
    for change in changes:
        table.add_row(change.name, f"{change.then:.3f}", f"{change.now:.3f}", verdict(not change.worse))
    worse = any(change.worse for change in changes)
    show(arguments, table, {"worse": worse, "changes": [vars(change) | {"worse": change.worse} for change in changes]})
    return 1 if worse else 0


def run_ablate(arguments: argparse.Namespace) -> int:
    """A table of every switch."""
    from ishowtts_bench import ablation, plots

    variants = ablation.run(
        setting_of(arguments), arguments.length, arguments.rounds, arguments.nfe, lambda text: say(arguments, text)
    )
    table = Table("switches", "seconds", "times as long", "largest difference", "deviation", box=None)
    for one in variants:
        table.add_row(one.name, f"{one.synth_s:.3f}", f"{one.ratio:.2f}", f"{one.error:.1e}", f"{one.deviation:.1e}")
    show(arguments, table, {"variants": [vars(one) for one in variants]})
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.shares(
                [one.name for one in variants], [one.ratio for one in variants], "times as long", arguments.plot
            )
    return 0


def run_profile(arguments: argparse.Namespace) -> int:
    """Two tables: stages and kernels."""
    from ishowtts_bench import plots, profiling

    found = profiling.run(setting_of(arguments), arguments.length, arguments.nfe)
    table = Table("stage or kernel", "milliseconds", "share", "calls", box=None)
    for shares in (found.stages, found.kernels):
        for share in shares:
            table.add_row(share.name, f"{1000 * share.spent_s:.1f}", f"{share.share:.1%}", str(share.calls))
        table.add_section()
    show(arguments, table, profiling.as_dict(found))
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.shares(
                [one.name for one in found.kernels], [one.share for one in found.kernels], "share", arguments.plot
            )
    return 0


def _speed(arguments: argparse.Namespace) -> dict[str, object]:
    from ishowtts_bench import plots, speed, startup

    setting = setting_of(arguments)
    result = speed.run(
        setting,
        arguments.lengths,
        arguments.rounds,
        nfe_step=arguments.nfe,
        contest=speed.Comparison(arguments.recipe, arguments.int8, arguments.default),
        report=lambda take: say(arguments, f"{take.contestant}: {take.audio_s:.1f} s of sound in {take.synth_s:.2f} s"),
    )
    if arguments.starts:
        for start in startup.measure_all(setting.folder, setting.device, arguments.nfe):
            result.starts.append(start)
            say(arguments, f"start of {start.who}, {_weights(start)}: {start.ready_s:.1f} s")
    if not arguments.json:
        for table in _speed_tables(result):
            Console().print(table)
        best = result.machine
        print(
            f"this machine, {best.threads} threads: {best.flop_per_s / 1e9:.0f} GFLOP/s in products of {best.dtype}, "
            f"{best.bytes_per_s / 1e9:.0f} GB/s; ours took {1 / statistics.median(result.fractions):.2f} times "
            "the least time that its arithmetic needs at that rate"
        )
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.speed(result, arguments.plot)
    return speed.summary(result, arguments.model or arguments.model_default)


def _speed_tables(result: Any) -> list[Table]:
    table = Table("contestant", "sound", "RTF, median", "lowest to highest", "first sound", box=None)
    for row in result.rows():
        table.add_row(
            row.contestant,
            f"{row.audio_s:.1f} s",
            f"{row.rtf:.3f}",
            f"{row.lowest:.3f} to {row.highest:.3f}",
            "" if row.ttfa_s is None else f"{row.ttfa_s:.2f} s",
        )
    if not result.starts:
        return [table]
    begun = Table("start", "weights", "ready", "first sound after", "peak memory", box=None)
    for start in result.starts:
        begun.add_row(
            start.who, _weights(start), f"{start.ready_s:.1f} s", f"{start.first_s:.1f} s", f"{start.peak_mb:.0f} MB"
        )
    return [table, begun]


def _weights(start: Any) -> str:
    """Where things came from."""
    weights = "from disk" if start.cold else "in memory"
    return weights if start.compiled is None else f"{weights}, {'compiled before' if start.compiled else 'compiling'}"
