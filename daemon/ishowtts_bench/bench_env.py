"""What a bench runs on: weights, a voice, texts, threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import BASE, DitConfig, read_model
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.f5_options import F5Options, Precision
from ishowtts.engines.f5.reference import end_sentence
from ishowtts.engines.f5.switches import Switches
from ishowtts.engines.voices.shelf import DEFAULT, VoiceShelf
from ishowtts.engines.weights import examine
from ishowtts.errors import WeightsError
from ishowtts.text.scripts import base_language

_WORDS = (
    "The quick brown fox jumps over the lazy dog, and then it sits down by the river to rest. "
    "A warm wind moves the grass while the evening light turns slowly from gold to a deep and quiet blue. "
)
_STRIDE = 5  # words from one text's beginning to that of the next
BYTES_PER_S = 11.0
"""About what the default voice speaks; only for choosing texts of a wanted length."""


@dataclass(frozen=True)
class ReferenceClip:
    """A reference as upstream's function takes it: float32 [channels, samples], and its words."""

    audio: Tensor
    rate_hz: int
    text: str


@dataclass(frozen=True)
class BenchEnv:
    """Where and with what a bench runs.

    Args:
        folder: the checkpoint.
        device: `cpu` or `cuda`.
    """

    folder: Path
    device: str
    precision: Precision = "auto"
    voices_dir: Path | None = None
    voice: str = DEFAULT

    def options(self, switches: Switches, **changes: object) -> F5Options:
        """Of an engine with these switches."""
        given: dict[str, object] = {
            "weights": str(self.folder),
            "voices_dir": str(self.voices_dir) if self.voices_dir else None,
            "default_voice": self.voice,
            "precision": self.precision,
            "device": self.device,
        } | changes
        return F5Options(**given, switches=switches)  # type: ignore[arg-type]

    def engine(self, switches: Switches, **changes: object) -> F5Engine:
        """A loaded engine with these switches; close it."""
        engine = F5Engine(self.options(switches, **changes))
        engine.load(lambda _: None)
        return engine

    def dit(self) -> DitConfig:
        """The transformer of these weights."""
        weights = examine(self.folder)
        return (read_model(weights.architecture) if weights.architecture else BASE).arch

    @property
    def language(self) -> str:
        """What the voice speaks: `zh`, else `en`, which sentences for judges are in."""
        return "zh" if base_language(VoiceShelf(self.voices_dir).find(self.voice).language) == "zh" else "en"

    def clip(self) -> ReferenceClip:
        """The voice, as upstream's function takes it."""
        voice = VoiceShelf(self.voices_dir).find(self.voice)
        samples, rate_hz = soundfile.read(voice.audio_path, dtype="float32", always_2d=True)
        return ReferenceClip(torch.from_numpy(samples.T.copy()), rate_hz, end_sentence(voice.text))


def settle(engine: F5Engine) -> None:
    """What an appliance does in its idle time: record every length that lines lacked."""
    while engine.idle():
        pass


def text_of(length_s: float, turn: int = 0) -> str:
    """Words that take about so long, ending as a sentence does; another `turn` gives other words."""
    wanted = max(12, round(length_s * BYTES_PER_S))
    start = _WORDS.replace(" ", "_", _STRIDE * turn % _WORDS.count(" ")).rfind("_") + 1
    words = _WORDS[start:] + _WORDS[:start]
    text = (words * (wanted // len(words) + 1))[:wanted]
    return text.rsplit(" ", 1)[0].rstrip(" ,.") + "." if " " in text else text + "."


def find_weights(model: str, cache_dir: Path) -> Path:
    """A folder of weights: `tiny`, `small` or `base` are made at random once and kept; else the name of a folder.

    Raises:
        WeightsError: there is no such folder.
    """
    from ishowtts_bench import random_checkpoint

    if model not in random_checkpoint.SIZES:
        folder = Path(model)
        if not folder.is_dir():
            raise WeightsError(
                f"{model} is neither a folder of weights nor one of {', '.join(random_checkpoint.SIZES)}"
            )
        return folder
    folder = cache_dir / "bench" / f"random-{model}"
    if not (folder / "model.yaml").exists():
        random_checkpoint.make_checkpoint(folder, size=model)
    return folder
