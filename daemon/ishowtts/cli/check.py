"""`ishowtts check`: is the configuration right, and what is in force?"""

from __future__ import annotations

import argparse

import yaml

from ishowtts.cli.common import Commands, faults_of_files, print_json, read_config, root_topic
from ishowtts.engines import build
from ishowtts.errors import ConfigError


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("check", parents=[common], help="check the configuration and show what is in force")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """0 where it is right, with the files that it names; a ConfigError ends in 2."""
    settings = read_config(arguments)
    in_force = settings.model_dump(mode="json")
    # A URL-like user name apart, the only secret is in the password file, which is named and never read here.
    chosen = build.choose_engine(settings)
    derived = {"root_topic": root_topic(settings), "engine": chosen.kind, "engine_why": chosen.why}
    if arguments.json:
        print_json({"config": in_force, "derived": derived})
    else:
        print(yaml.safe_dump(in_force, sort_keys=False, allow_unicode=True), end="")
        for name, value in derived.items():
            print(f"# {name}: {value}")
    if faults := faults_of_files(settings):
        raise ConfigError(list(faults))
    return 0
