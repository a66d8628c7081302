"""The terminal: its modes, what is written to it, and what happens if it takes nothing or is gone."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest
from rich.console import Console

from ishowtts_gateway.terminal_view.styled_line import StyledLine
from ishowtts_gateway.terminal_view.terminal_screen import StyleWriter, TerminalScreen
from support.pseudo_terminal import PseudoTerminal
from support.waiting import eventually

FRAME: list[StyledLine] = [(("ready", "good"), (" ▅", "data")), (("quit", ""),)]


@pytest.fixture
def pty() -> Iterator[PseudoTerminal]:
    with PseudoTerminal() as made:
        yield made


def writer(**console: object) -> StyleWriter:
    options: dict[str, object] = {"force_terminal": True, "color_system": "standard", **console}
    return StyleWriter(Console(file=io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), **options))  # type: ignore[arg-type]


def test_only_what_has_changed_is_written(pty: PseudoTerminal) -> None:
    with TerminalScreen(pty.path, writer(), "utf-8") as screen:
        assert pty.is_raw
        assert screen.draw(FRAME)
        first = pty.read()
        assert first.startswith("\x1b[?1049h\x1b[?25l\x1b[?7l")
        assert "\x1b[1;1H\x1b[0m\x1b[32mready\x1b[0m\x1b[36m ▅\x1b[0m\x1b[K" in first
        assert screen.draw(FRAME)
        assert pty.read() == ""
        assert screen.draw([FRAME[0], (("help", ""),)])
        assert pty.read() == "\x1b[2;1H\x1b[0mhelp\x1b[K"
        assert screen.draw(FRAME[:1])
        assert pty.read() == "\x1b[2;1H\x1b[J"
        screen.clear()
        assert screen.draw(FRAME)
        assert "\x1b[2J" in pty.read()
    assert pty.read() == "\x1b[0m\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l"
    assert not pty.is_raw


def test_a_fault_of_the_program_leaves_a_usable_terminal(pty: PseudoTerminal) -> None:
    with pytest.raises(ZeroDivisionError), TerminalScreen(pty.path, writer(), "utf-8"):
        print(1 / 0)
    assert pty.read().endswith("\x1b[?25h\x1b[?1049l")
    assert not pty.is_raw


def test_keys_are_read_at_once(pty: PseudoTerminal) -> None:
    with TerminalScreen(pty.path, writer(), "utf-8") as screen:
        assert screen.read() == b""
        os.write(pty.outer, b"s\x13")  # Ctrl-S is a key here
        eventually(lambda: (screen.read() or b"") == b"s\x13", "the keys")
        assert os.get_blocking(pty.inner), "the shell uses that descriptor"


def test_a_terminal_that_takes_nothing_does_not_hold_up_the_program(pty: PseudoTerminal) -> None:
    with TerminalScreen(pty.path, writer(), "utf-8") as screen:
        frames = [[((f"{letter}" * 500, ""),)] * 50 for letter in "abcdef"]
        assert False in [screen.draw(frame) for frame in frames]
        assert not screen.flush()
        seen = ""
        while not screen.flush():
            seen += pty.read()
        assert screen.draw(FRAME)
        assert "quit" in (seen + pty.read())
        assert False in [screen.draw(frame) for frame in frames]
    assert pty.read().endswith("\x1b[?1049l")
    assert not pty.is_raw


def test_a_terminal_that_is_gone_ends_quietly(pty: PseudoTerminal) -> None:
    with TerminalScreen(pty.path, writer(), "utf-8") as screen:
        os.close(pty.outer)
        assert screen.read() is None
        assert screen.size == (80, 24)
        screen.draw(FRAME)
    with pytest.raises(OSError, match="ioctl"):
        TerminalScreen("/dev/null", writer(), "utf-8")


@pytest.mark.parametrize(
    ("console", "shown"),
    [
        ({}, "\x1b[32mready\x1b[0m\x1b[36m ▅\x1b[0m"),
        ({"no_color": True}, "ready ▅"),
        ({"color_system": None}, "ready ▅"),
        ({"force_terminal": False, "color_system": "auto"}, "ready ▅"),
    ],
)
def test_styles_are_those_that_the_terminal_has(console: dict[str, object], shown: str) -> None:
    assert writer(**console).text(FRAME[0]) == shown


def test_without_utf_8_blocks_become_ascii() -> None:
    latin = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert StyleWriter(latin).text((("▁▂▃▄▅▆▇█ ● ░ 20 °C … 茶", ""),)) == "._-~=+*# * . 20 °C . ?"
