"""Lays out one frame: header, what needs attention, the current line, the queue, figures, the last lines, keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ishowtts_gateway.terminal_view.board_sections import (
    figure_rows,
    header,
    last_rows,
    next_rows,
    now_rows,
    problems,
)
from ishowtts_gateway.terminal_view.board_view import BoardView
from ishowtts_gateway.terminal_view.styled_line import StyledLine, fitted, line_width, paragraph, screen_text, styled

_ONCE_WIDTH = 100  # of a frame in a pipe, where only sparklines need a width
_ONCE_ROWS = 20
_TWO_COLUMNS_WIDTH = 100
_HELP = (
    ("s", "skip the current line"),
    ("p", "pause, or resume"),
    ("m", "mute, or unmute"),
    ("+ -", "volume, by 5 %"),
    ("n N", "next board, previous board"),
    ("?", "this help"),
    ("q", "quit"),
)
_KEYS = (
    ("q", "quit"), ("?", "help"), ("s", "skip"), ("p", "pause"), ("m", "mute"), ("+-", "volume"), ("n", "next"),
)  # fmt: skip
# A narrow terminal leaves out the last of these keys; the others are shown in the order below.
_KEYS_IN_ORDER = ("s", "p", "m", "+-", "n", "?", "q")
_COMMAND_KEYS = frozenset({"s", "p", "m", "+-"})


@dataclass(frozen=True)
class TopView:
    """Everything that a frame shows.

    Attributes:
        boards: The name of each board, and whether it is online.
        board: The one that is shown; `None` if none is known.
        broker_connected, broker_detail: As in the directory.
        nothing_known: Says why no board is shown.
        message: The answer to the last key, and its style; `None` after some seconds.
        help_shown: Whether the keys are explained in place of the board.
    """

    boards: Sequence[tuple[str, bool]]
    board: BoardView | None
    broker_connected: bool
    broker_detail: str | None
    nothing_known: str
    message: tuple[str, str] | None = None
    help_shown: bool = False


def frame(view: TopView, width: int, height: int) -> list[StyledLine]:
    """The lines of a terminal of this size: at most `height`, and each at most `width` cells wide."""
    bottom = _bottom(view, width, height)
    room = height - len(bottom)
    lines = [*_head(view, width)]
    if view.help_shown:
        lines += _help(width)
    else:
        lines += _body(view, width, room - len(lines))
    lines = lines[: max(0, room)]
    lines += [()] * (room - len(lines))
    return [fitted(line, width) for line in [*lines, *bottom][:height]]


def whole_frame(view: TopView, width: int | None) -> Iterator[StyledLine]:
    """Yield the lines of a frame that is printed once. `None` for the width: nothing is cut or wrapped."""
    for line in _whole(view, width):
        yield fitted(line, width)


def _whole(view: TopView, width: int | None) -> Iterator[StyledLine]:
    yield header(view.board, view.broker_connected, width)
    for sentence, style in _problems(view):
        yield from paragraph(sentence, style, width, _ONCE_ROWS)
    if view.board is None or not (view.broker_connected and view.board.record.online):
        return
    yield from now_rows(view.board, width, 1 if width is None else 3)
    yield from figure_rows(view.board, width or _ONCE_WIDTH, 1)
    yield from next_rows(view.board, width, _ONCE_ROWS)
    yield from last_rows(view.board, width, _ONCE_ROWS)


def _head(view: TopView, width: int) -> Iterator[StyledLine]:
    yield header(view.board, view.broker_connected, width)
    if len(view.boards) > 1:
        yield _strip(view, width)


def _strip(view: TopView, width: int) -> StyledLine:
    """The names of the boards, those before the shown one left out if there is no room."""
    shown = None if view.board is None else view.board.record.name
    position = next((i for i, (name, _) in enumerate(view.boards) if name == shown), 0)
    pieces = [
        ((f"{'●' if online else '○'} ", "good" if online else "bad"), (name, "chosen" if name == shown else ""))
        for name, online in view.boards
    ]
    before = f"{position + 1}/{len(view.boards)}  "
    first, room = position, width - len(before) - line_width(pieces[position])
    while first > 0 and (room := room - line_width(pieces[first - 1]) - 2) >= 0:
        first -= 1
    shown_pairs = pieces[first : first + width // 5 + 1]  # each takes 5 cells at least
    return styled((before, "dim"), *(piece for pair in shown_pairs for piece in (*pair, "  ")))


def _body(view: TopView, width: int, rows: int) -> list[StyledLine]:
    """The sections, each with a share of the rows. The last lines get what is left."""
    found = _problems(view)
    lines = [
        line for sentence, style in found for line in paragraph(sentence, style, width, max(1, rows // 3 // len(found)))
    ]
    if view.board is None:
        return lines
    is_live = view.broker_connected and view.board.record.online
    if is_live:
        text_rows = 2 if rows >= 18 else 1
        now = [*now_rows(view.board, width, text_rows)]
        lines += [*now, *[()] * (text_rows + 1 - len(now))]  # always as many rows, so that nothing below them moves
    gap: list[StyledLine] = [()] if rows >= 22 else []
    is_known = view.board.record.telemetry is not None or is_live
    figures = [*figure_rows(view.board, width, 2 if width >= _TWO_COLUMNS_WIDTH else 1)] if is_known else []
    left = rows - len(lines)
    lines += [*figures[: max(1, left - max(3, left // 3))], *gap]
    if is_live:
        lines += [*next_rows(view.board, width, max(1, (rows - len(lines)) // 3)), *gap]
    return [*lines, *last_rows(view.board, width, rows - len(lines))]


def _problems(view: TopView) -> list[tuple[str, str]]:
    """The sentences that need attention, each with its style."""
    if not view.broker_connected:
        return [(screen_text(view.broker_detail) or "not connected to the broker", "bad")]
    partly = [(screen_text(view.broker_detail), "warn")] if view.broker_detail else []
    return [*partly, *([(view.nothing_known, "warn")] if view.board is None else problems(view.board))]


def _bottom(view: TopView, width: int, height: int) -> list[StyledLine]:
    """The answer to the last key, else the keys."""
    if view.message is not None:
        text, style = view.message
        return [*paragraph(screen_text(text), style, width, max(1, min(3, height // 3)))]
    controls = None if view.board is None else view.board.record.controls
    forbidden = controls is not None and not controls.get("command")
    chosen: list[tuple[str, str]] = []
    room = width
    for key, does in _KEYS:
        room -= len(key) + len(does) + (3 if chosen else 1)
        if room < 0:
            break
        if key != "n" or len(view.boards) > 1:
            chosen.append((key, does))
    pieces: list[tuple[str, str]] = []
    for key, does in sorted(chosen, key=lambda pair: _KEYS_IN_ORDER.index(pair[0])):
        dim = forbidden and key in _COMMAND_KEYS
        pieces += [("  " if pieces else "", ""), (key, "dim" if dim else "key"), (f" {does}", "dim")]
    return [tuple(pieces)]


def _help(width: int) -> Iterator[StyledLine]:
    for key, does in _HELP:
        yield fitted(styled((f" {key:<4}", "key"), does), width)
