"""Turns keys into requests to a board, and their answers into messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ishowtts.limits import VOLUME
from ishowtts_gateway.appliances.appliance_requests import ApplianceRequests
from ishowtts_gateway.appliances.published_value import text
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.terminal_view.board_view import BoardView

_VOLUME_STEP = 5
_MAX_PENDING = 5
_MAX_DETAIL_CHARS = 300

ShowMessage = Callable[[str, str], None]
"""Takes a sentence and its style."""


class BoardControls:
    """Sends a request for each key. Requests are answered in any order, and do not hold up the next frame.

    Args:
        show: Shows a message.
    """

    def __init__(self, requests: ApplianceRequests, show: ShowMessage) -> None:
        self._requests = requests
        self._show = show
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted: dict[str, int] = {}  # volumes that are being set, by device

    def press(self, key: str, board: BoardView) -> bool:
        """Act on a key. Returns whether it is a key of ours."""
        step = {"+": _VOLUME_STEP, "=": _VOLUME_STEP, "-": -_VOLUME_STEP}.get(key)
        command = {
            "s": "skip",
            "p": "resume" if board.paused else "pause",
            "m": "unmute" if board.muted else "mute",
        }.get(key)
        if step is None and command is None:
            return False
        device = board.record.name
        if not board.record.online:
            self._show(f"{device} is not online, and commands do not wait for it", "bad")
        elif len(self._tasks) >= _MAX_PENDING:
            self._show(f"{_MAX_PENDING} commands have no answer yet; wait for them", "warn")
        elif step is not None:
            self._change_volume(board, step)
        elif command is not None:
            self._show(f"{command} …", "dim")
            self._start(self._command(device, command))
        return True

    def close(self) -> None:
        """End the requests that wait for an answer."""
        for task in self._tasks:
            task.cancel()

    def _start(self, request: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(request, name="key")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _command(self, device: str, command: str) -> None:
        try:
            self._show_answer(await self._requests.command(device, {"command": command}), command)
        except GatewayError as error:
            self._show(str(error), "bad")

    def _change_volume(self, board: BoardView, step: int) -> None:
        device = board.record.name
        level = self._wanted.get(device, board.volume)
        if level is None:
            self._show("the volume is not known yet", "warn")
            return
        is_running = device in self._wanted
        self._wanted[device] = min(VOLUME[1], max(VOLUME[0], level + step))
        self._show(f"volume {self._wanted[device]} % …", "dim")
        if not is_running:
            self._start(self._set_volume(device))

    async def _set_volume(self, device: str) -> None:
        """Set the volume until it is the wanted one: a key that is held down asks again and again."""
        asked = None
        try:
            while asked != self._wanted[device]:
                asked = self._wanted[device]
                answer = await self._requests.set_volume(device, asked)
            self._show_answer(answer, "volume")
        except GatewayError as error:
            self._show(str(error), "bad")
        finally:
            del self._wanted[device]

    def _show_answer(self, answer: dict[str, Any], command: str) -> None:
        detail = text(answer.get("detail"), _MAX_DETAIL_CHARS) or command
        ok = answer.get("ok") is True
        self._show(detail if ok else f"refused: {detail}", "good" if ok else "bad")
