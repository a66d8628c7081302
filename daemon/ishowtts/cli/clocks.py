"""`ishowtts clocks`: locks the clocks of the board, restores them, or shows them."""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ishowtts.board.board_program import ProgramNotInstalled
from ishowtts.board.jetson_clocks import STORE, AppliedClocks, JetsonClocks
from ishowtts.board.nvpmodel import PowerMode, PowerModeRefused, PowerModes
from ishowtts.cli.argument_types import wait_time
from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.errors import BoardError, ConfigError
from ishowtts.systemd import Notifier
from ishowtts.util.backoff import Backoff
from ishowtts.util.logs import tell

if TYPE_CHECKING:
    from ishowtts.board.clocks_state import ClocksState
    from ishowtts.config import Config

OTHER_MODE = 3
"""Exit status of `apply` if the clocks are locked, but not in the configured power mode."""

_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 60.0
_PERMANENT = (ProgramNotInstalled, PowerModeRefused)


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("clocks", parents=[common])
    parser.add_argument(
        "action",
        choices=["apply", "restore", "show", "repair"],
        help="apply: lock them; restore: give them back as they were before; show: what is locked; "
        "repair: lock them again if something has unlocked them after `apply`",
    )
    parser.add_argument(
        "--wait",
        type=wait_time,
        default=0.0,
        metavar="SECONDS",
        help="with apply: try again for this long while a driver is not ready",
    )
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
    settings = _read_config(arguments)
    modes = PowerModes()
    clocks = JetsonClocks(store=arguments.store, sysfs_root=settings.board.sysfs_root, power_modes=modes)
    if arguments.action == "apply":
        return _apply(clocks, settings.board.power_mode, arguments)
    if arguments.action == "repair":
        repaired = clocks.repair()
        if repaired is None:
            print("the clocks are not to be locked: `ishowtts clocks apply` did not run, or they were restored")
        else:
            _print_state(repaired, arguments)
    elif arguments.action == "restore":
        _print_state(clocks.restore(), arguments)
    else:
        _show(clocks, modes.present(), settings.board.power_mode, arguments)
    return 0


def _read_config(arguments: argparse.Namespace) -> Config:
    """Return the configuration. If it is wrong, `restore` uses the defaults: the way back does not depend on it."""
    try:
        return read_config(arguments)
    except ConfigError as error:
        if arguments.action != "restore":
            raise
        from ishowtts.config import Config

        tell(f"the configuration is not used: {error.problems[0]}")
        return Config()


def _apply(clocks: JetsonClocks, power_mode: str | None, arguments: argparse.Namespace) -> int:
    notifier = Notifier()
    applied = _apply_until_it_holds(clocks, power_mode, arguments.wait, notifier)
    problem = f"the clocks are locked in the present power mode: {applied.mode_problem}" if applied.mode_problem else ""
    notifier.status("; ".join(filter(None, [str(applied.state), problem])))
    if applied.former_mode:
        former = applied.former_mode
        undo = f"undo: sudo nvpmodel -m {former.number}"
        tell(f"the power mode was {former.name}, and is now {power_mode}; {undo}", logging.WARNING)
    _print_state(applied.state, arguments)
    if problem:
        tell(problem, logging.WARNING)
    return OTHER_MODE if problem else 0


def _apply_until_it_holds(
    clocks: JetsonClocks, power_mode: str | None, wait_s: float, notifier: Notifier
) -> AppliedClocks:
    """Try until the clocks are locked in the power mode, or the time is over, or another try would not help."""
    ends_s = time.monotonic() + wait_s
    pauses = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)
    said = ""
    while True:
        result = _try_to_apply(clocks, power_mode)
        problem = result if isinstance(result, BoardError) else result.mode_problem
        pause_s = pauses.next_s()
        if problem is None or isinstance(problem, _PERMANENT) or time.monotonic() + pause_s > ends_s:
            break
        text = f"waiting for the clocks: {problem}"
        notifier.status(text)
        if text != said:
            said = text
            tell(f"{text}; trying again for {ends_s - time.monotonic():.0f} s", logging.WARNING)
        time.sleep(pause_s)
    if isinstance(result, BoardError):
        raise result
    return result


def _try_to_apply(clocks: JetsonClocks, power_mode: str | None) -> AppliedClocks | BoardError:
    try:
        return clocks.apply(power_mode)
    except BoardError as error:
        return error


def _show(clocks: JetsonClocks, mode: PowerMode | None, power_mode: str | None, arguments: argparse.Namespace) -> None:
    stored_at_s = clocks.stored_at_s()
    since = None if stored_at_s is None else datetime.fromtimestamp(stored_at_s, timezone.utc).isoformat("T", "seconds")
    state = clocks.show()
    if arguments.json:
        extra = {"power_mode": mode and mode.name, "power_mode_configured": power_mode, "locked_by_us_since": since}
        print_json({**asdict(state), **extra})
        return
    print(state)
    if mode is not None:
        configured = f" (board.power_mode is {power_mode})" if power_mode else ""
        print(f"power mode {mode.name}{configured}")
    if since is not None:
        loose = "" if state.locked else "; they were unlocked since: sudo ishowtts clocks repair"
        print(f"locked by `ishowtts clocks apply` since {since}{loose}")
        print("undo: sudo systemctl stop ishowtts-clocks (until the next start), or sudo ishowtts clocks restore")
    elif state.locked:
        print("not locked by `ishowtts clocks apply`; whoever locked them can restore them, and a reboot does")
    elif state.locked is False:
        print("lock them: sudo systemctl restart ishowtts-clocks")


def _print_state(state: ClocksState, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print_json(asdict(state))
    else:
        print(state)
