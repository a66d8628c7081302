"""F5-TTS with Vocos as upstream runs it: one segment at a time, no optimisation."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ishowtts.engines import Cancelled, IsCancelled, Progress, ReportProgress, VoiceCard
from ishowtts.engines.f5 import reference
from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.engines.f5.checkpoint import load_cfm, load_vocos
from ishowtts.engines.f5.device import choose_device, choose_dtype
from ishowtts.engines.f5.options import F5Options
from ishowtts.engines.f5.reference import Reference
from ishowtts.engines.f5.upstream import CFM, Vocos, convert_char_to_pinyin
from ishowtts.engines.voices import VoiceShelf
from ishowtts.engines.weights import locate
from ishowtts.errors import EngineError, EngineUnavailable, SynthesisError, WeightsError
from ishowtts.speech import Samples, Segment, Utterance

__all__ = ["F5Engine", "F5Options"]

_log = logging.getLogger(__name__)

_SWAY = -1.0
_SHORT_TEXT_BYTES = 10
_SHORT_TEXT_SPEED = 0.3
_MOST_FRAMES = 8192  # the text encoder has no more positions
_WARM_TEXT = "This is how I sound when I am warm."


class F5Engine:
    """Speaks in the voice of a clip. One thread makes, loads and calls it."""

    def __init__(self, options: F5Options) -> None:
        self._options = options
        self._shelf = VoiceShelf(Path(options.voices_dir) if options.voices_dir else None)
        self._references: dict[str, Reference] = {}
        self._cfm: CFM | None = None
        self._vocos: Vocos | None = None
        self._device = torch.device("cpu")

    @property
    def name(self) -> str:
        """`f5`."""
        return "f5"

    @property
    def rate_hz(self) -> int:
        """24,000."""
        return RATE_HZ

    def load(self, progress: ReportProgress) -> None:
        """Read the weights and the default voice.

        Raises:
            WeightsError, VoiceError: they cannot be used.
            EngineError: CUDA was asked for and does not work.
        """
        for switch in self._options.optimisations:
            _log.warning("the F5 engine knows no optimisation %r; it is left out", switch)
        progress(Progress("load", 0, 3))
        self._device = choose_device(self._options.device)
        dtype = choose_dtype(self._options.precision, self._device)
        weights = locate(Path(self._options.weights))
        if weights is None:
            raise WeightsError(f"there are no weights in {self._options.weights}; `ishowtts fetch` gets them")
        cfm = load_cfm(weights)
        progress(Progress("load", 1, 3))
        vocos = load_vocos(weights)
        progress(Progress("load", 2, 3))
        with _torch_errors(self._device):
            rotary = cfm.transformer.rotary_embed
            angles = rotary.inv_freq.clone()
            cfm = cfm.to(self._device, dtype)
            # In half precision these would be off by up to half a radian at the end of a line.
            rotary.inv_freq = angles.to(self._device)
            self._cfm, self._vocos = cfm, vocos.to(self._device)
        self.prepare(None)
        progress(Progress("load", 3, 3))
        _log.info("F5 is loaded from %s: %s on %s", weights.folder, dtype, self._device)

    def prepare(self, voice: str | None) -> VoiceCard:
        """Read a voice's clip (`None`: the default one), once. Raises VoiceError."""
        prepared = self._reference(voice)
        return VoiceCard(prepared.name, prepared.max_segment_bytes)

    def warm(self, progress: ReportProgress) -> None:
        """Speak one sentence to nobody."""
        progress(Progress("warm", 0, 1))
        self.synthesize(Segment("warm", 0, 1, _WARM_TEXT, seed=0), lambda: False)
        progress(Progress("warm", 1, 1))

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speak one segment: S16 mono at 24 kHz, clipped where it is too loud.

        Raises:
            SynthesisError: this text cannot be spoken.
            VoiceError: its voice cannot be read.
            EngineError: the device failed.
            Cancelled: `cancelled()` turned true; it is asked before every evaluation.
        """
        started = time.monotonic()
        voice = self._reference(segment.voice)
        nfe_step = segment.nfe_step or self._options.nfe_step
        samples = to_int16(self.render(segment, cancelled))
        return Utterance(samples, RATE_HZ, time.monotonic() - started, self.name, voice.name, nfe_step)

    def render(self, segment: Segment, cancelled: IsCancelled) -> NDArray[np.float32]:
        """`synthesize` in floating point, [samples] at 24 kHz, not clipped: equal to upstream's."""
        if self._cfm is None or self._vocos is None:
            raise EngineUnavailable("the F5 engine is not loaded")
        text = segment.text.strip()
        if not text:
            raise SynthesisError("there is nothing to say in this text")
        voice = self._reference(segment.voice)
        frames = _frames(voice, text, segment.speed or 1.0)
        tokens = convert_char_to_pinyin([voice.text + text])  # together: tokens of the parts differ
        with _torch_errors(self._device), torch.inference_mode(), _polled(self._cfm, cancelled):
            mel, _ = self._cfm.sample(
                cond=voice.audio.to(self._device),
                text=tokens,
                duration=frames,
                steps=segment.nfe_step or self._options.nfe_step,
                cfg_strength=self._options.cfg_strength,
                sway_sampling_coef=_SWAY,
                seed=segment.seed,
            )
            wave = self._vocos.decode(mel.to(torch.float32)[:, voice.frames :, :].permute(0, 2, 1))
            sound: NDArray[np.float32] = (wave * voice.gain).squeeze().cpu().numpy()
        if not np.isfinite(sound).all():
            raise SynthesisError(f"the model made no finite sound of {text[:40]!r}; try engine.f5.precision fp32")
        return sound

    def close(self) -> None:
        """Let go of the weights. Idempotent."""
        self._cfm = self._vocos = None
        self._references.clear()

    def _reference(self, name: str | None) -> Reference:
        wanted = name or self._options.default_voice
        if wanted not in self._references:
            self._references[wanted] = reference.read(self._shelf.find(wanted))
        return self._references[wanted]


def to_int16(sound: NDArray[np.float32]) -> Samples:
    """[-1, 1] to S16; what is louder is clipped."""
    samples: Samples = np.rint(np.clip(sound, -1.0, 1.0) * 32767).astype(np.int16)
    return samples


def _frames(voice: Reference, text: str, speed: float) -> int:
    """Reference and speech together: the speech takes its share by bytes, very short texts are given more time."""
    if len(text.encode()) < _SHORT_TEXT_BYTES:
        speed = _SHORT_TEXT_SPEED
    frames = voice.frames + int(voice.frames / len(voice.text.encode()) * len(text.encode()) / speed)
    if frames > _MOST_FRAMES:
        raise SynthesisError(
            f"a segment of {len(text.encode())} bytes is too long for the voice {voice.name!r}, "
            f"which takes {voice.max_segment_bytes}"
        )
    return frames


@contextmanager
def _polled(cfm: CFM, cancelled: IsCancelled) -> Iterator[None]:
    """Ask `cancelled` before each evaluation, and leave no text of a broken run behind for the next one."""

    def poll(*_: Any) -> None:
        if cancelled():
            raise Cancelled

    hook = cfm.transformer.register_forward_pre_hook(poll)
    try:
        yield
    finally:
        hook.remove()
        cfm.transformer.clear_cache()


@contextmanager
def _torch_errors(device: torch.device) -> Iterator[None]:
    """Torch's errors as ours: memory ends a segment; anything else on CUDA may have poisoned the context."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise SynthesisError("there is not enough GPU memory for this segment") from error
    except RuntimeError as error:
        problem = str(error).splitlines()[0]
        if device.type == "cuda":
            raise EngineError(f"CUDA failed: {problem}") from error
        raise SynthesisError(f"torch failed on this segment: {problem}") from error
