"""`ishowtts devices`: the sound devices of this machine."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from ishowtts.cli.common import Commands, print_json
from ishowtts.playback.cards import list_devices


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("devices", parents=[common], help="the sound devices of this machine")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
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
