"""The daemon accepts from a worker exactly the answers that it asked for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ishowtts.engines import EngineStats, VoiceInfo
from ishowtts.engines.worker.frame_headers import write_voice_info
from ishowtts.engines.worker.liveness import PING_S, Liveness
from ishowtts.engines.worker.waker import Waker
from ishowtts.engines.worker.wire import VERSION, Channel, Frame, FrameKind
from ishowtts.engines.worker.worker_connection import Deadlines, WorkerConnection, WorkerExit
from ishowtts.errors import SynthesisError, VoiceError, WorkerDied
from ishowtts.model import Segment

RATE_HZ = 24_000
VOICE_INFO = VoiceInfo("anna", 140, reference_s=5.0, bytes_per_s=15.0, batch_s=60.0)
SEGMENTS = [Segment("line", i, 4, text) for i, text in enumerate(["One.", "Number two.", "And three.", "Four."])]
SOUNDS = [np.full(RATE_HZ * (i + 1) // 4, i + 1, np.int16) for i in range(len(SEGMENTS))]


STATS: dict[str, object] = {"gpu_mb": 900.5, "unbucketed": 0}


class Connected:
    """A connection that is ready, with the test in the worker's place."""

    def __init__(
        self, waker: Waker, daemon_end: socket.socket, worker_end: socket.socket, deadlines: Deadlines, *, warms: bool
    ) -> None:
        self.worker = Channel(worker_end)
        self.exits: list[WorkerExit] = []
        ready = threading.Event()
        self.daemon = WorkerConnection(
            Channel(daemon_end),
            "f5",
            {},
            deadlines,
            waker=waker,
            on_phase=lambda phase, _: phase == "ready" and ready.set(),
        )
        self.thread = threading.Thread(target=lambda: self.exits.append(self.daemon.run()), name="runs")
        self.thread.start()
        self.send(FrameKind.HELLO, version=VERSION)
        assert self.worker.receive(10).kind is FrameKind.CONFIGURE
        if warms:
            self.send(FrameKind.PROGRESS, phase="warm", i=1, n=3)
            return
        self.send(FrameKind.READY, name="f5", rate_hz=RATE_HZ, warm_s=1.0, **STATS, **write_voice_info(VOICE_INFO))
        assert ready.wait(10)

    def send(self, kind: FrameKind, payload: bytes = b"", **header: object) -> None:
        self.worker.send(Frame(kind, header, payload), 10)

    def send_sound(self, seq: int, index: int, sound: np.ndarray) -> None:
        source = {"rate_hz": RATE_HZ, "engine": "f5", "voice": "anna", "nfe_step": 7}
        self.send(FrameKind.AUDIO, sound.tobytes(), seq=seq, index=index, **source)


@contextmanager
def connect(deadlines: Deadlines = Deadlines(), *, warms: bool = False) -> Iterator[Connected]:  # noqa: B008 - frozen
    """Yields a connection that is ready, or whose worker is warming."""
    waker = Waker()
    daemon_end, worker_end = socket.socketpair()
    connected = Connected(waker, daemon_end, worker_end, deadlines, warms=warms)
    try:
        yield connected
    finally:
        waker.stop()
        connected.thread.join(10)
        connected.worker.close()
        daemon_end.close()
        waker.close()


def test_one_request_carries_all_segments_and_gets_all_sounds() -> None:
    with connect() as link:
        request = link.daemon.render(SEGMENTS)
        asked = link.worker.receive(10)
        assert asked is not None
        assert asked.kind is FrameKind.RENDER
        assert [Segment(**fields) for fields in asked.header["segments"]] == SEGMENTS
        for index, sound in enumerate(SOUNDS):
            assert not request.future.done()
            link.send_sound(request.seq, index, sound)
        link.send(FrameKind.DONE, seq=request.seq, **STATS)
        sounds = request.future.result(10)
        assert [sound.samples.tolist() for sound in sounds] == [sound.tolist() for sound in SOUNDS]
        weights = [VOICE_INFO.reference_s + sound.audio_s for sound in sounds]
        costs = [sound.synth_s / weight for sound, weight in zip(sounds, weights, strict=True)]
        assert costs == pytest.approx([costs[0]] * len(costs)), "each gets its share by reference and sound"
        assert costs[0] > 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 5), max_size=6), st.integers(2, 4))
@example([0, 1], 2)
@example([0], 2)
@example([0, 1, 2], 2)
@example([0, 1, 1], 2)
@example([1, 0], 2)
@example([0, 0], 2)
@example([], 2)
def test_missing_surplus_or_wrong_sounds_end_the_worker(indices: list[int], asked: int) -> None:
    with connect() as link:
        request = link.daemon.render(SEGMENTS[:asked])
        for index in indices:
            link.send_sound(request.seq, index, SOUNDS[0])
        link.send(FrameKind.DONE, seq=request.seq, **STATS)
        if indices == list(range(asked)):
            assert len(request.future.result(10)) == asked
        else:
            with pytest.raises(WorkerDied, match=r"not asked for|out of turn"):
                request.future.result(10)
            link.thread.join(10)
            assert link.exits[0].hung, "it still runs, and must be killed"


def test_each_sound_is_checked_against_the_length_of_its_own_text() -> None:
    with connect() as link:
        request = link.daemon.render([SEGMENTS[0], Segment("line", 1, 2, "word " * 20)])
        twenty_s = np.zeros(20 * RATE_HZ, np.int16)
        link.send_sound(request.seq, 0, SOUNDS[0])
        link.send_sound(request.seq, 1, twenty_s)
        link.send(FrameKind.DONE, seq=request.seq, **STATS)
        assert len(request.future.result(10)) == 2
        request = link.daemon.render([Segment("line", 1, 2, "word " * 20), SEGMENTS[0]])
        link.send_sound(request.seq, 0, twenty_s)
        link.send_sound(request.seq, 1, twenty_s)
        link.send(FrameKind.DONE, seq=request.seq, **STATS)
        with pytest.raises(VoiceError, match=r"20 s of sound; 14 s is plausible.*reference\.txt"):
            request.future.result(10)
        assert not link.exits, "the fault is in the voice, not in the worker"
        request = link.daemon.render(SEGMENTS[:1])
        link.send_sound(request.seq, 0, SOUNDS[0])
        link.send(FrameKind.DONE, seq=request.seq, **STATS)
        assert len(request.future.result(10)) == 1


def test_a_worker_with_nothing_to_do_has_no_deadline() -> None:
    with connect(Deadlines(segment_s=0.3)) as link:
        request = link.daemon.render(SEGMENTS[:1])
        link.send_sound(request.seq, 0, SOUNDS[0])
        link.send(FrameKind.DONE, seq=request.seq, **STATS)
        assert len(request.future.result(10)) == 1
        link.thread.join(0.6)
        assert not link.exits


def test_a_worker_that_answers_pings_may_work_for_longer_than_one_that_does_not() -> None:
    with connect(Deadlines(answer_s=0.6)) as link:
        request = link.daemon.render(SEGMENTS[:1])
        assert link.worker.receive(10).kind is FrameKind.RENDER
        for _ in range(3):  # 0.25 s after the last frame each
            assert link.worker.receive(10).kind is FrameKind.PING
            link.send(FrameKind.PONG)
        assert not link.exits
        assert link.daemon.lateness(30) is None
        assert link.worker.receive(10).kind is FrameKind.PING
        assert link.daemon.lateness(0.2) == "does not answer"
        link.thread.join(10)
        reason = "the f5 worker did not answer for 0.6 s while speaking a segment"
        assert [(one.reason, one.hung) for one in link.exits] == [(reason, True)]
        with pytest.raises(WorkerDied, match="did not answer"):
            request.future.result(10)


def test_one_ping_at_a_time_waits_for_an_answer() -> None:
    liveness = Liveness()
    assert not liveness.ping_due(9.0), "it owes nothing"
    liveness.owes_answers(9.0)
    assert [liveness.ping_due(at_s) for at_s in (9.1, 9.3, 9.9)] == [False, True, False]
    assert (liveness.pong(), liveness.pong()) == (True, False)
    assert liveness.ping_due(10.0)


def test_a_worker_that_is_asked_late_was_not_silent_before() -> None:
    liveness = Liveness()
    liveness.owes_answers(9.0)
    assert liveness.quiet_s(60.0) == 0, "the daemon stood still, and has asked for nothing"
    assert liveness.ping_due(60.0)
    assert liveness.quiet_s(60.0) == PING_S, "as if it had been heard when the ping before this one was due"
    assert liveness.quiet_s(61.0) == 1 + PING_S
    assert liveness.wait_s(61.0, answer_s=10) == 9 - PING_S
    liveness.heard(61.5)
    assert liveness.quiet_s(62.0) == 0.5


def test_a_worker_that_answers_what_nobody_wants_any_more_is_not_late() -> None:
    with connect() as link:
        request = link.daemon.render(SEGMENTS[:1])
        link.daemon.cancel(request)
        assert link.daemon.lateness(30) is None, "it gets a moment to stop"
        assert link.daemon.lateness(0) is not None
        link.send_sound(request.seq, 0, SOUNDS[0])
        link.send(FrameKind.DONE, seq=request.seq, **STATS)
        assert len(request.future.result(10)) == 1
        assert link.daemon.lateness(1e-9) is None, "it owes nothing"


def test_a_pong_that_nobody_asked_for_breaks_the_protocol() -> None:
    with connect() as link:
        link.daemon.render(SEGMENTS[:1])
        link.send(FrameKind.PONG)
        link.thread.join(10)
        assert "broke the protocol" in link.exits[0].reason


def test_a_step_of_warming_has_its_own_deadline() -> None:
    with connect(Deadlines(load_s=60.0, warm_step_s=0.2), warms=True) as link:
        link.thread.join(10)
        assert [worker_exit.reason for worker_exit in link.exits] == [
            "the f5 worker made no progress in time while loading or warming"
        ]


def test_an_error_after_the_first_sound_is_the_answer_for_all() -> None:
    with connect() as link:
        request = link.daemon.render(SEGMENTS)
        link.send_sound(request.seq, 0, SOUNDS[0])
        link.send(FrameKind.ERROR, seq=request.seq, message="no", fatal=False, **{"class": "SynthesisError"})
        with pytest.raises(SynthesisError, match="no"):
            request.future.result(10)
        assert not link.exits


def test_stats_are_those_of_the_last_frame() -> None:
    with connect() as link:
        assert link.daemon.stats == EngineStats(900.5, 0)
        request = link.daemon.render(SEGMENTS[:1])
        link.send_sound(request.seq, 0, SOUNDS[0])
        link.send(FrameKind.DONE, seq=request.seq, gpu_mb=None, unbucketed=3)
        request.future.result(10)
        assert link.daemon.stats == EngineStats(None, 3)


@pytest.mark.parametrize(
    "stats", [{"gpu_mb": -1.0, "unbucketed": 0}, {"gpu_mb": 1e9, "unbucketed": 0}, {"gpu_mb": None, "unbucketed": -1},
             {"gpu_mb": "much", "unbucketed": 0}, {"gpu_mb": 1.0}, {"gpu_mb": 1.0, "unbucketed": 0, "graphs_mb": -2.0}],
)  # fmt: skip
def test_impossible_stats_end_the_worker(stats: dict[str, object]) -> None:
    with connect() as link:
        request = link.daemon.render(SEGMENTS[:1])
        link.send_sound(request.seq, 0, SOUNDS[0])
        link.send(FrameKind.DONE, seq=request.seq, **stats)
        with pytest.raises(WorkerDied, match=r"statistics|frame, "):
            request.future.result(10)
