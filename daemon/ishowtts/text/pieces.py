"""Text in pieces of bounded length: what looks at one for long looks at no more than that."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ishowtts.limits import HAN

MOST_CHARS = 400
_ENDS = (
    re.compile(r"(?<=[.!?…])\s+|(?<=[。！？；])"),
    re.compile(r"(?<=[,;:])\s+|(?<=[，、：])"),
    re.compile(r"\s+"),
    re.compile(f"(?<=[{HAN}])(?=[{HAN}])"),
)


def pieces(text: str) -> Iterator[tuple[int, int]]:
    """Where each piece starts and ends: all of the text, cut where a sentence ends, else where a clause or a word does.

    A piece is at most `MOST_CHARS` long, unless there is no such place: then it is all up to the next one.
    """
    start = 0
    while len(text) - start > MOST_CHARS:
        end = _end(text, start)
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)


def _end(text: str, start: int) -> int:
    for place in _ENDS:
        found = [match.end() for match in place.finditer(text, start + 1, start + MOST_CHARS)]
        if found:
            return found[-1]
    later = (place.search(text, start + MOST_CHARS) for place in _ENDS[1:])
    return min((match.end() for match in later if match and match.end() > start), default=len(text))
