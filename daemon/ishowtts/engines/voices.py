"""The voices that there are: a clip and its words. Imports no torch, and no f5_tts."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ishowtts.errors import VoiceError

DEFAULT = "default"
_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_CLIPS = ("reference.wav", "reference.flac")
_TEXT = "reference.txt"
_MOST_TEXT_BYTES = 4096


@dataclass(frozen=True)
class Voice:
    """A clip of someone speaking, and what is said in it."""

    name: str
    audio_path: Path
    text: str


class VoiceShelf:
    """The voices by name, looked up anew each time, so that a folder put there is a voice at once.

    Args:
        voices_dir: holds one folder a voice, with `reference.wav` or `.flac` and `reference.txt`. `None`: only the
            clip that f5-tts brings, as `default`. A folder `default` takes that one's place.
    """

    def __init__(self, voices_dir: Path | None) -> None:
        self._voices_dir = voices_dir

    def names(self) -> list[str]:
        """Names of the voices that `find` would look for, sorted; a folder without a clip is no voice."""
        return sorted({DEFAULT, *self._folders()})

    def find(self, name: str | None, default: str = DEFAULT) -> Voice:
        """The voice of this name (`None`: the default one).

        Raises:
            VoiceError: there is none, or its words cannot be read.
        """
        wanted = default if name is None else name
        if self._voices_dir is not None and wanted in self._folders():
            return _read(wanted, self._voices_dir / wanted)
        if wanted == DEFAULT:
            return _packaged()
        if not _NAME.fullmatch(wanted):
            raise VoiceError(f"{wanted[:64]!r} is no name of a voice: use a-z, 0-9, _ and -, 64 at most")
        raise VoiceError(f"there is no voice {wanted!r}; there are {', '.join(self.names())}")

    def _folders(self) -> Iterator[str]:
        if self._voices_dir is None:
            return
        try:
            entries = list(self._voices_dir.iterdir())
        except OSError:
            return  # a missing folder is a shelf without voices of its own
        for entry in entries:
            if _NAME.fullmatch(entry.name) and any((entry / clip).is_file() for clip in _CLIPS):
                yield entry.name


def f5_tts_data(name: str) -> Path:
    """A file inside the f5-tts package, found without importing it. Raises VoiceError where it is not installed."""
    spec = importlib.util.find_spec("f5_tts")
    if spec is None or not spec.submodule_search_locations:
        raise VoiceError("the package f5-tts, which brings the default voice, is not installed; run install.sh again")
    return Path(spec.submodule_search_locations[0]) / name


def _packaged() -> Voice:
    clip = f5_tts_data("infer/examples/basic/basic_ref_en.wav")
    if not clip.is_file():
        raise VoiceError(f"{clip} is missing, the clip of the default voice; run install.sh again")
    return Voice(DEFAULT, clip, "Some call me nature, others call me mother nature.")


def _read(name: str, folder: Path) -> Voice:
    clip = next(folder / clip for clip in _CLIPS if (folder / clip).is_file())
    words = folder / _TEXT
    try:
        text = " ".join(words.read_text(encoding="utf-8-sig").split())
    except FileNotFoundError:
        raise VoiceError(f"{words} is missing: write into it what is said in {clip.name}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise VoiceError(f"{words} cannot be read as UTF-8 text; save it as UTF-8, readable for the service") from error
    if not text or len(text.encode()) > _MOST_TEXT_BYTES:
        raise VoiceError(
            f"{words} must hold what is said in {clip.name}, and holds {'nothing' if not text else 'too much'}"
        )
    return Voice(name, clip, text)
