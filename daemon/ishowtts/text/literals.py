"""Parts of a text that later steps must not change, and pauses between its words."""

from __future__ import annotations

import re

_FIRST, _LAST = 0xF0000, 0xFFFF0  # private characters: a text has none of its own after `without_marks`
_MARK = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
_PRIVATE = re.compile("[\U000f0000-\U000ffffd]+")
PAUSE = "\U000ffffd"
"""Stands for a short pause."""
_PAUSES = re.compile(f"\\s*{PAUSE}[\\s{PAUSE}]*")
_NESTED = 3  # a link in code in a fence


class Literals:
    """Keeps parts of a text out of the reach of later steps. One private character stands for each of them."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def keep(self, part: str) -> str:
        """The character that stands for this part; the part itself if there are too many already."""
        if _FIRST + len(self._parts) > _LAST:
            return part
        self._parts.append(part)
        return chr(_FIRST + len(self._parts) - 1)

    def restore(self, text: str) -> str:
        """The text with every part in its place."""
        for _ in range(_NESTED):
            if not self._parts or not _MARK.search(text):
                break
            text = _MARK.sub(self._part, text)
        return text

    def _part(self, mark: re.Match[str]) -> str:
        index = ord(mark[0]) - _FIRST
        return self._parts[index] if index < len(self._parts) else ""


def without_marks(text: str) -> str:
    """The text without the private characters that `Literals` and `PAUSE` use."""
    return text if text.isascii() else _PRIVATE.sub("", text)


def spoken_pauses(text: str) -> str:
    """The text with a comma for each pause that has no punctuation before it."""
    if PAUSE not in text:
        return text
    return _PAUSES.sub(lambda pause: _pause(text, pause), text)


def _pause(text: str, pause: re.Match[str]) -> str:
    before, after = text[max(0, pause.start() - 1) : pause.start()], text[pause.end() : pause.end() + 1]
    if not before or before == "\n" or not after:
        return ""
    return " " if before in ".,;:!?…" else ", "
