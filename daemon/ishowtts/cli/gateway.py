"""`ishowtts gateway`: runs the gateway."""

from __future__ import annotations

import argparse

from ishowtts.cli.common import Commands, read_service_config, root_topic, serve_until_stopped


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("gateway", parents=[common])
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    from ishowtts_gateway import gateway_app

    settings = read_service_config(arguments)
    return serve_until_stopped(settings, lambda: gateway_app.run(settings, root_topic(settings)))
