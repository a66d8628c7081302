"""The fast model: our functional transformer and vocoder over the checkpoint's tensors, each saving a switch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ishowtts.engines.f5 import dit, duration, schedule, text_encoder, tuning_cpu, tuning_cuda
from ishowtts.engines.f5.adaln import AdaLayerNorm
from ishowtts.engines.f5.architecture import MELS, ModelConfig, VocoderConfig
from ishowtts.engines.f5.assembly import assemble_dit, assemble_text_encoder
from ishowtts.engines.f5.checkpoint import Checkpoint
from ishowtts.engines.f5.dit import Condition
from ishowtts.engines.f5.graph_runner import GraphRunner, RunShape, StepRecorder
from ishowtts.engines.f5.kernel_registry import PLAIN, KernelChoice
from ishowtts.engines.f5.model_job import SegmentJob
from ishowtts.engines.f5.sampler import StaticBuffers, integrate, new_state, step
from ishowtts.engines.f5.schedule import Guidance
from ishowtts.engines.f5.switches import Switches
from ishowtts.engines.f5.tokens import Tokenizer
from ishowtts.engines.f5.vocoder import FastVocoder
from ishowtts.model import IsCancelled

_log = logging.getLogger(__name__)

_LEAST_GUIDANCE = 1e-5  # under it upstream evaluates one branch only
_PLANNED = (7, 32)  # between them these plans hold every kind of guidance that a line can meet


def unsupported(model: ModelConfig, vocoder: VocoderConfig) -> str | None:
    """What of a checkpoint's description this model does not compute; `None`: nothing."""
    arch = model.arch
    odd = {
        "qk_norm": arch.qk_norm is not None,
        "pe_attn_head": arch.pe_attn_head is not None,
        "long_skip_connection": arch.long_skip_connection,
        "attn_mask_enabled": arch.attn_mask_enabled,
        "text_mask_padding": not arch.text_mask_padding,
        "conv_layers": arch.conv_layers == 0,
        "the vocoder's padding": vocoder.head.init_args.padding != "center",
    }
    return next((name for name, present in odd.items() if present), None)


def make_recorder(device: torch.device) -> StepRecorder | None:
    """What records runs on this device; `None`: it cannot."""
    if device.type != "cuda":
        return None
    from ishowtts.engines.f5.cuda.cuda_graphs import GraphRecorder

    return GraphRecorder()


class FastModel:
    """Renders one segment, or several as one padded batch: each sounds as it does alone.

    Args:
        dtype: of the transformer's products; everything that decides the result's precision stays fp32.
        buckets: lengths in frames that runs are padded to, rising; none: every run has its own length.
        graphs: whether runs stand at fixed addresses, and are recorded where the device can; needs buckets.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        dtype: torch.dtype,
        switches: Switches,
        *,
        cfg_strength: float,
        buckets: Sequence[int] = (),
        graphs: bool = False,
    ) -> None:
        self._device = device
        self._cfg_strength = cfg_strength
        self._switches = switches
        self._buckets = buckets
        tensors = {name.removeprefix("transformer."): tensor for name, tensor in checkpoint.cfm.items()}
        arch = checkpoint.model.arch
        graphs = graphs and bool(buckets) and switches.folds
        self.kernels = self._choose_kernels(tensors, arch.heads, dtype, graphs)
        self._dit = assemble_dit(tensors, arch, device, dtype, self.kernels, merge_qkv=switches.folds)
        self._text = assemble_text_encoder(tensors, arch, device)
        self._modulator = AdaLayerNorm(tensors, arch.depth, device, dtype, fold=switches.folds)
        half = dtype if device.type == "cuda" and dtype is torch.float16 else torch.float32
        self._vocoder = FastVocoder(checkpoint.vocoder, checkpoint.vocos, device, half)
        self._tokenize = Tokenizer(checkpoint.vocab, remember=switches.text_once)
        self._steps = lru_cache(8)(lambda nfe_step: schedule.times(nfe_step).diff().to(device))
        self._stages = self._make_stages() if graphs else None
        self._tick = self._make_pace()
        self.unbucketed = 0

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._tokenize(text))

    def render(self, jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[Tensor]:
        """Sounds of jobs of one `nfe_step`, fp32 [samples] each."""
        nfe_step = jobs[0].nfe_step
        if any(job.nfe_step != nfe_step for job in jobs):
            raise ValueError("the jobs of a batch share their evaluations")
        mels = self._sample(jobs, nfe_step, cancelled)
        sounds = self._vocoder.decode(pad_sequence(mels, batch_first=True), [len(mel) for mel in mels])
        return [sound * job.gain for sound, job in zip(sounds, jobs, strict=True)]

    def record(self, frames: int, lines: int = 1) -> None:
        """Make runs of so many lines of this length as fast as they will be, where runs are recorded."""
        if self._stages is not None:
            self._stages.record(RunShape(lines, frames))

    def record_later(self, frames: Sequence[int]) -> None:
        """Have single lines of these lengths recorded in idle time."""
        if self._stages is not None:
            for one in frames:
                self._stages.wish(RunShape(1, one))

    def idle(self) -> bool:
        """Use a moment that nobody needs; whether there is more to do."""
        return self._stages is not None and self._stages.record_a_wish()

    def _choose_kernels(self, tensors: dict[str, Tensor], heads: int, dtype: torch.dtype, fixed: bool) -> KernelChoice:
        switches = self._switches
        names = ("transformer_blocks.0.ff.ff.0.0.weight", "transformer_blocks.0.ff.ff.0.0.bias",
                 "input_embed.conv_pos_embed.conv1d.0.weight")  # fmt: skip
        weight, bias, conv = (tensors[name].to(self._device, dtype) for name in names)
        if self._device.type == "cuda":
            linear = "fp8" if switches.fp8 else "int8-cuda" if switches.int8 else None
            choice = tuning_cuda.choose(weight, bias, conv, heads, linear=linear, fused=switches.fused_kernels)
        else:
            if switches.fp8:
                _log.warning("this machine has no fp8 products, which need CUDA; they stay in %s", dtype)
            linear = "int8" if switches.int8 else None
            if switches.cpu_kernels:
                choice = tuning_cpu.choose(weight, bias, conv, heads, linear=linear, fixed=fixed)
            else:
                choice = PLAIN if linear is None else replace(PLAIN, linear=linear)
        _log.info("kernels on this machine: %s", choice)
        return choice

    def _make_stages(self) -> GraphRunner:
        kinds = {kind for nfe_step in _PLANNED for kind in self._plan(nfe_step)}
        return GraphRunner(
            self._dit,
            most_rows=self._buckets[-1],
            most_lines=duration.MOST_LINES,
            cfg_strength=self._cfg_strength,
            kinds=sorted(kinds, key=lambda kind: kind.name),
            recorder=make_recorder(self._device),
        )

    def _make_pace(self) -> Callable[[], None]:
        if self._device.type != "cuda":
            return lambda: None
        from ishowtts.engines.f5.cuda.cuda_graphs import RecordingPace

        return RecordingPace().tick

    def _padded(self, frames: int) -> int:
        if not self._buckets:
            return frames
        wanted = duration.bucket(frames, self._buckets)
        self.unbucketed += wanted is None
        return wanted or frames

    def _plan(self, nfe_step: int) -> list[Guidance]:
        if self._cfg_strength < _LEAST_GUIDANCE:
            return [Guidance.NONE] * nfe_step
        return schedule.guidance(nfe_step, self._switches.guidance_skip or None)

    def _sample(self, jobs: Sequence[SegmentJob], nfe_step: int, cancelled: IsCancelled) -> list[Tensor]:
        """Mel of the speech alone, fp32 [frames, 100] each; the first frame is the reference's last, as upstream's."""
        voices = [job.reference.mel for job in jobs]
        texts = [self._encode(job) for job in jobs]
        frames = [job.frames for job in jobs]
        noise = [self._noise(job) for job in jobs]
        padded = self._padded(max(frames))
        y, advance = self._begin(
            lambda: dit.condition(self._dit, voices, texts, frames, padded), noise, padded, nfe_step
        )
        integrate(self._plan(nfe_step), advance, cancelled)
        return [
            torch.cat((voice[job.reference.frames :], y[i, len(voice) : job.frames]))
            for i, (voice, job) in enumerate(zip(voices, jobs, strict=True))
        ]

    def _begin(
        self, condition: Callable[[], Condition], noise: Sequence[Tensor], padded: int, nfe_step: int
    ) -> tuple[Tensor, Callable[[int, Guidance], None]]:
        """The state of a run, fp32 [B, N, 100], and what moves it on."""
        steps, at = self._steps(nfe_step), partial(self._modulator.at, nfe_step)
        fixed = condition() if self._switches.folds else None
        stages, tick = self._stages, self._tick
        if stages is not None and fixed is not None and (shape := stages.load(fixed, noise)) is not None:

            def replay(i: int, guidance: Guidance) -> None:
                stages.advance(shape, at(i), steps[i], guidance)
                tick()

            return stages.state(shape), replay
        y, difference = new_state(noise, padded)

        def advance(i: int, guidance: Guidance) -> None:
            step(
                self._dit,
                StaticBuffers(y, difference, fixed or condition(), at(i), steps[i]),
                guidance,
                self._cfg_strength,
            )
            tick()

        return y, advance

    def _encode(self, job: SegmentJob) -> tuple[Tensor, Tensor]:
        encode = text_encoder.encode if self._switches.text_once else text_encoder.encode_in_full
        said, unsaid = encode(self._text, self._tokenize(job.text).to(self._device), job.frames)
        return said, unsaid

    def _noise(self, job: SegmentJob) -> Tensor:
        """Drawn at the exact length and in fp32, so that a seed gives the same speech whatever it is padded to."""
        generator = torch.Generator(self._device)
        if job.seed is None:
            generator.seed()
        else:
            generator.manual_seed(job.seed)
        return torch.randn(job.frames, MELS, generator=generator, device=self._device)
