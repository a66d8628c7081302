"""`ishowtts bench batches`: measures several segments in one run of the model."""

from __future__ import annotations

import argparse

from rich.table import Table

from ishowtts.cli.common import report_write_errors
from ishowtts_bench.commands import bench_arguments
from ishowtts_bench.commands.command_output import make_env, print_progress, print_result


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--length",
        type=bench_arguments.length,
        default=2.0,
        metavar="S",
        help="length of each segment, in seconds of speech (default: 2)",
    )
    parser.add_argument(
        "--rounds", type=bench_arguments.positive, default=3, metavar="N", help="number of rounds (default: 3)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a table for 1, 2, 4 and 8 segments. Returns 1 if the measurement is faulty."""
    from ishowtts_bench import batch_bench, plots

    found, best = batch_bench.run(
        make_env(arguments),
        arguments.length,
        arguments.rounds,
        arguments.nfe,
        lambda text: print_progress(arguments, text),
    )
    table = Table(
        "segments", "RTF", "throughput", "times single segments", "share of products", "frames", "peak", box=None
    )
    for batch in found:
        table.add_row(
            str(batch.segments),
            f"{batch.rtf:.3f}",
            f"{batch.throughput:.2f} s/s",
            f"{batch.ratio:.2f}",
            "" if batch.share is None else f"{batch.share:.0%}",
            "" if batch.padded is None else str(batch.padded),
            "" if batch.peak_mb is None else f"{batch.peak_mb:.0f} MB",
        )
    rows = [vars(batch) | {"rtf": batch.rtf, "throughput": batch.throughput} for batch in found]
    most = max(found, key=lambda batch: batch.throughput)
    verdict = (
        f"ok: most speech a second with {most.segments} in one run, {most.ratio:.2f} times that of single segments"
    )
    fault = batch_bench.fault(found)
    data = {"batches": rows, "flop_per_s": best.flop_per_s, "measure_fault": fault}
    print_result(arguments, table, data, verdict if fault is None else f"fault of the measurement: {fault}")
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.batches(found, arguments.plot)
    return 0 if fault is None else 1
