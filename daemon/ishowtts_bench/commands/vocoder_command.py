"""`ishowtts bench vocoder`: measures Vocos alone."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.table import Table

from ishowtts_bench.commands import bench_arguments
from ishowtts_bench.commands.command_output import make_env, print_progress, print_result


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--rounds", type=bench_arguments.positive, default=3, metavar="N", help="number of rounds (default: 3)"
    )
    parser.add_argument("--compile", action="store_true", help="also measure upstream's backbone with torch.compile")


def run(arguments: argparse.Namespace) -> int:
    """Print a table of every variant and length."""
    from ishowtts_bench import vocoder_bench

    found = vocoder_bench.run(
        make_env(arguments), arguments.rounds, arguments.nfe,
        compiled=arguments.compile, report=lambda text: print_progress(arguments, text),
    )  # fmt: skip
    table = Table("vocoder", "sound", "milliseconds", "times as long", "deviation", box=None)
    for decoder in found.decoders:
        length = f"{decoder.length_s:g} s"
        table.add_row(
            decoder.name, length, f"{1000 * decoder.synth_s:.2f}", f"{decoder.ratio:.2f}", f"{decoder.deviation:.1e}"
        )
    table.add_section()
    for part in found.parts:
        name = f"share of a whole segment, NFE {arguments.nfe}: {part.share:.1%}"
        table.add_row(name, f"{part.length_s:g} s", f"{1000 * part.synth_s:.2f}", "", "")
    data = {
        "decoders": [asdict(decoder) for decoder in found.decoders],
        "parts": [asdict(part) for part in found.parts],
    }
    print_result(
        arguments,
        table,
        {**data, "nfe_step": arguments.nfe},
        f"ok: the vocoder takes at most {max(part.share for part in found.parts):.1%} of a segment",
    )
    return 0
