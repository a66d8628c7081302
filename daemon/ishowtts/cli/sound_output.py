"""Writes the sound of a render: to a file that appears only when it is complete, to a device file, or to stdout."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import soundfile

from ishowtts.errors import ConfigError, OperatorFileError
from ishowtts.model import SoundFormat

STDOUT = "-"
_ENDINGS = {
    ".wav": SoundFormat.WAV,
    ".flac": SoundFormat.FLAC,
    ".opus": SoundFormat.OPUS,
    ".ogg": SoundFormat.OPUS,
    ".mp3": SoundFormat.MP3,
    ".pcm": SoundFormat.PCM,
    ".raw": SoundFormat.PCM,
}


def format_of(out: str) -> SoundFormat:
    """The format that the ending of a file's name stands for; WAV for stdout. Raises ConfigError."""
    if out == STDOUT:
        return SoundFormat.WAV
    ending = Path(out).suffix.lower()
    if ending not in _ENDINGS:
        shown = f"the ending {ending}" if ending else "a name without an ending"
        raise ConfigError(
            [f"ishowtts render: {shown} stands for no format; name --out {', '.join(_ENDINGS)}, or add --format"]
        )
    return _ENDINGS[ending]


class SoundOutput:
    """`with SoundOutput(out, sound_format) as output: …; output.finish()`. Without `finish` no new file is left.

    Args:
        out: Path of the file, which is replaced if it exists; `-`: stdout.
        sound_format: In which the sound is wanted.

    Raises:
        ConfigError: stdout is a terminal.
        OperatorFileError: the file cannot be written.
    """

    def __init__(self, out: str, sound_format: SoundFormat) -> None:
        self._path = None if out == STDOUT else Path(out)
        if self._path is None and sys.stdout.isatty():
            raise ConfigError(["ishowtts render: stdout is a terminal; redirect it, or name a file with --out"])
        self._partial = self._path is not None and _is_regular(self._path)
        # A file that is sent while it is made cannot say how long it is, and libsndfile reads no such FLAC.
        self._written_here = self._partial and sound_format in (SoundFormat.WAV, SoundFormat.FLAC)
        self._format = sound_format
        self.requested = SoundFormat.PCM if self._written_here else sound_format
        """The format to ask the appliance for."""
        self._file_path: Path | None = None
        self._file: BinaryIO | None = None
        self._encoder: soundfile.SoundFile | None = None

    def __enter__(self) -> SoundOutput:
        if self._path is None:
            self._file = sys.stdout.buffer
            return self
        with _in_words(self._path):
            if self._partial:
                self._file_path = self._path.with_name(f".{self._path.name[:100]}.{secrets.token_hex(4)}.part")
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self._file = os.fdopen(os.open(self._file_path, flags, 0o666), "wb")
            else:
                self._file = self._path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._encoder is not None:
            with suppress(OSError, soundfile.LibsndfileError):
                self._encoder.close()
        if self._path is not None and self._file is not None:
            with suppress(OSError):
                self._file.close()
        if self._file_path is not None:
            with suppress(OSError):
                self._file_path.unlink()

    def begin(self, rate_hz: int) -> None:
        """Takes the sample rate, before the first sound."""
        if self._written_here and self._file is not None:
            self._encoder = soundfile.SoundFile(
                self._file, "w", rate_hz, 1, format=self._format.value.upper(), subtype="PCM_16"
            )

    def write(self, data: bytes) -> None:
        """Writes one piece of the sound. Raises OperatorFileError; BrokenPipeError if nobody reads stdout any more."""
        assert self._file is not None  # noqa: S101  inside the `with` block
        with _in_words(self._path):
            if self._encoder is not None:
                self._encoder.write(np.frombuffer(data, "<i2", len(data) // 2))
            else:
                self._file.write(data)
                if not self._partial:
                    self._file.flush()

    def finish(self) -> None:
        """Completes the file and gives it its name."""
        assert self._file is not None  # noqa: S101  inside the `with` block
        with _in_words(self._path):
            if self._encoder is not None:
                self._encoder.close()
            self._file.flush()
            if self._path is not None and self._file_path is not None:
                self._file.close()
                self._file_path.replace(self._path)
                self._file_path = None


@contextmanager
def _in_words(path: Path | None) -> Iterator[None]:
    """Makes a sentence of an error about a file. Errors of stdout are those of the caller."""
    try:
        yield
    except OSError as error:
        if path is None:
            raise
        raise OperatorFileError(f"{path} cannot be written ({error.strerror}); name another file with --out") from error


def _is_regular(path: Path) -> bool:
    """Whether it is a regular file, or will be one."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
