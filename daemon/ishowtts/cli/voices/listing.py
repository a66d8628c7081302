"""`ishowtts voices list`: lists the voices, what is wrong with them, and folders that are none."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.cli.tables import print_table, print_text
from ishowtts.cli.voices.adding import engine_note
from ishowtts.config import Config
from ishowtts.engines.voices import clips
from ishowtts.engines.voices.ignored_folders import IgnoredFolder, ignored_folders
from ishowtts.engines.voices.voice_library import (
    VoiceLibrary,
    open_voice_library,
    uploaded_voices_folder,
    voices_folder,
)
from ishowtts.errors import VoiceError
from ishowtts.util.user_rights import as_owner_of

_SETTINGS = ("speed", "nfe_step", "gain_db", "language")
_RIGHT = ("length", "speed", "NFE", "gain")
_OPTIONAL = ("gain", "NFE", "speed", "clip", "language")
_FIELDS = ("name", "audio", "over_mqtt", "length_s", *_SETTINGS, "text", "fault", "note")
_TITLES = ("voice", "length", "speed", "NFE", "gain", "language", "clip", "transcript")


def add(actions: Commands, common: argparse.ArgumentParser) -> None:
    """Add the action."""
    parser = actions.add_parser("list", parents=[common], help="list the voices that lines can name")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print each voice with its clip, transcript and settings; return 1 if one cannot be used."""
    settings = read_config(arguments)
    library, folder = open_voice_library(settings), voices_folder(settings)
    uploaded = library.uploaded_names()
    with as_owner_of(settings.state_dir):  # what that user may write, root does not read
        described = {name: _describe(library, name, over_mqtt=True) for name in uploaded}
    # The packaged voice need not be installed where other boards speak.
    names = sorted(library.versions()) if settings.engine.kind == "remote" else library.names()
    voices = [described.get(name) or _describe(library, name) for name in names]
    ignored = ignored_folders(folder)
    if arguments.json:
        print_json([*voices, *map(_as_voice, ignored)])
    else:
        print_table(_TITLES, [_row(voice, folder) for voice in voices], right=_RIGHT, optional=_OPTIONAL)
        for found in ignored:
            print_text(f"not a voice: {found.path}: {found.why}; {found.fix}")
        for voice in voices:
            if voice["note"]:
                print_text(f"note: {voice['name']}: {voice['note']}")
        for unused in _upload_notes(settings, uploaded):
            print_text(f"note: {unused}")
        if note := engine_note(settings):
            print_text(f"note: {note}")
    fault = library.fault()
    if fault:
        print(f"ishowtts: {fault}", file=sys.stderr)
    return 1 if fault or ignored or any(voice["fault"] for voice in voices) else 0


def _describe(library: VoiceLibrary, name: str, *, over_mqtt: bool = False) -> dict[str, Any]:
    about: dict[str, Any] = dict.fromkeys(_FIELDS)
    about["name"], about["over_mqtt"] = name, over_mqtt
    try:
        voice = library.find(name)
        about |= {"audio": str(voice.audio_path), "text": voice.text, **{key: getattr(voice, key) for key in _SETTINGS}}
        about["length_s"] = round(clips.length_s(voice.audio_path), 2)
        about["note"] = clips.length_problem(about["length_s"])
    except VoiceError as error:
        about["fault"] = str(error)
    return about


def _upload_notes(settings: Config, shown: list[str]) -> Iterator[str]:
    """What the table does not show of the voices that came over MQTT."""
    folder = uploaded_voices_folder(settings)
    try:
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        yield f"voices that came over MQTT are not listed: {folder} cannot be read ({error.strerror}); use sudo"
        return
    for name in names:
        if name not in shown:
            yield f"{name}: the voice of this name that came over MQTT, in {folder}, is not used"


def _as_voice(found: IgnoredFolder) -> dict[str, Any]:
    """An entry of the folder that is no voice, in the form of a voice that cannot be used."""
    about: dict[str, Any] = dict.fromkeys(_FIELDS)
    return about | {"name": found.path.name, "fault": f"{found.path} is not a voice: {found.why}; {found.fix}"}


def _row(voice: dict[str, Any], folder: Path) -> list[str]:
    clip = Path(voice["audio"]) if voice["audio"] else None
    return [
        voice["name"],
        _cell(voice["length_s"], " s"),
        _cell(voice["speed"]),
        _cell(voice["nfe_step"]),
        _cell(voice["gain_db"], " dB"),
        _cell(voice["language"]),
        _origin(voice, clip, folder),
        f"cannot be used: {voice['fault']}" if voice["fault"] else voice["text"],
    ]


def _origin(voice: dict[str, Any], clip: Path | None, folder: Path) -> str:
    if voice["over_mqtt"]:
        return "over MQTT"
    return "" if clip is None else clip.name if clip.is_relative_to(folder) else "of f5-tts"


def _cell(value: object, unit: str = "") -> str:
    return "" if value is None else f"{value}{unit}"
