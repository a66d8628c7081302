"""Gives a bench its weights, device, voice and texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import BASE, DitConfig, read_model
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.f5_options import F5Options, Precision
from ishowtts.engines.f5.fast_model import FastModel
from ishowtts.engines.f5.kernels import KernelChoice
from ishowtts.engines.f5.reference import end_sentence
from ishowtts.engines.voices.voice_library import DEFAULT, VoiceLibrary
from ishowtts.engines.weights import examine
from ishowtts.errors import WeightsError
from ishowtts.f5_switches import Switches
from ishowtts.text.scripts import base_language

_WORDS = (
    "The quick brown fox jumps over the lazy dog, and then it sits down by the river to rest. "
    "A warm wind moves the grass while the evening light turns slowly from gold to a deep and quiet blue. "
)
_WORDS_APART = 5  # between the beginnings of two variants of a text
BYTES_PER_S = 11.0
"""Approximate speech rate of the default voice, to choose a text of a given length."""


@dataclass(frozen=True)
class ReferenceClip:
    """A reference clip as upstream's function takes it: float32 [channels, samples], and its text."""

    audio: Tensor
    rate_hz: int
    text: str


@dataclass(frozen=True)
class BenchEnv:
    """Weights, device and voice of a bench.

    Args:
        folder: Folder of the checkpoint.
        device: `cpu` or `cuda`.
    """

    folder: Path
    device: str
    precision: Precision = "auto"
    voices_dir: Path | None = None
    voice: str = DEFAULT

    def options(self, switches: Switches, **changes: object) -> F5Options:
        """Options of an engine with these switches."""
        given: dict[str, object] = {
            "weights": str(self.folder),
            "voices_dir": str(self.voices_dir) if self.voices_dir else None,
            "default_voice": self.voice,
            "precision": self.precision,
            "device": self.device,
        } | changes
        return F5Options(**given, switches=switches)  # type: ignore[arg-type]

    def engine(self, switches: Switches, **changes: object) -> F5Engine:
        """Load an engine with these switches. The caller closes it."""
        engine = F5Engine(self.options(switches, **changes))
        engine.load(lambda _: None)
        return engine

    def dit(self) -> DitConfig:
        """Configuration of the transformer of these weights."""
        weights = examine(self.folder)
        return (read_model(weights.architecture) if weights.architecture else BASE).arch

    @property
    def language(self) -> str:
        """Language of the sentences for the metrics: `zh` if the voice speaks it, otherwise `en`."""
        return "zh" if base_language(VoiceLibrary(self.voices_dir).find(self.voice).language) == "zh" else "en"

    def reference_clip(self) -> ReferenceClip:
        """The reference clip of the voice, as upstream's function takes it."""
        voice = VoiceLibrary(self.voices_dir).find(self.voice)
        samples, rate_hz = soundfile.read(voice.audio_path, dtype="float32", always_2d=True)
        return ReferenceClip(torch.from_numpy(samples.T.copy()), rate_hz, end_sentence(voice.text))


def finish_idle_work(engine: F5Engine) -> None:
    """Do the work of idle time, such as capturing the CUDA graphs that earlier segments lacked."""
    while engine.idle():
        pass


def chosen_kernels(engine: F5Engine) -> KernelChoice | None:
    """The kernels that a loaded engine chose on this machine; `None` if upstream's modules run."""
    model = engine._loaded().model
    return model.kernels if isinstance(model, FastModel) else None


def make_text(length_s: float, variant: int = 0) -> str:
    """Make a sentence of about this length. Another `variant` has other words."""
    wanted = max(12, round(length_s * BYTES_PER_S))
    start = _WORDS.replace(" ", "_", _WORDS_APART * variant % _WORDS.count(" ")).rfind("_") + 1
    words = _WORDS[start:] + _WORDS[:start]
    text = (words * (wanted // len(words) + 1))[:wanted]
    return text.rsplit(" ", 1)[0].rstrip(" ,.") + "." if " " in text else text + "."


def find_weights(model: str, cache_dir: Path) -> Path:
    """Find the folder of weights. For `tiny`, `small` and `base`, make random weights once and keep them.

    Args:
        model: One of these sizes, or a folder.

    Raises:
        WeightsError: The folder does not exist.
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
