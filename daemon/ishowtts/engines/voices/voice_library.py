"""Finds voices on disk: a clip, its words and its settings. Imports neither torch nor f5_tts."""

from __future__ import annotations

import errno
import math
import stat
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ishowtts.config import Config
from ishowtts.engines.espeak_voices import voice_language
from ishowtts.engines.voices import settings as voice_settings
from ishowtts.engines.voices.recordings import MAX_BYTES
from ishowtts.errors import VoiceError
from ishowtts.limits import MAX_NAME_CHARS, NAME, as_name
from ishowtts.util.files import file_version, read_bounded
from ishowtts.util.known_names import closest, listed
from ishowtts.util.package_files import package_file

DEFAULT = "default"
UPLOADED = "uploaded-voices"
"""Name of the folder in `state_dir` that holds the voices that came over MQTT."""
CLIPS = ("reference.wav", "reference.flac")
TEXT = "reference.txt"
SETTINGS = "voice.yaml"
MOST_TEXT_BYTES = 4096
_READ_ATTEMPTS = 5
_LISTED_AGE_S = 1.0  # to list 500 voices takes 6 ms, and a flood of unknown names must not keep a thread busy


@dataclass(frozen=True)
class Voice:
    """A reference clip and the words that are spoken in it.

    Attributes:
        name: name of the voice.
        audio_path: the clip.
        text: the words of the clip.
        speed, nfe_step, language: defaults from its `voice.yaml`; the fields of a line override them.
        gain_db: gain that is applied to its sound after loudness normalisation.
        version: changes whenever one of its files changes.
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
        """`gain_db` as a linear factor."""
        return 1.0 if self.gain_db is None else float(10 ** (self.gain_db / 20))


class VoiceLibrary:
    """Finds voices by name. It reads the disk on each call, so that a new folder is a voice at once.

    Args:
        voices_dir: holds one folder per voice, with `reference.wav` or `.flac`, `reference.txt` and optionally
            `voice.yaml`. `None`: only the clip of the package f5-tts, as `default`. A folder `default` overrides it.
            Links are followed only within `voices_dir`: otherwise everybody who may write there could make the
            service read any file.
        uploaded_dir: holds the voices that came over MQTT, in the same form. A voice of `voices_dir` wins over one of
            the same name, and none here can be `default`.
    """

    def __init__(self, voices_dir: Path | None, uploaded_dir: Path | None = None) -> None:
        self._voices_dir = voices_dir
        self._uploaded_dir = uploaded_dir
        self._voices: dict[str, Voice] = {}
        self._listed: list[str] = []
        self._listed_s = -math.inf

    def names(self) -> list[str]:
        """Returns the sorted names of all voices. A folder without a clip is not a voice."""
        return sorted({DEFAULT, *(folder.name for folder in self._folders())})

    def has(self, name: str) -> bool:
        """Returns whether there is such a voice. The time does not depend on how many there are."""
        return name == DEFAULT or self._folder_of(name) is not None

    def listed(self) -> list[str]:
        """Returns the names for a sentence: as `names`, but up to a second old."""
        now_s = time.monotonic()
        if now_s - self._listed_s >= _LISTED_AGE_S:
            self._listed, self._listed_s = self.names(), now_s
        return self._listed

    def uploaded_names(self) -> list[str]:
        """Returns the sorted names of the voices that came over MQTT, without those that `voices_dir` replaces."""
        return sorted(folder.name for folder in self._folders() if folder.parent == self._uploaded_dir)

    def is_uploaded(self, name: str) -> bool:
        """Returns whether the voice of this name came over MQTT."""
        folder = self._folder_of(name)
        return folder is not None and folder.parent == self._uploaded_dir

    def versions(self) -> dict[str, str]:
        """Returns the version of each folder's voice, by name, including voices that `find` refuses."""
        return {folder.name: _version(folder) for folder in self._folders()}

    def find(self, name: str | None, default: str = DEFAULT) -> Voice:
        """Returns the voice of this name (`None`: the default one).

        Raises:
            VoiceError: there is no such voice, or its words or settings cannot be read.
        """
        wanted = default if name is None else name
        if not NAME.fullmatch(wanted) and (meant := _close_name(wanted, self.listed())):
            raise VoiceError(f"there is no voice {wanted[:64]!r}; did you mean {meant!r}?")
        check_name(wanted)
        if (folder := self._folder_of(wanted)) is not None:
            return self._look_up(wanted, folder)
        if wanted == DEFAULT:
            return _packaged()
        names = [name for name in self.listed() if name != wanted]
        meant = _close_name(wanted, names)
        hint = f"did you mean {meant!r}? The voices are" if meant else "the voices are"
        raise VoiceError(f"there is no voice {wanted!r}; {hint} {listed(names)}")

    def language(self, name: str | None, default: str = DEFAULT) -> str | None:
        """Returns the language of a voice; `None` if its settings name none or cannot be read."""
        try:
            return self.find(name, default).language
        except VoiceError:
            return None

    def _folder_of(self, name: str) -> Path | None:
        """Returns the folder of a voice; `None` if there is none, or if this is not a valid name."""
        if not NAME.fullmatch(name):
            return None
        uploaded_dir = None if name == DEFAULT else self._uploaded_dir
        places = (place for place in (self._voices_dir, uploaded_dir) if place is not None)
        return next((folder for place in places if clip_of(folder := place / name) is not None), None)

    def _look_up(self, name: str, folder: Path) -> Voice:
        for _ in range(_READ_ATTEMPTS):
            version = _version(folder)
            voice = self._voices.get(name)
            if voice is not None and voice.version == version:
                return voice
            try:
                self._voices[name] = _read_voice(name, folder, version)
            except VoiceError:
                if _version(folder) == version:
                    raise  # otherwise the files changed during the read, and are read again
        raise VoiceError(f"the files of the voice {name!r} changed while they were read; wait until they are copied")

    def fault(self) -> str | None:
        """Returns why the folder of the voices cannot be read; `None` if it can be read or does not exist yet."""
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
        uploaded = _voices_in(self._uploaded_dir)
        uploaded.pop(DEFAULT, None)
        yield from (uploaded | _voices_in(self._voices_dir)).values()


class VoiceNames(Collection[str]):
    """The names of the voices now. Whether one is among them is looked up; the others are up to a second old."""

    def __init__(self, library: VoiceLibrary) -> None:
        self._library = library

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._library.has(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._library.listed())

    def __len__(self) -> int:
        return len(self._library.listed())


def _close_name(wanted: str, known: list[str]) -> str | None:
    """Returns the name of the voice that is probably meant by another name; `None` if no name is close."""
    return closest(as_name(wanted[:MAX_NAME_CHARS]), known, cutoff=0.7)


def voices_folder(config: Config) -> Path:
    """Returns the folder that holds the voices: `engine.f5.voices_dir`, or `voices` in the data folder."""
    return config.engine.f5.voices_dir or config.data_folder / "voices"


def uploaded_voices_folder(config: Config) -> Path:
    """Returns the folder that holds the voices that came over MQTT. The daemon writes it, unlike `voices_folder`.

    Not `voices` in `state_dir`: in a run by hand that is `voices_folder`, whose voices nobody may change over MQTT.
    """
    return config.state_dir / UPLOADED


def open_voice_library(config: Config) -> VoiceLibrary:
    """Returns the voices that lines may ask for."""
    return VoiceLibrary(voices_folder(config), uploaded_voices_folder(config))


def language_lookup(config: Config, library: VoiceLibrary) -> Callable[[str | None], str | None]:
    """Returns a function from a voice's name to its language; if that is unknown, to that of `engine.espeak_voice`."""
    default = voice_language(config.engine.espeak_voice)
    return lambda voice: library.language(voice, config.engine.f5.default_voice) or default


def check_name(name: str) -> None:
    """Raises VoiceError if this is not a valid name of a voice. A valid name cannot lead to another folder."""
    if not NAME.fullmatch(name):
        raise VoiceError(f"{name[:64]!r} is not a valid name of a voice: use at most 64 of a-z, 0-9, _ and -")


def f5_tts_data(name: str) -> Path:
    """Returns a file of the package f5-tts without importing it. Raises VoiceError if it is not installed."""
    path = package_file("f5_tts", name)
    if path is None:
        raise VoiceError("the package f5-tts, which contains the default voice, is not installed; run install.sh again")
    return path


def _packaged() -> Voice:
    clip = f5_tts_data("infer/examples/basic/basic_ref_en.wav")
    if not clip.is_file():
        raise VoiceError(f"{clip}, the clip of the default voice, is missing; run install.sh again")
    text = "Some call me nature, others call me mother nature."
    return Voice(DEFAULT, clip, text, version="packaged")


def _voices_in(voices_dir: Path | None) -> dict[str, Path]:
    """Returns the folders of the voices, by name."""
    entries = [] if voices_dir is None else entries_of(voices_dir)
    return {entry.name: entry for entry in entries if NAME.fullmatch(entry.name) and clip_of(entry) is not None}


def entries_of(voices_dir: Path) -> list[Path]:
    """Returns what is in the folder of the voices, sorted. If it cannot be read, only the packaged voice exists."""
    try:
        return sorted(voices_dir.iterdir())
    except OSError:
        return []


def clip_of(folder: Path) -> Path | None:
    """Returns the clip in the folder of a voice; `None` if it holds none."""
    return next((path for clip in CLIPS if _is_file(path := folder / clip)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # a folder that this user may not enter counts as no voice


def _version(folder: Path) -> str:
    """Returns names, sizes, times and inodes of the files. It reads no sound."""
    parts = []
    for name in (*CLIPS, TEXT, SETTINGS):
        try:
            parts.append(f"{name} {file_version(folder / name)}")
        except OSError:
            continue
    return "; ".join(parts)


def _read_voice(name: str, folder: Path, version: str) -> Voice:
    clip = clip_of(folder)
    if clip is None:
        raise VoiceError(f"the clip of the voice {name!r} was removed; put {CLIPS[0]} back into {folder}")
    words_file, settings_file = folder / TEXT, folder / SETTINGS
    for path in (clip, words_file, settings_file):
        _check_file(path, folder.parent)
    text = _read_words(words_file, clip.name)
    settings = voice_settings.read(settings_file) if settings_file.exists() else voice_settings.VoiceSettings()
    return Voice(
        name, clip, text, settings.speed, settings.nfe_step, settings.gain_db, settings.language, version
    )  # fmt: skip


def _check_file(path: Path, voices_dir: Path) -> None:
    """Raises VoiceError for a file outside the folder of the voices, and for what could block a reader (a pipe)."""
    try:
        real = path.resolve(strict=True)
        found = real.stat()
    except (OSError, RuntimeError):  # missing, or a link to itself: reading it reports that
        return
    if not real.is_relative_to(voices_dir.resolve()):
        raise VoiceError(f"{path} is a link that leads out of {voices_dir}; copy the file there")
    if not stat.S_ISREG(found.st_mode):
        raise VoiceError(f"{path} is not a regular file; replace it with one")
    if found.st_size > MAX_BYTES:
        raise VoiceError(f"{path} is larger than {MAX_BYTES // 1_000_000} MB; a clip is 2 to 12 s long")


def _read_words(path: Path, clip: str) -> str:
    try:
        text = " ".join(read_bounded(path, MOST_TEXT_BYTES).decode("utf-8-sig").split())
    except FileNotFoundError:
        raise VoiceError(f"{path} is missing; write the words of {clip} into it") from None
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise VoiceError(
                f"{path} must hold the words of {clip}, but is larger than {MOST_TEXT_BYTES} bytes"
            ) from error
        raise VoiceError(f"{path} cannot be read as UTF-8 text; save it as UTF-8, readable for the service") from error
    if not text:
        raise VoiceError(f"{path} must hold the words of {clip}, but is empty")
    return text
