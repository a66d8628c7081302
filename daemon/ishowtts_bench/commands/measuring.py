"""What the benches share: options to a setting, progress, tables."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from ishowtts.cli.common import read_config, report_write_errors
from ishowtts.config import Config
from ishowtts.engines.voices.shelf import voices_folder

if TYPE_CHECKING:
    from ishowtts_bench.bench_env import BenchEnv


def setting_of(arguments: argparse.Namespace) -> BenchEnv:
    """Weights, device and voice that the options name."""
    from ishowtts.engines.f5.device import choose_device
    from ishowtts_bench.bench_env import BenchEnv, find_weights

    settings = read_config(arguments) if arguments.config is not None else Config()
    model = arguments.model or arguments.model_default
    say(arguments, f"weights: {model}")
    folder = find_weights(model, _cache_dir())
    device = choose_device(arguments.device or "auto").type
    voices_dir = voices_folder(settings) if arguments.config is not None else None
    return BenchEnv(folder, device, arguments.precision, voices_dir, settings.engine.f5.default_voice)


def _cache_dir() -> Path:
    """Where random weights are kept: the user's cache, since a bench is no service."""
    import os

    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ishowtts"


def say(arguments: argparse.Namespace, text: str) -> None:
    """Progress, beside the result; not where a program listens."""
    if not arguments.json:
        print(text, file=sys.stderr, flush=True)


def show(arguments: argparse.Namespace, table: Table, data: dict[str, Any]) -> None:
    """The table, or its JSON; the JSON into a file, too, where one was named."""
    if arguments.figures is not None:
        with report_write_errors(arguments.figures):
            arguments.figures.write_text(json.dumps(data) + "\n", encoding="utf-8")
    if arguments.json:
        print(json.dumps(data))
    else:
        Console().print(table)


def verdict(passed: bool) -> str:
    """In colour."""
    return "[green]ok[/green]" if passed else "[red]no[/red]"
