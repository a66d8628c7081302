"""`ishowtts chimes`: lists the chimes that can be played before a line."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.cli.tables import print_table, print_text
from ishowtts.errors import OperatorFileError
from ishowtts.playback.chime_files import DEFAULT, ChimeFiles


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
    chimes = ChimeFiles.from_config(read_config(arguments))
    if arguments.make:
        made = chimes.make()
        print(f"written: {made}" if made else f"kept: {chimes.path(DEFAULT)}")
        return 0
    known = [_describe(chimes, name) for name in chimes.names()]
    ignored = chimes.ignored()
    if arguments.json:
        print_json([*known, *(_ignored(chimes.folder / file, *why) for file, why in ignored.items())])
    else:
        print_table(
            ("chime", "length", "rate", "file"), list(map(_row, known)), right=("length", "rate"), optional=("rate",)
        )
        for file, (why, fix) in ignored.items():
            print_text(f"not a chime: {file}: {why}; {fix}")
        print_text(f"folder: {chimes.folder} (audio.chimes_dir), with WAV, FLAC or OGG files")
    return 1 if ignored or any(chime["fault"] for chime in known) else 0


def _describe(chimes: ChimeFiles, name: str) -> dict[str, Any]:
    about: dict[str, Any] = {"name": name, "file": None, "length_s": None, "rate_hz": None, "fault": None}
    try:
        path = chimes.path(name)
        samples, rate_hz = chimes.find(name)
        about |= {"file": path and str(path), "length_s": round(len(samples) / rate_hz, 2), "rate_hz": rate_hz}
    except OperatorFileError as error:
        about["fault"] = str(error)
    return about


def _ignored(path: Path, why: str, fix: str) -> dict[str, Any]:
    """A file that is no chime, in the form of a chime that cannot be used."""
    about: dict[str, Any] = {"name": path.name, "file": str(path), "length_s": None, "rate_hz": None}
    return about | {"fault": f"{path} is not a chime: {why}; {fix}"}


def _row(chime: dict[str, Any]) -> list[str]:
    if chime["fault"]:
        return [chime["name"], "", "", f"cannot be used: {chime['fault']}"]
    file = Path(chime["file"]).name if chime["file"] else "built in"
    return [chime["name"], f"{chime['length_s']} s", f"{chime['rate_hz']} Hz", file]
