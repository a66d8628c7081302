"""`ishowtts fetch --list`: the F5 models that can be fetched, and which one is installed and used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ishowtts.cli.common import print_json
from ishowtts.cli.tables import print_table, print_text
from ishowtts.engines import fetch_sources
from ishowtts.engines.weights import examine, fetched_folder, used_name
from ishowtts.engines.weights_catalogue import CATALOGUE, CatalogueModel
from ishowtts.errors import WeightsError

if TYPE_CHECKING:
    from ishowtts.config import Config

_TITLES = ("model", "state", "languages", "commercial", "licence", "download", "on disk")  # fit into 80 columns
_OPTIONAL = ("on disk", "languages", "download", "commercial")  # the licence says it too


def show(settings: Config, chosen: CatalogueModel | None, *, as_json: bool) -> None:
    """Print the catalogue.

    Args:
        settings: the configuration, which names the data folder.
        chosen: a model whose addresses are printed too; the only one in the list.
        as_json: print JSON instead of a table.
    """
    used = _used(settings)
    entries = [_entry(model, settings, used) for model in ([chosen] if chosen else CATALOGUE.values())]
    if as_json:
        print_json(entries)
        return
    print_table(_TITLES, [_row(entry) for entry in entries], right=("download", "on disk"), optional=_OPTIONAL)
    for entry in entries:  # lines of their own: a table is cut to the terminal, and these say what a licence asks for
        print_text(f"{entry['name']}: {entry['sample_rate_hz'] / 1000:g} kHz. {entry['about']}")
    if (own := settings.engine.f5.weights) is not None:
        print_text(f"engine.f5.weights names {own}, which is used in place of these")
    if chosen:
        print("\n".join(fetch_sources.instructions(chosen, (*chosen.pinned, *chosen.unpinned))))


def _used(settings: Config) -> str | None:
    if settings.engine.f5.weights is not None:
        return None
    try:
        return used_name(settings.data_folder)
    except WeightsError:
        return None


def _entry(model: CatalogueModel, settings: Config, used: str | None) -> dict[str, Any]:
    folder = fetched_folder(settings.data_folder, model.name)
    installed = _is_complete(folder, model)
    return {
        "name": model.name,
        "repo": model.repo,
        "languages": list(model.languages),
        "licence": model.licence,
        "commercial_use": model.commercial_use,
        "download_bytes": model.download_bytes,
        "disk_bytes": model.disk_bytes,
        "sample_rate_hz": model.sample_rate_hz,
        "checksums": "ours" if model.is_pinned else "hub",
        "about": model.about,
        "installed": installed,
        "used": installed and used == model.name,
        "folder": str(folder) if installed else None,
    }


def _is_complete(folder: Path, model: CatalogueModel) -> bool:
    try:
        return examine(folder).name == model.name
    except WeightsError:
        return False


def _row(entry: dict[str, Any]) -> list[str]:
    download = entry["download_bytes"]
    return [
        entry["name"],
        "used" if entry["used"] else "installed" if entry["installed"] else "",
        ", ".join(entry["languages"]),
        "yes" if entry["commercial_use"] else "NO",
        entry["licence"],
        f"over {entry['disk_bytes'] / 1e9:.1f} GB" if download is None else f"{download / 1e9:.1f} GB",
        f"{entry['disk_bytes'] / 1e9:.1f} GB",
    ]
