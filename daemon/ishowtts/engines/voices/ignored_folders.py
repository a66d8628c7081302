"""Finds what lies in the folder of the voices and is no voice, such as a folder `Anna` or a clip of another name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ishowtts.engines.voices.voice_library import CLIPS
from ishowtts.limits import NAME

_SOUND_SUFFIXES = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm", ".3gp", ".amr", ".aiff",
)  # fmt: skip
_MAX_ENTRIES = 1000


class IgnoredFolder(NamedTuple):
    """A folder or file among the voices that is no voice."""

    path: Path
    why: str
    fix: str


def ignored_folders(voices_dir: Path) -> list[IgnoredFolder]:
    """Returns the entries of the folder of the voices that are no voice. Hidden ones are left out."""
    try:
        entries = sorted(voices_dir.iterdir())[:_MAX_ENTRIES]
    except OSError:
        return []  # `VoiceLibrary.fault` says why
    return [found for entry in entries if not entry.name.startswith(".") and (found := _examined(entry))]


def _examined(entry: Path) -> IgnoredFolder | None:
    """Returns why an entry is no voice; `None` if it is one."""
    try:
        inside = sorted(file.name for file in entry.iterdir())
    except NotADirectoryError:
        return _loose_file(entry)
    except OSError as error:
        return IgnoredFolder(entry, f"it cannot be read ({error.strerror})", "let the user of the daemon read it")
    if not NAME.fullmatch(entry.name):
        name = _as_name(entry.name)
        return IgnoredFolder(
            entry, "the name of a voice has only a-z, 0-9, _ and -", f"mv {entry} {entry.parent / name}"
        )
    if any(clip in inside for clip in CLIPS):
        return None
    wanted = " or ".join(CLIPS)
    sound = next((file for file in inside if Path(file).suffix.lower() in _SOUND_SUFFIXES), None)
    if sound is None:
        return IgnoredFolder(
            entry, f"it holds no {wanted}", f"ishowtts voices add {entry.name} CLIP --text … --replace"
        )
    add = f"ishowtts voices add {entry.name} {sound} --text …"
    return IgnoredFolder(
        entry, f"its clip is named {sound}, and must be {wanted}", f"move {sound} elsewhere, then {add} --replace"
    )


def _loose_file(entry: Path) -> IgnoredFolder | None:
    if entry.suffix.lower() not in _SOUND_SUFFIXES:
        return None  # a README is no mistake
    add = f"ishowtts voices add {_as_name(entry.stem)} {entry} --text …"
    return IgnoredFolder(entry, "a voice is a folder with a clip and its words", add)


def _as_name(written: str) -> str:
    """Returns a valid name of a voice that is like this one."""
    return re.sub(r"[^a-z0-9_-]+", "-", written.lower()).strip("-")[:64] or "voice"
