"""Tables for a terminal or a pipe: one line for each row, cut with "…" to the width of the terminal, never wrapped."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterator, Sequence

from ishowtts.util.logs import visible
from ishowtts.util.terminal_text import cell_width, cut, padded, wrapped

_GAP = "  "
_LEAST_TEXT_WIDTH = 20


def print_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Print a table to standard output. In a terminal each line is cut to its width; in a pipe nothing is cut.

    Args:
        titles: One for each column. A column without any content is left out.
        rows: The cells, in the order of the titles. Control characters in them are shown escaped.
        right: Titles of the columns that are aligned to the right.
        optional: Titles of the columns that a narrow terminal does without, in the order in which they are left out.
    """
    for line in table_lines(titles, rows, terminal_width(), right=right, optional=optional):
        print(line)


def print_text(text: str, *, indent: str = "") -> None:
    """Print a sentence to standard output: in a terminal wrapped at words, in a pipe on one line.

    Args:
        text: Control characters in it are shown escaped.
        indent: Starts each line but the first.
    """
    width = terminal_width()
    for line in (visible(text),) if width is None else wrapped(visible(text), width, indent=indent):
        print(line)


def terminal_width() -> int | None:
    """Width of the terminal in characters; `None` if standard output is not a terminal."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def table_lines(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None,
    *,
    right: Collection[str] = (),
    optional: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the lines of a table: the titles, then each row.

    If the table is too wide, the last column, which has the text, is cut, to 20 cells at least. If that is not enough,
    optional columns are left out, one after the other, and then the widest columns are cut to one common width.

    Args:
        width: Width of the terminal; `None`: nothing is cut.
    """
    cells = [[visible(cell) for cell in row] for row in rows]
    used = [i for i in range(len(titles)) if any(row[i] for row in cells)]
    if not used:
        return
    table = [list(titles), *cells]
    natural = [max(cell_width(row[i]) for row in table) for i in range(len(titles))]
    if width is not None:
        used = _without(optional, titles, used, natural, width)
    widths = [natural[i] for i in used]
    if width is not None:
        widths = _fitted(widths, width - len(_GAP) * (len(used) - 1))
    for row in table:
        aligned = (
            padded(cut(row[i], most), most, right=titles[i] in right) for i, most in zip(used, widths, strict=True)
        )
        line = _GAP.join(aligned).rstrip()
        yield line if width is None else cut(line, width)


def _without(
    optional: Sequence[str], titles: Sequence[str], used: Sequence[int], natural: Sequence[int], width: int
) -> list[int]:
    """The columns of a terminal of this width: without as many of the optional ones as do not fit."""
    left = list(used)
    for title in optional:
        *others, last = (natural[i] for i in left)
        if sum(others) + min(last, _LEAST_TEXT_WIDTH) + len(_GAP) * len(others) <= width:
            break
        left = [i for i in left if titles[i] != title] or left
    return left


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """The widths of the columns: the last one is cut first, then the widest, so that all fit into `room`."""
    *others, last = widths
    if sum(others) + min(last, _LEAST_TEXT_WIDTH) <= room:
        return [*others, min(last, room - sum(others))]
    widest = max(1, min(max(widths), room))
    while widest > 1 and sum(min(width, widest) for width in widths) > room:
        widest -= 1
    fitted = [min(width, widest) for width in widths]
    spare = room - sum(fitted)
    for i, width in reversed(list(enumerate(widths))):
        more = max(0, min(spare, width - fitted[i]))
        fitted[i] += more
        spare -= more
    return fitted
