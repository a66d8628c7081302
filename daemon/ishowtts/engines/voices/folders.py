"""Adds and removes voices atomically: a reader always finds a complete voice or none."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile

from ishowtts import text
from ishowtts.engines.voices import settings as voice_settings
from ishowtts.engines.voices.clips import RATE_HZ, VoiceClip
from ishowtts.engines.voices.settings import VoiceSettings
from ishowtts.engines.voices.voice_library import CLIPS, MOST_TEXT_BYTES, SETTINGS, TEXT, check_name
from ishowtts.errors import VoiceError
from ishowtts.util.exchange import exchange
from ishowtts.util.file_lock import lock_file
from ishowtts.util.files import make_folder, refuse_foreign

_VOICE_FILES = {*CLIPS, TEXT, SETTINGS}
_LOCK_S = 10.0
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644  # root adds voices, and the service's user reads them


def check_words(words: str) -> str:
    """Returns the words of a clip, cleaned. Raises VoiceError if there are none, or too many."""
    cleaned = text.clean(words)
    if not text.is_speakable(cleaned):
        raise VoiceError("the words of the clip are missing; give them with --text or --text-file")
    if len(cleaned.encode()) >= MOST_TEXT_BYTES:
        raise VoiceError(f"the words are longer than {MOST_TEXT_BYTES} bytes; a clip of 12 s has about 200")
    return cleaned


def check_free(voices_dir: Path, name: str, *, replace: bool) -> None:
    """Raises VoiceError if there is already a voice of this name that may not be replaced; `add` checks that too."""
    folder = voices_dir / name
    if not replace and os.path.lexists(folder):
        raise _taken(folder)


def add(
    voices_dir: Path, name: str, clip: VoiceClip, words: str, settings: VoiceSettings, *, replace: bool = False
) -> Path:
    """Adds a voice: writes it to a temporary folder and renames that. It is synced to disk when this returns.

    With `replace`, both voices change places in one step. Only on a file system that cannot do that, the voice is
    missing for the moment between two renames, and a power cut then leaves it in a hidden folder beside.

    Raises:
        VoiceError: there is already one of this name (without `replace`), or the folder cannot be written.
    """
    check_name(name)
    folder = voices_dir / name
    with _voice_errors(voices_dir):
        make_folder(voices_dir)
        new = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=voices_dir))
    try:
        with _voice_errors(voices_dir):
            _write_files(new, clip, words, settings)
            with _locked(voices_dir):
                if replace:
                    _refuse_foreign(folder)
                _rename_into_place(new, folder, replace)
                _sync(voices_dir)  # before the old voice is deleted, which is in `new` after an exchange
    finally:
        with _voice_errors(voices_dir):
            _clear(new)
    return folder


def remove(voices_dir: Path, name: str) -> None:
    """Removes a voice. It deletes only files of a voice.

    Raises:
        VoiceError: there is no such voice, its folder holds other files or is a link, or the folder cannot be written.
    """
    check_name(name)
    folder = voices_dir / name
    missing = f"there is no folder {folder}; `ishowtts voices list` shows the voices"
    if not voices_dir.is_dir():
        raise VoiceError(missing)
    with _voice_errors(voices_dir):
        refuse_foreign(voices_dir)
    with _voice_errors(voices_dir), _locked(voices_dir):
        try:
            folder.lstat()
        except FileNotFoundError:
            raise VoiceError(missing) from None
        _refuse_foreign(folder)
        _delete(folder)
        _sync(voices_dir)


def _write_files(new: Path, clip: VoiceClip, words: str, settings: VoiceSettings) -> None:
    # 24-bit FLAC: nothing is lost if the engine amplifies a quiet clip, at half the size of WAV.
    soundfile.write(new / "reference.flac", clip.samples, RATE_HZ, subtype="PCM_24")
    (new / TEXT).write_text(words + "\n", encoding="utf-8")
    if content := voice_settings.dump(settings):
        (new / SETTINGS).write_text(content, encoding="utf-8")
    for file in new.iterdir():
        file.chmod(_FILE_MODE)
        _sync(file)
    new.chmod(_FOLDER_MODE)
    _sync(new)


def _rename_into_place(new: Path, folder: Path, replace: bool) -> None:
    if replace and folder.exists():
        if exchange(new, folder):
            return
        old = _hidden_folder(folder)
        try:
            folder.rename(old)
            new.rename(folder)
        except BaseException:  # also an interrupt: the old voice is restored
            if not folder.exists():
                old.rename(folder)
            raise
        finally:
            if folder.exists():  # otherwise the old voice could not be restored, and is not deleted
                _clear(old)
        return
    try:
        new.rename(folder)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise _taken(folder) from error
        raise


def _taken(folder: Path) -> VoiceError:
    return VoiceError(f"{folder} already exists; add --replace to replace that voice")


def _delete(folder: Path) -> None:
    hidden = _hidden_folder(folder)
    try:
        folder.rename(hidden)
    finally:
        _clear(hidden)


def _hidden_folder(folder: Path) -> Path:
    """Creates an empty folder whose name is not a voice's name: no reader finds what is renamed to it."""
    return Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))


@contextmanager
def _locked(voices_dir: Path) -> Iterator[None]:
    """Lets one writer in at a time. The kernel releases the lock when its owner ends."""
    handle = os.open(voices_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not lock_file(handle, _LOCK_S):
            raise VoiceError(f"another program is changing {voices_dir}; try again when it is done")
        yield
    finally:
        os.close(handle)


def _clear(folder: Path) -> None:
    """Deletes a folder of voice files, if it exists."""
    if not folder.exists():
        return
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _refuse_foreign(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise VoiceError(f"{folder} is a link or not a folder; remove it by hand")
    with _voice_errors(folder):
        entries = list(folder.iterdir()) if folder.exists() else []
        foreign = sorted(entry.name for entry in entries if entry.name not in _VOICE_FILES or not _is_removable(entry))
    if foreign:
        raise VoiceError(f"{folder} holds {foreign[0]!r}, which does not belong to a voice; move it elsewhere first")


def _is_removable(entry: Path) -> bool:
    return entry.is_symlink() or not entry.is_dir()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _voice_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, soundfile.SoundFileError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VoiceError(
            f"{folder} cannot be written ({reason}); run this as a user who may write there, and check the free space"
        ) from error
