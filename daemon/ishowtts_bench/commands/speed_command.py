"""`ishowtts bench speed` and `bench regress`: measure the speed beside upstream, and compare it with a baseline."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from rich.table import Table

from ishowtts.cli import argument_types
from ishowtts.cli.common import report_write_errors
from ishowtts_bench.commands import bench_arguments
from ishowtts_bench.commands.command_output import make_console, make_env, ok_or_no, print_progress, print_result
from ishowtts_bench.json_files import write_atomically


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench speed`."""
    _add_common_options(parser)
    parser.add_argument(
        "--save", type=argument_types.output_file, metavar="FILE", help="save the summary as a baseline"
    )


def add_regress_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench regress`."""
    _add_common_options(parser)
    parser.add_argument(
        "baseline", type=argument_types.existing_file, metavar="BASELINE", help="file that `bench speed --save` wrote"
    )


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lengths",
        type=bench_arguments.lengths,
        default=(1.0, 3.0, 10.0),
        metavar="S,S,…",
        help="lengths of the texts, in seconds of speech (default: 1,3,10)",
    )
    parser.add_argument(
        "--rounds", type=bench_arguments.positive, default=3, metavar="N", help="number of rounds (default: 3)"
    )
    parser.add_argument("--compiled", action="store_true", help="also measure upstream through torch.compile")
    parser.add_argument("--int8", action="store_true", help="also measure our engine in int8")
    parser.add_argument("--default", action="store_true", help="also measure upstream at its default of 32 evaluations")
    parser.add_argument("--starts", action="store_true", help="also measure cold and warm starts and peak memory")


def run(arguments: argparse.Namespace) -> int:
    """Print a table, then one line of JSON. Returns 1 if the measurement is faulty or torch.compile failed."""
    summary = _measure(arguments)
    print(json.dumps(summary))
    for path in (arguments.save, arguments.figures):
        _write(path, summary)
    return _report_faults(summary)


def _write(path: Path | None, summary: dict[str, object]) -> None:
    if path is not None:
        with report_write_errors(path):
            write_atomically(path, summary)


def run_regress(arguments: argparse.Namespace) -> int:
    """Measure the speed again. Returns 1 if a figure fell by more than 10 %, or if the measurement is faulty."""
    from ishowtts_bench import regression

    then = regression.read(arguments.baseline)
    regression.check_options(then, _options(arguments))  # now, because a measurement takes minutes
    summary = _measure(arguments)
    changes = regression.compare(then, summary)
    fault = summary["measure_fault"]
    table = Table("figure", "then", "now", "", box=None)
    for change in changes:
        table.add_row(change.name, f"{change.then:.3f}", f"{change.now:.3f}", ok_or_no(not (change.worse or fault)))
    fallen = [f"{change.name} fell from {change.then:.3f} to {change.now:.3f}" for change in changes if change.worse]
    verdict = f"slower than the baseline: {', '.join(fallen)}" if fallen else "ok: no figure fell by more than 10 %"
    data = {
        "worse": bool(fallen),
        "changes": [vars(change) | {"worse": change.worse} for change in changes],
        "measure_fault": fault,
    }
    print_result(arguments, table, data, "no comparison is possible" if fault else verdict)
    return _report_faults(summary) or (1 if fallen else 0)


def _options(arguments: argparse.Namespace) -> dict[str, object]:
    """What the summary of this run will have under the names of `regression.MUST_MATCH`."""
    import torch

    from ishowtts.engines.f5.device import choose_dtype
    from ishowtts_bench import machine

    env = make_env(arguments)
    return {
        "model": arguments.model or arguments.model_default,
        "precision": machine.dtype_name(choose_dtype(env.precision, torch.device(env.device))),
        "nfe_step": arguments.nfe,
        "threads": torch.get_num_threads(),
    }


def _report_faults(summary: dict[str, object]) -> int:
    """Print the faults, and return the exit status: 1 if there is one."""
    faults = {"fault of the measurement": "measure_fault", "upstream through torch.compile failed": "compiled_fault"}
    found = [f"{words}: {summary[key]}" for words, key in faults.items() if summary[key] is not None]
    for sentence in found:
        print(f"ishowtts: {sentence}", file=sys.stderr)
    return 1 if found else 0


def _measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Measure, print the tables unless the output is JSON, and return the summary."""
    from ishowtts_bench import plots, speed, speed_result, startup

    if note := load_note(os.getloadavg()[0], os.cpu_count()):
        print(note, file=sys.stderr)
    env = make_env(arguments)
    extra = speed.ExtraSystems(arguments.compiled, arguments.int8, arguments.default)
    planned = speed.timings_planned(env.device, len(arguments.lengths), arguments.rounds, extra)
    number = itertools.count(1)

    def report(timing: speed_result.Timing) -> None:
        note = "" if timing.counted else " (not counted)"
        took = f"{timing.audio_s:.1f} s of sound in {timing.synth_s:.2f} s"
        print_progress(arguments, f"{next(number)} of {planned}: {timing.system}: {took}{note}")

    def summary_of(result: speed_result.SpeedResult) -> dict[str, object]:
        return speed_result.summary(result, arguments.model or arguments.model_default)

    result = speed.run(
        env, arguments.lengths, arguments.rounds, nfe_step=arguments.nfe, extra=extra, report=report,
        save=lambda measured: _write(arguments.figures, summary_of(measured)),
    )  # fmt: skip
    if arguments.starts:
        for start in startup.measure_all(env.folder, env.device, arguments.nfe):
            result.starts.append(start)
            print_progress(arguments, f"start of {start.system}, {_weights(start)}: {start.ready_s:.1f} s")
    summary = summary_of(result)
    if not arguments.json:
        for table in _tables(result):
            make_console().print(table)
        print("\n".join(sentences(result)))
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.speed(result, arguments.plot)
    return summary


def load_note(load: float, cores: int | None) -> str | None:
    """A sentence if other programs use this machine, so that the figures are too low; `None` if not."""
    if cores is None or load <= cores:
        return None
    return f"note: other programs run (load average {load:.1f}, {cores} cores): repeat on an idle machine"


def sentences(result: Any) -> list[str]:
    """What the tables mean: the machine's rate and kernels, the cost of a new length, and the verdict."""
    best, nfe = result.machine, result.nfe_step
    found = [
        f"this machine, {best.threads} threads: {best.flop_per_s / 1e9:.0f} GFLOP/s in products of {best.dtype}, "
        f"{best.bytes_per_s / 1e9:.0f} GB/s, the best of all rounds"
    ]
    if result.kernels is not None:
        found.append(f"kernels: {result.kernels}")
    if result.new_length_s:
        extra_ms = 1000 * statistics.median(result.new_length_s)
        found.append(f"the first line of a new length takes {extra_ms:.1f} ms more than the second")
    if result.fault is None:
        fraction = statistics.median(result.fractions)
        found.append(f"ours took {1 / fraction:.2f} times the minimum time of its arithmetic at that rate")
    ratio = result.ratio(f"upstream, NFE {nfe}", f"ours, NFE {nfe}")
    if ratio is not None:
        verdict = (
            f"our engine is {ratio:.2f} times as fast as upstream at NFE {nfe}"
            if ratio >= 1
            else f"our engine takes {1 / ratio:.2f} times as long at NFE {nfe}"
        )
        kind = "faulty measurement" if result.fault else "ok" if ratio >= 1 else "slower than upstream"
        found.append(f"{kind}: {verdict}")
    return found


def _tables(result: Any) -> list[Table]:
    caption = "faulty measurement: the machine's rate was measured too low" if result.fault else None
    table = Table("system", "sound", "RTF, median", "lowest to highest", "first sound", box=None, caption=caption)
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
