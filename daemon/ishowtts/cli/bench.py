"""`ishowtts bench`: measures the F5 engine. The package `ishowtts_bench` has the benches and may be missing."""

from __future__ import annotations

import argparse
import importlib.util

from ishowtts.cli.common import Commands
from ishowtts.errors import EngineError


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command. Without the package, it only says how to install it."""
    if importlib.util.find_spec("ishowtts_bench") is not None:
        from ishowtts_bench.commands import bench_command

        bench_command.add(commands, common)
        return
    absent = commands.add_parser("bench")
    absent.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    absent.set_defaults(command=_say_how_to_install)


def _say_how_to_install(_: argparse.Namespace) -> int:
    raise EngineError("the benches are not installed; run install.sh again, with --bench")
