"""Runs `ishowtts top`: frame after frame in a terminal, or one frame."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console

from ishowtts.config import Config
from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.appliances.appliance_record import ApplianceRecord
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.terminal_view.terminal_screen import StyleWriter, TerminalScreen, terminal_path
from ishowtts_gateway.terminal_view.top_frame import whole_frame
from ishowtts_gateway.terminal_view.top_program import TopProgram
from ishowtts_gateway.terminal_view.watched_boards import BoardChoice, top_view

_ONCE_LINES = 50
_CONNECT_S = 10.0
_RETAINED_S = 1.0  # a broker sends what it retains within milliseconds of the subscription
_HISTORY_S = 2.0
_POLL_S = 0.02


def run(settings: Config, own_root: str, devices: Sequence[str] | None, *, once: bool) -> int:
    """Show the boards until a key ends it, or print one frame. Returns the exit status.

    Args:
        own_root: `<prefix>/<device>` of this machine.
        devices: Names of boards, or `+` for every board under the prefix; `None`: those of `gateway.devices`.
        once: Print one frame. So does a program without a terminal that can be drawn on.
    """
    boards = ApplianceClient(settings, own_root, devices)
    console = Console()
    if once:
        return asyncio.run(_print_once(boards, console))
    screen = open_terminal(console)
    if screen is None:
        print("there is no terminal that can be redrawn: this is one frame, as with --once", file=sys.stderr)
        return asyncio.run(_print_once(boards, console))
    return asyncio.run(_show_until_ended(boards, screen))


def open_terminal(console: Console) -> TerminalScreen | None:
    """The terminal; `None` if there is none, or none that can be redrawn."""
    path = terminal_path()
    if path is None or console.is_dumb_terminal or not os.environ.get("TERM"):
        return None
    with contextlib.suppress(OSError):
        return TerminalScreen(path, StyleWriter(console), console.encoding)
    return None


async def _show_until_ended(boards: ApplianceClient, screen: TerminalScreen) -> int:
    async with boards.connected():
        return await TopProgram(boards, screen).run()


async def _print_once(boards: ApplianceClient, console: Console) -> int:
    """Print a frame for each board. Returns 0 if all of them are online."""
    writer, width = StyleWriter(console), console.width if sys.stdout.isatty() else None
    directory, choice = boards.directory, BoardChoice(boards.directory)
    async with boards.connected(sync_history=False):
        await _first_values(boards)
        lines: list[str] = []
        for _ in range(max(1, len(directory.records))):
            choice.move(1)
            lines += ["", *(writer.text(line).rstrip() for line in whole_frame(top_view(boards, choice), width))]
        all_online = directory.broker_connected and all(record.online for record in directory.records.values())
    print("\n".join(lines[1:]))
    return 0 if all_online and directory.records else 1


async def _first_values(boards: ApplianceClient) -> None:
    """Wait for the connection, then for the values that the broker retains, then for the last lines."""
    directory = boards.directory
    first = directory.broker_detail
    await _until(lambda: directory.broker_connected or directory.broker_detail != first, _CONNECT_S)
    if not directory.broker_connected:
        return
    records = directory.records
    await _until(
        lambda: bool(records) and boards.shown[-1] != "+" and all(map(_is_complete, records.values())), _RETAINED_S
    )
    await asyncio.gather(*(_ask_history(boards, record) for record in records.values() if record.online))


async def _ask_history(boards: ApplianceClient, record: ApplianceRecord) -> None:
    """Get the last lines. Without the right to ask for them, the frame has none."""
    with contextlib.suppress(GatewayError, asyncio.TimeoutError):
        reply = await asyncio.wait_for(boards.requests.history(record.name, _ONCE_LINES), _HISTORY_S)
        record.lines.merge(reply["lines"])


def _is_complete(record: ApplianceRecord) -> bool:
    return record.online and None not in (record.state, record.info, record.telemetry)


async def _until(holds: Callable[[], bool], timeout_s: float) -> None:
    """Return as soon as a condition holds, at the latest after `timeout_s`."""
    until_s = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < until_s:
        await asyncio.sleep(_POLL_S)
