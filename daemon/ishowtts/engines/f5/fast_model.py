"""The fast model: our transformer and vocoder as functions over the checkpoint's tensors, with the switches applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ishowtts.engines import MAX_BATCH
from ishowtts.engines.f5 import dit, duration, schedule, text_encoder
from ishowtts.engines.f5.adaln import AdaLayerNorm
from ishowtts.engines.f5.architecture import MELS
from ishowtts.engines.f5.assembly import assemble_dit, assemble_text_encoder, block_weights
from ishowtts.engines.f5.captured_function import CapturedFunction
from ishowtts.engines.f5.checkpoint import Checkpoint
from ishowtts.engines.f5.cuda_graphs import GraphRunner, LaunchLimiter, RunShape, make_capturer
from ishowtts.engines.f5.dit import Condition
from ishowtts.engines.f5.graph_store import StepCapture
from ishowtts.engines.f5.kernel_choice import choose_kernels
from ishowtts.engines.f5.model_job import SegmentJob
from ishowtts.engines.f5.sampler import StaticBuffers, integrate, new_state, step
from ishowtts.engines.f5.schedule import Guidance
from ishowtts.engines.f5.tokens import Tokenizer
from ishowtts.engines.f5.vocoder import FastVocoder, choose_backbone_dtype
from ishowtts.f5_switches import Switches
from ishowtts.model import IsCancelled

_LEAST_GUIDANCE = 1e-5  # below it, upstream evaluates only one branch
_PLANNED = (7, 32)  # the plans for these NFE contain every kind of guidance that a segment can need
_COMMON_TOKENS = range(384, 63, -duration.STEP)  # 50 to 200 of a clip and 10 to 180 of a segment; the longest first


class FastModel:
    """Renders one segment, or several as one padded batch. Each sounds as it does alone.

    Args:
        dtype: type of the transformer's products. Everything that decides the result's precision stays fp32.
        switches: with every `None` decided (`Switches.on_device`).
        buckets: lengths in frames that runs are padded to, ascending; empty: every run has its own length.
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
    ) -> None:
        self._device = device
        self._cfg_strength = cfg_strength
        self._switches = switches
        self._buckets = buckets
        tensors = {name.removeprefix("transformer."): tensor for name, tensor in checkpoint.cfm.items()}
        arch = checkpoint.model.arch
        weights = block_weights(tensors, arch, device, dtype)
        self.kernels = choose_kernels(weights, switches)
        del weights
        self._dit = assemble_dit(tensors, arch, device, dtype, self.kernels, merge_qkv=switches.folds)
        # On a CPU a new length costs nothing, and padding costs time.
        step = duration.STEP if buckets else 1
        self._text = replace(assemble_text_encoder(tensors, arch, device), step=step)
        self._modulator = AdaLayerNorm(tensors, arch.depth, device, dtype, fold=switches.folds)
        backbone_dtype = torch.float32
        if device.type == "cuda" and dtype is torch.float16:
            backbone_dtype = choose_backbone_dtype(checkpoint.vocoder, checkpoint.vocos, device)
        self._vocoder = FastVocoder(checkpoint.vocoder, checkpoint.vocos, device, backbone_dtype, step)
        self._tokenize = Tokenizer(checkpoint.vocab, switches.text_once, checkpoint.model.tokenizer)
        self._steps = lru_cache(8)(lambda nfe_step: schedule.times(nfe_step).diff().to(device))
        self._graphs: GraphRunner | None = None
        self._text_graphs: CapturedFunction | None = None
        if switches.graphs:
            self._use_graphs(make_capturer(device))
        self._launched = self._make_limiter()
        self.unbucketed = 0

    def tokens(self, text: str) -> int:
        """The number of tokens of a text."""
        return len(self._tokenize(text))

    def render(self, jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[Tensor]:
        """The sounds of jobs that share one `nfe_step`, fp32 [samples] each."""
        nfe_step = jobs[0].nfe_step
        if any(job.nfe_step != nfe_step for job in jobs):
            raise ValueError("the jobs of a batch must have the same nfe_step")
        mels = self._sample(jobs, nfe_step, cancelled)
        sounds = self._vocoder.decode(pad_sequence(mels, batch_first=True), [len(mel) for mel in mels])
        return [sound * job.gain for sound, job in zip(sounds, jobs, strict=True)]

    def capture(self, frames: int, segments: int = 1) -> None:
        """Capture the graphs of runs of this shape, if the switches and the device allow graphs."""
        if self._graphs is not None:
            self._graphs.capture(RunShape(segments, frames))

    def enqueue_captures(self, frames: Sequence[int]) -> None:
        """Have single segments of these lengths captured in idle time."""
        if self._graphs is not None:
            for count in frames:
                self._graphs.enqueue_capture(RunShape(1, count))

    def idle(self) -> bool:
        """Capture one graph in idle time. Returns whether there may be more to capture."""
        parts = (self._graphs, self._text_graphs, self._vocoder)
        return any(part.capture_next() for part in parts if part is not None)

    def _use_graphs(self, capturer: StepCapture | None) -> None:
        """Run everything that has a fixed shape through graphs, and queue the common shapes that no voice decides."""
        kinds = {kind for nfe_step in _PLANNED for kind in self._plan(nfe_step)}
        most_frames = self._buckets[-1]
        self._graphs = GraphRunner(
            self._dit,
            most_rows=most_frames,
            max_segments=MAX_BATCH,
            cfg_strength=self._cfg_strength,
            kinds=sorted(kinds, key=lambda kind: kind.name),
            capturer=capturer,
        )
        self._vocoder.use_graphs(capturer, most_frames)
        for frames in duration.common_speech():
            self._vocoder.enqueue_capture(frames)
        if self._switches.text_once:
            self._text_graphs = self._capture_text(capturer)

    def _capture_text(self, capturer: StepCapture | None) -> CapturedFunction:
        encoder, most_tokens = self._text, self._buckets[-1]
        number = torch.zeros((), dtype=torch.int64, device=self._device)
        graphs = CapturedFunction(
            "the text encoder",
            partial(text_encoder.compute_rows, encoder),
            (number.new_zeros(most_tokens), number, number),
            encoder.table.new_zeros(2, most_tokens, encoder.table.shape[1]),
            capturer,
        )
        self._text = replace(encoder, compute=graphs)
        for tokens in _COMMON_TOKENS if encoder.masks_filler else ():
            graphs.enqueue_capture(((tokens,), (), ()))
        return graphs

    def _make_limiter(self) -> Callable[[], None]:
        if self._device.type != "cuda":
            return lambda: None
        return LaunchLimiter().launched

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
        """The mel of the speech, fp32 [frames, 100] each. Its first frame is the reference's last, as in upstream."""
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
        """The state of a run, fp32 [B, N, 100], and the function that does its evaluations."""
        steps, at = self._steps(nfe_step), partial(self._modulator.at, nfe_step)
        fixed = condition() if self._switches.folds else None
        graphs, launched = self._graphs, self._launched
        if graphs is not None and fixed is not None and (shape := graphs.load(fixed, noise)) is not None:

            def replay(i: int, guidance: Guidance) -> None:
                graphs.advance(shape, at(i), steps[i], guidance)
                launched()

            return graphs.state(shape), replay
        y, difference = new_state(noise, padded)

        def advance(i: int, guidance: Guidance) -> None:
            buffers = StaticBuffers(y, difference, fixed or condition(), at(i), steps[i])
            step(self._dit, buffers, guidance, self._cfg_strength)
            launched()

        return y, advance

    def _encode(self, job: SegmentJob) -> tuple[Tensor, Tensor]:
        encode = text_encoder.encode if self._switches.text_once else text_encoder.encode_in_full
        cond, uncond = encode(self._text, self._tokenize(job.text).to(self._device), job.frames)
        return cond, uncond

    def _noise(self, job: SegmentJob) -> Tensor:
        """The noise, drawn at the exact length and in fp32: a seed gives the same speech, whatever it is padded to."""
        generator = torch.Generator(self._device)
        if job.seed is None:
            generator.seed()
        else:
            generator.manual_seed(job.seed)
        return torch.randn(job.frames, MELS, generator=generator, device=self._device)
