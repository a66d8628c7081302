"""`ishowtts fetch`: gets the official F5-TTS and Vocos weights, from the hub or from a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from ishowtts.cli.common import Commands, read_config
from ishowtts.engines import fetch_sources
from ishowtts.engines.weights import FILES, LICENCE_NOTE, DownloadError, fetch, fetched_folder
from ishowtts.errors import WeightsError


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("fetch", parents=[common])
    parser.add_argument(
        "--from",
        dest="from_dir",
        type=Path,
        metavar="DIR",
        help="offline: copy them from this folder, for example on a USB stick",
    )
    parser.add_argument(
        "--to", dest="to_dir", type=Path, metavar="DIR", help="folder for the weights (default: in the data directory)"
    )
    parser.add_argument("--list", action="store_true", help="print names, sizes and addresses of the files, and end")
    parser.add_argument("--accept-licence", action="store_true", help="accept the licence without a question")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 once every file is there and has the right checksum."""
    if arguments.list:
        print("\n".join(fetch_sources.instructions(FILES)))
        return 0
    settings = read_config(arguments)
    target = arguments.to_dir or fetched_folder(settings.data_folder)
    print(LICENCE_NOTE)
    if arguments.from_dir is not None:
        _check_folder(target, arguments.from_dir)
    if not arguments.accept_licence and not _licence_accepted():
        print(
            "nothing was fetched, since the licence was not accepted; --accept-licence accepts it without a question",
            file=sys.stderr,
        )
        return 1
    if arguments.from_dir is None:
        _check_hub(target)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name)
            bar.update(tasks[name], completed=done, total=total)

        try:
            weights = fetch(target, arguments.from_dir, show)
        except DownloadError as error:
            lines = fetch_sources.instructions(fetch_sources.missing(target))
            raise WeightsError("\n".join([str(error), *lines])) from error
    print(f"the weights are in {weights.folder}; restart the daemon to speak with them: systemctl restart ishowtts")
    if arguments.to_dir:
        print(f"set engine.f5.weights: {weights.folder}")
    return 0


def _check_folder(target: Path, from_dir: Path) -> None:
    """Find out whether a folder has the missing files. Raises WeightsError, with all of their names."""
    missing = fetch_sources.missing(target)
    if missing and (problem := fetch_sources.folder_problem(from_dir, missing)):
        lines = fetch_sources.instructions(missing) if from_dir.is_dir() else []
        raise WeightsError("\n".join([problem, *lines]))


def _check_hub(target: Path) -> None:
    """Find out before any work whether the missing files can be got. Raises WeightsError, with all of their names."""
    missing = fetch_sources.missing(target)
    if missing and (problem := fetch_sources.hub_problem()):
        raise WeightsError("\n".join([f"{problem}; nothing was fetched.", *fetch_sources.instructions(missing)]))


def _licence_accepted() -> bool:
    if not sys.stdin.isatty():
        return False
    return input("Accept this licence? [y/N] ").strip().lower() in ("y", "yes")
