"""Recordings of what was said: a FLAC for each line, and a JSON beside it that tells what it is."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from ishowtts.archive.archive_writer import ArchiveWriter
from ishowtts.archive.bounded_folder import BoundedFolder, FileKind
from ishowtts.model import Line, Samples, Utterance, timestamp
from ishowtts.util.crossfade import cross_fade
from ishowtts.util.logs import Untrusted
from ishowtts.util.samples import resample, to_int16

log = logging.getLogger(__name__)

_SOUND, _TOLD = ".flac", ".json"
_KIND = FileKind(
    what="recordings are",
    mend="make room, let this user write there (a service: docs/sound.md), or set audio.record_dir to null",
    stem=re.compile(r"\d{8}T\d{6}\.\d{3}Z-\d{4,9}"),
    suffixes=(_TOLD, _SOUND),
    mode=0o640,
    gives_back=False,
)


@dataclass(frozen=True)
class Recording:
    """A line as its sound begins.

    Args:
        read: its text as it is read aloud.
        position: where in `read` it goes on, in characters: 0 but for a line that was interrupted.
        started_at: in seconds since the epoch.
    """

    line: Line
    read: str
    position: int
    started_at: float


class Recorder:
    """Keeps recordings, the oldest of which go first.

    Args:
        place: a folder, which may hold other files too.
        most_bytes: of all recordings together.
        room: whether the disk has room for what can be done without.
    """

    def __init__(self, place: Path, most_bytes: int, writer: ArchiveWriter, room: Callable[[], bool]) -> None:
        self.folder = BoundedFolder(place, most_bytes, _KIND, room)
        self._writer = writer
        self._number = 0

    def begin(self, recording: Recording) -> RecordingInProgress:
        """Record a line: segment by segment, so that a long one need not fit into memory."""
        self._number += 1
        return RecordingInProgress(
            self._writer, _RecordedAudio(self.folder, recording, self._number), recording.line.id
        )


class RecordingInProgress:
    """A line that is being recorded. Its calls return at once; one thread makes them."""

    def __init__(self, writer: ArchiveWriter, tape: _RecordedAudio, line_id: str) -> None:
        self._writer = writer
        self._tape = tape
        self._line_id = line_id
        self._begun = False
        self._whole = True

    def add(self, utterance: Utterance, overlap_s: float = 0.0) -> None:
        """A segment that went to the player.

        Args:
            overlap_s: how much of its beginning is mixed into the end of the segment before.
        """
        if not self._whole:
            return
        self._begun = True
        self._whole = self._writer.offer(lambda: self._tape.add(utterance, overlap_s), utterance.samples.nbytes)
        if not self._whole:
            log.warning("line %s is not recorded: the disk is too slow", Untrusted(self._line_id))

    def end(self, outcome: str) -> None:
        """That was all of it. A line without sound leaves no recording; a second end is none."""
        if not self._begun:
            return
        self._begun, whole, self._whole = False, self._whole, False
        self._writer.offer((lambda: self._tape.end(outcome)) if whole else self._tape.discard, must=True)


class _RecordedAudio:
    """The archive's side of a recording. The last segment is held back: the next one may be mixed into its end."""

    def __init__(self, folder: BoundedFolder, recording: Recording, number: int) -> None:
        self._folder = folder
        self._recording = recording
        self._stem = _stem(recording.started_at, number)
        self._file: Any = None  # a soundfile.SoundFile
        self._descriptor: int | None = None
        self._failed = False
        self._held: Samples | None = None
        self._bytes = 0
        self._samples = 0
        self._last: Utterance | None = None
        self._cached = True

    def add(self, utterance: Utterance, overlap_s: float) -> None:
        """Write the segment before, and hold this one."""
        if self._failed:
            return
        self._bytes += utterance.samples.nbytes  # FLAC takes about half
        if not self._folder.grant(self._bytes):
            log.warning("line %s is not recorded: there is no room for it", Untrusted(self._recording.line.id))
            self.discard()
            return
        with self._failing():
            rate_hz = self._open(utterance.rate_hz)
            # The spare voice need not have the lead's rate.
            samples = to_int16(resample(utterance.samples, utterance.rate_hz, rate_hz))
            if self._held is not None:
                before, samples = _seam(self._held, samples, round(overlap_s * rate_hz))
                self._write(before)
            self._held, self._last = samples, utterance
            self._cached = self._cached and utterance.cached

    def end(self, outcome: str) -> None:
        """Give the recording its name."""
        if self._failed or self._held is None or self._last is None:
            return
        with self._failing():
            self._write(self._held)
            told = self._told(outcome, self._last)
            self._close()
            with os.fdopen(self._folder.draft(self._stem, _TOLD), "wb") as file:
                file.write(told)
            self._folder.publish(self._stem, (_TOLD, _SOUND))

    def discard(self) -> None:
        """Leave nothing of it."""
        self.fail()

    def fail(self, error: Exception | None = None) -> None:
        """Leave nothing of it, and say why."""
        self._failed, self._held = True, None
        try:
            self._close()
        except (OSError, RuntimeError) as worse:  # of the disk, or of libsndfile
            error = error or worse
        if error is None:
            self._folder.discard(self._stem)
        else:
            self._folder.failed(self._stem, error)

    def _open(self, rate_hz: int) -> int:
        import soundfile

        if self._file is None:
            while self._folder.has(self._stem + _TOLD) or self._folder.has(self._stem + _SOUND):
                self._stem = _after(self._stem)  # the clock was set back
            self._descriptor = self._folder.draft(self._stem, _SOUND)
            # By its descriptor: through a Python file, libsndfile would print what goes wrong.
            self._file = soundfile.SoundFile(self._descriptor, "w", rate_hz, 1, "PCM_16", format="FLAC", closefd=False)
        return int(self._file.samplerate)

    def _write(self, samples: Samples) -> None:
        self._file.write(samples)
        self._samples += len(samples)

    def _close(self) -> None:
        file, self._file = self._file, None
        descriptor, self._descriptor = self._descriptor, None
        try:
            if file is not None:
                file.close()
        finally:
            if descriptor is not None:
                os.close(descriptor)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What the disk or libsndfile refuses costs the recording, and nothing else."""
        import soundfile

        try:
            yield
        except OSError as error:
            self.fail(error)
        except soundfile.SoundFileError as error:
            self.fail(OSError(errno.EIO, f"its sound cannot be written ({error})"))

    def _told(self, outcome: str, last: Utterance) -> bytes:
        line = self._recording.line
        told = {
            "id": line.id,
            "text": line.text,
            "read": self._recording.read,
            "position": self._recording.position,
            "voice": last.voice,
            "engine": last.engine,
            "nfe_step": last.nfe_step,
            "author": line.author,
            "priority": line.priority.name.lower(),
            "outcome": outcome,
            "ts": timestamp(self._recording.started_at),
            "audio_s": round(self._samples / self._file.samplerate, 3),
            "cached": self._cached,
        }
        return (json.dumps(told, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")


def _stem(started_at: float, number: int) -> str:
    """`20260131T235959.123Z-0001`: when it began, and a number; nothing that a publisher sent."""
    return f"{datetime.fromtimestamp(started_at, timezone.utc):%Y%m%dT%H%M%S.%f}"[:-3] + f"Z-{number:04d}"


def _after(stem: str) -> str:
    begin, number = stem.rsplit("-", 1)
    return f"{begin}-{int(number) + 1:04d}"


def _seam(before: Samples, after: Samples, overlap: int) -> tuple[Samples, Samples]:
    """The end of one segment with the beginning of the next mixed into it, and the rest of that one."""
    overlap = min(overlap, len(before), len(after))
    if overlap <= 0:
        return before, after
    mixed = cross_fade(before[-overlap:].astype(np.float32), after[:overlap].astype(np.float32))
    return np.concatenate([before[:-overlap], to_int16(mixed)]), after[overlap:]
