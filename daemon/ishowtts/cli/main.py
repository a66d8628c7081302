"""Parses the command line and runs one command. Exit status: 0 done, 1 failed, 2 wrong usage or configuration."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ishowtts import __version__
from ishowtts.config import DEFAULT_PATH
from ishowtts.errors import ConfigError, IShowError
from ishowtts.util.logs import visible

_COMMANDS = [
    "run",
    "say",
    "read",
    "history",
    "check",
    "doctor",
    "fetch",
    "voices",
    "chimes",
    "devices",
    "clocks",
    "bench",
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = parser(words[:1]).parse_args(words)
    try:
        status: int = arguments.command(arguments)
        sys.stdout.flush()
    except ConfigError as error:
        for problem in error.problems:
            _print_error(problem)
        return 2
    except IShowError as error:
        _print_error(f"ishowtts: {error}")
        return 1
    except PermissionError as error:
        # Any command may meet the daemon's private files.
        print(f"ishowtts: {error.filename} cannot be opened by this user; run this command with sudo", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output is gone. Without this, Python would report it again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _print_error(text: str) -> None:
    """Print a message to stderr. It may quote a file or a broker, so control characters are shown and not executed."""
    print("\n".join(map(visible, text.split("\n"))), file=sys.stderr)


def parser(wanted: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Build the parser of the wanted command, without importing the others; of every command if none is named."""
    top = argparse.ArgumentParser(prog="ishowtts", description="Speaks text lines that arrive over MQTT.")
    top.add_argument("--version", action="version", version=f"ishowtts {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND", title="commands")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        type=Path,
        default=None,
        metavar="FILE",
        help=f"configuration file (default: {DEFAULT_PATH})",
    )
    for name in [word for word in wanted if word in _COMMANDS] or _COMMANDS:
        import_module(f"ishowtts.cli.{name}").add(commands, common)
    return top
