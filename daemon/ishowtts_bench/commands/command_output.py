"""Shared by the commands: makes the environment of a bench, and prints progress and results."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from ishowtts.cli.common import read_config, report_write_errors
from ishowtts.config import Config
from ishowtts.engines.voices.voice_library import voices_folder
from ishowtts.engines.weights import examine
from ishowtts_bench.commands.bench_arguments import RANDOM_MODELS

if TYPE_CHECKING:
    from ishowtts_bench.bench_env import BenchEnv

_PIPE_WIDTH = 1000


def make_env(arguments: argparse.Namespace) -> BenchEnv:
    """Make the environment from the weights, device and voice of the options.

    Raises:
        WeightsError: there are no weights of that name, or they are not complete.
    """
    settings = read_config(arguments) if arguments.config is not None else Config()
    model = arguments.model or arguments.model_default
    from ishowtts.engines.f5.device import choose_device
    from ishowtts_bench.bench_env import BenchEnv, find_weights

    print_progress(arguments, f"weights: {model}")
    folder = find_weights(model, cache_dir())
    device = choose_device(arguments.device or "auto").type
    voices_dir = voices_folder(settings) if arguments.config is not None else None
    return BenchEnv(folder, device, arguments.precision, voices_dir, settings.engine.f5.default_voice)


def check_model(arguments: argparse.Namespace) -> None:
    """Raise WeightsError if `--model` names a folder without weights. Called before torch is imported: that is slow."""
    model = arguments.model
    if model is not None and model not in RANDOM_MODELS and Path(model).is_dir():
        examine(Path(model), f"name another folder, or one of {', '.join(RANDOM_MODELS)}, with --model")


def cache_dir() -> Path:
    """Folder for random weights: the cache of the user, because a bench is not a service."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ishowtts"


def print_progress(arguments: argparse.Namespace, text: str) -> None:
    """Print progress to stderr, unless the output is JSON for a program."""
    if not arguments.json:
        print(text, file=sys.stderr, flush=True)


def print_result(arguments: argparse.Namespace, table: Table, data: dict[str, Any], verdict: str) -> None:
    """Print the table and the verdict in one sentence, or the JSON with `--json`. `--figures` also writes the JSON."""
    if arguments.figures is not None:
        with report_write_errors(arguments.figures):
            arguments.figures.write_text(json.dumps(data) + "\n", encoding="utf-8")
    if arguments.json:
        print(json.dumps(data))
    else:
        make_console().print(table)
        print(verdict)


def make_console() -> Console:
    """A console for tables. In a pipe rich would wrap their cells at 80 columns."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def ok_or_no(passed: bool) -> str:
    """Format a result in colour."""
    return "[green]ok[/green]" if passed else "[red]no[/red]"
