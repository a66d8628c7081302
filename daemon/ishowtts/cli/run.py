"""`ishowtts run`: the daemon."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from ishowtts import files
from ishowtts.cli.common import Commands, read_config
from ishowtts.config import Config
from ishowtts.errors import FatalError
from ishowtts.service import daemon

_SYSLOG = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("run", parents=[common], help="be the daemon (systemd starts this)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT."""
    settings = read_config(arguments)
    set_up_log(settings.log.level)
    try:
        _refuse_state_of_another(settings)
        return daemon.run(settings)
    except FatalError as error:
        logging.getLogger("ishowtts").critical("%s", error)
        return 1


def _refuse_state_of_another(settings: Config) -> None:
    """Root must not run on the state of the service: what lies there could lead it to any file."""
    try:
        files.refuse_foreign(settings.state_dir)
    except OSError as error:
        raise FatalError(
            f"state_dir: {error.strerror}; run this as that user, or with a state_dir of root's own"
        ) from error


def set_up_log(level: str) -> None:
    """To standard error: with syslog priorities for the journal, with times for a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Journal() if "JOURNAL_STREAM" in os.environ else logging.Formatter("%(asctime)s %(levelname)-8s %(message)s")
    )
    logger = logging.getLogger("ishowtts")
    logger.addHandler(handler)
    logger.setLevel(level.upper())


class _Journal(logging.Formatter):
    """`<4>message`: sd-daemon(3)."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        priority = _SYSLOG.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in text.splitlines())
