"""The worker process: runs one engine for the daemon at the other end of the socket FD.

Started as `child_process.py ishowtts.engines.worker.worker_main FD`.

One thread (the main one) makes, loads, warms, runs and closes the engine: CUDA graphs are bound to their
thread. Another reads the wire, so that a cancel or the daemon's end is seen while the engine works.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import queue
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ishowtts
from ishowtts.engines import Engine, ImprovingEngine, Progress
from ishowtts.engines.worker import card_header, registry, stats_header
from ishowtts.engines.worker.wire import (
    MAX_FRAME_BYTES,
    MAX_TEXT_CHARS,
    VERSION,
    Channel,
    Frame,
    FrameKind,
    WireClosed,
    WireError,
)
from ishowtts.errors import Cancelled, EngineError, IShowError, SynthesisError, VoiceError, WeightsError
from ishowtts.model import Segment
from ishowtts.util import logs

_log = logging.getLogger(__name__)

_SEND_TIMEOUT_S = 30.0
_QUIET_S = 1.0  # before the engine uses time for itself: lines come in swarms
_OOM_SCORE_ADJ = 500
_PR_SET_PDEATHSIG = 1
_MAX_SOUND_BYTES = MAX_FRAME_BYTES - 4096
_NAMED_ERRORS = (WeightsError, VoiceError, SynthesisError)


class Worker:
    """Serves one engine over one channel until the daemon closes it or the engine is beyond use."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._jobs: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._last_done = 0
        self._daemon_gone = threading.Event()
        self._unforeseen_in_a_row = 0

    def run(self) -> None:
        """From hello to the end. Raises WireError where the daemon speaks out of turn."""
        threading.Thread(target=self._read, name="wire-reader", daemon=True).start()
        self._send(FrameKind.HELLO, version=VERSION, build=ishowtts.__version__, pid=os.getpid())
        configure = self._jobs.get()
        if configure is None:
            return
        if configure.kind is not FrameKind.CONFIGURE:
            raise WireError(f"the daemon began with {configure.kind.name.lower()}, not with configure")
        engine = self._make_ready(configure)
        if engine is None:
            return
        try:
            while (job := self._next_job(engine)) is not None and self._serve(engine, job):
                pass
        finally:
            engine.close()

    def _read(self) -> None:
        try:
            while True:
                frame = self._channel.receive(None)
                if frame is not None and frame.kind is FrameKind.CANCEL:
                    self._cancel(frame.integer("seq"))
                elif frame is not None:
                    self._jobs.put(frame)
        except WireClosed:
            _log.debug("the daemon has closed the connection")
        except WireError as error:
            _log.error("the daemon sent what cannot be read: %s", error)
        self._daemon_gone.set()
        self._jobs.put(None)

    def _cancel(self, seq: int) -> None:
        if seq > self._last_done:
            self._cancelled.add(seq)

    def _next_job(self, engine: Engine) -> Frame | None:
        """The next job; while there is none for a while, the engine may use the time."""
        more = True
        while more and isinstance(engine, ImprovingEngine):
            try:
                return self._jobs.get(timeout=_QUIET_S)
            except queue.Empty:
                more = engine.idle()
        return self._jobs.get()

    def _make_ready(self, configure: Frame) -> Engine | None:
        started = time.monotonic()
        try:
            engine = registry.make(configure.text("kind"), configure.header["options"])
            engine.load(self._report)
            engine.prepare(None)
            engine.warm(self._report)
            card = engine.prepare(None)  # again: what it costs is known now
        except WireError:
            raise
        except Exception as error:  # the process boundary: whatever a load raises is told to the daemon
            self._tell_error(None, error, sticky=True)
            return None
        warm_s = time.monotonic() - started
        told = card_header.to_header(card) | stats_header.to_header(engine)
        self._send(FrameKind.READY, name=engine.name, rate_hz=engine.rate_hz, warm_s=warm_s, **told)
        return engine

    def _serve(self, engine: Engine, job: Frame) -> bool:
        """Do one job; whether the engine can take another."""
        seq = job.integer("seq")
        try:
            if job.kind is FrameKind.PREPARE:
                self._prepare(engine, seq, job.header.get("voice"))
            elif job.kind is FrameKind.RENDER:
                self._render(engine, seq, job.header["segments"])
            else:
                raise WireError(f"the daemon sent {job.kind.name.lower()} out of turn")
        except WireError:
            raise
        except Cancelled as error:
            self._tell_error(seq, error, sticky=False)
        except Exception as error:  # the process boundary: whatever an engine raises is told to the daemon
            return self._fail(seq, error, batch=len(job.header.get("segments", ())) > 1)
        else:
            self._unforeseen_in_a_row = 0
        finally:
            self._last_done = seq
            self._cancelled.discard(seq)
        return True

    def _prepare(self, engine: Engine, seq: int, voice: str | None) -> None:
        started = time.monotonic()
        card = engine.prepare(voice)
        cost_s = time.monotonic() - started
        self._send(FrameKind.PREPARED, seq=seq, cost_s=cost_s, **card_header.to_header(card))

    def _render(self, engine: Engine, seq: int, segments: list[dict[str, Any]]) -> None:
        started = time.monotonic()
        utterances = engine.synthesize_batch(
            [Segment(**fields) for fields in segments], lambda: seq in self._cancelled or self._daemon_gone.is_set()
        )
        # Before the first is sent: the daemon gets all of a batch, or none.
        longest = max(utterances, key=lambda spoken: spoken.samples.nbytes)
        if longest.samples.nbytes > _MAX_SOUND_BYTES:
            raise SynthesisError(f"the sound of one segment is {longest.audio_s:.0f} s; send shorter ones")
        for index, spoken in enumerate(utterances):
            header = {
                "seq": seq,
                "index": index,
                "rate_hz": spoken.rate_hz,
                "engine": spoken.engine,
                "voice": spoken.voice,
                "nfe_step": spoken.nfe_step,
            }
            self._channel.send(Frame(FrameKind.AUDIO, header, spoken.samples.tobytes()), _SEND_TIMEOUT_S)
        stages = {"synth_s": time.monotonic() - started}
        self._send(FrameKind.DONE, seq=seq, stages=stages, **stats_header.to_header(engine))

    def _fail(self, seq: int, error: Exception, batch: bool) -> bool:
        """Tell what went wrong with one job; whether the engine can take another.

        What no engine foresees may come of the text or of a poisoned CUDA context: the second in a row is
        taken for the latter, which only a new process mends. A batch does not count: its texts come again alone.
        """
        if isinstance(error, (SynthesisError, VoiceError)):
            sticky = False
        elif isinstance(error, EngineError):
            sticky = True
        else:
            self._unforeseen_in_a_row += not batch
            sticky = self._unforeseen_in_a_row > 1
        self._tell_error(seq, error, sticky)
        return not sticky

    def _report(self, progress: Progress) -> None:
        self._send(FrameKind.PROGRESS, phase=progress.phase, i=progress.i, n=progress.n)

    def _tell_error(self, seq: int | None, error: Exception, sticky: bool) -> None:
        if isinstance(error, Cancelled):
            name, message = "Cancelled", "cancelled"
        elif isinstance(error, IShowError):
            known = next((cls for cls in _NAMED_ERRORS if isinstance(error, cls)), EngineError)
            name, message = known.__name__, str(error)
        else:
            _log.error("the engine raised what it does not foresee", exc_info=error)
            name = "EngineError" if sticky else "SynthesisError"
            said = "" if logs.is_private() else f": {error}"  # it may quote the text, and the daemon logs it
            message = f"the engine failed: {type(error).__name__}{said}"
        self._send(FrameKind.ERROR, seq=seq, message=message[:MAX_TEXT_CHARS], sticky=sticky, **{"class": name})

    def _send(self, kind: FrameKind, **header: Any) -> None:
        self._channel.send(Frame(kind, header), _SEND_TIMEOUT_S)


def settle_in() -> None:
    """Make this process one that can be lost: it dies with the daemon, and before it for want of memory."""
    faulthandler.enable()  # SIGABRT from the daemon puts every thread's stack into the log
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core of a CUDA process would fill the disk
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    os.environ.pop("NOTIFY_SOCKET", None)
    # oneDNN keeps a program for each shape, and each line has a length of its own: half a megabyte a line.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    end_with_parent()
    score = Path("/proc/self/oom_score_adj")
    try:
        score.write_text(str(max(int(score.read_text()), _OOM_SCORE_ADJ)))
    except OSError as error:
        _log.warning("the kernel may choose another victim for want of memory: %s: %s", score, error.strerror)


def end_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it is gone, whatever ended that."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        _log.warning("this process may outlive its parent: prctl: %s", os.strerror(ctypes.get_errno()))


def main() -> int:
    """Run the worker on the socket that the daemon passed. Returns the exit status."""
    logs.set_up_worker()
    settle_in()
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)  # else a child of ours would keep the connection open after our death
    channel = Channel(socket.socket(fileno=fd))
    try:
        Worker(channel).run()
    except WireClosed:
        return 0  # the daemon let go while we were sending
    except WireError as error:
        _log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
