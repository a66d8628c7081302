"""Lines of a frame: pieces of text, each with the name of a style. They are cut and wrapped by their width in cells."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ishowtts.util.logs import visible
from ishowtts.util.terminal_text import cell_width, cut, wrapped

StyledLine = tuple[tuple[str, str], ...]
"""Pieces of text with the names of their styles, as in `terminal_screen.STYLES`."""

_MAX_MARKS = 4  # accents on one letter; more of them are drawn over the lines above and below
_MAX_CHARS = 1000


def screen_text(value: object, max_chars: int = _MAX_CHARS) -> str:
    """A text of a payload for one line of a terminal; empty for everything that is no text.

    Format characters, such as direction overrides and joiners, are removed: terminals disagree about their width.
    Other characters that would control the terminal are shown escaped. Of the accents on a letter the first four stay.
    """
    return _harmless(value[:max_chars]) if isinstance(value, str) else ""


@lru_cache(1000)  # each frame has the texts of the one before
def _harmless(text: str) -> str:
    if text.isascii():
        return visible(text)
    kept, marks = [], 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        is_selector = "\ufe00" <= char <= "\ufe0f"
        if category != "Cf" and not is_selector and marks <= _MAX_MARKS:
            kept.append(char)
    return visible("".join(kept))


def styled(*pieces: tuple[str, str] | str) -> StyledLine:
    """A line of these pieces. A text without a style is plain."""
    return tuple((piece, "") if isinstance(piece, str) else piece for piece in pieces)


def line_width(line: StyledLine) -> int:
    """Width in cells."""
    return sum(cell_width(text) for text, _ in line)


def plain_text(line: StyledLine) -> str:
    """The text without styles and without spaces at the end."""
    return "".join(text for text, _ in line).rstrip()


def fitted(line: StyledLine, width: int | None) -> StyledLine:
    """The line, cut with "…" to a width in cells. `None`: it is not cut."""
    if width is None or line_width(line) <= width:
        return line
    pieces: list[tuple[str, str]] = []
    room = width - 1
    for text, style in line:
        if (needed := cell_width(text)) > room:
            pieces.append((cut(f"{text} ", room + 1), style))  # with a space, so that a text that just fits is cut too
            break
        pieces.append((text, style))
        room -= needed
    return tuple(pieces)


def with_right(left: StyledLine, right: Sequence[tuple[str, str]], width: int | None) -> StyledLine:
    """A line with further pieces at the right edge. Those that do not fit are left out, the last one first."""
    if width is None:
        return (*left, *((f"  {text}", style) for text, style in right))
    right = list(right)
    while right and line_width(left) + sum(2 + cell_width(text) for text, _ in right) > width:
        right.pop()
    gap = width - line_width(left) - sum(2 + cell_width(text) for text, _ in right)
    edge = tuple((f"  {text}", style) for text, style in right)
    return fitted((*left, (" " * max(0, gap), ""), *edge) if edge else left, width)


def paragraph(text: str, style: str, width: int | None, most_lines: int, *, indent: str = "") -> Iterator[StyledLine]:
    """Yield the lines of a sentence, wrapped at words. If it has more lines than allowed, the last one ends with "…".

    Args:
        width: In cells; `None`: the sentence stays on one line.
        most_lines: At least 1.
        indent: Starts each line but the first.
    """
    if width is None:
        yield ((text, style),)
        return
    lines = list(wrapped(text, max(1, width), indent=indent))
    for line in lines[: most_lines - 1]:
        yield ((line, style),)
    rest = lines[most_lines - 1 :]
    joined = rest[0] if len(rest) == 1 else f"{rest[0]} {rest[1].strip()}" if rest else ""
    if joined:
        shown = cut(joined, width)
        yield ((shown if len(rest) == 1 or shown.endswith("…") else cut(f"{shown} …", width), style),)
