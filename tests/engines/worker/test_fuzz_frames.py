"""Random and mutated frames of a hostile worker cause no unexpected exception, no endless wait and no growth."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ishowtts.engines.worker.waker import Waker
from ishowtts.engines.worker.wire import Channel, Frame, FrameKind, encode
from ishowtts.engines.worker.worker_connection import Deadlines, WorkerConnection, WorkerExit
from support import hostile_frames
from support.hostile_frames import DONE, ERROR, HELLO, PREPARED, PROGRESS, READY, audio, check_frames

FRAMES = [HELLO, PROGRESS, READY, audio(0), audio(1), DONE, PREPARED, ERROR]
ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -1, 0, 2**63, 1e308]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["\ud800", "x" * 5000, "SynthesisError", "WeightsError", "Cancelled", "warm"]),
    st.lists(st.none(), max_size=2),
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Draws a frame with up to two fields that are odd or missing, perhaps of another kind."""
    frame = draw(st.sampled_from(FRAMES))
    header = dict(frame.header)
    names = sorted(header)
    for name in draw(st.lists(st.sampled_from(names), max_size=2)):
        if draw(st.booleans()):
            header[name] = draw(ODD)
        else:
            header.pop(name, None)
    payload = draw(st.one_of(st.just(frame.payload), st.binary(max_size=5)))
    return encode(Frame(draw(st.sampled_from([frame.kind, *FrameKind])), header, payload))


@st.composite
def corrupted(draw: st.DrawFn) -> bytes:
    """Draws frames in which some bytes are changed or removed."""
    data = bytearray(b"".join(draw(st.lists(frames(), min_size=1, max_size=6))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
        if not data:
            break
    return bytes(data)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2), st.one_of(st.lists(frames(), max_size=6).map(b"".join), corrupted(), st.binary(max_size=200)))
@example(2, encode(Frame(FrameKind.ERROR, {**ERROR.header, "message": "\ud800"})))
@example(2, encode(Frame(FrameKind.ERROR, {**ERROR.header, "message": "x" * 50_000})))
@example(1, encode(Frame(FrameKind.PROGRESS, {**PROGRESS.header, "phase": "x" * 50_000})))
@example(
    2, encode(Frame(FrameKind.AUDIO, {**audio(0).header, "voice": "\udcff"}, b"\0\0")) + encode(audio(1)) + encode(DONE)
)
def test_no_bytes_of_a_worker_do_harm(stage: int, data: bytes) -> None:
    check_frames(bytes([stage]) + data)


@pytest.mark.parametrize("data", hostile_frames.seeds())
def test_the_first_inputs_of_the_fuzzers_pass(data: bytes) -> None:
    check_frames(data)


def test_a_worker_that_reports_progress_endlessly_can_be_stopped() -> None:
    waker = Waker()
    daemon_end, worker_end = socket.socketpair()
    exits: list[WorkerExit] = []
    progress_received = threading.Event()
    connection = WorkerConnection(
        Channel(daemon_end),
        "f5",
        {},
        Deadlines(),
        waker=waker,
        on_phase=lambda _phase, progress: progress and progress_received.set(),
    )
    receiver = threading.Thread(target=lambda: exits.append(connection.run()), name="runs")

    def floods() -> None:
        worker_end.sendall(encode(HELLO))
        try:
            while True:
                worker_end.sendall(encode(PROGRESS) * 1000)
        except OSError:
            return

    flood = threading.Thread(target=floods, name="floods")
    receiver.start()
    flood.start()
    try:
        assert progress_received.wait(10)
        waker.stop()
        receiver.join(5)
        assert [worker_exit.reason for worker_exit in exits] == ["the engine is stopped"]
    finally:
        daemon_end.shutdown(socket.SHUT_RDWR)
        receiver.join(5)
        flood.join(5)
        daemon_end.close()
        worker_end.close()
        waker.close()
