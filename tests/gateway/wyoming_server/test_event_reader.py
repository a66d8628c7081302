"""What comes over a connection of Wyoming: events within limits, and garbage."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wyoming.event import Event

from ishowtts_gateway.wyoming_server import event_reader
from ishowtts_gateway.wyoming_server.event_reader import DATA_BYTES, HEADER_BYTES, EventReader, WyomingProtocolError
from ishowtts_gateway.wyoming_server.event_writer import event_bytes


async def reader_of(sent: bytes, *, is_closed: bool = True) -> EventReader:
    stream = asyncio.StreamReader(limit=HEADER_BYTES)
    stream.feed_data(sent)
    if is_closed:
        stream.feed_eof()
    return EventReader(stream, asyncio.Lock())


def events_of(sent: bytes) -> list[tuple[str, dict[str, Any]]]:
    async def read() -> list[tuple[str, dict[str, Any]]]:
        reader = await reader_of(sent)
        found = []
        while (event := await reader.next_event(1)) is not None:
            found.append((event.type, event.data))
        return found

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("sent", "events"),
    [
        (b"", []),
        (b'{"type": "describe"}\n', [("describe", {})]),
        (b'{"type": "describe"}\n{"type": "ping"}\n', [("describe", {}), ("ping", {})]),
        (b'{"type": "ping", "data": {"text": "a"}}\n', [("ping", {"text": "a"})]),  # data in the header
        (
            b'{"type": "ping", "data": {"text": "a", "b": 1}, "data_length": 13}\n{"text": "c"}',
            [("ping", {"text": "c", "b": 1})],
        ),
        (b'{"type": "x", "data_length": null, "payload_length": 3}\nabc{"type": "ping"}\n', [("x", {}), ("ping", {})]),
        (b'{"type": "x", "data": null, "version": "1.5.4", "other": []}\n', [("x", {})]),
        (event_bytes(Event("synthesize", {"text": "Größe 好"}, b"sound")), [("synthesize", {"text": "Größe 好"})]),
        (event_bytes(Event("synthesize", {"text": "a" * 60_000})), [("synthesize", {"text": "a" * 60_000})]),
        (b'{"type": "x", "data": {"text": "\\ud800"}}\n', [("x", {"text": "?"})]),
        (b'{"type": "describe"', []),  # the client has gone in the middle of an event
        (b'{"type": "x", "data_length": 100}\n{', []),
        (b'{"type": "x", "payload_length": 100}\n.', []),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_events(sent: bytes, events: list[tuple[str, dict[str, Any]]]) -> None:
    assert events_of(sent) == events


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "not a JSON object"),
        (b"\n", "not a JSON object"),
        (b"\x16\x03\x01\x00\xff\n", "not a JSON object"),
        (b"[]\n", "not a JSON object"),
        (b'"describe"\n', "not a JSON object"),
        (b'{"type": "x", "a": ' + b"[" * 50_000 + b"\n", "not a JSON object"),
        (b'{"type": "x", "a": ' + b"1" * 60_000 + b"}\n", "not a JSON object"),
        (b'{"type": "x", "a": [' + b"1," * 30_000 + b"1]}\n", "not a JSON object"),
        (b"{}\n", "needs a `type`"),
        (b'{"type": 1}\n', "needs a `type`"),
        (b'{"type": ""}\n', "needs a `type`"),
        (b'{"type": "' + b"x" * 65 + b'"}\n', "needs a `type`"),
        (b'{"type": "x", "data_length": -1}\n', "`data_length` of an event must be a whole number"),
        (b'{"type": "x", "data_length": true}\n', "`data_length` of an event must be a whole number"),
        (b'{"type": "x", "data_length": "5"}\n', "`data_length` of an event must be a whole number"),
        (b'{"type": "x", "data_length": 1e9}\n', "`data_length` of an event must be a whole number"),
        (b'{"type": "x", "data_length": %d}\n' % (DATA_BYTES + 1), "at most 262,144 bytes are read"),
        (b'{"type": "x", "payload_length": 999999999}\n', "`payload_length` of an event is 999999999; at most"),
        (b'{"type": "x", "payload_length": 1000000000000000000000}\n', "`payload_length` of an event is 1000000000"),
        (b'{"type": "x", "payload_length": 1e400}\n', "`payload_length` of an event must be a whole number"),
        (b'{"type": "x", "data_length": %s}\n' % (b"9" * 4000), "`data_length` of an event is .*; at most"),
        (b'{"type": "x", "data_length": 2}\n[]', "the data of an event is not a JSON object"),
        (b'{"type": "x", "data_length": 2}\n\xff\xff', "the data of an event is not a JSON object"),
        (b"x" * (HEADER_BYTES + 2) + b"\n", "the header of an event has at most 65,536 bytes"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_event_is_one_sentence(sent: bytes, says: str) -> None:
    with pytest.raises(WyomingProtocolError, match=says) as refused:
        events_of(sent)
    assert len(str(refused.value)) < 400


PIECES = st.sampled_from(
    [
        b'{"type": "x"',
        b'{"type": "ping"}\n',
        b', "data_length": 2',
        b', "payload_length": 3',
        b"}\n",
        b"{}",
        b"[1]",
        b"\xff\n",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=20), max_size=12))
def test_every_sequence_of_bytes_ends_or_is_one_sentence(pieces: list[bytes]) -> None:
    with contextlib.suppress(WyomingProtocolError):
        events_of(b"".join(pieces))


def test_a_client_that_is_slow_or_idle_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ishowtts_gateway.wyoming_server.event_reader._EVENT_S", 0.05)

    async def read(sent: bytes) -> None:
        await (await reader_of(sent, is_closed=False)).next_event(0.05)

    with pytest.raises(WyomingProtocolError, match="an event must be complete within"):
        asyncio.run(read(b'{"type": "des'))
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(read(b""))


def test_a_client_that_floods_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    ping = b'{"type": "ping"}\n'

    async def read() -> tuple[float, int]:
        reader, others = await reader_of(ping * 8), 0

        async def another() -> None:
            nonlocal others
            while True:
                others += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(another())
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while await reader.next_event(1) is not None:
            pass
        task.cancel()
        return loop.time() - began_s, others

    _, others = asyncio.run(read())
    assert others >= 8  # the loop serves others after each event
    for limit, at_once in (("_EVENTS_PER_S", 5), ("_BYTES_PER_S", 5 * len(ping))):
        with monkeypatch.context() as patch:
            patch.setattr(event_reader, limit, at_once * 2)
            patch.setattr(event_reader, limit.replace("PER_S", "AT_ONCE"), at_once)
            assert asyncio.run(read())[0] > 0.25  # three more than may come at once, at ten a second


def test_large_events_are_read_by_one_connection_at_a_time() -> None:
    large = json.dumps({"text": "a" * 50_000}).encode()
    sent = b'{"type": "x", "data_length": %d}\n' % len(large) + large

    async def read() -> None:
        stream = asyncio.StreamReader(limit=HEADER_BYTES)
        stream.feed_data(sent)
        lock = asyncio.Lock()
        await lock.acquire()
        waiting = asyncio.ensure_future(EventReader(stream, lock).next_event(1))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        lock.release()
        assert (await waiting) is not None

    asyncio.run(read())


def test_the_event_writer_and_the_library_agree() -> None:
    from wyoming.event import async_read_event

    async def read(sent: bytes) -> Event | None:
        stream = asyncio.StreamReader()
        stream.feed_data(sent)
        stream.feed_eof()
        return await async_read_event(stream)

    for event in (Event("a"), Event("b", {"text": "Größe"}), Event("c", {"rate": 1}, b"\0\n\xff")):
        assert asyncio.run(read(event_bytes(event))) == event
