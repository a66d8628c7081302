"""Text that fits a terminal: its width in cells, cut with "…", or wrapped at words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_ELLIPSIS = "…"


def cell_width(text: str) -> int:
    """Number of cells that a text takes in a terminal: two for a Chinese character, none for a combining accent."""
    return len(text) if text.isascii() else _wide_text_width(text)


def cut(text: str, width: int) -> str:
    """A text that is at most `width` cells wide in a terminal. If it is cut, it ends with "…"."""
    if cell_width(text) <= width:
        return text
    head, _ = _split(text, width - 1)
    return head + _ELLIPSIS if width > 0 else ""


def padded(text: str, width: int, *, right: bool = False) -> str:
    """A text with spaces up to a width in cells, aligned to the left or to the right."""
    fill = " " * (width - cell_width(text))
    return fill + text if right else text + fill


def wrapped(text: str, width: int, *, indent: str = "") -> Iterator[str]:
    """Yield the lines of a text, broken between words. Only a word that is wider than a line is broken itself.

    Args:
        width: In cells, with the indent.
        indent: Starts each line but the first.
    """
    line, start = "", ""
    for word in text.split(" "):
        if cell_width(start + line + word) > width and line.strip():
            yield start + line.rstrip()
            line, start = "", indent
        line += word
        while line and cell_width(start + line) > width:
            head, line = _split(line, max(2, width - len(start)))  # a Chinese character needs two cells
            yield start + head
            start = indent
        line += " "
    if line.strip() or not start:
        yield (start + line).rstrip()


def _split(text: str, width: int) -> tuple[str, str]:
    """The longest beginning of a text that fits, and the rest."""
    for i, char in enumerate(text):
        width -= _char_width(char)
        if width < 0:
            return text[:i], text[i:]
    return text, ""


@lru_cache(1000)
def _wide_text_width(text: str) -> int:
    """The width of a text. A picture that is drawn again and again has the same texts."""
    return sum(map(_char_width, text))


@lru_cache(10_000)
def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
