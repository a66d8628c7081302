"""Finds what lies in the folder of the voices and is no voice, such as a folder `Anna` or a clip of another name."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ishowtts.engines.voices.voice_library import CLIPS, clip_of, entries_of
from ishowtts.limits import NAME, SOUND_SUFFIXES, as_name

_MAX_ENTRIES = 1000
_SOME_NAME = "voice"


class IgnoredFolder(NamedTuple):
    """A folder or file among the voices that is no voice."""

    path: Path
    why: str
    fix: str


def ignored_folders(voices_dir: Path) -> list[IgnoredFolder]:
    """Returns the entries of the folder of the voices that are no voice. Hidden ones are left out."""
    entries = entries_of(voices_dir)[:_MAX_ENTRIES]  # if it cannot be read, `VoiceLibrary.fault` says why
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
        name = as_name(entry.name) or _SOME_NAME
        return IgnoredFolder(
            entry, "the name of a voice has only a-z, 0-9, _ and -", f"mv {entry} {entry.parent / name}"
        )
    if clip_of(entry) is not None:
        return None
    wanted = " or ".join(CLIPS)
    sound = next((file for file in inside if Path(file).suffix.lower() in SOUND_SUFFIXES), None)
    if sound is None:
        return IgnoredFolder(
            entry, f"it holds no {wanted}", f"ishowtts voices add {entry.name} CLIP --text … --replace"
        )
    add = f"ishowtts voices add {entry.name} {sound} --text …"
    return IgnoredFolder(
        entry, f"its clip is named {sound}, and must be {wanted}", f"move {sound} elsewhere, then {add} --replace"
    )


def _loose_file(entry: Path) -> IgnoredFolder | None:
    if entry.suffix.lower() not in SOUND_SUFFIXES:
        return None  # a README is no mistake
    add = f"ishowtts voices add {as_name(entry.stem) or _SOME_NAME} {entry} --text …"
    return IgnoredFolder(entry, "a voice is a folder with a clip and its words", add)
