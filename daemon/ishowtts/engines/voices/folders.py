"""Puts voices on the shelf and takes them off, so that a reader always finds a whole one or none."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile

from ishowtts import text
from ishowtts.engines.voices import settings as voice_settings
from ishowtts.engines.voices.clips import RATE_HZ, VoiceClip
from ishowtts.engines.voices.settings import VoiceSettings
from ishowtts.engines.voices.shelf import CLIPS, MOST_TEXT_BYTES, SETTINGS, TEXT, check_name
from ishowtts.errors import VoiceError
from ishowtts.util.files import make_folder, refuse_foreign

_OURS = {*CLIPS, TEXT, SETTINGS}
_LOCK_S = 10.0
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644  # root adds voices, and the service's user reads them


def check_words(words: str) -> str:
    """The words of a clip, cleaned. Raises VoiceError where there are none, or too many."""
    cleaned = text.clean(words)
    if not text.is_speakable(cleaned):
        raise VoiceError("the words that are said in the clip are missing; give them with --text or --text-file")
    if len(cleaned.encode()) >= MOST_TEXT_BYTES:
        raise VoiceError(f"the words are longer than {MOST_TEXT_BYTES} bytes; a clip of 12 s has about 200")
    return cleaned


def add(
    voices_dir: Path, name: str, clip: VoiceClip, words: str, settings: VoiceSettings, *, replace: bool = False
) -> Path:
    """Put a voice on the shelf: written beside it and renamed into place, on disk when this returns.

    With `replace` the former one is away for the moment between two renames.

    Raises:
        VoiceError: there is one of this name already (without `replace`), or the folder cannot be written.
    """
    check_name(name)
    folder = voices_dir / name
    with _problems_with(voices_dir):
        make_folder(voices_dir)
        new = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=voices_dir))
    try:
        with _problems_with(voices_dir):
            _fill(new, clip, words, settings)
            with _locked(voices_dir):
                if replace:
                    _refuse_foreign(folder)
                _put(new, folder, replace)
                _sync(voices_dir)
    finally:
        with _problems_with(voices_dir):
            _clear(new)
    return folder


def remove(voices_dir: Path, name: str) -> None:
    """Take a voice off the shelf. Only files of a voice are ever deleted.

    Raises:
        VoiceError: there is none, its folder holds other files or is a link, or it cannot be written.
    """
    check_name(name)
    folder = voices_dir / name
    missing = f"there is no folder {folder}; `ishowtts voices list` shows the voices there are"
    if not voices_dir.is_dir():
        raise VoiceError(missing)
    with _problems_with(voices_dir):
        refuse_foreign(voices_dir)
    with _problems_with(voices_dir), _locked(voices_dir):
        try:
            folder.lstat()
        except FileNotFoundError:
            raise VoiceError(missing) from None
        _refuse_foreign(folder)
        _take_off(folder)
        _sync(voices_dir)


def _fill(new: Path, clip: VoiceClip, words: str, settings: VoiceSettings) -> None:
    # FLAC at 24 bits: nothing is lost when the engine raises a quiet clip, at half of the size.
    soundfile.write(new / "reference.flac", clip.samples, RATE_HZ, subtype="PCM_24")
    (new / TEXT).write_text(words + "\n", encoding="utf-8")
    if said := voice_settings.dump(settings):
        (new / SETTINGS).write_text(said, encoding="utf-8")
    for file in new.iterdir():
        file.chmod(_FILE_MODE)
        _sync(file)
    new.chmod(_FOLDER_MODE)
    _sync(new)


def _put(new: Path, folder: Path, replace: bool) -> None:
    if replace and folder.exists():
        old = _aside(folder)
        try:
            folder.rename(old)
            new.rename(folder)
        except BaseException:  # an interrupt as well: the former voice is put back
            if not folder.exists():
                old.rename(folder)
            raise
        finally:
            if folder.exists():  # else the former voice could not be put back: it is not deleted
                _clear(old)
        return
    try:
        new.rename(folder)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise VoiceError(f"{folder} is there already; add --replace to put this voice in its place") from error
        raise


def _take_off(folder: Path) -> None:
    aside = _aside(folder)
    try:
        folder.rename(aside)
    finally:
        _clear(aside)


def _aside(folder: Path) -> Path:
    """An empty folder whose name is none of a voice: what is renamed to it is found by no reader, not even half."""
    return Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))


@contextmanager
def _locked(voices_dir: Path) -> Iterator[None]:
    """One writer at a time; the lock ends with its owner."""
    handle = os.open(voices_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ends_at = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > ends_at:
                    raise VoiceError(f"another program is changing {voices_dir}; try again when it is done") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _clear(folder: Path) -> None:
    """Delete a folder of ours, if it is there."""
    if not folder.exists():
        return
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _refuse_foreign(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise VoiceError(f"{folder} is a link or no folder; take it away by hand")
    with _problems_with(folder):
        entries = list(folder.iterdir()) if folder.exists() else []
        foreign = sorted(entry.name for entry in entries if entry.name not in _OURS or not _is_plain(entry))
    if foreign:
        raise VoiceError(f"{folder} holds {foreign[0]!r}, which is no part of a voice; move it elsewhere first")


def _is_plain(entry: Path) -> bool:
    return entry.is_symlink() or not entry.is_dir()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _problems_with(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, soundfile.SoundFileError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VoiceError(
            f"{folder} cannot be written ({reason}); run this as one who may write there, on a disk with room"
        ) from error
