"""Reads what `strace -f -yy -xx` wrote: calls in the order in which they began and returned, over all threads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BEGUN = re.compile(r"^(\d+) +[\d.]+ (\w+)\((.*)$")
_RESUMED = re.compile(r"^(\d+) +[\d.]+ <\.\.\. (\w+) resumed>(.*)$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True)
class Call:
    """One system call.

    Attributes:
        began, returned: places in the order of all beginnings and returns; what returned before another began has a
            smaller number.
        what: the descriptor as `-yy` shows it: a path, or `TCP:[…]`.
        data: what went in or came out, all of its pieces.
        result: what the kernel gave; below 0: an error.
    """

    name: str
    began: int
    returned: int
    what: str
    data: bytes
    result: int


def calls(trace: Path) -> Iterator[Call]:
    """The calls of a trace, in the order in which they returned.

    A line of strace is a call that began and returned with nothing between, or one of its halves. Lines come in the
    order of what happened: strace handles one stop of one thread after the other.
    """
    begun: dict[tuple[str, str], tuple[int, str]] = {}
    with trace.open(encoding="ascii", errors="replace") as lines:
        for at, raw in enumerate(lines):
            line = raw.rstrip("\n")
            if resumed := _RESUMED.match(line):
                thread, name, rest = resumed.groups()
                began, first = begun.pop((thread, name))
                yield _call(name, began, at, first + rest)
            elif found := _BEGUN.match(line):
                thread, name, rest = found.groups()
                if rest.endswith(_UNFINISHED):
                    begun[thread, name] = at, rest.removesuffix(_UNFINISHED)
                else:
                    yield _call(name, at, at, rest)


def _call(name: str, began: int, returned: int, text: str) -> Call:
    result = re.search(r"\) += (-?\d+)[^=]*$", text)
    what = re.match(r"\d+<(.*?)>[,)]", text)
    data = b"".join(bytes.fromhex(found[1].replace("\\x", "")) for found in _STRING.finditer(text))
    return Call(name, began, returned, _unescaped(what[1]) if what else "", data, int(result[1]) if result else -1)


def _unescaped(text: str) -> str:
    """`-xx` writes paths in hexadecimal as well."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), text)
