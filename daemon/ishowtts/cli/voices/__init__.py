"""`ishowtts voices`: list, add, remove and try the voices that lines may ask for."""

from __future__ import annotations

import argparse
from pathlib import Path

from ishowtts.cli.common import Commands
from ishowtts.cli.voices import adding, listing, removing, trial


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command; without an action it lists."""
    parser = commands.add_parser("voices", parents=[common])
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=listing.run)
    actions = parser.add_subparsers(metavar="ACTION", title="actions (default: list)")
    again = _common_again()
    for action in (listing, adding, removing, trial):
        action.add(actions, again)


def _common_again() -> argparse.ArgumentParser:
    """The options of `voices` itself behind the action as well; unset there, what stood before it holds."""
    again = argparse.ArgumentParser(add_help=False)
    again.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="the configuration")
    again.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")
    return again
