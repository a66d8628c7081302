"""`ishowtts voices` and `ishowtts devices`: what there is to choose from."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from ishowtts.cli.common import Commands, print_json, read_config
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
    """Name, clip and text of each voice."""
    shelf = lead.voices(read_config(arguments))
    voices = [shelf.find(name) for name in shelf.names()]
    if arguments.json:
        print_json([{"name": voice.name, "audio": str(voice.audio_path), "text": voice.text} for voice in voices])
    else:
        table = Table("voice", "clip", "its text", box=None)
        for voice in voices:
            table.add_row(voice.name, str(voice.audio_path), voice.text)
        Console().print(table)
    return 0


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
