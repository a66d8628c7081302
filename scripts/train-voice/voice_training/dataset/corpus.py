"""The training speech on disk: packs (shards), each an Opus file and a JSON list of its clips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from ishowtts.engines.f5.architecture import RATE_HZ
from voice_training.errors import TrainingError
from voice_training.texts import Language

Sound = NDArray[np.float32]

_BITRATE_BPS: Final = 32_000
# The bit rates that libsndfile maps compression levels 1 and 0 to.
_MAX_BPS, _MIN_BPS = 256_000, 6_000
_LEVEL = (_MAX_BPS - _BITRATE_BPS) / (_MAX_BPS - _MIN_BPS)
_REMEDY = "delete both files of this pack, and run `train-voice speech` again"
_GAP = RATE_HZ // 10  # silence between clips, because Opus lets the end of one leak into the next


@dataclass(frozen=True)
class Clip:
    """One sentence in a pack.

    Attributes:
        name: unique in the corpus.
        voice: name of the speaker.
        start: index of the first sample in the pack.
        samples: number of samples, at 24 kHz.
    """

    name: str
    text: str
    language: Language
    voice: str
    start: int
    samples: int

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.samples / RATE_HZ


@dataclass(frozen=True)
class NewClip:
    """A clip that is not on disk yet. The sound is fp32 [samples] at 24 kHz, between -1 and 1."""

    text: str
    language: Language
    voice: str
    sound: Sound


class Corpus:
    """All packs of a folder, in memory as int16.

    Raises:
        TrainingError: the folder has no clips, or a pack is broken.
    """

    def __init__(self, folder: Path) -> None:
        self._sounds: dict[str, NDArray[np.int16]] = {}
        clips: list[Clip] = []
        with ThreadPoolExecutor(thread_name_prefix="packs") as pool:  # libsndfile releases the GIL
            for pack in pool.map(_read, packs(folder)):
                clips += [clip for clip, _ in pack]
                self._sounds |= {clip.name: sound for clip, sound in pack}
        if not clips:
            raise TrainingError(f"{folder} holds no speech; make some with `train-voice speech`")
        self.clips = tuple(clips)

    def wave(self, clip: Clip) -> Sound:
        """The sound of a clip: fp32 [samples] at 24 kHz."""
        sound: Sound = self._sounds[clip.name].astype(np.float32) / np.float32(32768)
        return sound

    def voices(self) -> tuple[str, ...]:
        """The names of all speakers."""
        return tuple(sorted({clip.voice for clip in self.clips}))


def packs(folder: Path) -> list[Path]:
    """The lists of all complete packs. A pack is complete if its list exists, because the list is written last."""
    return sorted(folder.glob("pack-*.json"))


def pack_path(folder: Path, number: int) -> Path:
    """The path of the list of a pack."""
    return folder / f"pack-{number:05}.json"


def pack_seconds(path: Path) -> float:
    """The total duration of the clips of a pack. Does not read the sound."""
    return sum(clip.seconds for clip in _clips(path))


def write_pack(path: Path, clips: Sequence[NewClip]) -> None:
    """Write the sound of a pack, then its list. A pack of this number that exists is replaced."""
    entries: list[Clip] = []
    parts, start = [np.zeros(_GAP, np.float32)], _GAP  # the gap also serves a pack without any clip
    for i, clip in enumerate(clips):
        entries.append(Clip(f"{path.stem}-{i:03}", clip.text, clip.language, clip.voice, start, len(clip.sound)))
        parts += [clip.sound, np.zeros(_GAP, np.float32)]
        start += len(clip.sound) + _GAP
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = path.with_suffix(".opus")
    partial = sound.with_suffix(".part")
    soundfile.write(partial, np.concatenate(parts), RATE_HZ, format="OGG", subtype="OPUS", compression_level=_LEVEL)
    partial.replace(sound)
    partial.write_text(json.dumps([asdict(entry) for entry in entries], ensure_ascii=False, indent=0), encoding="utf-8")
    partial.replace(path)


def _clips(path: Path) -> list[Clip]:
    try:
        return [Clip(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"{path} cannot be read; {_REMEDY}") from error


def _read(path: Path) -> list[tuple[Clip, NDArray[np.int16]]]:
    clips = _clips(path)
    try:
        sound, rate_hz = soundfile.read(path.with_suffix(".opus"), dtype="int16")
    except (OSError, soundfile.SoundFileError) as error:
        raise TrainingError(f"the .opus file of {path} cannot be read; {_REMEDY}") from error
    if rate_hz != RATE_HZ or sound.ndim != 1 or (clips and _end(clips[-1]) > len(sound)):
        raise TrainingError(f"{path} does not match its .opus file; {_REMEDY}")
    return [(clip, sound[clip.start : _end(clip)]) for clip in clips]


def _end(clip: Clip) -> int:
    return clip.start + clip.samples
