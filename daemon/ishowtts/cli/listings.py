"""`ishowtts voices` and `ishowtts devices`: what there is to choose from."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.engines.voices import VoiceShelf
from ishowtts.errors import VoiceError
from ishowtts.playback.choose import list_devices
from ishowtts.service import lead


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add both commands."""
    voices = commands.add_parser("voices", parents=[common], help="the voices that lines may ask for")
    voices.add_argument("--json", action="store_true", help="as JSON")
    voices.set_defaults(command=run_voices)
    devices = commands.add_parser("devices", parents=[common], help="the sound devices of this machine")
    devices.add_argument("--json", action="store_true", help="as JSON")
    devices.set_defaults(command=run_devices)


def run_voices(arguments: argparse.Namespace) -> int:
    """Name, clip and text of each voice; 1 where one of them cannot be used."""
    shelf = lead.voices(read_config(arguments))
    voices = [_voice(shelf, name) for name in shelf.names()]
    if arguments.json:
        print_json(voices)
    else:
        table = Table("voice", "clip", "its text", box=None)
        for voice in voices:
            table.add_row(voice["name"], voice["audio"] or "", voice["text"] or f"cannot be used: {voice['fault']}")
        Console().print(table)
    return 1 if any(voice["fault"] for voice in voices) else 0


def _voice(shelf: VoiceShelf, name: str) -> dict[str, str | None]:
    try:
        voice = shelf.find(name)
    except VoiceError as error:
        return {"name": name, "audio": None, "text": None, "fault": str(error)}
    return {"name": name, "audio": str(voice.audio_path), "text": voice.text, "fault": None}


def run_devices(arguments: argparse.Namespace) -> int:
    """The cards, and the names that `audio.device` takes for them."""
    devices = list_devices()
    if arguments.json:
        print_json([asdict(device) for device in devices])
    else:
        table = Table(*(["audio.device", "card", ""]), box=None)
        for device in devices:
            table.add_row(device.pcm, device.description, device.note or "")
        Console().print(
            table if devices else "there is no sound card; audio.device takes `silent` and `wav:PATH` as well"
        )
    return 0
