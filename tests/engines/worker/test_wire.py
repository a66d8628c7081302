"""Frames survive the wire, and bytes that are not a frame are refused."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.engines.worker.wire import (
    MAX_FRAME_BYTES,
    Channel,
    Frame,
    FrameDecoder,
    FrameKind,
    WireClosed,
    WireError,
    encode,
)

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_frames = st.builds(
    Frame, st.sampled_from(FrameKind), st.dictionaries(st.text(), _json, max_size=4), st.binary(max_size=300)
)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    this_end, peer_end = socket.socketpair()
    channel = Channel(this_end)
    yield channel, peer_end
    channel.close()
    peer_end.close()


def _drain(decoder: FrameDecoder) -> list[Frame]:
    frames = []
    while (frame := decoder.next()) is not None:
        frames.append(frame)
    return frames


@given(st.lists(_frames, max_size=4), st.lists(st.integers(0, 2000), max_size=6))
def test_frames_are_decoded_as_they_were_encoded_however_the_bytes_are_split(
    frames: list[Frame], cuts: list[int]
) -> None:
    data = b"".join(map(encode, frames))
    decoder, received, last = FrameDecoder(), [], 0
    for cut in [*sorted(min(c, len(data)) for c in cuts), len(data)]:
        decoder.feed(data[last:cut])
        received += _drain(decoder)
        last = cut
    assert received == frames


@given(st.binary(max_size=400))
def test_garbage_is_a_wire_error_or_an_incomplete_frame(garbage: bytes) -> None:
    decoder = FrameDecoder()
    decoder.feed(garbage)
    with contextlib.suppress(WireError):
        _drain(decoder)


@given(st.binary(max_size=60), st.integers(0, 255), st.integers(0, 100))
def test_garbage_with_a_correct_length_is_decoded_or_refused(body: bytes, kind: int, header: int) -> None:
    decoder = FrameDecoder()
    decoder.feed(struct.pack("!IBI", 5 + len(body), kind, header) + body)
    try:
        frame = decoder.next()
    except WireError:
        return
    assert frame is not None
    assert isinstance(frame.header, dict)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (struct.pack("!I", MAX_FRAME_BYTES + 1), "cannot have 8388609 bytes"),
        (struct.pack("!I", 4) + b"1234", "cannot have 4 bytes"),
        (struct.pack("!IBI", 5, 1, 9), "longer than the frame"),
        (struct.pack("!IBI", 7, 99, 2) + b"{}", "99"),
        (struct.pack("!IBI", 7, 1, 2) + b"[]", "not a JSON object"),
        (struct.pack("!IBI", 14, 1, 9) + b'{"a":NaN}', "NaN is not a number"),
        (struct.pack("!IBI", 5 + 100_000, 1, 100_000) + b"[" * 100_000, "cannot be decoded"),
    ],
)
def test_a_malformed_frame_is_refused_with_its_fault(data: bytes, sentence: str) -> None:
    decoder = FrameDecoder()
    decoder.feed(data)
    with pytest.raises(WireError, match=sentence):
        decoder.next()


def test_a_frame_beyond_8_mib_is_never_sent() -> None:
    encode(Frame(FrameKind.AUDIO, {}, bytes(MAX_FRAME_BYTES - 7)))
    with pytest.raises(WireError, match="the limit is 8 MiB"):
        encode(Frame(FrameKind.AUDIO, {}, bytes(MAX_FRAME_BYTES - 6)))


@pytest.mark.parametrize("value", [None, True, "1", 1.5, [1]])
def test_a_header_field_of_a_wrong_type_is_refused_by_name(value: object) -> None:
    with pytest.raises(WireError, match="in the cancel frame, seq is not an integer"):
        Frame(FrameKind.CANCEL, {"seq": value}).integer("seq")


def test_a_receive_that_times_out_keeps_the_bytes_received_so_far(ends: tuple[Channel, socket.socket]) -> None:
    channel, peer = ends
    data = encode(Frame(FrameKind.CANCEL, {"seq": 7}))
    peer.sendall(data[:6])
    assert channel.receive(0.01) is None
    peer.sendall(data[6:])
    assert channel.receive(5) == Frame(FrameKind.CANCEL, {"seq": 7})


def test_a_send_to_a_peer_that_does_not_read_times_out(ends: tuple[Channel, socket.socket]) -> None:
    channel, _ = ends
    with pytest.raises(WireError, match=r"not read within 0\.05 s"):
        channel.send(Frame(FrameKind.AUDIO, {}, bytes(4 << 20)), 0.05)
    with pytest.raises(WireClosed):
        channel.send(Frame(FrameKind.CANCEL), 5)


def test_a_closed_connection_raises_wire_closed(ends: tuple[Channel, socket.socket]) -> None:
    channel, peer = ends
    peer.close()
    with pytest.raises(WireClosed):
        channel.receive(5)
    with pytest.raises(WireClosed):
        channel.send(Frame(FrameKind.CANCEL), 5)


def test_frames_sent_by_many_threads_do_not_mix(ends: tuple[Channel, socket.socket]) -> None:
    channel, peer = ends
    frames = [Frame(FrameKind.AUDIO, {"seq": i}, bytes([i]) * 200_000) for i in range(8)]
    senders = [threading.Thread(target=channel.send, args=(frame, 30)) for frame in frames]
    for sender in senders:
        sender.start()
    other = Channel(peer)
    received = [other.receive(30) for _ in frames]
    for sender in senders:
        sender.join(30)
    assert sorted(json.dumps(f.header) for f in received if f) == sorted(json.dumps(f.header) for f in frames)
    assert all(f and f.payload == bytes([f.integer("seq")]) * 200_000 for f in received)


def test_a_header_that_would_grow_in_memory_is_refused_unparsed() -> None:
    header = b'{"seq":[' + b"[]," * 400_000 + b"1]}"
    decoder = FrameDecoder()
    decoder.feed(struct.pack("!IBI", 5 + len(header), FrameKind.DONE, len(header)) + header)
    with pytest.raises(WireError, match="header cannot have"):
        decoder.next()
