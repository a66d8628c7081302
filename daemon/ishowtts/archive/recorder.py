"""Records each spoken line: a FLAC file with its sound, and a JSON file that describes it."""

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
from ishowtts.util.logs import Untrusted, log_fields
from ishowtts.util.samples import resample, to_int16

log = logging.getLogger(__name__)

_SOUND, _DESCRIPTION = ".flac", ".json"
_KIND = FileKind(
    what="recordings are",
    fix="make room, let this user write there (a service: docs/sound.md), or set audio.record_dir to null",
    stem=re.compile(r"\d{8}T\d{6}\.\d{3}Z-\d{4,9}"),
    suffixes=(_DESCRIPTION, _SOUND),
    mode=0o640,
    evict_when_short=False,
    folder_mode=0o750,
)


@dataclass(frozen=True)
class Recording:
    """A line when its sound begins.

    Args:
        read: Its text as it is read aloud.
        position: Where it goes on in `read`, in characters; 0 except for a line that was interrupted.
        started_at: Time of its beginning, in seconds since the epoch.
    """

    line: Line
    read: str
    position: int
    started_at: float


class Recorder:
    """Stores recordings, and evicts the oldest ones first.

    Args:
        folder: May hold other files too.
        most_bytes: The largest size of all recordings together.
        has_space: Whether the disk has room for files that are not essential.
    """

    def __init__(self, folder: Path, most_bytes: int, writer: ArchiveWriter, has_space: Callable[[], bool]) -> None:
        self.folder = BoundedFolder(folder, most_bytes, _KIND, has_space)
        self._writer = writer
        self._number = 0

    def begin(self, recording: Recording) -> RecordingInProgress:
        """Record a line, segment by segment, so that a long one need not fit into memory."""
        self._number += 1
        return RecordingInProgress(
            self._writer, _RecordingFile(self.folder, recording, self._number), recording.line.id
        )


class RecordingInProgress:
    """A line that is being recorded. One thread calls the methods, which return at once."""

    def __init__(self, writer: ArchiveWriter, file: _RecordingFile, line_id: str) -> None:
        self._writer = writer
        self._file = file
        self._line_id = line_id
        self._begun = False
        self._complete = True

    def add(self, utterance: Utterance, overlap_s: float = 0.0) -> None:
        """Add a segment that went to the player.

        Args:
            overlap_s: How much of its beginning is mixed into the end of the segment before.
        """
        if not self._complete:
            return
        self._begun = True
        self._complete = self._writer.offer(lambda: self._file.add(utterance, overlap_s), utterance.samples.nbytes)
        if not self._complete:
            fields = log_fields(line_id=self._line_id)
            log.warning("line %s is not recorded: the disk is too slow", Untrusted(self._line_id), extra=fields)

    def end(self, outcome: str) -> None:
        """End the recording. A line without sound leaves none. A second call does nothing."""
        if not self._begun:
            return
        self._begun, complete, self._complete = False, self._complete, False
        self._writer.offer((lambda: self._file.end(outcome)) if complete else self._file.discard, must=True)


class _RecordingFile:
    """The files of a recording, on the thread `archive`. The last segment waits: the next one may overlap its end."""

    def __init__(self, folder: BoundedFolder, recording: Recording, number: int) -> None:
        self._folder = folder
        self._recording = recording
        self._stem = _stem(recording.started_at, number)
        self._file: Any = None  # a soundfile.SoundFile
        self._descriptor: int | None = None
        self._failed = False
        self._last_samples: Samples | None = None
        self._bytes = 0
        self._samples = 0
        self._last: Utterance | None = None
        self._cached = True

    def add(self, utterance: Utterance, overlap_s: float) -> None:
        """Write the segment before, and keep this one."""
        if self._failed:
            return
        self._bytes += utterance.samples.nbytes  # FLAC takes about half
        if not self._folder.reserve(self._bytes):
            line_id = self._recording.line.id
            fields = log_fields(line_id=line_id)
            log.warning("line %s is not recorded: there is no room for it", Untrusted(line_id), extra=fields)
            self.discard()
            return
        with self._errors_handled():
            rate_hz = self._open(utterance.rate_hz)
            # The fallback engine may have another sample rate than the primary one.
            samples = to_int16(resample(utterance.samples, utterance.rate_hz, rate_hz))
            if self._last_samples is not None:
                before, samples = _overlapped(self._last_samples, samples, round(overlap_s * rate_hz))
                self._write(before)
            self._last_samples, self._last = samples, utterance
            self._cached = self._cached and utterance.cached

    def end(self, outcome: str) -> None:
        """Write the rest and the description, and give both files their names."""
        if self._failed or self._last_samples is None or self._last is None:
            return
        with self._errors_handled():
            self._write(self._last_samples)
            description = self._description(outcome, self._last)
            self._close()
            with os.fdopen(self._folder.create_draft(self._stem, _DESCRIPTION), "wb") as file:
                file.write(description)
            self._folder.publish(self._stem, (_DESCRIPTION, _SOUND))

    def discard(self) -> None:
        """Remove it."""
        self.fail()

    def fail(self, error: Exception | None = None) -> None:
        """Remove it, and report the error."""
        self._failed, self._last_samples = True, None
        try:
            self._close()
        except (OSError, RuntimeError) as worse:  # of the disk, or of libsndfile
            error = error or worse
        if error is None:
            self._folder.discard_drafts(self._stem)
        else:
            self._folder.fail(self._stem, error)

    def _open(self, rate_hz: int) -> int:
        import soundfile

        if self._file is None:
            while self._folder.has(self._stem + _DESCRIPTION) or self._folder.has(self._stem + _SOUND):
                self._stem = _next_stem(self._stem)  # the clock was set back
            self._descriptor = self._folder.create_draft(self._stem, _SOUND)
            # By its descriptor: with a Python file, libsndfile would print its errors.
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
    def _errors_handled(self) -> Iterator[None]:
        """Let an error of the disk or of libsndfile end the recording, and nothing else."""
        import soundfile

        try:
            yield
        except OSError as error:
            self.fail(error)
        except soundfile.SoundFileError as error:
            self.fail(OSError(errno.EIO, f"its sound cannot be written ({error})"))

    def _description(self, outcome: str, last: Utterance) -> bytes:
        line = self._recording.line
        description = {
            "id": line.id,
            "sent": line.text if line.sent_text is None else line.sent_text,
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
            "heard_at": timestamp(self._recording.started_at),
            "audio_s": round(self._samples / self._file.samplerate, 3),
            "cached": self._cached,
        }
        return (json.dumps(description, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")


def _stem(started_at: float, number: int) -> str:
    """`20260131T235959.123Z-0001`: the time of its beginning, and a number. Nothing in it comes from a publisher."""
    return f"{datetime.fromtimestamp(started_at, timezone.utc):%Y%m%dT%H%M%S.%f}"[:-3] + f"Z-{number:04d}"


def _next_stem(stem: str) -> str:
    begin, number = stem.rsplit("-", 1)
    return f"{begin}-{int(number) + 1:04d}"


def _overlapped(before: Samples, after: Samples, overlap: int) -> tuple[Samples, Samples]:
    """One segment with the beginning of the next mixed into its end, and the rest of the next."""
    overlap = min(overlap, len(before), len(after))
    if overlap <= 0:
        return before, after
    mixed = cross_fade(before[-overlap:].astype(np.float32), after[:overlap].astype(np.float32))
    return np.concatenate([before[:-overlap], to_int16(mixed)]), after[overlap:]
