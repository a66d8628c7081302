"""Reads Wyoming events from a connection within limits. The reader of the `wyoming` package has none."""

from __future__ import annotations

import asyncio
from typing import Any

from wyoming.event import Event

from ishowtts.errors import IShowError
from ishowtts.mqtt.strict_json import clip, loads
from ishowtts_gateway.appliances.published_value import parse_object

HEADER_BYTES = 65_536
DATA_BYTES = 262_144
"""Of one event. A text of 65,536 characters in UTF-8 has at most this size."""
PAYLOAD_BYTES = 65_536
"""Sound that a client sends by mistake. It is read and dropped."""
_TYPE_CHARS = 64
_EVENT_S = 10.0
_BYTES_PER_S, _BYTES_AT_ONCE = 65_536, 1_048_576
_EVENTS_PER_S, _EVENTS_AT_ONCE = 100, 1000
"""A fast language model sends 200 chunks a second, and speech takes about four of them a second."""
_LARGE_BYTES = 8192


class WyomingProtocolError(IShowError):
    """A client does not follow the protocol, or exceeds a limit. Its text is a sentence for the client."""

    quotes_publisher = True


class EventReader:
    """The events of one connection.

    Args:
        reader: Of the connection. Its limit is `HEADER_BYTES`.
        large: Shared by all connections. Only one of them parses a large event at a time, and the loop serves the
            others before the next one.
    """

    def __init__(self, reader: asyncio.StreamReader, large: asyncio.Lock) -> None:
        self._reader = reader
        self._large = large
        self._event_pace = _Pace(_EVENTS_PER_S, _EVENTS_AT_ONCE)
        self._byte_pace = _Pace(_BYTES_PER_S, _BYTES_AT_ONCE)

    async def next_event(self, idle_s: float) -> Event | None:
        """Return the next event, without its payload; `None` if the client has closed the connection.

        Args:
            idle_s: The event must begin within this time.

        Raises:
            WyomingProtocolError: What came is not an event of Wyoming, or is too large or too slow.
            asyncio.TimeoutError: No event began in time.
        """
        first = await asyncio.wait_for(self._reader.read(1), idle_s)
        if not first:
            return None
        try:
            return await asyncio.wait_for(self._read_event(first), _EVENT_S)
        except asyncio.TimeoutError as error:
            raise WyomingProtocolError(f"an event must be complete within {_EVENT_S:.0f} s") from error
        except asyncio.IncompleteReadError:
            return None  # the client has gone in the middle of an event

    async def _read_event(self, first: bytes) -> Event:
        header_bytes = first
        if first != b"\n":
            try:
                header_bytes += await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                raise WyomingProtocolError(f"the header of an event has at most {HEADER_BYTES:,} bytes") from error
        header = await self._parse(header_bytes, HEADER_BYTES + 1, "header")
        name, data = header.get("type"), header.get("data")
        if not isinstance(name, str) or not 1 <= len(name) <= _TYPE_CHARS:
            raise WyomingProtocolError("an event needs a `type`, which is a text")
        fields: dict[str, Any] = dict(data) if isinstance(data, dict) else {}
        lengths = header
        if None in (header.get("data_length", 0), header.get("payload_length", 0)):
            lengths = loads(header_bytes.decode("utf-8"))  # `header` has `None` for numbers that are too large
        data_bytes = _length(lengths, "data_length", DATA_BYTES)
        if data_bytes:
            fields.update(await self._parse(await self._reader.readexactly(data_bytes), DATA_BYTES, "data"))
        left = _length(lengths, "payload_length", PAYLOAD_BYTES)
        await self._reader.readexactly(left)
        # Without a pause, a client that floods would keep the loop from all others.
        await asyncio.sleep(max(self._event_pace.take(1), self._byte_pace.take(len(header_bytes) + data_bytes + left)))
        return Event(name, fields)

    async def _parse(self, found: bytes, max_bytes: int, what: str) -> dict[str, Any]:
        try:
            if len(found) <= _LARGE_BYTES:
                return parse_object(found, max_bytes)
            async with self._large:
                parsed = parse_object(found, max_bytes)
                await asyncio.sleep(0)
                return parsed
        except ValueError as error:
            raise WyomingProtocolError(f"the {what} of an event is not a JSON object of Wyoming: {error}") from error


class _Pace:
    """A token bucket that lets a client wait instead of refusing it."""

    def __init__(self, rate_per_s: float, at_once: int) -> None:
        self._rate_per_s, self._at_once = rate_per_s, at_once
        self._tokens = float(at_once)
        self._at_s = asyncio.get_running_loop().time()

    def take(self, count: int) -> float:
        """Count, and return for how many seconds to wait before the next one."""
        now_s = asyncio.get_running_loop().time()
        self._tokens = min(self._at_once, self._tokens + (now_s - self._at_s) * self._rate_per_s) - count
        self._at_s = now_s
        return max(0.0, -self._tokens / self._rate_per_s)


def _length(header: dict[str, Any], name: str, max_bytes: int) -> int:
    """The length of a part of an event; 0 if the event has no such part."""
    value = header.get(name)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise WyomingProtocolError(f"`{name}` of an event must be a whole number from 0")
    if value > max_bytes:
        raise WyomingProtocolError(f"`{name}` of an event is {clip(value)}; at most {max_bytes:,} bytes are read")
    return value
