"""Draws what the boards publish until a key or a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from typing import Any

from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.terminal_view.board_controls import BoardControls
from ishowtts_gateway.terminal_view.terminal_keys import KeyReader
from ishowtts_gateway.terminal_view.terminal_screen import TerminalScreen
from ishowtts_gateway.terminal_view.top_frame import frame
from ishowtts_gateway.terminal_view.watched_boards import BoardChoice, top_view

_FRAME_S = 0.5
_MESSAGE_S = 5.0
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class TopProgram:
    """Draws a frame twice a second, and at each key and each change of the size of the terminal."""

    def __init__(self, boards: ApplianceClient, screen: TerminalScreen) -> None:
        self._boards = boards
        self._screen = screen
        self._choice = BoardChoice(boards.directory)
        self._controls = BoardControls(boards.requests, self._show)
        self._keys = KeyReader()
        self._message: tuple[str, str, float] | None = None
        self._help_shown = False
        self._wake = asyncio.Event()
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self) -> int:
        """Run until a key or a signal. Returns the exit status."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._failed)
        for number in _ENDING:
            loop.add_signal_handler(number, self._end, 128 + number)
        loop.add_signal_handler(signal.SIGWINCH, self._redraw)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        loop.add_signal_handler(signal.SIGCONT, self._take_terminal)
        with self._screen:  # from here on, every signal restores it
            loop.add_reader(self._screen.descriptor, self._read_keys)
            try:
                while not self._ended.done():
                    self._draw()
                    self._wake.clear()
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), _FRAME_S)
            finally:
                self._controls.close()
                loop.remove_reader(self._screen.descriptor)
                loop.remove_writer(self._screen.descriptor)
        return self._ended.result()

    def _draw(self) -> None:
        view = top_view(self._boards, self._choice, self._current_message(), help_shown=self._help_shown)
        width, height = self._screen.size
        # The last column stays free: after a character in it, erasing the rest of the row would erase that character.
        if not self._screen.draw(frame(view, width - 1, height)):
            asyncio.get_running_loop().add_writer(self._screen.descriptor, self._write)

    def _write(self) -> None:
        if self._screen.flush():
            asyncio.get_running_loop().remove_writer(self._screen.descriptor)

    def _read_keys(self) -> None:
        data = self._screen.read()
        if data is None:
            asyncio.get_running_loop().remove_reader(self._screen.descriptor)
            self._end(128 + signal.SIGHUP)
            return
        for key in self._keys.keys(data):
            self._press(key)
        self._wake.set()

    def _press(self, key: str) -> None:
        if self._help_shown and key != "q":
            self._help_shown = False
        elif key in ("q", "Q"):
            self._end(0)
        elif key in ("?", "h"):
            self._help_shown = True
        elif key in ("n", "next", "N", "previous"):
            self._choice.move(1 if key in ("n", "next") else -1)
        elif key == "redraw":
            self._redraw()
        elif (board := self._choice.view()) is not None:
            self._controls.press(key, board)

    def _show(self, text: str, style: str) -> None:
        self._message = (text, style, time.monotonic() + _MESSAGE_S)
        self._wake.set()

    def _current_message(self) -> tuple[str, str] | None:
        if self._message is not None and time.monotonic() > self._message[2]:
            self._message = None
        return None if self._message is None else self._message[:2]

    def _redraw(self) -> None:
        self._screen.clear()
        self._wake.set()

    def _suspend(self) -> None:
        """Stop as the shell asks, with the terminal given back. When the shell continues us, take it again."""
        loop = asyncio.get_running_loop()
        self._screen.leave()
        loop.remove_signal_handler(signal.SIGTSTP)
        signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        self._take_terminal()

    def _take_terminal(self) -> None:
        self._screen.enter()
        self._wake.set()

    def _end(self, status: int) -> None:
        if not self._ended.done():
            self._ended.set_result(status)
        self._wake.set()

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A fault of a callback ends the program: its message would be written across the frame."""
        if not self._ended.done():
            self._ended.set_exception(context.get("exception") or RuntimeError(context["message"]))
        self._wake.set()
