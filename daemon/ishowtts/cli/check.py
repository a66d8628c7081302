"""`ishowtts check`: checks the configuration and its files of blocked words and pronunciations.

Shows the values in use, with the chosen engine and a volume that was set over MQTT.
"""

from __future__ import annotations

import argparse
from typing import Any

from ishowtts.cli.common import Commands, as_owner_of, file_faults, print_json, read_config, root_topic
from ishowtts.errors import ConfigError


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("check", parents=[common])
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the configuration and the files that it names are valid. A ConfigError ends with status 2."""
    from ishowtts.engines.engine_choice import choose_engine
    from ishowtts.inbox import read_setting

    settings = read_config(arguments)
    in_use = settings.model_dump(mode="json")
    # Nothing secret is printed: the password is in a file, which is named here and never read.
    chosen = choose_engine(settings)
    derived: dict[str, Any] = {
        "root_topic": root_topic(settings),
        "engine": chosen.kind,
        "engine_why": chosen.why,
        "volume": settings.audio.volume,
    }
    with as_owner_of(settings.state_dir):
        written = read_setting(settings.state_dir / "inbox.sqlite", "volume")
    if written is not None and (stored := _volume(written)) is not None:
        derived |= {"volume": stored, "volume_why": "set over MQTT, which wins over audio.volume"}
    if arguments.json:
        print_json({"config": in_use, "derived": derived})
    else:
        import yaml

        print(yaml.safe_dump(in_use, sort_keys=False, allow_unicode=True), end="")
        for name, value in derived.items():
            print(f"# {name}: {value}")
    if faults := file_faults(settings):
        raise ConfigError(list(faults))
    return 0


def _volume(written: str) -> int | None:
    from ishowtts.playback.volume_gain import stored_volume  # imports numpy, and few appliances have a stored volume

    return stored_volume(written)
