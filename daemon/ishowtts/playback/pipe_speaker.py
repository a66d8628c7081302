"""A speaker that writes to a named pipe (FIFO), as the pipe source of Snapcast's server reads it."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import numpy as np

from ishowtts.errors import SpeakerError
from ishowtts.model import Samples
from ishowtts.playback.resampler import StreamResampler
from ishowtts.playback.silent_speaker import RealtimeClock
from ishowtts.util import named_pipe
from ishowtts.util.samples import FloatPcm, to_int16

# What snapserver reads unless its configuration says otherwise: 48000:16:2.
_RATE_HZ, _CHANNELS = 48_000, 2
_FRAME_BYTES = 2 * _CHANNELS
_BYTES_PER_S = _RATE_HZ * _FRAME_BYTES
# snapserver takes 20 ms every 20 ms, more after it was late, and plays silence for what is missing then. Measured with
# four busy loops on two cores, in 16 s: 3 gaps with 50 ms ahead, none with 100 ms.
_AHEAD_S = 0.1
_AHEAD_BYTES = int(_AHEAD_S * _BYTES_PER_S)
# After quiet, this much is written at once, so that snapserver never reads a part of a chunk. Below PIPE_BUF.
_FIRST_WRITE_BYTES = int(0.02 * _BYTES_PER_S)
# Without a writer, snapserver closes the pipe and opens it again every 100 ms.
_READER_WAIT_S = 0.3
_STALL_S = 2.0
_POLL_S = 0.005


class _ReaderProgress:
    """Notices if the reader takes nothing for 2 s while the writer waits."""

    def __init__(self) -> None:
        self._least_bytes: int | None = None
        self._since = time.monotonic()

    def stalled(self, queued_bytes: int) -> bool:
        """Whether the pipe holds as much as 2 s ago. The caller writes nothing in between."""
        if self._least_bytes is None or queued_bytes < self._least_bytes:
            self._least_bytes, self._since = queued_bytes, time.monotonic()
        return time.monotonic() - self._since > _STALL_S


class PipeSpeaker:
    """Writes 48 kHz stereo, 16 bit, to a FIFO that another program reads. Nothing is written between lines.

    The reader and the clock both pace the writing: at most 100 ms are in the pipe, and at most 100 ms are ahead of real
    time. So a skip is quick whatever the size of the pipe, and a line does not end early if all is taken at once.

    A pipe without a reader counts as a lost device: what nobody reads is not heard.

    Args:
        path: The FIFO. Another program makes it. A link and any other kind of file are refused.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"pipe:{path}"
        self.underruns = 0
        self._path = path
        self._clock = RealtimeClock(_AHEAD_S)
        self._descriptor: int | None = None
        self._converter: StreamResampler | None = None
        self._first = bytearray()  # of the sound after quiet, until it is long enough for the first write
        self._in_sound = False

    def open(self, rate_hz: int) -> None:
        """Opens the pipe. Waits up to 0.3 s for its reader. Raises SpeakerError if it has none or is not a FIFO."""
        self.close()
        self._descriptor = self._open_for_writing()
        deadline = time.monotonic() + _READER_WAIT_S
        while (away := self.away()) is not None:
            if time.monotonic() >= deadline:
                self.close()
                raise SpeakerError(away)
            time.sleep(_POLL_S)
        self._converter = StreamResampler(rate_hz, _RATE_HZ)

    def write(self, block: Samples) -> None:
        """Writes one block, when at most 100 ms are in the pipe with it, and waits as a device would."""
        if self._converter is None:
            raise SpeakerError(f"the pipe {self._path} is not open")
        if self._in_sound and self._in_pipe_s() == 0:
            self.underruns += 1
            self._in_sound = False
        self._put(self._converter.convert(block.astype(np.float32)))

    def flush(self) -> None:
        """Writes what the converter holds back. The next block is then the first one after quiet."""
        if self._converter is not None and self._converter.held_s:
            self._put(self._converter.flush())
        self._write_first()
        self._in_sound = False

    def delay_s(self) -> float:
        """Seconds of sound in the converter and in the pipe. What the reader holds is unknown: snapserver, 1 s.

        Raises:
            SpeakerError: Nobody reads the pipe, so what it holds was not heard.
        """
        if self._converter is None:
            return 0.0
        self._check_reader()
        return self._converter.held_s + self._in_pipe_s()

    def drain(self) -> None:
        """Waits until the reader has taken everything. Raises SpeakerError if it does not."""
        self.flush()
        progress = _ReaderProgress()
        while (queued_bytes := self._queued_bytes()) > 0:
            self._wait_for_reader(progress, queued_bytes)
        self._clock.drain()

    def drop(self) -> None:
        """Takes what is in the pipe out again."""
        self._clock.drop()
        self._first.clear()
        self._in_sound = False
        if self._descriptor is None or self._converter is None:
            return
        self._converter.clear()
        try:
            named_pipe.discard(self._descriptor)
        except OSError as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Closes the pipe. snapserver then waits for the next writer."""
        descriptor, self._descriptor, self._converter = self._descriptor, None, None
        self._clock.drop()
        self._first.clear()
        self._in_sound = False
        if descriptor is not None:
            os.close(descriptor)

    def away(self) -> str | None:
        """Returns a sentence if nobody reads the pipe that is open."""
        if self._descriptor is None or named_pipe.has_reader(self._descriptor):
            return None
        return f"nobody reads the pipe {self._path}; start snapserver, or another program that reads it"

    def _open_for_writing(self) -> int:
        if (problem := named_pipe.fifo_problem(self._path)) is not None:
            raise SpeakerError("; ".join(problem))
        try:
            return named_pipe.open_for_writing(self._path)
        except OSError as error:
            raise SpeakerError(
                f"the pipe {self._path} cannot be opened ({error.strerror}); let this user read and write it"
            ) from error

    def _put(self, samples: FloatPcm) -> None:
        data = np.repeat(to_int16(samples).astype("<i2"), _CHANNELS).tobytes()
        if self._in_sound:
            self._write_bytes(data)
            return
        self._first += data
        if len(self._first) >= _FIRST_WRITE_BYTES:
            self._write_first()

    def _write_first(self) -> None:
        if self._first:
            data = bytes(self._first)
            self._first.clear()
            self._write_bytes(data)
            self._in_sound = True

    def _write_bytes(self, data: bytes) -> None:
        view, progress = memoryview(data), _ReaderProgress()
        while view:
            queued_bytes = self._queued_bytes()
            count = self._try_write(view) if queued_bytes + len(view) <= _AHEAD_BYTES else 0
            if count:
                view, progress = view[count:], _ReaderProgress()
            else:
                self._wait_for_reader(progress, queued_bytes)
        self._clock.consume(len(data) / _BYTES_PER_S)

    def _try_write(self, view: memoryview) -> int:
        """Writes what the pipe has room for, and returns how many bytes that were. Raises SpeakerError."""
        try:
            return os.write(self._opened(), view)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(error) from error

    def _wait_for_reader(self, progress: _ReaderProgress, queued_bytes: int) -> None:
        """Waits some milliseconds. Raises SpeakerError if nobody reads the pipe, or its reader takes nothing."""
        self._check_reader()
        if progress.stalled(queued_bytes):
            raise SpeakerError(f"the program that reads the pipe {self._path} takes no sound; restart it")
        time.sleep(_POLL_S)

    def _check_reader(self) -> None:
        if (away := self.away()) is not None:
            raise SpeakerError(away)

    def _opened(self) -> int:
        if self._descriptor is None:
            raise SpeakerError(f"the pipe {self._path} is not open")
        return self._descriptor

    def _queued_bytes(self) -> int:
        return named_pipe.queued_bytes(self._opened())

    def _in_pipe_s(self) -> float:
        return max((self._queued_bytes() + len(self._first)) / _BYTES_PER_S, self._clock.delay_s())

    def _lost(self, error: OSError) -> SpeakerError:
        if error.errno == errno.EPIPE:
            return SpeakerError(f"nobody reads the pipe {self._path} any more; start its reader, such as snapserver")
        return SpeakerError(f"the pipe {self._path} was lost: {error.strerror}")
