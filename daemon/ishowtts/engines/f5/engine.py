"""The F5 engine: implements `Engine` with one of two models, the fast one or upstream's."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ishowtts import text as texts
from ishowtts.engines import EngineStats, Progress, ReportProgress, VoiceInfo
from ishowtts.engines.durations import split_run_time
from ishowtts.engines.f5 import checkpoint, duration, fast_model, reference
from ishowtts.engines.f5.architecture import HOP, RATE_HZ, TokenizerName
from ishowtts.engines.f5.cuda.caches import choose_assembler, keep_compiled
from ishowtts.engines.f5.device import choose_device, choose_dtype
from ishowtts.engines.f5.f5_options import F5Options
from ishowtts.engines.f5.graph_memory import GraphMemory
from ishowtts.engines.f5.model_job import F5Model, SegmentJob
from ishowtts.engines.f5.reference import Reference
from ishowtts.engines.f5.runner import OutOfMemory, Runner, as_engine_error
from ishowtts.engines.f5.upstream_packages import unsupported
from ishowtts.engines.f5.vocabulary import unknown_letters
from ishowtts.engines.voices.voice_library import Voice, VoiceLibrary
from ishowtts.engines.weights import examine
from ishowtts.errors import EngineUnavailable, SynthesisError, VoiceError, first_line
from ishowtts.model import IsCancelled, Samples, Segment, Utterance
from ishowtts.util.crossfade import FADE_S, join
from ishowtts.util.samples import unit_to_int16

__all__ = ["F5Engine", "F5Options"]

log = logging.getLogger(__name__)

_WARM_TEXT = "This is how I sound when I am warm."
_WARM_SPEECH_S = (1.0, 3.0)
_BATCH_PAYS_BELOW = 0.9  # a batch pays if it takes less than this share of the time of single runs
_SMALLEST_BYTES = 16  # the smallest part that a segment is cut into if memory is short


class F5Engine:
    """Speaks in the voice of a clip. One thread makes, loads and calls the engine."""

    def __init__(self, options: F5Options) -> None:
        self._options = options
        self._library = VoiceLibrary(
            *(Path(each) if each else None for each in (options.voices_dir, options.uploaded_dir))
        )
        self._references: dict[str, tuple[str, Reference]] = {}  # by name, with the version of the voice
        self._runner: Runner | None = None
        self._vocab: dict[str, int] = {}
        self._tokenizer: TokenizerName = "pinyin"
        self._device = torch.device("cpu")
        self._graph_memory = GraphMemory(self._device)
        self._switches = options.switches
        self._cost: float | None = None
        self._batch_s = 0.0

    @property
    def name(self) -> str:
        """The name, `f5`."""
        return "f5"

    @property
    def rate_hz(self) -> int:
        """The sample rate, 24,000 Hz."""
        return RATE_HZ

    def load(self, progress: ReportProgress) -> None:
        """Read the weights and the default voice.

        Raises:
            WeightsError, VoiceError: they cannot be used.
            PackageError: upstream's modules are needed and cannot be imported.
            EngineError: CUDA is wanted and does not work, or there is not enough memory.
        """
        progress(Progress("load", 0, 3))
        self._device = choose_device(self._options.device)
        self._graph_memory = GraphMemory(self._device)
        self._switches = self._options.switches.on_device(self._device.type)
        if self._device.type == "cuda":
            choose_assembler(torch.cuda.get_device_capability())
            if self._options.cache_dir is not None:
                keep_compiled(Path(self._options.cache_dir), torch.cuda.get_device_name())
        dtype = choose_dtype(self._options.precision, self._device)
        weights = examine(Path(self._options.weights))
        loaded = checkpoint.load(weights)
        self._vocab, self._tokenizer = loaded.vocab, loaded.model.tokenizer
        progress(Progress("load", 1, 3))
        with as_engine_error("load the model"), torch.inference_mode():
            self._runner = Runner(self._make_model(loaded, dtype), self._device)
        progress(Progress("load", 2, 3))
        self.prepare(None)
        progress(Progress("load", 3, 3))
        log.info("F5 is loaded from %s: %s on %s", weights.folder, dtype, self._device)

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Read the clip of a voice (`None`: the default voice), once for each version of it. Raises VoiceError."""
        found = self._find(voice)
        prepared = self._reference(found)
        reference_s = prepared.frames * HOP / RATE_HZ
        return VoiceInfo(
            prepared.name,
            prepared.max_segment_bytes,
            reference_s=reference_s,
            bytes_per_s=len(prepared.text.encode()) / reference_s,
            seam_s=FADE_S,
            cost=self._cost,
            cost_nfe_step=self._options.nfe_step,
            speed=found.speed or 1.0,
            nfe_step=found.nfe_step,
            batch_s=self._batch_s,
        )

    def warm(self, progress: ReportProgress) -> None:
        """Capture graphs for the common lengths, and synthesise test texts.

        Raises:
            EngineError: it failed. The message says what to fix.
        """
        voice = self._reference(self._find(None))
        common, later = duration.common_buckets(voice.frames, self._buckets())
        jobs = [self._warm_job(voice, speech_s) for speech_s in _WARM_SPEECH_S]
        count = len(common) + len(jobs)
        progress(Progress("warm", 0, count))
        with as_engine_error("speak its first words"), torch.inference_mode():
            for i, frames in enumerate(common):
                with self._graph_memory.measured():
                    self._loaded().model.capture(frames)
                progress(Progress("warm", i + 1, count))
            with self._graph_memory.measured():
                while self._loaded().model.idle():
                    pass  # the common lengths of the vocoder and of the text encoder
            for i, job in enumerate(jobs, len(common)):
                # Only the last and longest job counts: by then everything is warm.
                self._cost = self._loaded().time_s([job]) / (job.frames / duration.FRAMES_PER_S)
                progress(Progress("warm", i + 1, count))
            if self._device.type == "cuda":
                self._batch_s = duration.WINDOW_S if self._batches_pay(jobs[0]) else 0.0
            self._loaded().model.enqueue_captures(later)

    def stats(self) -> EngineStats:
        """The memory of tensors and graphs on the GPU, and the number of runs that were too long for every bucket."""
        cuda = self._device.type == "cuda"
        unbucketed = 0 if self._runner is None else self._runner.model.unbucketed
        reserved_mb = torch.cuda.memory_reserved() / 1e6 if cuda else None
        return EngineStats(reserved_mb, unbucketed, self._graph_memory.taken_mb)

    def idle(self) -> bool:
        """Capture one more graph, if there is one and memory for it. Returns whether there may be more."""
        try:
            if not self._graph_memory.has_room():
                return False
            with torch.inference_mode(), self._graph_memory.measured():
                return self._loaded().model.idle()
        except RuntimeError as error:
            log.warning("a capture in idle time failed: %s", first_line(error))
            return False

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speak one segment: int16 mono at 24 kHz. Too loud samples are clipped.

        A segment that does not fit into memory is spoken in halves.

        Raises:
            SynthesisError: this text cannot be spoken.
            VoiceError: its voice cannot be read.
            EngineError: the device failed.
            Cancelled: `cancelled()` returned true. It is asked before every evaluation.
        """
        started = time.monotonic()
        job = self._job(segment)
        samples = self._spoken([segment], [job], cancelled)[0]
        return Utterance(samples, RATE_HZ, time.monotonic() - started, self.name, job.reference.name, job.nfe_step)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Speak several segments: those with the same `nfe_step` in one run, if they fit into memory together.

        Raises:
            SynthesisError, VoiceError, EngineError, Cancelled: as from `synthesize`, for any of them.
        """
        jobs = [self._job(segment) for segment in segments]
        spoken: dict[int, Utterance] = {}
        for nfe_step in dict.fromkeys(job.nfe_step for job in jobs):
            started = time.monotonic()
            run = [i for i, job in enumerate(jobs) if job.nfe_step == nfe_step]
            sounds = self._spoken([segments[i] for i in run], [jobs[i] for i in run], cancelled)
            shares = split_run_time(time.monotonic() - started, [jobs[i].frames for i in run])
            for i, sound, synth_s in zip(run, sounds, shares, strict=True):
                voice = jobs[i].reference.name
                spoken[i] = Utterance(sound, RATE_HZ, synth_s, self.name, voice, nfe_step)
        return [spoken[i] for i in range(len(jobs))]

    def render(self, segment: Segment, cancelled: IsCancelled) -> NDArray[np.float32]:
        """Like `synthesize`, but fp32 [samples] at 24 kHz, not clipped: equal to upstream."""
        return self.render_batch([segment], cancelled)[0]

    def render_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[NDArray[np.float32]]:
        """Render several segments with the same `nfe_step` in one run. Each sounds as it does alone.

        Raises:
            OutOfMemory: they do not fit into memory together.
        """
        return self._loaded().floats([self._job(segment) for segment in segments], cancelled)

    def close(self) -> None:
        """Release the weights. Idempotent."""
        self._runner = None
        self._references.clear()

    def _make_model(self, loaded: checkpoint.Checkpoint, dtype: torch.dtype) -> F5Model:
        switches = self._switches
        cfg_strength = self._options.cfg_strength
        odd = unsupported(loaded.model, loaded.vocoder)
        if odd is None and switches.need_fast_model:
            return fast_model.FastModel(
                loaded, self._device, dtype, switches, cfg_strength=cfg_strength, buckets=self._buckets()
            )
        if odd is not None:
            log.warning("upstream's modules run, which are slower: the fast model does not support %s", odd)
        from ishowtts.engines.f5.upstream_model import UpstreamModel

        return UpstreamModel(loaded, self._device, dtype, cfg_strength, switches.compile or None)

    def _buckets(self) -> tuple[int, ...]:
        """Lengths that runs are padded to; empty if every run has its own length, which is the fastest on CPUs."""
        return duration.BUCKETS if self._switches.exact_padding else ()

    def _warm_job(self, voice: Reference, speech_s: float) -> SegmentJob:
        frames = voice.frames + round(speech_s * duration.FRAMES_PER_S)
        return SegmentJob(voice, voice.text + _WARM_TEXT, frames, self._options.nfe_step, seed=0)

    def _batches_pay(self, job: SegmentJob) -> bool:
        """Whether two short segments in one run take clearly less time than one after the other."""
        frames = duration.bucket(job.frames, self._buckets())
        if frames is not None:
            with self._graph_memory.measured():
                for segments in (1, 2):
                    self._loaded().model.capture(frames, segments)
        alone_s, together_s = (min(self._loaded().time_s(jobs) for _ in range(2)) for jobs in ([job], [job, job]))
        log.info("two segments in one run take %.2f times as long as one", together_s / alone_s)
        return together_s < 2 * _BATCH_PAYS_BELOW * alone_s

    def _loaded(self) -> Runner:
        if self._runner is None:
            raise EngineUnavailable("the F5 engine is not loaded")
        return self._runner

    def _spoken(self, segments: Sequence[Segment], jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[Samples]:
        """Speak in one run. If memory is short: one by one, and then in halves."""
        try:
            return self._loaded().samples(jobs, cancelled)
        except OutOfMemory:
            if len(jobs) == 1:
                return [unit_to_int16(self._in_halves(segments[0], cancelled))]
        log.warning("%d segments did not fit into memory together; they are spoken one by one", len(jobs))
        return [self._spoken([segment], [job], cancelled)[0] for segment, job in zip(segments, jobs, strict=True)]

    def _in_halves(self, segment: Segment, cancelled: IsCancelled) -> NDArray[np.float32]:
        """Speak the halves of a segment. Raises OutOfMemory if it cannot be cut any shorter."""
        size = len(segment.text.encode())
        halves = texts.segments(segment.text, max(_SMALLEST_BYTES, size // 2 + 8))
        if len(halves) < 2:
            raise OutOfMemory("there is not enough memory for this segment")
        log.warning("a segment of %d bytes did not fit into memory; it is spoken in parts", size)
        return join([self._part(replace(segment, text=half), cancelled) for half in halves], RATE_HZ)

    def _part(self, segment: Segment, cancelled: IsCancelled) -> NDArray[np.float32]:
        try:
            return self._loaded().floats([self._job(segment)], cancelled)[0]
        except OutOfMemory:
            return self._in_halves(segment, cancelled)

    def _job(self, segment: Segment) -> SegmentJob:
        model = self._loaded().model
        found = self._find(segment.voice)
        voice = self._reference(found)
        text = segment.text.strip()
        if not text:
            raise SynthesisError("there is nothing to say in this text")
        counted = unknown_letters(text, self._vocab)
        if counted.mostly_unknown:
            # As noise, or as any other letters: an unknown letter is token 0.
            raise SynthesisError(f"the weights lack {counted.unknown} of the {counted.letters} letters of this text")
        joined = voice.text + text
        switches = self._switches
        speed = segment.speed or found.speed or 1.0
        size = duration.text_size(text, self._tokenizer)
        speech = duration.speech_frames(voice.frames, voice.size, size, speed, short_text=switches.short_text)
        frames = duration.total_frames(voice.frames, speech, model.tokens(joined))
        if frames > duration.MOST_FRAMES:
            raise SynthesisError(
                f"a segment of {len(text.encode())} bytes is too long for the voice {voice.name!r}, "
                f"which takes {voice.max_segment_bytes}"
            )
        default_nfe = duration.nfe_for(speech) if switches.nfe_policy else self._options.nfe_step
        nfe_step = segment.nfe_step or found.nfe_step or default_nfe
        return SegmentJob(voice, joined, frames, nfe_step, segment.seed, voice.gain)

    def _find(self, name: str | None) -> Voice:
        return self._library.find(name or self._options.default_voice)

    def _reference(self, voice: Voice) -> Reference:
        """The reference of a voice. It is read again if the voice has changed."""
        version, kept = self._references.get(voice.name, (None, None))
        if kept is None or version != voice.version or not self._switches.reference_cache:
            self._references.pop(voice.name, None)
            if unknown_letters(voice.text, self._vocab).mostly_unknown:
                raise VoiceError(
                    f"the weights lack most letters of the words of the voice {voice.name!r}; add a voice with a clip "
                    "in their language (`ishowtts voices add`), and name it in the line or in engine.f5.default_voice"
                )
            kept = reference.read(voice, self._device, self._tokenizer)
            self._references[voice.name] = (voice.version, kept)
        return kept
