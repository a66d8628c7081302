"""The reference model: upstream's own modules, run like upstream. Every optimisation is compared with it.

Its imports take seconds more than torch and need packages that an appliance has only with `install.sh --bench`, so
nothing imports this module at load. Importing it raises PackageError if one of them is missing or does not load.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ishowtts.engines.f5 import load_faults, schedule
from ishowtts.engines.f5.architecture import ModelConfig, VocoderConfig
from ishowtts.engines.f5.checkpoint import Checkpoint
from ishowtts.engines.f5.model_job import SegmentJob
from ishowtts.engines.f5.tokens import split
from ishowtts.engines.f5.upstream import LIBROSA, stand_ins
from ishowtts.engines.f5.upstream_packages import INSTALL_FIX
from ishowtts.errors import Cancelled, PackageError, first_line
from ishowtts.model import IsCancelled

try:
    with warnings.catch_warnings(), stand_ins(LIBROSA):
        warnings.simplefilter("ignore")
        from f5_tts.model.backbones.dit import DiT
        from f5_tts.model.cfm import CFM
        from vocos import Vocos
        from vocos.feature_extractors import MelSpectrogramFeatures
        from vocos.heads import ISTFTHead
        from vocos.models import VocosBackbone
except (ImportError, OSError, RuntimeError) as error:  # a torchaudio for another torch ends with any of these
    _found = load_faults.explain(str(error), stock=load_faults.has_stock_libraries())
    raise PackageError(
        f"upstream's modules cannot be imported ({_found[0] if _found else first_line(error)}); {INSTALL_FIX}"
    ) from error

__all__ = ["CFM", "UpstreamModel", "Vocos", "build_cfm", "build_vocos", "load_cfm", "load_vocos"]


class UpstreamModel:
    """F5 and Vocos from the f5-tts and vocos packages.

    Args:
        dtype: type of the transformer. Vocos runs in fp32.
        compile_mode: mode of `torch.compile`, as in a system before this one: weights in fp32, products in `dtype` by
            autocast, and the vocoder's backbone compiled too. `None`: nothing is compiled.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        dtype: torch.dtype,
        cfg_strength: float,
        compile_mode: str | None = None,
    ) -> None:
        self.unbucketed = 0
        self._tokenizer = checkpoint.model.tokenizer
        self._cfg_strength = cfg_strength
        self._device = device
        half = compile_mode is not None and dtype is not torch.float32
        self._autocast = partial(torch.autocast, device.type, dtype if half else torch.bfloat16, enabled=half)
        dtype = torch.float32 if half else dtype
        cfm = load_cfm(checkpoint)
        rotary = cfm.transformer.rotary_embed
        angles = rotary.inv_freq.clone()
        self.cfm = cfm.to(device, dtype)
        # In half precision, these would be off by up to half a radian at the end of a segment.
        rotary.inv_freq = angles.to(device)
        self.vocos = load_vocos(checkpoint).to(device)
        if compile_mode is not None:
            compile_modules(self.cfm, self.vocos, compile_mode)

    def tokens(self, text: str) -> int:
        """The number of tokens of a text."""
        return len(split(text, self._tokenizer))

    def render(self, jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[Tensor]:
        """Render one job after the other, because upstream's own batches are inexact."""
        return [self._render(job, cancelled) for job in jobs]

    def capture(self, frames: int, segments: int = 1) -> None:
        """Do nothing: this model has no graphs."""

    def enqueue_captures(self, frames: Sequence[int]) -> None:
        """Do nothing: this model has no graphs."""

    def idle(self) -> bool:
        """Return false: this model has no graphs to capture."""
        return False

    def _render(self, job: SegmentJob, cancelled: IsCancelled) -> Tensor:
        with _polled(self.cfm, cancelled), self._autocast():
            mel, _ = self.cfm.sample(
                cond=job.reference.audio.to(self._device),
                text=[split(job.text, self._tokenizer)],
                duration=job.frames,
                steps=job.nfe_step,
                cfg_strength=self._cfg_strength,
                sway_sampling_coef=schedule.SWAY,
                seed=job.seed,
            )
            wave: Tensor = self.vocos.decode(mel.float()[:, job.reference.frames :, :].permute(0, 2, 1))
        return wave.squeeze(0) * job.gain


def load_cfm(checkpoint: Checkpoint) -> CFM:
    """Build the model with the checkpoint's weights, in eval mode, on the CPU."""
    cfm = build_cfm(checkpoint.model, checkpoint.vocab)
    cfm.load_state_dict(checkpoint.cfm)
    return cfm.eval()


def load_vocos(checkpoint: Checkpoint) -> Vocos:
    """Build the vocoder with the checkpoint's weights, in eval mode, on the CPU."""
    vocos = build_vocos(checkpoint.vocoder)
    vocos.load_state_dict(checkpoint.vocos)
    return vocos.eval()


def compile_modules(cfm: CFM, vocos: Vocos, mode: str | None) -> None:
    """Apply `torch.compile` to transformer and vocoder. They are compiled when they first run.

    The text encoder is not compiled: the transformer keeps its result from one evaluation to the next, but a compiled
    graph with CUDA graphs inside overwrites its result in the next run.
    """
    encoder = cfm.transformer.text_embed
    encoder.forward = torch.compiler.disable(encoder.forward)  # type: ignore[no-untyped-call]
    cfm.transformer = torch.compile(cfm.transformer, mode=mode)
    vocos.backbone = torch.compile(vocos.backbone, mode=mode)


def build_cfm(model: ModelConfig, vocab: dict[str, int]) -> CFM:
    """Build an untrained model of this shape."""
    transformer = DiT(**model.arch.model_dump(), mel_dim=model.mel_spec.n_mel_channels, text_num_embeds=len(vocab))
    return CFM(
        transformer=transformer,
        mel_spec_kwargs=model.mel_spec.model_dump(),
        odeint_kwargs={"method": "euler"},
        vocab_char_map=vocab,
    )


def build_vocos(vocoder: VocoderConfig) -> Vocos:
    """Build an untrained vocoder of this shape."""
    return Vocos(
        feature_extractor=MelSpectrogramFeatures(**vocoder.feature_extractor.init_args.model_dump()),
        backbone=VocosBackbone(**vocoder.backbone.init_args.model_dump()),
        head=ISTFTHead(**vocoder.head.init_args.model_dump()),
    )


@contextmanager
def _polled(cfm: CFM, cancelled: IsCancelled) -> Iterator[None]:
    """Ask `cancelled` before each evaluation, and clear the text cache, so that the next run starts without it."""

    def poll(*_: Any) -> None:
        if cancelled():
            raise Cancelled

    hook = cfm.transformer.register_forward_pre_hook(poll)
    try:
        yield
    finally:
        hook.remove()
        cfm.transformer.clear_cache()
