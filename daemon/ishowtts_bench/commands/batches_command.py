"""`ishowtts bench batches`: measures several lines in one run of the model."""

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
        help="seconds of speech of each line (default: 2)",
    )
    parser.add_argument("--rounds", type=bench_arguments.positive, default=3, metavar="N", help="rounds (default: 3)")


def run(arguments: argparse.Namespace) -> int:
    """Print a table for 1, 2, 4 and 8 lines."""
    from ishowtts_bench import batch_bench, plots

    found, best = batch_bench.run(
        make_env(arguments),
        arguments.length,
        arguments.rounds,
        arguments.nfe,
        lambda text: print_progress(arguments, text),
    )
    table = Table("lines", "RTF", "throughput", "times single lines", "share of products", "frames", "peak", box=None)
    for one in found:
        table.add_row(
            str(one.lines),
            f"{one.rtf:.3f}",
            f"{one.throughput:.2f} s/s",
            f"{one.ratio:.2f}",
            "" if one.share is None else f"{one.share:.0%}",
            "" if one.padded is None else str(one.padded),
            "" if one.peak_mb is None else f"{one.peak_mb:.0f} MB",
        )
    rows = [vars(one) | {"rtf": one.rtf, "throughput": one.throughput} for one in found]
    print_result(arguments, table, {"batches": rows, "flop_per_s": best.flop_per_s})
    if arguments.plot is not None:
        with report_write_errors(arguments.plot):
            plots.batches(found, arguments.plot)
    return 0
