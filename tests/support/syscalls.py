"""Reads what `strace -f -yy -xx` wrote: calls in the order in which they began and returned, over all threads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.mqtt_packets import PUBLISH
from support.publisher import split
from support.waiting import eventually

_BEGUN = re.compile(r"^(\d+) +[\d.]+ (\w+)\((.*)$")
_RESUMED = re.compile(r"^(\d+) +[\d.]+ <\.\.\. (\w+) resumed>(.*)$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:\\x[0-9a-f]{2})*)"')
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
        text: what strace wrote of the arguments and the result, with the strings left out.
        paths: for a call that gets paths: these.
    """

    name: str
    began: int
    returned: int
    what: str
    data: bytes
    result: int
    text: str = ""
    paths: Sequence[str] = ()

    @property
    def descriptor(self) -> int:
        """The number of the descriptor that the call got."""
        return int(self.text.partition("<")[0])

    @property
    def numbers(self) -> list[int]:
        """The numbers among its arguments, after the first one."""
        return [int(found) for found in re.findall(r", (-?\d+)(?=[,)])", self.text.rpartition(" = ")[0])]


@dataclass(frozen=True)
class Packet:
    """One MQTT packet that a process received or sent.

    Attributes:
        connection: which connection it belongs to.
        received: whether it was received.
        at: when it was there: the return of the call that received its end, or the beginning of the call that sent it.
        first: its first byte.
        body: what follows its length.
    """

    connection: str
    received: bool
    at: int
    first: int
    body: bytes

    @property
    def number(self) -> int:
        """The identifier of a PUBLISH at QoS 1, or of the PUBACK for one."""
        start = 2 + int.from_bytes(self.body[:2], "big") if self.first >> 4 == PUBLISH else 0
        return int.from_bytes(self.body[start : start + 2], "big")


def strace(calls_to_trace: str, out: Path) -> list[str]:
    """The program and its arguments that a process is run under, so that `calls` can read what it does."""
    # --seccomp-bpf: the kernel stops the process at these calls alone, which takes a third of the time.
    command = ["strace", "-D", "-f", "--seccomp-bpf", "-ttt", "-yy", "-xx", "-s", "100000"]
    return [*command, "-e", f"trace={calls_to_trace}", "-o", str(out)]


def wait_for_end(trace: Path) -> None:
    """Waits until the trace of a process that has ended well is complete: strace ends after it."""
    eventually(lambda: b"+++ exited with 0 +++" in trace.read_bytes()[-200:], "the end of the trace")


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


def packets(found: Iterable[Call], broker: str) -> Iterator[Packet]:
    """The MQTT packets on the connections to a broker, however they lie in the calls.

    Args:
        broker: Part of how `-yy` shows such a connection, such as `:1883]`.
    """
    streams: dict[tuple[str, bool], bytes] = {}
    for call in found:
        if broker not in call.what or call.result <= 0:
            continue
        received = call.name == "recvfrom"
        stream = streams.get((call.what, received), b"") + call.data[: call.result]
        while packet := split(stream):
            first, body, stream = packet
            yield Packet(call.what, received, call.returned if received else call.began, first, body)
        streams[call.what, received] = stream


def _call(name: str, began: int, returned: int, text: str) -> Call:
    result = re.search(r"\) += (-?\d+)[^=]*$", text)
    what = re.match(r"\d+<(.*?)>[,)]", text)
    data = b"".join(bytes.fromhex(found[1].replace("\\x", "")) for found in _STRING.finditer(text))
    named = name.startswith(("open", "rename", "unlink", "mkdir", "rmdir"))
    paths = tuple(_path(*found.groups()) for found in _PATH.finditer(text)) if named else ()
    return Call(
        name,
        began,
        returned,
        _unescaped(what[1]) if what else "",
        data,
        int(result[1]) if result else -1,
        _STRING.sub('""', text),
        paths,
    )


def _path(folder: str | None, name: str) -> str:
    path = _unescaped(name)
    return path if path.startswith("/") or folder is None else f"{_unescaped(folder)}/{path}"


def _unescaped(text: str) -> str:
    """`-xx` writes paths in hexadecimal as well."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), text)
