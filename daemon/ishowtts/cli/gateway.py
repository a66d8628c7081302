"""`ishowtts gateway`: runs the gateway."""

from __future__ import annotations

import argparse
import logging

from ishowtts.cli.common import Commands, read_config, root_topic
from ishowtts.errors import ConfigError, FatalError
from ishowtts.util import logs


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("gateway", parents=[common])
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    from ishowtts_gateway import gateway_app

    settings = read_config(arguments)
    logs.set_up(settings.log.level, private=settings.log.private)
    try:
        return gateway_app.run(settings, root_topic(settings))
    except ConfigError as error:
        for problem in error.problems:
            logging.getLogger("ishowtts").critical("%s", problem)
        return 2  # systemd does not start it again
    except FatalError as error:
        logging.getLogger("ishowtts").critical("%s", error)
        return 1
