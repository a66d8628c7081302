"""`ishowtts voices remove`: deletes a voice of the operator, or one that came over MQTT."""

from __future__ import annotations

import argparse

from ishowtts.cli.common import Commands, print_json, read_config, voice_set_over_mqtt
from ishowtts.engines.voices import folders
from ishowtts.engines.voices.voice_library import (
    DEFAULT,
    open_voice_library,
    uploaded_voices_folder,
    voices_folder,
)
from ishowtts.errors import VoiceError
from ishowtts.util.user_rights import as_owner_of


def add(actions: Commands, common: argparse.ArgumentParser) -> None:
    """Add the action."""
    parser = actions.add_parser("remove", parents=[common], help="delete a voice")
    parser.add_argument("name", metavar="NAME")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 once its folder is deleted."""
    settings = read_config(arguments)
    if arguments.name == DEFAULT and not (voices_folder(settings) / DEFAULT).exists():
        raise VoiceError(
            "the voice default is a part of f5-tts and cannot be removed; `ishowtts voices add default …` puts your "
            "own in its place, and engine.f5.default_voice can name another"
        )
    uploaded_dir = uploaded_voices_folder(settings)
    if over_mqtt := open_voice_library(settings).is_uploaded(arguments.name):
        with as_owner_of(settings.state_dir):
            folders.remove(uploaded_dir, arguments.name)
    else:
        folders.remove(voices_folder(settings), arguments.name)
    if arguments.json:
        print_json({"name": arguments.name, "removed": True})
        return 0
    print(f"{arguments.name} was removed")
    if not over_mqtt and (uploaded_dir / arguments.name).exists():
        print("the voice of this name that came over MQTT is used now; remove that too to have none")
    if arguments.name == DEFAULT:
        print("the voice that f5-tts includes is the default again")
    elif arguments.name == settings.engine.f5.default_voice:
        print("engine.f5.default_voice still names it; name another voice there, else F5 does not start")
    if arguments.name == voice_set_over_mqtt(settings):
        print("it is still set as the default voice over MQTT; `ishowtts voice NAME` sets another one")
    return 0
