"""A hostile worker: whatever bytes it sends, the daemon's side ends cleanly and accepts only plausible values.

`check_frames` is the core of the fuzzers; `seeds` returns their first inputs.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import numpy as np

from ishowtts.engines import Progress, VoiceInfo
from ishowtts.engines.durations import longest_plausible_s
from ishowtts.engines.worker.frame_headers import write_voice_info
from ishowtts.engines.worker.waker import Waker
from ishowtts.engines.worker.wire import MAX_TEXT_CHARS, VERSION, Channel, Frame, FrameKind, encode
from ishowtts.engines.worker.worker_connection import Deadlines, WorkerConnection, WorkerExit
from ishowtts.engines.worker.worker_request import WorkerRequest
from ishowtts.errors import Cancelled, EngineError, SynthesisError
from ishowtts.model import Segment, Utterance

RATE_HZ = 24_000
MOST_BYTES = 100_000
"""So many bytes fit into a socket without a reader; the rest is cut off."""
SEGMENTS = [Segment("line", 0, 2, "One."), Segment("line", 1, 2, "Number two.")]
VOICE_INFO = VoiceInfo("anna", 140, reference_s=5.0, bytes_per_s=15.0, batch_s=60.0)
STATS: dict[str, Any] = {"gpu_mb": 900.5, "unbucketed": 0}
HELLO = Frame(FrameKind.HELLO, {"version": VERSION})
READY = Frame(
    FrameKind.READY, {"name": "f5", "rate_hz": RATE_HZ, "warm_s": 1.0, **STATS, **write_voice_info(VOICE_INFO)}
)
_SOON = Deadlines(hello_s=5.0, load_s=5.0, warm_step_s=5.0, segment_s=5.0)
_PRELUDES = (b"", encode(HELLO), encode(HELLO) + encode(READY))


def audio(index: int, seq: int = 1, samples: int = 100) -> Frame:
    """Returns the correct sound of a segment."""
    header = {"seq": seq, "index": index, "rate_hz": RATE_HZ, "engine": "f5", "voice": "anna", "nfe_step": 7}
    return Frame(FrameKind.AUDIO, header, np.zeros(samples, np.int16).tobytes())


DONE = Frame(FrameKind.DONE, {"seq": 1, **STATS})
PREPARED = Frame(FrameKind.PREPARED, {"seq": 2, **write_voice_info(VOICE_INFO)})
ERROR = Frame(FrameKind.ERROR, {"seq": 1, "class": "SynthesisError", "message": "no", "fatal": False})
PROGRESS = Frame(FrameKind.PROGRESS, {"phase": "load", "i": 1, "n": 3})


def seeds() -> list[bytes]:
    """Returns correct exchanges, and some with errors."""
    answers = [audio(0), audio(1), DONE, PREPARED]
    return [
        b"\x00" + encode(HELLO) + encode(PROGRESS) + encode(READY),
        b"\x01" + encode(PROGRESS) + encode(READY),
        b"\x02" + b"".join(map(encode, answers)),
        b"\x02" + encode(audio(0)) + encode(ERROR) + encode(PREPARED),
        b"\x02" + encode(audio(0, samples=45_000)),
        b"\x02" + struct.pack("!I", 8 << 20),
    ]


def check_frames(data: bytes) -> None:
    """Raises AssertionError, or an unexpected exception of the daemon, if these bytes of a worker do harm.

    Args:
        data: the first byte chooses the state of the connection (0 new, 1 after hello, 2 ready with a request for two
            sounds and one for a voice); the rest is what the worker sends before it closes its end.
    """
    prelude = _PRELUDES[data[0] % len(_PRELUDES)] if data else b""
    requests: list[WorkerRequest[Any]] = []
    reports: list[Progress] = []
    waker = Waker()
    daemon_end, worker_end = socket.socketpair()
    try:
        worker_end.setblocking(False)
        worker_end.sendall(prelude + data[1 : MOST_BYTES + 1])
        worker_end.shutdown(socket.SHUT_WR)

        def on_phase(phase: str, progress: Progress | None) -> None:
            if progress is not None:
                reports.append(progress)
            if phase == "ready":
                requests.extend([connection.render(SEGMENTS), connection.prepare("anna")])

        connection = WorkerConnection(Channel(daemon_end), "f5", {}, _SOON, waker=waker, on_phase=on_phase)
        worker_exit = connection.run()
    finally:
        worker_end.close()
        daemon_end.close()
        waker.close()
    _check_exit(worker_exit)
    for progress in reports:
        _check_text(progress.phase)
    for request in requests:
        _check_answer(request)


def _check_exit(worker_exit: WorkerExit) -> None:
    assert worker_exit.reason
    _check_text(worker_exit.reason)
    assert "no progress in time" not in worker_exit.reason, "it waited for a worker that had closed its end"


def _check_answer(request: WorkerRequest[Any]) -> None:
    assert request.future.done(), "nobody waits for an answer that cannot come"
    error = request.future.exception()
    if error is not None:
        assert isinstance(error, (SynthesisError, EngineError, Cancelled)), repr(error)
        _check_text(str(error))
    elif request.kind is FrameKind.PREPARE:
        _check_text(request.future.result().name)
    else:
        for segment, sound in zip(SEGMENTS, request.future.result(), strict=True):
            _check_sound(segment, sound)


def _check_sound(segment: Segment, sound: Utterance) -> None:
    assert sound.rate_hz == RATE_HZ
    assert 0 < sound.audio_s <= longest_plausible_s(segment.text, segment.speed)
    _check_text(sound.engine)
    _check_text(sound.voice)


def _check_text(text: str) -> None:
    """Checks a text that is logged, published and stored."""
    assert len(text) <= 2 * MAX_TEXT_CHARS
    text.encode("utf-8")
