"""`ishowtts clocks`: lock the board's clocks, let them go, or show them."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from ishowtts.board.jetson_clocks import JetsonClocks
from ishowtts.cli.common import Commands, print_json, read_config

# Root's own folder, gone with a reboot, as the locked clocks are.
STORE = Path("/run/ishowtts-clocks/store")


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("clocks", parents=[common], help="lock the clocks with jetson_clocks, or restore them")
    parser.add_argument("action", choices=["apply", "restore", "show"])
    parser.add_argument(
        "--store",
        type=Path,
        default=STORE,
        metavar="FILE",
        help=f"where the clocks from before are kept until `restore` (default: {STORE})",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """0 where the clocks are, by reading them back, as asked for."""
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
