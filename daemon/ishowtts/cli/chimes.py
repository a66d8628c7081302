"""`ishowtts chimes`: lists the chimes that can be played before a line."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.errors import OperatorFileError
from ishowtts.playback.chime_files import DEFAULT, ChimeFiles
from ishowtts.speech import speech_policy


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("chimes", parents=[common])
    parser.add_argument(
        "--make", action="store_true", help="write the built-in chime into the folder, unless it has a default.*"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """List each chime with its file and length, and return 1 if one cannot be used; or write the built-in chime."""
    logging.getLogger("ishowtts").addHandler(logging.NullHandler())  # the table shows the faults, once
    chimes = speech_policy.chime_files(read_config(arguments))
    if arguments.make:
        made = chimes.make()
        print(f"written: {made}" if made else f"kept: {chimes.path(DEFAULT)}")
        return 0
    known = [_describe(chimes, name) for name in chimes.names()]
    if arguments.json:
        print_json(known)
    else:
        Console().print(_table(known))
        print(f"folder: {chimes.folder} (audio.chimes_dir), with WAV, FLAC or OGG files")
    return 1 if any(chime["fault"] for chime in known) else 0


def _describe(chimes: ChimeFiles, name: str) -> dict[str, Any]:
    about: dict[str, Any] = {"name": name, "file": None, "length_s": None, "rate_hz": None, "fault": None}
    try:
        path = chimes.path(name)
        samples, rate_hz = chimes.find(name)
        about |= {"file": path and str(path), "length_s": round(len(samples) / rate_hz, 2), "rate_hz": rate_hz}
    except OperatorFileError as error:
        about["fault"] = str(error)
    return about


def _table(chimes: list[dict[str, Any]]) -> Table:
    table = Table("chime", "length", "rate", "file", box=None)
    for chime in chimes:
        if chime["fault"]:
            table.add_row(chime["name"], "", "", f"cannot be used: {escape(chime['fault'])}")
        else:
            file = Path(chime["file"]).name if chime["file"] else "built in"
            table.add_row(chime["name"], f"{chime['length_s']} s", f"{chime['rate_hz']} Hz", file)
    return table
