"""Synthesises a line with the primary engine, and with the fallback engine from the first segment that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import takewhile

from ishowtts import text
from ishowtts.engines import Engine, VoiceInfo
from ishowtts.engines.build import Engines
from ishowtts.engines.candidates import Synthesizer
from ishowtts.errors import EngineError, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.model import IsCancelled, Line, Segment, Utterance
from ishowtts.speech import segment_planner
from ishowtts.speech.cached_speech import CachedSpeech
from ishowtts.speech.line_notes import Substitution
from ishowtts.speech.segment_planner import CostModel

log = logging.getLogger(__name__)


_WARM_UP_TEXT = "It is ready, and says so."


class FallbackSynthesizer:
    """The primary engine, the fallback engine, and what all lines share: measured costs and the cache.

    Args:
        primary: The configured engine.
        fallback: Speaks if the primary engine cannot. `None` if `engine.fallback` is off or espeak-ng is the primary.
        streaming: Whether a line may begin with a short segment, so that it is heard sooner.
        batching: Whether several segments of a line may be made in one run.
        primary_ready: Whether the primary engine is ready now. It must not block.
        fallback_problem: Why the fallback engine cannot speak now, if that is known. It must not block.
        cached_speech: Speech that the primary engine made before; `None` if it is not kept.
        local_engine: An engine that is prepared for its first line in this process; `None` if there is none.
        substitution: Why the primary engine is not the one that a voice needs; `None` from it if it is.
    """

    def __init__(
        self,
        primary: Synthesizer,
        fallback: Synthesizer | None,
        *,
        streaming: bool = True,
        batching: bool = True,
        primary_ready: Callable[[], bool] = lambda: True,
        fallback_problem: Callable[[], str | None] = lambda: None,
        cached_speech: CachedSpeech | None = None,
        local_engine: Engine | None = None,
        substitution: Callable[[str | None], Substitution | None] = lambda _voice: None,
    ) -> None:
        self.primary = primary
        self.fallback = fallback
        self.streaming = streaming
        self.batching = batching
        self.primary_ready = primary_ready
        self.fallback_problem = fallback_problem
        self.cached_speech = cached_speech
        self.local_engine = local_engine
        self.substitution = substitution
        self.cost_model = CostModel()

    @classmethod
    def from_engines(
        cls, engines: Engines, *, streaming: bool, batching: bool, cached_speech: CachedSpeech | None = None
    ) -> FallbackSynthesizer:
        """Build it from the engines of the daemon."""
        primary, *later = engines.order
        return cls(
            primary.engine,
            later[-1].engine if later else None,
            streaming=streaming,
            batching=batching,
            primary_ready=lambda: primary.problem() is None,
            fallback_problem=lambda: engines.espeak_problem,
            cached_speech=cached_speech,
            local_engine=engines.espeak if engines.espeak_is_used else None,
            substitution=lambda voice: _substitution(engines, voice),
        )

    def begin_line(self) -> LineSynthesis:
        """The synthesis of one line. It begins with the primary engine."""
        return LineSynthesis(self)

    def prepare(self, cancelled: IsCancelled) -> None:
        """Synthesise a text that nobody hears with the engine in this process. A worker has prepared itself.

        Raises:
            EngineError, SynthesisError, Cancelled: As from `LineSynthesis.synthesize`.
        """
        line = Line("", _WARM_UP_TEXT)
        if self.cached_speech is not None:
            self.cached_speech.segmentation_key(line, line.text, self.streaming)  # asks espeak-ng for its version
        if self.local_engine is not None:
            # Neither the cache nor the costs of real lines must hold anything of this text.
            synthesis = FallbackSynthesizer(self.local_engine, None, streaming=self.streaming).begin_line()
            parts = synthesis.split(line, line.text)
            synthesis.synthesize(Segment(line.id, 0, len(parts), parts[0]), cancelled)


def _substitution(engines: Engines, voice: str | None) -> Substitution | None:
    """espeak-ng, as the primary engine, speaks in place of F5 if a line names a voice of the library."""
    reason = engines.cloned_voice_problem(voice)
    return None if reason is None else Substitution("f5", reason)


class LineSynthesis:
    """Synthesises one line: the primary engine as long as it can, then the fallback engine for the rest.

    Attributes:
        fallback_reason: Why the fallback engine speaks; `None` if it does not.
        primary_error: How the primary engine failed at this line; `None` if it did not, or was only unavailable.
        voice_unusable: Whether the primary engine cannot use the voice of this line. It can speak in other voices.
    """

    def __init__(self, synthesizer: FallbackSynthesizer) -> None:
        self._synthesizer = synthesizer
        self._engine: Synthesizer = synthesizer.primary
        self._voice: VoiceInfo | None = None
        self._seam_s = 0.0
        self._primary_was_unavailable = False
        self._substitution: Substitution | None = None
        self._batch_failed = False
        self.fallback_reason: str | None = None
        self.primary_error: str | None = None
        self.voice_unusable = False

    @property
    def outdated(self) -> bool:
        """Whether the fallback engine speaks only because the primary was unavailable, and the primary is back."""
        return self._primary_was_unavailable and self._synthesizer.primary_ready()

    @property
    def engine(self) -> str:
        """Name of the engine that speaks now."""
        return self._engine.name

    @property
    def seam_s(self) -> float:
        """Length of the cross-fade between two segments of the current engine, in seconds."""
        return self._seam_s

    def substitution(self, engine: str) -> Substitution | None:
        """Which engine should have spoken a segment, and why it did not; `None` if the right one spoke.

        Args:
            engine: Name of the engine that spoke it.
        """
        primary = self._synthesizer.primary.name
        if engine != primary:
            return Substitution(primary, self.fallback_reason or "no reason is known")
        return self._substitution

    def split(self, line: Line, whole: str) -> list[str]:
        """Split the line's clean text, or the rest of it, into segments that suit the engine and the voice.

        A text that was spoken before is split as it was then. If all of its sound is cached, no engine need be ready.

        Raises:
            EngineUnavailable: The line must wait: the primary engine is unavailable, or cannot use its own default
                voice, and there is no fallback engine.
            EngineError: The voice that the line names cannot be used and there is no fallback engine.
        """
        self._substitution = self._synthesizer.substitution(line.voice)
        cache, streaming = self._synthesizer.cached_speech, self._synthesizer.streaming
        key = cache.segmentation_key(line, whole, streaming) if cache else None
        cached = cache.find_segmentation(key, line) if cache and key else None
        if cached is not None and cached.complete:
            self._seam_s = cached.seam_s
            return list(cached.segments)
        voice = self._prepare(line.voice)
        if cached is not None and self._is_primary:
            return list(cached.segments)
        nfe_step = line.nfe_step or voice.nfe_step
        cost = self._synthesizer.cost_model.estimate(self._engine.name, nfe_step, voice) if streaming else None
        segments = segment_planner.split(whole, voice, cost, line.speed or voice.speed)
        # If the voice changed during the split, it is unknown for which of the two the text was split.
        if cache and key and self._is_primary and key == cache.segmentation_key(line, whole, streaming):
            cache.store_segmentation(key, segments, voice.seam_s)
        return segments

    def synthesize_next(self, coming: Sequence[Segment], unplayed_s: float, cancelled: IsCancelled) -> list[Utterance]:
        """Synthesise the first of the coming segments: one, or as many as go into one run.

        If a run of several fails at a text, the segments of this line are made one by one from then on. So the fallback
        engine begins with the one that cannot be spoken, as it does without batches.

        Args:
            coming: Segments that are not synthesised yet, in order; at least one.
            unplayed_s: Seconds of sound that is made and not yet heard.

        Raises:
            EngineUnavailable, SynthesisError, EngineError, Cancelled: As from `synthesize`.
        """
        run = coming[: self._batch_size(coming, unplayed_s)]
        if len(run) > 1:
            try:
                return self._synthesize_batch(run, cancelled)
            except SynthesisError as error:
                log.warning("%d segments could not be spoken in one run, each is spoken alone: %s", len(run), error)
                self._batch_failed = True
            except EngineError as error:
                self._fall_back(error, coming[0].voice)
                self._prepare(coming[0].voice)
        return [self.synthesize(coming[0], cancelled)]

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Synthesise one segment.

        Raises:
            EngineUnavailable: No engine can speak now; the line must wait.
            SynthesisError, EngineError: No engine could speak the segment.
            Cancelled: The synthesis was cancelled.
        """
        cache = self._cache_of_primary()
        key = cache.speech_key(segment) if cache else None
        if cache and key and (cached := cache.find_speech(key)) is not None:
            return cached
        try:
            utterance = self._engine.synthesize(segment, cancelled)
        except (SynthesisError, EngineError) as error:
            self._fall_back(error, segment.voice)
            self._prepare(segment.voice)
            utterance = self._engine.synthesize(segment, cancelled)
        if self._voice is not None:
            nfe_step = segment.nfe_step or self._voice.nfe_step
            self._synthesizer.cost_model.learn(self._engine.name, nfe_step, utterance, self._voice)
        if cache and key and self._is_primary and key == cache.speech_key(segment):
            cache.store_speech(key, utterance)
        return utterance

    def _batch_size(self, coming: Sequence[Segment], unplayed_s: float) -> int:
        """How many of the coming segments go into one run."""
        voice, first = self._voice, coming[0]
        if not self._synthesizer.batching or self._batch_failed or voice is None or voice.bytes_per_s is None:
            return 1
        nfe_step = first.nfe_step or voice.nfe_step
        cost = self._synthesizer.cost_model.estimate(self._engine.name, nfe_step, voice)
        lengths_s = segment_planner.sound_s([one.text for one in coming], voice, first.speed or voice.speed)
        return segment_planner.batch_size(lengths_s, voice, cost, unplayed_s)

    def _synthesize_batch(self, run: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Cached segments at the head come from the cache. Else all that are missing are made in one run.

        The run teaches the cost model nothing, since it does not show what one segment costs alone.
        """
        cache = self._cache_of_primary()
        keys = [cache.speech_key(segment) if cache else None for segment in run]
        sounds = [cache.find_speech(key) if cache and key else None for key in keys]
        if head := list(takewhile(lambda sound: sound is not None, sounds)):
            return [sound for sound in head if sound is not None]
        missing = [i for i, sound in enumerate(sounds) if sound is None]
        if len(missing) < 2:
            return [self.synthesize(run[0], cancelled)]
        made = self._engine.synthesize_batch([run[i] for i in missing], cancelled)
        for i, utterance in zip(missing, made, strict=True):
            sounds[i], key = utterance, keys[i]
            if cache and key and key == cache.speech_key(run[i]):
                cache.store_speech(key, utterance)
        return [sound for sound in sounds if sound is not None]

    @property
    def _is_primary(self) -> bool:
        return self._engine is self._synthesizer.primary

    def _cache_of_primary(self) -> CachedSpeech | None:
        """The cache while the primary engine speaks: only its speech is kept."""
        return self._synthesizer.cached_speech if self._is_primary else None

    def _prepare(self, name: str | None) -> VoiceInfo:
        """Make the voice ready in the current engine, or in the fallback engine if that fails."""
        try:
            voice = self._engine.prepare(name)
            if voice.max_segment_bytes < text.MIN_SEGMENT_BYTES:
                raise VoiceError(
                    f"the voice {voice.name!r} takes only {voice.max_segment_bytes} bytes of text at a time; "
                    f"give it a shorter clip, with all of its words"
                )
        except EngineError as error:
            self._fall_back(error, name)
            voice = self._engine.prepare(name)
        self._voice, self._seam_s = voice, voice.seam_s
        return voice

    def _fall_back(self, error: SynthesisError | EngineError, voice: str | None) -> None:
        """Give the rest of the line to the fallback engine.

        Raises:
            EngineUnavailable: The primary engine cannot use the voice, and the fallback engine does not work. Or there
                is no fallback engine, and the voice is the default one: a line that names no voice is not at fault.
            SynthesisError, EngineError: `error` itself, if the fallback engine speaks already or does not exist.
        """
        default_voice_unusable = voice is None and isinstance(error, VoiceError)
        fallback = self._synthesizer.fallback
        if self._is_primary:
            self.voice_unusable = isinstance(error, VoiceError)
        if fallback is None or self._engine is fallback:
            if default_voice_unusable:
                raise EngineUnavailable(f"the default voice cannot be used: {error}") from error
            raise error
        # Running an espeak-ng that hangs would delay the lines that the primary engine can speak.
        if self.voice_unusable and (problem := self._synthesizer.fallback_problem()) is not None:
            raise EngineUnavailable(f"{error}; {problem}") from error
        # While the primary engine is unavailable every line comes here: its own state has told why, once.
        level = logging.DEBUG if isinstance(error, EngineUnavailable) else logging.WARNING
        log.log(level, "the fallback voice speaks: %s", error)
        self._engine = fallback
        self._primary_was_unavailable = isinstance(error, EngineUnavailable)
        self.fallback_reason = str(error)
        if not (self._primary_was_unavailable or default_voice_unusable):
            self.primary_error = str(error)
