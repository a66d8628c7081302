"""The fast model: our functional transformer and vocoder over the checkpoint's tensors, each saving a switch."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ishowtts.engines import IsCancelled
from ishowtts.engines.f5 import dit, policy, schedule, text_encoder, tuning
from ishowtts.engines.f5.adaln import Modulator
from ishowtts.engines.f5.architecture import MELS, Model, Vocoder
from ishowtts.engines.f5.assembly import assemble_dit, assemble_text_encoder
from ishowtts.engines.f5.checkpoint import Checkpoint
from ishowtts.engines.f5.job import Job
from ishowtts.engines.f5.options import Optimisations
from ishowtts.engines.f5.sampler import integrate
from ishowtts.engines.f5.tokens import Tokenizer
from ishowtts.engines.f5.vocoder import FastVocoder

_log = logging.getLogger(__name__)

_LEAST_GUIDANCE = 1e-5  # under it upstream evaluates one branch only


def unsupported(model: Model, vocoder: Vocoder) -> str | None:
    """What of a checkpoint's description this model does not compute; `None`: nothing."""
    arch = model.arch
    odd = {
        "qk_norm": arch.qk_norm is not None,
        "pe_attn_head": arch.pe_attn_head is not None,
        "long_skip_connection": arch.long_skip_connection,
        "attn_mask_enabled": arch.attn_mask_enabled,
        "text_embedding_average_upsampling": arch.text_embedding_average_upsampling,
        "text_mask_padding": not arch.text_mask_padding,
        "conv_layers": arch.conv_layers == 0,
        "the vocoder's padding": vocoder.head.init_args.padding != "center",
    }
    return next((name for name, present in odd.items() if present), None)


class FastModel:
    """Renders one segment, or several as one padded batch: each sounds as it does alone.

    Args:
        dtype: of the transformer's products; everything that decides the result's precision stays fp32.
        buckets: lengths in frames that runs are padded to, rising; none: every run has its own length.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        dtype: torch.dtype,
        switches: Optimisations,
        *,
        cfg_strength: float,
        buckets: Sequence[int] = (),
    ) -> None:
        self._device = device
        self._cfg_strength = cfg_strength
        self._switches = switches
        self._buckets = buckets
        tensors = {name.removeprefix("transformer."): tensor for name, tensor in checkpoint.cfm.items()}
        arch = checkpoint.model.arch
        self.kernels = self._choose_kernels(tensors, arch.heads, dtype)
        self._dit = assemble_dit(tensors, arch, device, dtype, self.kernels, merge_qkv=switches.folds)
        self._text = assemble_text_encoder(tensors, arch, device)
        self._modulator = Modulator(tensors, arch.depth, device, dtype, fold=switches.folds)
        self._vocoder = FastVocoder(checkpoint.vocoder, checkpoint.vocos, device)
        self._tokenize = Tokenizer(checkpoint.vocab, remember=switches.text_once)
        self.unbucketed = 0

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._tokenize(text))

    def render(self, jobs: Sequence[Job], cancelled: IsCancelled) -> list[Tensor]:
        """Sounds of jobs of one `nfe_step`, fp32 [samples] each."""
        nfe_step = jobs[0].nfe_step
        if any(job.nfe_step != nfe_step for job in jobs):
            raise ValueError("the jobs of a batch share their evaluations")
        frames = [job.frames for job in jobs]
        mels = self._sample(jobs, self._padded(max(frames)), nfe_step, cancelled)
        lengths = [len(mel) for mel in mels]
        mel = pad_sequence(mels, batch_first=True)
        if self._buckets:
            wanted = policy.bucket(mel.shape[1], self._buckets) or mel.shape[1]
            mel = torch.nn.functional.pad(mel, (0, 0, 0, wanted - mel.shape[1]))
        sounds = self._vocoder.decode(mel, lengths)
        return [sound * job.gain for sound, job in zip(sounds, jobs, strict=True)]

    def _choose_kernels(self, tensors: dict[str, Tensor], heads: int, dtype: torch.dtype) -> tuning.Choice:
        if self._device.type != "cpu" or not (self._switches.cpu_kernels or self._switches.int8):
            return tuning.UNTUNED
        weight, bias = (tensors[f"transformer_blocks.0.ff.ff.0.0.{part}"].to(dtype) for part in ("weight", "bias"))
        conv = tensors["input_embed.conv_pos_embed.conv1d.0.weight"].to(dtype)
        choice = tuning.choose(weight, bias, conv, heads, int8=self._switches.int8)
        _log.info(
            "kernels on this machine: %s products, %s convolutions, %s attention",
            choice.linear, choice.conv, choice.attention,
        )  # fmt: skip
        return choice

    def _padded(self, frames: int) -> int:
        if not self._buckets:
            return frames
        wanted = policy.bucket(frames, self._buckets)
        self.unbucketed += wanted is None
        return wanted or frames

    def _sample(self, jobs: Sequence[Job], padded: int, nfe_step: int, cancelled: IsCancelled) -> list[Tensor]:
        """Mel of the speech alone, fp32 [frames, 100] each; the first frame is the reference's last, as upstream's."""
        voices = [job.reference.mel for job in jobs]
        texts = [self._encode(job) for job in jobs]
        frames = [job.frames for job in jobs]

        def condition() -> dit.Condition:
            return dit.condition(self._dit, voices, texts, frames, padded)

        fixed = condition() if self._switches.folds else None
        both, one = 2 * len(jobs), len(jobs)

        def velocity(i: int, y: Tensor, guided: bool) -> Tensor:
            given = (fixed or condition()).branches(both if guided else one)
            return dit.velocity(self._dit, y, given, self._modulator.at(nfe_step, i))

        plan = schedule.guidance(nfe_step, self._switches.guidance_skip or None)
        if self._cfg_strength < _LEAST_GUIDANCE:
            plan = [schedule.Guidance.NONE] * nfe_step
        noise = torch.zeros(len(jobs), padded, MELS, device=self._device)
        for i, job in enumerate(jobs):
            noise[i, : job.frames] = self._noise(job)
        times = schedule.times(nfe_step)
        y = integrate(noise, times, plan, velocity, cfg_strength=self._cfg_strength, cancelled=cancelled)
        return [
            torch.cat((voice[job.reference.frames :], y[i, len(voice) : job.frames]))
            for i, (voice, job) in enumerate(zip(voices, jobs, strict=True))
        ]

    def _encode(self, job: Job) -> tuple[Tensor, Tensor]:
        encode = text_encoder.encode if self._switches.text_once else text_encoder.encode_in_full
        tokens = self._tokenize(job.text).to(self._device)
        said, unsaid = (encode(self._text, tokens, job.frames, drop) for drop in (False, True))
        return said, unsaid

    def _noise(self, job: Job) -> Tensor:
        """Drawn at the exact length and in fp32, so that a seed gives the same speech whatever it is padded to."""
        generator = torch.Generator(self._device)
        if job.seed is None:
            generator.seed()
        else:
            generator.manual_seed(job.seed)
        return torch.randn(job.frames, MELS, generator=generator, device=self._device)
