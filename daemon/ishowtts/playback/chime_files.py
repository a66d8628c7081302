"""Finds chimes by name: the operator's sound files in one folder, and the built-in default chime."""

from __future__ import annotations

import errno
import io
import logging
import os
import shlex
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from ishowtts.config import Config
from ishowtts.errors import OperatorFileError
from ishowtts.limits import NAME, SOUND_SUFFIXES, as_name
from ishowtts.model import Samples
from ishowtts.playback.tones import bell_chime
from ishowtts.util.files import file_version, make_folder, open_regular
from ishowtts.util.samples import INT16_FULL_SCALE, to_int16

log = logging.getLogger(__name__)

DEFAULT = "default"
RATE_HZ = 24_000
MAX_BYTES = 10_000_000
MAX_S = 10.0
_SUFFIXES = (".wav", ".flac", ".ogg")
_FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG")
_MIN_HZ, _MAX_HZ = 8_000, 192_000
_MAX_LOADED = 8  # sounds in memory, at most 4 MB each

ChimeSound = tuple[Samples, int]
"""Samples, and their rate in Hz."""


class ChimeFiles:
    """The chimes by name. The folder is read for each request, so a new file is a chime at once. Thread-safe.

    A name is compared with the files that exist, and never made into a path. Links are not followed: whoever may write
    into the folder could make the service read any file.

    Args:
        folder: Holds `<name>.wav`, `.flac` or `.ogg`, with names of a-z, 0-9, _ and -. It does not need to exist.
            `default` is the built-in chime if the folder has no such file.
        wanted: The name that the configuration asks for. If that chime does not exist, `fault` says so.
    """

    @classmethod
    def from_config(cls, config: Config) -> ChimeFiles:
        """The chimes of a configuration."""
        chime = config.audio.chime
        return cls(config.chimes_folder, DEFAULT if chime is True else chime or None)

    def __init__(self, folder: Path, wanted: str | None = None) -> None:
        self.folder = folder
        self._wanted = wanted
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, tuple[str, ChimeSound]] = OrderedDict()  # by name, with the file's version
        self._faults: dict[str, tuple[str, str]] = {}  # by file name: version and sentence

    def names(self) -> list[str]:
        """Returns the names of all chimes, sorted. Some of their files may be unusable."""
        try:
            return sorted({DEFAULT, *self._files()})
        except OperatorFileError:
            return [DEFAULT]

    def find(self, name: str) -> ChimeSound:
        """Returns the chime of this name. An error of a file is logged once for each change of the file.

        Raises:
            OperatorFileError: There is no such chime, or its file cannot be used.
        """
        with self._lock:
            files = self._files()
            if name in files:
                return self._sound(name, files[name])
        if name == DEFAULT:
            return bell_chime(RATE_HZ), RATE_HZ
        raise OperatorFileError(self._no_chime(name))

    def path(self, name: str) -> Path | None:
        """Returns the path of a chime's file; `None` if it has none. Raises OperatorFileError."""
        file = self._files().get(name)
        return None if file is None else self.folder / file

    def ignored(self) -> dict[str, tuple[str, str]]:
        """Returns the sound files of the folder that no line can name, each with the reason and the fix.

        Raises:
            OperatorFileError: The folder cannot be read.
        """
        used = set(self._files().values())
        try:
            there = sorted(entry.name for entry in self.folder.iterdir() if entry.is_file())
        except FileNotFoundError:
            return {}
        others = (file for file in there if file not in used and not file.startswith("."))
        return {file: _why_ignored(file) for file in others if file.lower().endswith(SOUND_SUFFIXES)}

    @property
    def fault(self) -> str | None:
        """Why a chime that was asked for cannot be played; `None` once that is fixed."""
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
            sentences.append(f"audio.chime: {self._no_chime(self._wanted)}")
        return "; ".join(sentences) or None

    def make(self) -> Path | None:
        """Writes the built-in chime into the folder as `default.wav`. Returns `None` if a default exists already.

        Raises:
            OperatorFileError: The file cannot be written.
        """
        if self.path(DEFAULT) is not None:
            return None
        made = self.folder / f"{DEFAULT}.wav"
        try:
            make_folder(self.folder)
            _write(self.folder, made.name, bell_chime(RATE_HZ))
        except OSError as error:
            raise OperatorFileError(f"{made}: cannot be written ({error.strerror}); fix its folder") from error
        return made

    def _no_chime(self, name: str) -> str:
        return f"there is no chime {name[:64]!r} in {self.folder}; the chimes are {', '.join(self.names())}"

    def _files(self) -> dict[str, str]:
        """Returns the file of each name. If a name has several files, the order of `_SUFFIXES` decides."""
        try:
            there = {entry.name for entry in self.folder.iterdir()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise OperatorFileError(
                f"{self.folder}: the chimes cannot be read ({error.strerror}); fix audio.chimes_dir or its permissions"
            ) from error
        found: dict[str, str] = {}
        for suffix in _SUFFIXES:
            for file in there:
                name = file.removesuffix(suffix)
                if name != file and NAME.fullmatch(name):
                    found.setdefault(name, file)
        return found

    def _version(self, file: str) -> str:
        """Returns the version of the file, or the error if it has none. A link has its own version."""
        try:
            return f"{file} {file_version(self.folder / file, follow_links=False)}"
        except OSError as error:
            return str(error)

    def _sound(self, name: str, file: str) -> ChimeSound:
        version = self._version(file)
        if self._loaded.get(name, ("",))[0] == version:
            self._loaded.move_to_end(name)
            return self._loaded[name][1]
        known = self._faults.get(file, ("", ""))
        if known[0] == version:
            raise OperatorFileError(known[1])
        try:
            sound = _read(self.folder, file)
        except OperatorFileError as error:
            self._faults[file] = version, str(error)
            log.warning("%s; lines are spoken without this chime", error)
            raise
        self._loaded[name] = version, sound
        while len(self._loaded) > _MAX_LOADED:
            self._loaded.popitem(last=False)
        return sound


def _why_ignored(file: str) -> tuple[str, str]:
    """Returns why a file is no chime, and the fix."""
    stem, suffix = os.path.splitext(file)  # noqa: PTH122 - Path(".wav") has no suffix
    name = as_name(stem) or "chime"
    if suffix.lower() not in _SUFFIXES:
        return "a chime is a WAV, FLAC or OGG file", f"convert it: ffmpeg -i {shlex.quote(file)} {name}.wav"
    if suffix.lower() != suffix or not NAME.fullmatch(stem):
        return (
            "the name of a chime has only a-z, 0-9, _ and -, and ends with .wav, .flac or .ogg in small letters",
            f"rename it to {name}{suffix.lower()}",
        )
    return f"another file has the name {stem} already", "rename or remove one of them"


@contextmanager
def _open_fd(path: str | Path, flags: int, folder: int | None = None) -> Iterator[int]:
    opened = os.open(path, flags | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        yield opened
    finally:
        os.close(opened)


def _write(folder: Path, file: str, samples: Samples) -> None:
    """Creates a WAV file that everybody may read. No link can redirect root, who may run this, to another folder."""
    sound = io.BytesIO()
    soundfile.write(sound, samples, RATE_HZ, format="WAV", subtype="PCM_16")
    with (
        _open_fd(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as folder_fd,
        _open_fd(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, folder_fd) as new,
    ):
        try:
            os.fchmod(new, 0o644)
            with os.fdopen(new, "wb", closefd=False) as out:
                out.write(sound.getvalue())
        except OSError:
            os.unlink(file, dir_fd=folder_fd)
            raise


def _read(folder: Path, file: str) -> ChimeSound:
    """Reads a sound file as mono int16 at its own rate. Raises OperatorFileError."""
    path = folder / file
    if path.is_symlink():
        raise OperatorFileError(f"{path}: is a link, and links are not followed; copy the file there")
    try:
        with (
            _open_fd(folder, os.O_RDONLY | os.O_DIRECTORY) as folder_fd,
            open_regular(file, MAX_BYTES, follow_links=False, dir_fd=folder_fd) as opened,
            soundfile.SoundFile(opened.fileno(), closefd=False) as sound,
        ):
            return _decoded(path, sound)
    except OSError as error:
        fix = "use a shorter sound" if error.errno == errno.EFBIG else "replace it, or fix its permissions"
        raise OperatorFileError(f"{path}: cannot be used ({error.strerror}); {fix}") from error
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        problem = str(error).rpartition(": ")[2].rstrip(".") or type(error).__name__
        raise OperatorFileError(f"{path}: is not a sound ({problem}); save it as WAV, FLAC or OGG") from error


def _decoded(path: Path, sound: soundfile.SoundFile) -> ChimeSound:
    rate_hz = sound.samplerate
    if sound.format not in _FORMATS:
        raise OperatorFileError(f"{path}: holds {sound.format}; save it as WAV, FLAC or OGG")
    if not _MIN_HZ <= rate_hz <= _MAX_HZ or sound.channels > 2:
        raise OperatorFileError(
            f"{path}: has {sound.channels} channels at {rate_hz} Hz; save it in mono or stereo at 44100 or 48000 Hz"
        )
    max_samples = int(MAX_S * rate_hz)
    # A file may hold more samples than its header says.
    mono = sound.read(max_samples + 1, dtype="float32", always_2d=True).mean(axis=1)
    if len(mono) > max_samples:
        raise OperatorFileError(f"{path}: is longer than {MAX_S:g} s; shorten it")
    if not len(mono) or not np.isfinite(mono).all():
        raise OperatorFileError(f"{path}: holds no sound; replace it")
    return to_int16(mono * INT16_FULL_SCALE), rate_hz
