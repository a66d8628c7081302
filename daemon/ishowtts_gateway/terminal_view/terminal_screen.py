"""Owns the terminal: its modes, its size, what it shows, and the keys. It is restored whatever ends the program."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

from ishowtts_gateway.terminal_view.styled_line import StyledLine

STYLES: Mapping[str, Style] = {
    "": Style.null(),
    "bold": Style(bold=True),
    "dim": Style(dim=True),
    "chosen": Style(bold=True, reverse=True),
    "good": Style(color="green"),
    "warn": Style(color="yellow"),
    "bad": Style(color="red", bold=True),
    "data": Style(color="cyan"),
    "key": Style(bold=True, color="cyan"),
}
"""Only the eight colours that every terminal has, and that its user may have chosen."""

_ASCII = str.maketrans("▁▂▃▄▅▆▇█░●○…–", "._-~=+*#.*o.-", "")
# Alternate screen, no cursor, no wrapping at the edge, marks around what is pasted; cleared.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h\x1b[2J"
_LEAVE = "\x1b[0m\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l"
_USUAL_SIZE = (80, 24)
_READ_BYTES = 4096
_LEAVE_S = 1.0
_INPUT_MODES, _LOCAL_MODES, _SPECIAL_CHARACTERS = 0, 3, 6  # places in the list of tcgetattr


class StyleWriter:
    """Turns styled lines into text for one terminal.

    Args:
        console: Knows what the terminal can do, and NO_COLOR. A pipe gets no styles.
    """

    def __init__(self, console: Console) -> None:
        self._system = ColorSystem.STANDARD if console.color_system else None
        self._styles = {name: style.without_color if console.no_color else style for name, style in STYLES.items()}
        self._encoding = console.encoding
        self._ascii = not self._encoding.lower().startswith("utf")

    def text(self, line: StyledLine) -> str:
        """The line with its escape sequences."""
        shown = "".join(self._styles[style].render(text, color_system=self._system) for text, style in line)
        return (
            shown.translate(_ASCII).encode(self._encoding, "replace").decode(self._encoding) if self._ascii else shown
        )


class TerminalScreen:
    """`with TerminalScreen(descriptor, writer) as screen: screen.draw(lines)`.

    A line is written only if it has changed. If the terminal does not take the text (a slow connection, Ctrl-S), frames
    are left out, and the program goes on.

    Args:
        path: The terminal. It is opened again, since O_NONBLOCK would also hold for the shell that shares our
            descriptor.

    Raises:
        OSError: it cannot be opened, or is not a terminal.
    """

    def __init__(self, path: str, writer: StyleWriter, encoding: str) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            self._saved: list[Any] = termios.tcgetattr(self.descriptor)
        except termios.error as error:
            os.close(self.descriptor)
            raise OSError(*error.args) from error
        self._writer = writer
        self._encoding = encoding
        self._shown: list[StyledLine | None] = []
        self._unwritten = b""
        self._entered = False

    def __enter__(self) -> TerminalScreen:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        os.close(self.descriptor)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines. A serial console does not know its size, and a terminal that is gone has none."""
        try:
            columns, lines = os.get_terminal_size(self.descriptor)
        except OSError:
            return _USUAL_SIZE
        return columns or _USUAL_SIZE[0], lines or _USUAL_SIZE[1]

    def enter(self) -> None:
        """Take the terminal: keys come at once and are not shown. In the background, this stops the process."""
        modes = [*self._saved]
        modes[_INPUT_MODES] &= ~termios.IXON  # Ctrl-S would stop the output
        modes[_LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        modes[_SPECIAL_CHARACTERS] = [*modes[_SPECIAL_CHARACTERS]]
        modes[_SPECIAL_CHARACTERS][termios.VMIN], modes[_SPECIAL_CHARACTERS][termios.VTIME] = 1, 0
        termios.tcsetattr(self.descriptor, termios.TCSANOW, modes)
        self._entered = True
        self._unwritten = b""
        self.clear()

    def leave(self) -> None:
        """Give the terminal back as it was."""
        if not self._entered:
            return
        self._entered = False
        with contextlib.suppress(OSError, termios.error):  # the terminal may be gone
            termios.tcflush(self.descriptor, termios.TCOFLUSH)  # a part of a frame that nobody needs any more
            self._unwritten = _LEAVE.encode()
            until_s = time.monotonic() + _LEAVE_S
            while not self.flush() and (left_s := until_s - time.monotonic()) > 0:
                select.select([], [self.descriptor], [], left_s)
            termios.tcsetattr(self.descriptor, termios.TCSANOW, self._saved)

    def clear(self) -> None:
        """Forget what is shown, so that the next frame is written completely."""
        self._shown = []
        self._unwritten += _ENTER.encode()

    def draw(self, lines: Sequence[StyledLine]) -> bool:
        """Show a frame. Returns False if the terminal has not taken the previous one yet: then it is left out."""
        if not self.flush():
            return False
        written = []
        for i, line in enumerate(lines):
            if i >= len(self._shown) or self._shown[i] != line:
                written.append(f"\x1b[{i + 1};1H\x1b[0m{self._writer.text(line)}\x1b[K")
        if len(self._shown) > len(lines):
            written.append(f"\x1b[{len(lines) + 1};1H\x1b[J")
        self._shown = list(lines)
        self._unwritten += "".join(written).encode(self._encoding, "replace")
        return self.flush()

    def flush(self) -> bool:
        """Write what waits. Returns whether the terminal has taken all of it."""
        while self._unwritten:
            try:
                self._unwritten = self._unwritten[os.write(self.descriptor, self._unwritten) :]
            except BlockingIOError:
                return False
            except OSError:  # the terminal is gone, which `read` tells
                self._unwritten = b""
        return True

    def read(self) -> bytes | None:
        """The bytes of keys that were pressed; `None` if the terminal is gone."""
        try:
            return os.read(self.descriptor, _READ_BYTES) or None
        except BlockingIOError:
            return b""
        except OSError:
            return None


def terminal_path() -> str | None:
    """The file of the terminal that standard output goes to; `None` if it goes elsewhere, or may not be opened."""
    if not sys.stdout.isatty():
        return None
    with contextlib.suppress(OSError):
        path = os.ttyname(sys.stdout.fileno())
        # After `su`, the terminal belongs to another user, and only its alias may be opened.
        return path if os.access(path, os.R_OK | os.W_OK) else "/dev/tty"
    return "/dev/tty"
