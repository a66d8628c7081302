"""`ishowtts history`: shows the last lines with time, speed and outcome."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ishowtts.cli.common import Commands, as_owner_of, number, print_json, read_config, why
from ishowtts.inbox import HistoryEntry, read_history
from ishowtts.util.logs import visible


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("history", parents=[common])
    parser.add_argument("-n", "--lines", type=_lines, default=20, metavar="N", help="how many (default: 20)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def _lines(written: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", written) or int(written) == 0:
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number from 1 to 999999999")
    return int(written)


def run(arguments: argparse.Namespace) -> int:
    """Print the lines, the newest last, as in a log."""
    settings = read_config(arguments)
    with as_owner_of(settings.state_dir):
        entries = read_history(settings.state_dir / "inbox.sqlite", arguments.lines)[::-1]
    if arguments.json:
        print_json([asdict(entry) for entry in entries])
        return 0
    Console().print(table_of(entries) if entries else "no line has been spoken yet")
    return 0


def table_of(entries: Sequence[HistoryEntry]) -> Table:
    """Build the table of entries for a terminal."""
    table = Table(box=None)
    for title in ("when (UTC)", "outcome", "audio s", "RTF", "engine"):
        table.add_column(title, no_wrap=True)
    table.add_column("text", overflow="fold")
    table.add_column("why", overflow="fold")
    for entry in entries:
        data = entry.data if isinstance(entry.data, dict) else {}
        table.add_row(
            Text(visible(entry.ts[:19].replace("T", " "))),
            entry.outcome.value if entry.outcome else "waiting",
            number(data.get("audio_s"), 2),
            number(data.get("rtf"), 3),
            Text(visible(str(data.get("engine") or ""))),
            Text(visible(entry.text)),
            Text(why(data)),
        )
    return table
