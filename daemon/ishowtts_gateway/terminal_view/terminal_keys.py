"""Turns the bytes that a terminal sends into names of keys. What is pasted is no key."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PASTE_BEGINS, _PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;?]{0,16}[ -/]{0,4}[@-~]|O[@-~])")
_BEGUN = re.compile(rb"\x1b(?:\[[0-9;?]{0,16}[ -/]{0,4}|O)?")
_NAMES = {
    b"\t": "next", b"\x1b[C": "next", b"\x1bOC": "next", b"\x1b[Z": "previous", b"\x1b[D": "previous",
    b"\x1bOD": "previous", b"\x1b[A": "+", b"\x1bOA": "+", b"\x1b[B": "-", b"\x1bOB": "-", b"\x0c": "redraw",
}  # fmt: skip


class KeyReader:
    """Reads keys. Bytes of a sequence may come in several pieces."""

    def __init__(self) -> None:
        self._rest = b""
        self._pasting = False

    def keys(self, data: bytes) -> Iterator[str]:
        """Yield the keys in some more bytes: a character, or `next`, `previous`, `escape` and `redraw`."""
        # An escape sequence comes at once, or almost: an escape alone at the end of the bytes is the key.
        data, self._rest = self._rest + data, b""
        while data:
            if self._pasting:
                pasted, ends, data = data.partition(_PASTE_ENDS)
                self._pasting = not ends
                self._rest = b"" if ends else pasted[-len(_PASTE_ENDS) + 1 :]
            elif data.startswith(_PASTE_BEGINS):
                self._pasting = True
                data = data[len(_PASTE_BEGINS) :]
            elif found := _SEQUENCE.match(data):
                if found[0] in _NAMES:
                    yield _NAMES[found[0]]
                data = data[found.end() :]
            elif len(data) > 1 and _BEGUN.fullmatch(data):
                self._rest, data = data, b""
            else:
                if data[:1] == b"\x1b":
                    yield "escape"
                elif data[:1] in _NAMES:
                    yield _NAMES[data[:1]]
                elif 0x20 <= data[0] < 0x7F:
                    yield chr(data[0])
                data = data[1:]
