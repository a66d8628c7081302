"""The chimes by name: sound files of the operator's from one folder, and ours."""

from __future__ import annotations

import errno
import io
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from ishowtts.errors import OperatorFileError
from ishowtts.limits import NAME
from ishowtts.model import Samples
from ishowtts.playback.tones import ring
from ishowtts.util.files import file_version, make_folder, open_regular
from ishowtts.util.samples import INT16_FULL_SCALE, to_int16

log = logging.getLogger(__name__)

DEFAULT = "default"
RATE_HZ = 24_000
MOST_BYTES = 10_000_000
MOST_S = 10.0
_SUFFIXES = (".wav", ".flac", ".ogg")
_FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG")
_LEAST_HZ, _MOST_HZ = 8_000, 192_000
_KEPT = 8  # sounds in memory, at most 4 MB each

ChimeSound = tuple[Samples, int]
"""Samples, and their rate in Hz."""


class ChimeFiles:
    """The chimes by name; looked up anew each time, so that a file put into the folder is a chime at once.

    A name is looked for among those that are there, and never made into a path. Links are not followed: whoever may
    write here could have the service read any file. Any thread may ask.

    Args:
        folder: holds `<name>.wav`, `.flac` or `.ogg`, names of a-z, 0-9, _ and -. Need not be there. `default` is ours
            where it has no such file.
        wanted: the name that the configuration asks for: that it is not there is a fault.
    """

    def __init__(self, folder: Path, wanted: str | None = None) -> None:
        self.folder = folder
        self._wanted = wanted
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[str, ChimeSound]] = OrderedDict()  # by name, with the version of the file
        self._faults: dict[str, tuple[str, str]] = {}  # of a file by its name, with its version

    def names(self) -> list[str]:
        """What `find` would look for, sorted."""
        try:
            return sorted({DEFAULT, *self._files()})
        except OperatorFileError:
            return [DEFAULT]

    def find(self, name: str) -> ChimeSound:
        """The chime of this name. A fault of a file is logged once for each change of it.

        Raises:
            OperatorFileError: there is none, or its file cannot be used.
        """
        with self._lock:
            files = self._files()
            if name in files:
                return self._sound(name, files[name])
        if name == DEFAULT:
            return ring(RATE_HZ), RATE_HZ
        raise OperatorFileError(self._absent(name))

    def path(self, name: str) -> Path | None:
        """The file of a chime; `None`: it has none. Raises OperatorFileError."""
        file = self._files().get(name)
        return None if file is None else self.folder / file

    @property
    def fault(self) -> str | None:
        """What keeps a chime that was asked for from being heard, until it is mended."""
        with self._lock:
            try:
                files = self._files()
            except OperatorFileError as error:
                return str(error) if self._wanted is not None else None
            for file, (version, _) in list(self._faults.items()):
                if file not in files.values() or version != self._version(file):
                    del self._faults[file]
            sentences = [sentence for _, sentence in self._faults.values()]
        if self._wanted is not None and self._wanted not in (DEFAULT, *files):
            sentences.append(f"audio.chime: {self._absent(self._wanted)}")
        return "; ".join(sentences) or None

    def make(self) -> Path | None:
        """Put ours into the folder, as a file to begin with; `None` where a default is there already.

        Raises:
            OperatorFileError: it cannot be written.
        """
        if self.path(DEFAULT) is not None:
            return None
        made = self.folder / f"{DEFAULT}.wav"
        try:
            make_folder(self.folder)
            _write(self.folder, made.name, ring(RATE_HZ))
        except OSError as error:
            raise OperatorFileError(f"{made}: cannot be written ({error.strerror}); mend its folder") from error
        return made

    def _absent(self, name: str) -> str:
        return f"there is no chime {name[:64]!r} in {self.folder}; there are {', '.join(self.names())}"

    def _files(self) -> dict[str, str]:
        """The file of each name; of two, the one whose kind comes first in `_SUFFIXES`."""
        try:
            there = {entry.name for entry in self.folder.iterdir()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise OperatorFileError(
                f"{self.folder}: the chimes cannot be read ({error.strerror}); mend audio.chimes_dir or its permissions"
            ) from error
        found: dict[str, str] = {}
        for suffix in _SUFFIXES:
            for file in there:
                name = file.removesuffix(suffix)
                if name != file and NAME.fullmatch(name):
                    found.setdefault(name, file)
        return found

    def _version(self, file: str) -> str:
        """Another one whenever the file is; a link has its own, not that of what it leads to."""
        try:
            return f"{file} {file_version(self.folder / file, follow_links=False)}"
        except OSError as error:
            return str(error)

    def _sound(self, name: str, file: str) -> ChimeSound:
        version = self._version(file)
        if self._kept.get(name, ("",))[0] == version:
            self._kept.move_to_end(name)
            return self._kept[name][1]
        known = self._faults.get(file, ("", ""))
        if known[0] == version:
            raise OperatorFileError(known[1])
        try:
            sound = _read(self.folder, file)
        except OperatorFileError as error:
            self._faults[file] = version, str(error)
            log.warning("%s; lines are spoken without this chime", error)
            raise
        self._kept[name] = version, sound
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return sound


@contextmanager
def _opened(path: str | Path, flags: int, folder: int | None = None) -> Iterator[int]:
    opened = os.open(path, flags | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        yield opened
    finally:
        os.close(opened)


def _write(folder: Path, file: str, samples: Samples) -> None:
    """A new WAV file that all may read; no link leads root, who may do this, out of a folder of the service's."""
    sound = io.BytesIO()
    soundfile.write(sound, samples, RATE_HZ, format="WAV", subtype="PCM_16")
    with (
        _opened(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as inside,
        _opened(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, inside) as new,
    ):
        try:
            os.fchmod(new, 0o644)
            with os.fdopen(new, "wb", closefd=False) as out:
                out.write(sound.getvalue())
        except OSError:
            os.unlink(file, dir_fd=inside)
            raise


def _read(folder: Path, file: str) -> ChimeSound:
    """A sound file as mono S16, at its own rate. Raises OperatorFileError."""
    path = folder / file
    if path.is_symlink():
        raise OperatorFileError(f"{path}: is a link, and links are not followed; copy the file there")
    try:
        with (
            _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as folder_fd,
            open_regular(file, MOST_BYTES, follow_links=False, dir_fd=folder_fd) as opened,
            soundfile.SoundFile(opened.fileno(), closefd=False) as sound,
        ):
            return _decoded(path, sound)
    except OSError as error:
        fix = "use a shorter sound" if error.errno == errno.EFBIG else "replace it, or fix its permissions"
        raise OperatorFileError(f"{path}: cannot be used ({error.strerror}); {fix}") from error
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        said = str(error).rpartition(": ")[2].rstrip(".") or type(error).__name__
        raise OperatorFileError(f"{path}: is no sound ({said}); save it as WAV, FLAC or OGG") from error


def _decoded(path: Path, sound: soundfile.SoundFile) -> ChimeSound:
    rate_hz = sound.samplerate
    if sound.format not in _FORMATS:
        raise OperatorFileError(f"{path}: holds {sound.format}; save it as WAV, FLAC or OGG")
    if not _LEAST_HZ <= rate_hz <= _MOST_HZ or sound.channels > 2:
        raise OperatorFileError(
            f"{path}: has {sound.channels} channels at {rate_hz} Hz; save it in mono or stereo at 44100 or 48000 Hz"
        )
    most = int(MOST_S * rate_hz)
    # The length that a file claims is no bound for what is in it.
    mono = sound.read(most + 1, dtype="float32", always_2d=True).mean(axis=1)
    if len(mono) > most:
        raise OperatorFileError(f"{path}: is longer than {MOST_S:g} s; cut it")
    if not len(mono) or not np.isfinite(mono).all():
        raise OperatorFileError(f"{path}: holds no sound; put another one in its place")
    return to_int16(mono * INT16_FULL_SCALE), rate_hz
