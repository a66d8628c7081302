"""`ishowtts fetch`: gets the weights of an F5 model and of Vocos, from the hub or from a folder, and uses them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from ishowtts.cli import fetch_list
from ishowtts.cli.common import Commands, read_config
from ishowtts.engines import fetch_sources
from ishowtts.engines.hub_client import DownloadError
from ishowtts.engines.weights import fetched_folder, use, used_name
from ishowtts.engines.weights_catalogue import CATALOGUE, OFFICIAL, CatalogueModel, HubFile
from ishowtts.engines.weights_fetch import fetch
from ishowtts.engines.weights_record import WeightsRecord, read_record
from ishowtts.errors import WeightsError

if TYPE_CHECKING:
    from ishowtts.config import Config

_WEAKER = (
    "Its checksums are not part of this program. Its files are compared with those that the hub itself gives for them, "
    "which is weaker than what the official weights and Vocos are compared with."
)
_VERIFIED_BY = {
    "hub": "the hub's own checksums for its revision {revision}",
    "download": "the checksums that `hf download` left in the folder, of revision {revision}",
    "nothing": "no checksum, because none came with the folder",
}


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("fetch", parents=[common])
    parser.add_argument(
        "--model",
        choices=CATALOGUE,
        metavar="NAME",
        help=f"which weights: {', '.join(CATALOGUE)} (default: those in use, else {OFFICIAL.name}); "
        "what is fetched already is only checked and used",
    )
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
    parser.add_argument(
        "--list",
        action="store_true",
        help="show the models with languages, licence and size, and which one is used; "
        "with --model also the addresses of its files",
    )
    parser.add_argument("--json", action="store_true", help="like --list, as JSON")
    parser.add_argument("--accept-licence", action="store_true", help="accept the licence without a question")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 once every file is there and verified."""
    settings = read_config(arguments)
    if arguments.list or arguments.json:
        fetch_list.show(settings, CATALOGUE.get(arguments.model), as_json=arguments.json)
        return 0
    model = CATALOGUE[arguments.model or _default_name(settings)]
    target = arguments.to_dir or fetched_folder(settings.data_folder, model.name)
    others = [folder for name in CATALOGUE if (folder := fetched_folder(settings.data_folder, name)) != target]
    print(model.licence_note)
    if not model.is_pinned:
        print(_WEAKER)
    missing = fetch_sources.missing(model, target, others)
    if arguments.from_dir is not None:
        _check_folder(model, missing, arguments.from_dir)
    if not arguments.accept_licence and not _licence_accepted():
        print(
            "nothing was fetched, since the licence was not accepted; --accept-licence accepts it without a question",
            file=sys.stderr,
        )
        return 1
    if arguments.from_dir is None:
        _check_hub(model, missing)
    _fetch(model, target, arguments.from_dir, others)
    if record := read_record(target):
        print(_how_verified(record))
    print(f"the weights of {model.name} are in {target}")
    if arguments.to_dir:
        print(f"set engine.f5.weights: {target}")
        return 0
    use(settings.data_folder, model.name)
    if "en" not in model.languages and settings.engine.f5.default_voice == "default":
        print(
            "the voice `default` speaks English, which these weights do not: add a voice that speaks their language, "
            "and name it in engine.f5.default_voice"
        )
    if (own := settings.engine.f5.weights) is not None:
        print(f"they are not used, because engine.f5.weights names {own}; remove that key to use them")
    else:
        print("restart the daemon to speak with them: systemctl restart ishowtts")
    return 0


def _default_name(settings: Config) -> str:
    try:
        return used_name(settings.data_folder) or OFFICIAL.name
    except WeightsError:
        return OFFICIAL.name  # the file with the name is damaged, and is written again at the end


def _fetch(model: CatalogueModel, target: Path, from_dir: Path | None, others: Sequence[Path]) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name)
            bar.update(tasks[name], completed=done, total=total)

        try:
            fetch(model, target, from_dir, show, others)
        except DownloadError as error:
            lines = fetch_sources.instructions(model, fetch_sources.missing(model, target, others))
            raise WeightsError("\n".join([f"{error}.", "Another way:", *lines])) from error


def _how_verified(record: WeightsRecord) -> str:
    how = _VERIFIED_BY.get(record.verified_by, _VERIFIED_BY["nothing"]).format(revision=record.revision)
    return f"the files of {record.repo} were compared with {how}"


def _check_folder(model: CatalogueModel, missing: Sequence[HubFile], from_dir: Path) -> None:
    """Find out whether a folder has the missing files. Raises WeightsError, with all of their names."""
    if missing and (problem := fetch_sources.folder_problem(from_dir, missing)):
        lines = fetch_sources.instructions(model, missing) if from_dir.is_dir() else []
        raise WeightsError("\n".join([problem, *lines]))


def _check_hub(model: CatalogueModel, missing: Sequence[HubFile]) -> None:
    """Find out before any work whether the missing files can be got. Raises WeightsError, with all of their names."""
    if missing and (problem := fetch_sources.hub_problem()):
        lines = fetch_sources.instructions(model, missing)
        raise WeightsError("\n".join([f"{problem}; nothing was fetched.", *lines]))


def _licence_accepted() -> bool:
    if not sys.stdin.isatty():
        return False
    return input("Accept this licence? [y/N] ").strip().lower() in ("y", "yes")
