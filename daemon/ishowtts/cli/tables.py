"""Tables for a terminal or a pipe: one line for each row, cut with "…" to the width of the terminal, never wrapped."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Collection, Iterator, Sequence

from ishowtts.util.logs import visible

_GAP = "  "
_ELLIPSIS = "…"


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()) -> None:
    """Print a table to standard output. In a terminal each line is cut to its width; in a pipe nothing is cut.

    Args:
        titles: One for each column. A column without any content is left out.
        rows: The cells, in the order of the titles. Control characters in them are shown escaped.
        right: Titles of the columns that are aligned to the right.
    """
    for line in table_lines(titles, rows, terminal_width(), right=right):
        print(line)


def terminal_width() -> int | None:
    """Width of the terminal in characters; `None` if standard output is not a terminal."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def table_lines(
    titles: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, *, right: Collection[str] = ()
) -> Iterator[str]:
    """Yield the lines of a table: the titles, then each row.

    If the table is too wide, its widest columns are cut to one common width, so that narrow ones stay whole.

    Args:
        width: Width of the terminal; `None`: nothing is cut.
    """
    cells = [[visible(cell) for cell in row] for row in rows]
    used = [i for i in range(len(titles)) if any(row[i] for row in cells)]
    if not used:
        return
    table = [list(titles), *cells]
    widths = [max(cell_width(row[i]) for row in table) for i in used]
    if width is not None:
        widths = _fitted(widths, width - len(_GAP) * (len(used) - 1))
    for row in table:
        padded = (_padded(cut(row[i], most), most, titles[i] in right) for i, most in zip(used, widths, strict=True))
        line = _GAP.join(padded).rstrip()
        yield line if width is None else cut(line, width)


def cut(text: str, width: int) -> str:
    """A text that is at most `width` cells wide in a terminal. If it is cut, it ends with "…"."""
    if cell_width(text) <= width:
        return text
    room, kept = width - 1, []
    for char in text:
        room -= cell_width(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + _ELLIPSIS if width > 0 else ""


def cell_width(text: str) -> int:
    """Number of cells that a text takes in a terminal: two for a Chinese character, none for a combining accent."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """The widths of the columns, the widest of them reduced so that all fit into `room`."""
    widest = max(1, min(max(widths), room))
    while widest > 1 and sum(min(width, widest) for width in widths) > room:
        widest -= 1
    fitted = [min(width, widest) for width in widths]
    spare = room - sum(fitted)
    for i, width in reversed(list(enumerate(widths))):  # the last column is the one with text
        more = max(0, min(spare, width - fitted[i]))
        fitted[i] += more
        spare -= more
    return fitted


def _padded(text: str, width: int, right: bool) -> str:
    fill = " " * (width - cell_width(text))
    return fill + text if right else text + fill
