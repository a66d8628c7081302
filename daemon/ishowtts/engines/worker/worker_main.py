"""The worker process: runs one engine for the daemon, which is at the other end of the socket FD.

The daemon starts it as `child_process.py ishowtts.engines.worker.worker_main FD KIND`. KIND is for the log only.

The main thread builds, loads, warms, runs and closes the engine: CUDA graphs are bound to their thread. A second
thread reads frames, so that the worker answers pings, and notices a cancel or the end of the daemon, while the
engine works.
"""

from __future__ import annotations

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

from ishowtts.engines import Engine, Progress, SelfTuningEngine
from ishowtts.engines.worker import registry
from ishowtts.engines.worker.frame_headers import write_engine_stats, write_voice_info
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
from ishowtts.errors import Cancelled, EngineError, IShowError, PackageError, SynthesisError, VoiceError, WeightsError
from ishowtts.model import Segment
from ishowtts.util import child_process, logs

log = logging.getLogger(__name__)

_SEND_TIMEOUT_S = 30.0
_IDLE_AFTER_S = 1.0  # until background tuning starts: lines arrive in bursts
_MAX_SOUND_BYTES = MAX_FRAME_BYTES - 4096
_NAMED_ERRORS = (WeightsError, PackageError, VoiceError, SynthesisError)


class Worker:
    """Serves one engine over one channel, until the daemon closes it or the engine cannot be used any more."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._jobs: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._last_done_seq = 0
        self._daemon_gone = threading.Event()
        self._unexpected_in_a_row = 0

    def run(self) -> None:
        """Serves from hello to the end. Raises WireError if the daemon breaks the protocol."""
        threading.Thread(target=self._read_frames, name="wire-reader", daemon=True).start()
        self._send(FrameKind.HELLO, version=VERSION)
        configure = self._jobs.get()
        if configure is None:
            return
        if configure.kind is not FrameKind.CONFIGURE:
            raise WireError(f"the daemon began with {configure.kind.name.lower()}, not with configure")
        engine = self._load_engine(configure)
        if engine is None:
            return
        try:
            while (job := self._next_job(engine)) is not None and self._serve(engine, job):
                pass
        finally:
            engine.close()

    def _read_frames(self) -> None:
        try:
            while True:
                frame = self._channel.receive(None)
                if frame is not None and frame.kind is FrameKind.CANCEL:
                    self._cancel(frame.integer("seq"))
                elif frame is not None and frame.kind is FrameKind.LOG:
                    logs.set_private(frame.header.get("private") is True)
                elif frame is not None and frame.kind is FrameKind.PING:
                    self._send(FrameKind.PONG)
                elif frame is not None:
                    self._jobs.put(frame)
        except WireClosed:
            log.debug("the daemon has closed the connection")
        except WireError as error:
            log.error("the daemon broke the protocol: %s", error)
        self._daemon_gone.set()
        self._jobs.put(None)

    def _cancel(self, seq: int) -> None:
        if seq > self._last_done_seq:
            self._cancelled.add(seq)

    def _next_job(self, engine: Engine) -> Frame | None:
        """Returns the next job, or `None` if the daemon is gone. While there is none, the engine tunes itself."""
        more = True
        while more and isinstance(engine, SelfTuningEngine):
            try:
                return self._jobs.get(timeout=_IDLE_AFTER_S)
            except queue.Empty:
                more = engine.idle()
        return self._jobs.get()

    def _load_engine(self, configure: Frame) -> Engine | None:
        started = time.monotonic()
        try:
            engine = registry.make(configure.text("kind"), configure.header["options"])
            engine.load(self._report)
            engine.prepare(None)
            engine.warm(self._report)
            info = engine.prepare(None)  # again: the cost is known now
        except WireError:
            raise
        except Exception as error:  # the process boundary: whatever a load raises is reported to the daemon
            self._send_error(None, error, fatal=True)
            return None
        warm_s = time.monotonic() - started
        fields = write_voice_info(info) | write_engine_stats(engine)
        self._send(FrameKind.READY, name=engine.name, rate_hz=engine.rate_hz, warm_s=warm_s, **fields)
        return engine

    def _serve(self, engine: Engine, job: Frame) -> bool:
        """Does one job. Returns whether the engine can take another one."""
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
            self._send_error(seq, error, fatal=False)
        except Exception as error:  # the process boundary: whatever an engine raises is reported to the daemon
            return self._handle_failure(seq, error, batch=len(job.header.get("segments", ())) > 1)
        else:
            self._unexpected_in_a_row = 0
        finally:
            self._last_done_seq = seq
            self._cancelled.discard(seq)
        return True

    def _prepare(self, engine: Engine, seq: int, voice: str | None) -> None:
        self._send(FrameKind.PREPARED, seq=seq, **write_voice_info(engine.prepare(voice)))

    def _render(self, engine: Engine, seq: int, segments: list[dict[str, Any]]) -> None:
        utterances = engine.synthesize_batch(
            [Segment(**fields) for fields in segments], lambda: seq in self._cancelled or self._daemon_gone.is_set()
        )
        # Checked before the first is sent: the daemon gets all sounds of a batch, or none.
        longest = max(utterances, key=lambda utterance: utterance.samples.nbytes)
        if longest.samples.nbytes > _MAX_SOUND_BYTES:
            raise SynthesisError(f"the sound of one segment is {longest.audio_s:.0f} s; send shorter ones")
        for index, utterance in enumerate(utterances):
            header = {
                "seq": seq,
                "index": index,
                "rate_hz": utterance.rate_hz,
                "engine": utterance.engine,
                "voice": utterance.voice,
                "nfe_step": utterance.nfe_step,
            }
            self._channel.send(Frame(FrameKind.AUDIO, header, utterance.samples.tobytes()), _SEND_TIMEOUT_S)
        self._send(FrameKind.DONE, seq=seq, **write_engine_stats(engine))

    def _handle_failure(self, seq: int, error: Exception, batch: bool) -> bool:
        """Reports the error of one job. Returns whether the engine can take another job.

        An unexpected error may be caused by the text or by a poisoned CUDA context. The second one in a row counts
        as the latter, which only a new process can fix. A batch does not count: its texts come again alone.
        """
        if isinstance(error, (SynthesisError, VoiceError)):
            fatal = False
        elif isinstance(error, EngineError):
            fatal = True
        else:
            self._unexpected_in_a_row += not batch
            fatal = self._unexpected_in_a_row > 1
        self._send_error(seq, error, fatal)
        return not fatal

    def _report(self, progress: Progress) -> None:
        self._send(FrameKind.PROGRESS, phase=progress.phase, i=progress.i, n=progress.n)

    def _send_error(self, seq: int | None, error: Exception, fatal: bool) -> None:
        if isinstance(error, Cancelled):
            name, message = "Cancelled", "cancelled"
        elif isinstance(error, IShowError):
            known = next((cls for cls in _NAMED_ERRORS if isinstance(error, cls)), EngineError)
            name, message = known.__name__, str(error)
        else:
            log.error("the engine raised an unexpected error", exc_info=error)
            name = "EngineError" if fatal else "SynthesisError"
            detail = "" if logs.is_private() else f": {error}"  # it may quote the text, and the daemon logs it
            message = f"the engine failed: {type(error).__name__}{detail}"
        self._send(FrameKind.ERROR, seq=seq, message=message[:MAX_TEXT_CHARS], fatal=fatal, **{"class": name})

    def _send(self, kind: FrameKind, **header: Any) -> None:
        self._channel.send(Frame(kind, header), _SEND_TIMEOUT_S)


def configure_process() -> None:
    """Makes sure that this process ends with the daemon, and says if the kernel may kill others before it."""
    faulthandler.enable()  # SIGABRT from the daemon writes every thread's stack to the log
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core of a CUDA process would fill the disk
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    os.environ.pop("NOTIFY_SOCKET", None)
    # oneDNN caches a program for each shape, and each line has its own length: half a megabyte per line.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    try:
        child_process.end_with_parent()
    except OSError as error:
        log.warning("this process may outlive its parent: prctl: %s", error.strerror)
    score = Path("/proc/self/oom_score_adj")
    try:
        if int(score.read_text()) < child_process.OOM_SCORE_ADJ:
            log.warning("if memory runs out, the kernel may kill another process first: %s is read-only", score)
    except OSError as error:
        log.warning("if memory runs out, the kernel may kill another process first: %s: %s", score, error.strerror)


def main() -> int:
    """Runs the worker on the socket that the daemon passed. Returns the exit status."""
    logs.set_up_worker(sys.argv[2])
    configure_process()
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)  # else a child of this process would keep the connection open after its death
    channel = Channel(socket.socket(fileno=fd))
    try:
        Worker(channel).run()
    except WireClosed:
        return 0  # the daemon closed the connection while we were sending
    except WireError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
