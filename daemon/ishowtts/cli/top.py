"""`ishowtts top`: shows what boards do, in a terminal, over MQTT.

Exit status: 0 a key ended it, or with --once all boards are online; 1 with --once a board or the broker is not there.
"""

from __future__ import annotations

import argparse
import logging

from ishowtts.cli.appliance_view import readable_by_us
from ishowtts.cli.common import Commands, read_config, root_topic
from ishowtts.limits import NAME

_ALL = "+"


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("top", parents=[common])
    parser.add_argument(
        "--device",
        action="append",
        type=_device,
        metavar="NAME",
        help=f"a board to show; once more for each further board; {_ALL} for all "
        "(default: gateway.devices, else the board of this machine)",
    )
    parser.add_argument("--once", action="store_true", help="print one frame; exit status 0 if the boards are online")
    parser.set_defaults(command=run)


def _device(written: str) -> str:
    if written != _ALL and not NAME.fullmatch(written):
        raise argparse.ArgumentTypeError(f"{written!r} is not a device name (1 to 64 of a-z, 0-9, _ and -), or {_ALL}")
    return written


def run(arguments: argparse.Namespace) -> int:
    """Run until a key ends it, or print one frame."""
    from ishowtts_gateway.terminal_view import top_app

    settings = read_config(arguments)
    for name in ("ishowtts", "ishowtts_gateway"):
        logging.getLogger(name).addHandler(logging.NullHandler())  # a frame shows what the log would say
    with readable_by_us():
        return top_app.run(settings, root_topic(settings), arguments.device, once=arguments.once)
