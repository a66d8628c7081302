"""`ishowtts clocks`: locks the clocks of the board, restores them, or shows them."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from ishowtts.board.jetson_clocks import JetsonClocks
from ishowtts.cli.common import Commands, print_json, read_config

# A folder of root's that a reboot empties, as a reboot also unlocks the clocks.
STORE = Path("/run/ishowtts-clocks/store")


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("clocks", parents=[common])
    parser.add_argument("action", choices=["apply", "restore", "show"])
    parser.add_argument(
        "--store",
        type=Path,
        default=STORE,
        metavar="FILE",
        help=f"file that keeps the former clocks for `restore` (default: {STORE})",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the clocks, read back, are as they were asked to be."""
    settings = read_config(arguments)
    clocks = JetsonClocks(store=arguments.store, sysfs_root=settings.board.sysfs_root)
    if arguments.action == "apply":
        state = clocks.apply()
    elif arguments.action == "restore":
        state = clocks.restore()
    else:
        state = clocks.show()
    if arguments.json:
        print_json(asdict(state))
    else:
        print(state)
    return 0
