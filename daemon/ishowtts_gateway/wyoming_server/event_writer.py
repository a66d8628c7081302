"""Writes Wyoming events to a connection, with a deadline for a client that does not read."""

from __future__ import annotations

import asyncio
import json

from wyoming.event import Event

from ishowtts import __version__

_WRITE_S = 30.0
_BUFFER_BYTES = 65_536


def event_bytes(event: Event) -> bytes:
    """The event as it is sent: a line of JSON, then its data, then its payload."""
    data = json.dumps(event.data, ensure_ascii=False).encode() if event.data else b""
    payload = event.payload or b""
    header: dict[str, str | int] = {"type": event.type, "version": __version__}
    if data:
        header["data_length"] = len(data)
    if payload:
        header["payload_length"] = len(payload)
    return json.dumps(header).encode() + b"\n" + data + payload


class EventWriter:
    """Sends the events of one connection. Several tasks may use it: an event is never divided by another one.

    Args:
        writer: Of the connection.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._draining = asyncio.Lock()
        writer.transport.set_write_buffer_limits(high=_BUFFER_BYTES)

    async def send(self, event: Event | bytes) -> None:
        """Send an event, also as its bytes. Returns when there is room for the next one.

        Raises:
            OSError: The client has gone, or did not read for 30 s. The connection is closed then.
        """
        self._writer.write(event if isinstance(event, bytes) else event_bytes(event))
        async with self._draining:
            due = asyncio.get_running_loop().call_later(_WRITE_S, self._writer.transport.abort)
            try:
                await self._writer.drain()
            finally:
                due.cancel()
