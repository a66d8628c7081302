"""`ishowtts bench kernels`: measures every candidate kernel, each alone."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from rich.table import Table

from ishowtts.cli.common import report_write_errors
from ishowtts_bench.commands.command_output import make_env, print_progress, print_result

_COLUMNS = (("us", "{:.1f}"), ("tflops", "{:.2f}"), ("gb_per_s", "{:.0f}"), ("error", "{:.1e}"))


def run(arguments: argparse.Namespace) -> int:
    """Print a table of every candidate. The file of `--figures` is written after each of them."""
    # Here, so that no forked process needs time for its imports. None of them uses the device.
    from ishowtts_bench import candidate_timing, kernel_bench

    report = partial(print_progress, arguments)
    with tempfile.TemporaryDirectory(prefix="ishowtts-kernels-") as folder:
        path = arguments.figures or Path(folder) / "kernels.json"
        if arguments.device != "cpu":
            kernel_bench.compile_ahead(partial(_compile_share, arguments))
        with report_write_errors(path):
            found = kernel_bench.run(
                path, lambda figures: candidate_timing.measure_all(make_env(arguments), figures, report), report
            ).content
    table = Table("group", "kernel", "microseconds", "TFLOPS", "GB/s", "error", "", box=None)
    measured = failed = 0
    for group, about in found["groups"].items():
        for name, figures in about["candidates"].items():
            failed, measured = failed + ("fault" in figures), measured + ("us" in figures)
            used = found["chosen"].get(about.get("part")) == name
            table.add_row(group, name, *_cells(figures), "[green]chosen[/green]" if used else "")
        table.add_section()
    arguments.figures = None  # it is written already
    print_result(arguments, table, found, f"ok: {measured} kernels were measured; {failed} do not run here")
    return 0


def _compile_share(arguments: argparse.Namespace, number: int, count: int) -> None:
    from ishowtts_bench import candidate_timing

    candidate_timing.compile_share(make_env(arguments), number, count)


def _cells(figures: Mapping[str, object]) -> Iterator[str]:
    """The figures of a kernel, or why there are none."""
    fault = figures.get("fault")
    for key, form in _COLUMNS:
        value = figures.get(key)
        if fault is not None and key == "us":
            yield f"failed: {fault}".replace("[", r"\[")
        else:
            yield form.format(value) if isinstance(value, float) else str("" if value is None else value)
