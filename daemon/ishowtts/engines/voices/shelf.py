"""The voices that there are: a clip, its words, its settings. Imports no torch, and no f5_tts."""

from __future__ import annotations

import errno
import importlib.util
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ishowtts.engines.voices import settings as voice_settings
from ishowtts.engines.voices.recordings import MOST_BYTES
from ishowtts.errors import VoiceError
from ishowtts.limits import NAME
from ishowtts.util.files import file_version, read_bounded

DEFAULT = "default"
CLIPS = ("reference.wav", "reference.flac")
TEXT = "reference.txt"
SETTINGS = "voice.yaml"
MOST_TEXT_BYTES = 4096
_TRIES = 5


@dataclass(frozen=True)
class Voice:
    """A clip of someone speaking, and what is said in it.

    Attributes:
        speed, nfe_step, language: as its `voice.yaml` has them; a line's own win.
        gain_db: what its sound is made louder by.
        version: another one whenever one of its files is.
    """

    name: str
    audio_path: Path
    text: str
    speed: float | None = None
    nfe_step: int | None = None
    gain_db: float | None = None
    language: str | None = None
    version: str = ""

    @property
    def gain(self) -> float:
        """`gain_db` as a factor."""
        return 1.0 if self.gain_db is None else float(10 ** (self.gain_db / 20))


class VoiceShelf:
    """The voices by name, looked up anew each time, so that a folder put there is a voice at once.

    Args:
        voices_dir: holds one folder a voice, with `reference.wav` or `.flac`, `reference.txt` and perhaps `voice.yaml`.
            `None`: only the clip that f5-tts brings, as `default`. A folder `default` takes that one's place. Links
            are followed within this folder only: one that leads out would let whoever may write here have the
            service read any file.
    """

    def __init__(self, voices_dir: Path | None) -> None:
        self._voices_dir = voices_dir
        self._read: dict[str, Voice] = {}

    def names(self) -> list[str]:
        """Names of the voices that `find` would look for, sorted; a folder without a clip is no voice."""
        return sorted({DEFAULT, *(folder.name for folder in self._folders())})

    def versions(self) -> dict[str, str]:
        """The version of each folder's voice, by name, also of those that `find` refuses."""
        return {folder.name: _version(folder) for folder in self._folders()}

    def find(self, name: str | None, default: str = DEFAULT) -> Voice:
        """The voice of this name (`None`: the default one).

        Raises:
            VoiceError: there is none, or its words or settings cannot be read.
        """
        wanted = default if name is None else name
        check_name(wanted)
        folder = self._voices_dir / wanted if self._voices_dir is not None else None
        if folder is not None and _clip(folder) is not None:
            return self._look_up(wanted, folder)
        if wanted == DEFAULT:
            return _packaged()
        raise VoiceError(f"there is no voice {wanted!r}; there are {', '.join(self.names())}")

    def language(self, name: str | None, default: str = DEFAULT) -> str | None:
        """The language of a voice; `None` where it does not say, or cannot be read."""
        try:
            return self.find(name, default).language
        except VoiceError:
            return None

    def _look_up(self, name: str, folder: Path) -> Voice:
        for _ in range(_TRIES):
            version = _version(folder)
            voice = self._read.get(name)
            if voice is not None and voice.version == version:
                return voice
            try:
                self._read[name] = _read(name, folder, version)
            except VoiceError:
                if _version(folder) == version:
                    raise  # else the files changed meanwhile, and are read again
        raise VoiceError(f"the files of the voice {name!r} change while they are read; wait until they are copied")

    def fault(self) -> str | None:
        """Why the folder of the voices cannot be read; `None` where it can, or is not there yet."""
        try:
            if self._voices_dir is not None:
                next(self._voices_dir.iterdir(), None)
        except FileNotFoundError:
            return None
        except OSError as error:
            return (
                f"{self._voices_dir} cannot be read ({error.strerror}); give this user access, or name another folder"
            )
        return None

    def _folders(self) -> Iterator[Path]:
        if self._voices_dir is None:
            return
        try:
            entries = list(self._voices_dir.iterdir())
        except OSError:
            return  # a missing folder is a shelf without voices of its own
        for entry in entries:
            if NAME.fullmatch(entry.name) and _clip(entry) is not None:
                yield entry


def check_name(name: str) -> None:
    """Raises VoiceError for what cannot be a voice's name, and so never leads to another folder."""
    if not NAME.fullmatch(name):
        raise VoiceError(f"{name[:64]!r} is no name of a voice: use a-z, 0-9, _ and -, 64 at most")


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
    text = "Some call me nature, others call me mother nature."
    return Voice(DEFAULT, clip, text, version="packaged")


def _clip(folder: Path) -> Path | None:
    return next((path for clip in CLIPS if _is_file(path := folder / clip)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # a folder that this user may not enter is no voice for it


def _version(folder: Path) -> str:
    """Names, sizes, times and inodes of the files: no sound is read for it."""
    parts = []
    for name in (*CLIPS, TEXT, SETTINGS):
        try:
            parts.append(f"{name} {file_version(folder / name)}")
        except OSError:
            continue
    return "; ".join(parts)


def _read(name: str, folder: Path, version: str) -> Voice:
    clip = _clip(folder)
    if clip is None:
        raise VoiceError(f"the voice {name!r} has just lost its clip; put {CLIPS[0]} back into {folder}")
    words, settings_file = folder / TEXT, folder / SETTINGS
    for path in (clip, words, settings_file):
        _refuse_strange(path, folder.parent)
    text = _words(words, clip.name)
    settings = voice_settings.read(settings_file) if settings_file.exists() else voice_settings.VoiceSettings()
    return Voice(
        name, clip, text, settings.speed, settings.nfe_step, settings.gain_db, settings.language, version
    )  # fmt: skip


def _refuse_strange(path: Path, voices_dir: Path) -> None:
    """Nothing outside the folder of the voices is read, nor what could keep a reader waiting, such as a pipe."""
    try:
        real = path.resolve(strict=True)
        found = real.stat()
    except (OSError, RuntimeError):  # missing, or a link in a circle: reading it tells so
        return
    if not real.is_relative_to(voices_dir.resolve()):
        raise VoiceError(f"{path} is a link that leads out of {voices_dir}; copy the file there")
    if not stat.S_ISREG(found.st_mode):
        raise VoiceError(f"{path} is no ordinary file; put one in its place")
    if found.st_size > MOST_BYTES:
        raise VoiceError(f"{path} is larger than {MOST_BYTES // 1_000_000} MB; a clip is 2 to 12 s long")


def _words(path: Path, clip: str) -> str:
    try:
        text = " ".join(read_bounded(path, MOST_TEXT_BYTES).decode("utf-8-sig").split())
    except FileNotFoundError:
        raise VoiceError(f"{path} is missing: write into it what is said in {clip}") from None
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise VoiceError(f"{path} must hold what is said in {clip}, and holds too much") from error
        raise VoiceError(f"{path} cannot be read as UTF-8 text; save it as UTF-8, readable for the service") from error
    if not text:
        raise VoiceError(f"{path} must hold what is said in {clip}, and holds nothing")
    return text
