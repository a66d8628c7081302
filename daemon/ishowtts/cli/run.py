"""`ishowtts run`: runs the daemon."""

from __future__ import annotations

import argparse

from ishowtts import app
from ishowtts.cli.common import Commands, read_service_config, serve_until_stopped
from ishowtts.config import DEFAULT_PATH, Config
from ishowtts.errors import FatalError
from ishowtts.util import files


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("run", parents=[common])
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    settings = read_service_config(arguments)

    def serve() -> int:
        _refuse_foreign_state(settings)
        return app.run(settings, config_path=arguments.config or DEFAULT_PATH)

    return serve_until_stopped(settings, serve)


def _refuse_foreign_state(settings: Config) -> None:
    """Refuse to run as root on the state of the service: a link there could lead root to any file."""
    try:
        files.refuse_foreign(settings.state_dir)
    except OSError as error:
        raise FatalError(
            f"state_dir: {error.strerror}; run this as that user, or with a state_dir of root's own"
        ) from error
