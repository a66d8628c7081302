"""`ishowtts run`: the daemon."""

from __future__ import annotations

import argparse
import logging

from ishowtts import logs
from ishowtts.cli.common import Commands, read_config
from ishowtts.errors import FatalError
from ishowtts.service import daemon


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("run", parents=[common], help="be the daemon (systemd starts this)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT."""
    settings = read_config(arguments)
    logs.set_up(settings.log.level, private=settings.log.private)
    try:
        return daemon.run(settings)
    except FatalError as error:
        logging.getLogger("ishowtts").critical("%s", error)
        return 1
