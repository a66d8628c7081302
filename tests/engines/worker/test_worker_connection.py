"""What the daemon believes of a worker that answers for several segments: nothing but exactly that."""

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
from ishowtts.engines.worker import card_header
from ishowtts.engines.worker.requests import Deadlines, WorkerExit
from ishowtts.engines.worker.supervisor import RestartBackoff, Supervisor
from ishowtts.engines.worker.waker import Waker
from ishowtts.engines.worker.wire import VERSION, Channel, Frame, FrameKind
from ishowtts.engines.worker.worker_connection import WorkerConnection
from ishowtts.engines.worker.worker_process import ShutdownTimeouts
from ishowtts.errors import SynthesisError, VoiceError, WorkerDied
from ishowtts.model import Segment

RATE_HZ = 24_000
CARD = VoiceInfo("anna", 140, reference_s=5.0, bytes_per_s=15.0, batch_s=60.0)
SEGMENTS = [Segment("line", i, 4, text) for i, text in enumerate(["One.", "Number two.", "And three.", "Four."])]
SOUNDS = [np.full(RATE_HZ * (i + 1) // 4, i + 1, np.int16) for i in range(len(SEGMENTS))]


VITALS: dict[str, object] = {"gpu_mb": 900.5, "unbucketed": 0}


class Talk:
    """A conversation that is ready, with the test in the worker's place."""

    def __init__(
        self, waker: Waker, ours: socket.socket, theirs: socket.socket, deadlines: Deadlines, *, warms: bool
    ) -> None:
        self.worker = Channel(theirs)
        self.endings: list[WorkerExit] = []
        ready = threading.Event()
        self.daemon = WorkerConnection(
            Channel(ours),
            "f5",
            {},
            deadlines,
            waker=waker,
            on_phase=lambda phase, _: phase == "ready" and ready.set(),
        )
        self.thread = threading.Thread(target=lambda: self.endings.append(self.daemon.hear()), name="hears")
        self.thread.start()
        self.tell(FrameKind.HELLO, version=VERSION)
        assert self.worker.receive(10).kind is FrameKind.CONFIGURE
        if warms:
            self.tell(FrameKind.PROGRESS, phase="warm", i=1, n=3)
            return
        self.tell(FrameKind.READY, name="f5", rate_hz=RATE_HZ, warm_s=1.0, **VITALS, **card_header.to_header(CARD))
        assert ready.wait(10)

    def tell(self, kind: FrameKind, payload: bytes = b"", **header: object) -> None:
        self.worker.send(Frame(kind, header, payload), 10)

    def send_sound(self, seq: int, index: int, sound: np.ndarray) -> None:
        of_whom = {"rate_hz": RATE_HZ, "engine": "f5", "voice": "anna", "nfe_step": 7}
        self.tell(FrameKind.AUDIO, sound.tobytes(), seq=seq, index=index, **of_whom)


@contextmanager
def talk(deadlines: Deadlines = Deadlines(), *, warms: bool = False) -> Iterator[Talk]:  # noqa: B008 - frozen
    """A conversation that is ready, or with a worker that is warming."""
    waker = Waker()
    ours, theirs = socket.socketpair()
    talk = Talk(waker, ours, theirs, deadlines, warms=warms)
    try:
        yield talk
    finally:
        waker.stop()
        talk.thread.join(10)
        talk.worker.close()
        ours.close()
        waker.close()


def test_one_request_carries_all_segments_and_one_answer_all_sounds() -> None:
    with talk() as one:
        request = one.daemon.render(SEGMENTS)
        asked = one.worker.receive(10)
        assert asked is not None
        assert asked.kind is FrameKind.RENDER
        assert [Segment(**fields) for fields in asked.header["segments"]] == SEGMENTS
        for index, sound in enumerate(SOUNDS):
            assert not request.future.done()
            one.send_sound(request.seq, index, sound)
        one.tell(FrameKind.DONE, seq=request.seq, stages={}, **VITALS)
        heard = request.future.result(10)
        assert [sound.samples.tolist() for sound in heard] == [sound.tolist() for sound in SOUNDS]
        weights = [CARD.reference_s + sound.audio_s for sound in heard]
        costs = [sound.synth_s / weight for sound, weight in zip(heard, weights, strict=True)]
        assert costs == pytest.approx([costs[0]] * len(costs)), "each has its share by reference and sound"
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
def test_too_few_too_many_or_others_than_asked_for_end_the_worker(indices: list[int], asked: int) -> None:
    with talk() as one:
        request = one.daemon.render(SEGMENTS[:asked])
        for index in indices:
            one.send_sound(request.seq, index, SOUNDS[0])
        one.tell(FrameKind.DONE, seq=request.seq, stages={}, **VITALS)
        if indices == list(range(asked)):
            assert len(request.future.result(10)) == asked
        else:
            with pytest.raises(WorkerDied, match=r"not asked for|out of turn"):
                request.future.result(10)
            one.thread.join(10)
            assert one.endings[0].hung, "it still runs, and is to be ended"


def test_each_sound_is_as_long_as_its_own_text_can_be() -> None:
    with talk() as one:
        request = one.daemon.render([SEGMENTS[0], Segment("line", 1, 2, "word " * 20)])
        twenty_s = np.zeros(20 * RATE_HZ, np.int16)
        one.send_sound(request.seq, 0, SOUNDS[0])
        one.send_sound(request.seq, 1, twenty_s)
        one.tell(FrameKind.DONE, seq=request.seq, stages={}, **VITALS)
        assert len(request.future.result(10)) == 2
        request = one.daemon.render([Segment("line", 1, 2, "word " * 20), SEGMENTS[0]])
        one.send_sound(request.seq, 0, twenty_s)
        one.send_sound(request.seq, 1, twenty_s)
        one.tell(FrameKind.DONE, seq=request.seq, stages={}, **VITALS)
        with pytest.raises(VoiceError, match=r"20 s of sound; 14 s is plausible.*reference\.txt"):
            request.future.result(10)
        assert not one.endings, "the worker did as it was told: the voice is at fault"
        request = one.daemon.render(SEGMENTS[:1])
        one.send_sound(request.seq, 0, SOUNDS[0])
        one.tell(FrameKind.DONE, seq=request.seq, stages={}, **VITALS)
        assert len(request.future.result(10)) == 1


def test_a_worker_with_nothing_to_do_has_no_deadline() -> None:
    with talk(Deadlines(segment_s=0.3)) as one:
        request = one.daemon.render(SEGMENTS[:1])
        one.send_sound(request.seq, 0, SOUNDS[0])
        one.tell(FrameKind.DONE, seq=request.seq, stages={}, **VITALS)
        assert len(request.future.result(10)) == 1
        one.thread.join(0.6)
        assert not one.endings


def test_a_step_of_warming_has_a_deadline_of_its_own() -> None:
    with talk(Deadlines(load_s=60.0, warm_step_s=0.2), warms=True) as one:
        one.thread.join(10)
        assert [ending.reason for ending in one.endings] == [
            "the worker made no progress in time while loading or warming"
        ]


def test_the_rest_after_each_death_is_twice_as_long_up_to_the_longest() -> None:
    supervisor = Supervisor(
        "espeak",
        {},
        22_050,
        deadlines=Deadlines(),
        backoff=RestartBackoff(first_s=1.0, longest_s=4.0, park_deaths=9),
        grace=ShutdownTimeouts(),
        on_change=lambda: None,
    )
    assert [supervisor._judge(WorkerExit("it ended"))[2] for _ in range(4)] == [1.0, 2.0, 4.0, 4.0]
    supervisor.succeeded()
    assert supervisor._judge(WorkerExit("it ended"))[2] == 1.0


def test_an_error_after_the_first_sound_is_the_answer_for_all() -> None:
    with talk() as one:
        request = one.daemon.render(SEGMENTS)
        one.send_sound(request.seq, 0, SOUNDS[0])
        one.tell(FrameKind.ERROR, seq=request.seq, message="no", sticky=False, **{"class": "SynthesisError"})
        with pytest.raises(SynthesisError, match="no"):
            request.future.result(10)
        assert not one.endings


def test_what_the_worker_holds_is_known_from_its_last_word() -> None:
    with talk() as one:
        assert one.daemon.vitals == EngineStats(900.5, 0)
        request = one.daemon.render(SEGMENTS[:1])
        one.send_sound(request.seq, 0, SOUNDS[0])
        one.tell(FrameKind.DONE, seq=request.seq, stages={}, gpu_mb=None, unbucketed=3)
        request.future.result(10)
        assert one.daemon.vitals == EngineStats(None, 3)


@pytest.mark.parametrize(
    "told", [{"gpu_mb": -1.0, "unbucketed": 0}, {"gpu_mb": 1e9, "unbucketed": 0}, {"gpu_mb": None, "unbucketed": -1},
             {"gpu_mb": "much", "unbucketed": 0}, {"gpu_mb": 1.0}],
)  # fmt: skip
def test_vitals_that_cannot_be_end_the_worker(told: dict[str, object]) -> None:
    with talk() as one:
        request = one.daemon.render(SEGMENTS[:1])
        one.send_sound(request.seq, 0, SOUNDS[0])
        one.tell(FrameKind.DONE, seq=request.seq, stages={}, **told)
        with pytest.raises(WorkerDied):
            request.future.result(10)
