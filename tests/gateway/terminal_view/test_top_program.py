"""The program in this process, on a pseudo terminal: what ends it, and which board it shows."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ishowtts.config import Config
from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.terminal_view.terminal_screen import StyleWriter, TerminalScreen
from ishowtts_gateway.terminal_view.top_program import TopProgram
from ishowtts_gateway.terminal_view.watched_boards import BoardChoice
from support.pseudo_terminal import PseudoTerminal


@pytest.fixture
def pty() -> Iterator[PseudoTerminal]:
    with PseudoTerminal() as made:
        yield made


def boards(tmp_path: Path) -> ApplianceClient:
    settings = Config.model_validate({"state_dir": tmp_path, "mqtt": {"host": "127.0.0.1", "port": 1}})
    return ApplianceClient(settings, "ishowtts/kitchen", ["+"])


async def run(tmp_path: Path, path: str, *, then: Any) -> int:
    """Run a program without a broker; `then` is called with it once it draws."""
    writer = StyleWriter(Console(file=io.StringIO(), force_terminal=True))
    program = TopProgram(boards(tmp_path), TerminalScreen(path, writer, "utf-8"))
    asyncio.get_running_loop().call_later(0.05, then, program)
    return await asyncio.wait_for(program.run(), 20)


def test_a_key_ends_it_and_so_does_the_end_of_the_terminal(tmp_path: Path, pty: PseudoTerminal) -> None:
    assert asyncio.run(run(tmp_path, pty.path, then=lambda _: os.write(pty.outer, b"?xq"))) == 0
    assert "connecting to the broker at 127.0.0.1:1" in pty.read()
    assert asyncio.run(run(tmp_path, pty.path, then=lambda _: os.close(pty.outer))) == 129


def test_a_fault_in_a_callback_ends_it_with_the_terminal_restored(
    tmp_path: Path, pty: PseudoTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TopProgram, "_press", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(run(tmp_path, pty.path, then=lambda _: os.write(pty.outer, b"s")))
    assert pty.read().endswith("\x1b[?1049l")
    assert not pty.is_raw


def test_the_first_board_online_is_shown_until_a_key_chooses(tmp_path: Path) -> None:
    watched = boards(tmp_path)
    choice, directory = BoardChoice(watched.directory), watched.directory

    def shown() -> str | None:
        board = choice.view()
        return None if board is None else board.record.name

    assert shown() is None
    choice.move(1)
    directory.apply("ishowtts/b/availability", b"offline")
    assert shown() == "b"
    directory.apply("ishowtts/c/availability", b"online")
    assert shown() == "c"
    directory.apply("ishowtts/a/availability", b"online")
    directory.apply("ishowtts/c/availability", b"offline")
    assert shown() == "c", "a board that goes offline stays in sight"
    choice.move(1)
    assert shown() == "a"
    choice.move(-1)
    assert shown() == "c"
    directory.apply("ishowtts/c/availability", b"")
    assert shown() == "a", "the board is gone from the broker"
