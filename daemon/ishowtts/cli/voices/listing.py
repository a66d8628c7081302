"""`ishowtts voices list`: lists the voices, and what is wrong with them."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.engines.voices import clips
from ishowtts.engines.voices.voice_library import VoiceLibrary, open_voice_library
from ishowtts.errors import VoiceError
from ishowtts.util.logs import visible

_SETTINGS = ("speed", "nfe_step", "gain_db", "language")


def add(actions: Commands, common: argparse.ArgumentParser) -> None:
    """Add the action."""
    parser = actions.add_parser("list", parents=[common], help="list the voices that lines can name")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print each voice with its clip, transcript and settings; return 1 if one cannot be used."""
    library = open_voice_library(read_config(arguments))
    voices = [_describe(library, name) for name in library.names()]
    if arguments.json:
        print_json(voices)
    else:
        Console().print(_table(voices))
    fault = library.fault()
    if fault:
        print(f"ishowtts: {fault}", file=sys.stderr)
    return 1 if fault or any(voice["fault"] for voice in voices) else 0


def _describe(library: VoiceLibrary, name: str) -> dict[str, Any]:
    about: dict[str, Any] = dict.fromkeys(("name", "audio", "length_s", *_SETTINGS, "text", "fault"))
    about["name"] = name
    try:
        voice = library.find(name)
        about |= {"audio": str(voice.audio_path), "text": voice.text, **{key: getattr(voice, key) for key in _SETTINGS}}
        about["length_s"] = round(clips.length_s(voice.audio_path), 2)
    except VoiceError as error:
        about["fault"] = str(error)
    return about


def _table(voices: list[dict[str, Any]]) -> Table:
    table = Table("voice", "length", "speed", "NFE", "gain", "language", "clip", "transcript", box=None)
    for voice in voices:
        table.add_row(
            voice["name"],
            _cell(voice["length_s"], " s"),
            _cell(voice["speed"]),
            _cell(voice["nfe_step"]),
            _cell(voice["gain_db"], " dB"),
            _cell(voice["language"]),
            escape(voice["audio"] or ""),
            f"cannot be used: {escape(visible(voice['fault']))}" if voice["fault"] else escape(visible(voice["text"])),
        )
    return table


def _cell(value: object, unit: str = "") -> str:
    return "" if value is None else f"{value}{unit}"
