"""Who speaks: the fallback rule, and the cutting of a line for whoever speaks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Protocol

from ishowtts import text
from ishowtts.engines import Engine, VoiceInfo
from ishowtts.engines.build import Engines
from ishowtts.errors import EngineError, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.model import IsCancelled, Line, Segment, Utterance
from ishowtts.speech import batch_size, segment_planner
from ishowtts.speech.cached_speech import CachedSpeech
from ishowtts.speech.cost_model import CostModel

log = logging.getLogger(__name__)


class Synthesizer(Protocol):
    """What the cast needs of its engines: a part of `Engine`, which the remote engine keeps as well."""

    @property
    def name(self) -> str:
        """As events show it."""

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Make a voice ready."""

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speak one segment."""

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Speak several segments of one voice in one run, all or none."""


class FallbackSynthesizer:
    """The leading engine and the spare voice.

    Args:
        lead: the configured engine.
        spare: speaks where the lead cannot; `None` where `engine.fallback` is off or the lead is espeak itself.
        streaming: whether a line may begin with a short segment, so that it is heard sooner.
        batching: whether several segments of a line may be made in one run.
        lead_ready: whether the lead is there now. It must not block.
        spare_trouble: why the spare voice cannot speak now, if that is known. It must not block.
    """

    def __init__(
        self,
        lead: Synthesizer,
        spare: Engine | None,
        *,
        streaming: bool = True,
        batching: bool = True,
        lead_ready: Callable[[], bool] = lambda: True,
        spare_trouble: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.lead = lead
        self.spare = spare
        self.streaming = streaming
        self.batching = batching
        self.lead_ready = lead_ready
        self.spare_trouble = spare_trouble
        self.costs = CostModel()
        self.memory: CachedSpeech | None = None

    @classmethod
    def from_engines(cls, engines: Engines, *, streaming: bool, batching: bool) -> FallbackSynthesizer:
        """Over the engines of the daemon."""
        return cls(
            engines.primary,
            engines.fallback,
            streaming=streaming,
            batching=batching,
            lead_ready=engines.primary_ready,
            spare_trouble=lambda: engines.espeak_trouble,
        )

    def remember(self, memory: CachedSpeech) -> None:
        """Have what the lead speaks kept, and spoken again from there."""
        self.memory = memory

    def part(self) -> LineSynthesis:
        """The voice of one line."""
        return LineSynthesis(self)


class LineSynthesis:
    """Speaks one line: the lead as long as it can, the spare voice from the first failed segment on.

    Attributes:
        fell_back: why the spare voice speaks, if it does.
        lead_fault: how the lead failed at this line, if it did; `None` also while it was away.
        voice_fault: whether the lead cannot use the voice of this line; it can speak others.
    """

    def __init__(self, cast: FallbackSynthesizer) -> None:
        self._cast = cast
        self._speaks: Synthesizer = cast.lead
        self._card: VoiceInfo | None = None
        self._seam_s = 0.0
        self._lead_was_away = False
        self._batches_failed = False
        self.fell_back: str | None = None
        self.lead_fault: str | None = None
        self.voice_fault = False

    @property
    def outdated(self) -> bool:
        """Whether the spare voice speaks only because the lead was away, which it is no more."""
        return self._lead_was_away and self._cast.lead_ready()

    @property
    def engine(self) -> str:
        """Who speaks now."""
        return self._speaks.name

    @property
    def seam_s(self) -> float:
        """The cross-fade between two segments of whoever speaks now."""
        return self._seam_s

    def cut(self, line: Line, whole: str) -> list[str]:
        """Cut the line's clean text, or the rest of it, into segments that whoever speaks takes in its voice.

        A text that was spoken before is cut as it was then; where all of its sound is kept, nobody need be ready.

        Raises:
            EngineUnavailable: the lead is away, or cannot use its own default voice, and there is no spare voice: the
                line waits.
            EngineError: the voice that the line names cannot be used and there is no spare voice.
        """
        memory, streaming = self._cast.memory, self._cast.streaming
        key = memory.cut_key(line, whole, streaming) if memory else None
        kept = memory.cut(key, line) if memory and key else None
        if kept is not None and kept.complete:
            self._seam_s = kept.cut.seam_s
            return list(kept.cut.segments)
        card = self._prepare(line.voice)
        if kept is not None and self._leads:
            return list(kept.cut.segments)
        nfe_step = line.nfe_step or card.nfe_step
        cost = self._cast.costs.of(self._speaks.name, nfe_step, card) if streaming else None
        segments = segment_planner.cut(whole, card, cost, line.speed or card.speed)
        # Of a voice that has changed meanwhile nobody knows which of the two it was cut for.
        if memory and key and self._leads and key == memory.cut_key(line, whole, streaming):
            memory.keep_cut(key, segments, card.seam_s)
        return segments

    def speak_next(self, coming: Sequence[Segment], waiting_s: float, cancelled: IsCancelled) -> list[Utterance]:
        """The sounds of the first of the coming segments: of one, or of as many as are made in one run.

        Where a run of several fails over a text, this line's segments are made one by one from there on: so the spare
        voice begins with the one that cannot be spoken, as it always does.

        Args:
            coming: not heard yet, in order; at least one.
            waiting_s: how much sound is made and not yet heard.

        Raises:
            EngineUnavailable, SynthesisError, EngineError, Cancelled: as from `speak`.
        """
        run = coming[: self._together(coming, waiting_s)]
        if len(run) > 1:
            try:
                return self._speak_together(run, cancelled)
            except SynthesisError as error:
                log.warning("%d segments could not be spoken in one run, each is spoken alone: %s", len(run), error)
                self._batches_failed = True
            except EngineError as error:
                self._fall_back(error, coming[0].voice)
                self._prepare(coming[0].voice)
        return [self.speak(coming[0], cancelled)]

    def speak(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """One segment's sound.

        Raises:
            EngineUnavailable: nobody can speak now: the line waits.
            SynthesisError, EngineError: nobody could speak it.
            Cancelled: it was told to stop.
        """
        memory = self._cast.memory if self._leads else None
        key = memory.speech_key(segment) if memory else None
        if memory and key and (kept := memory.speech(key)) is not None:
            return kept
        try:
            utterance = self._speaks.synthesize(segment, cancelled)
        except (SynthesisError, EngineError) as error:
            self._fall_back(error, segment.voice)
            self._prepare(segment.voice)
            utterance = self._speaks.synthesize(segment, cancelled)
        if self._card is not None:
            nfe_step = segment.nfe_step or self._card.nfe_step
            self._cast.costs.note(self._speaks.name, nfe_step, utterance, self._card)
        if memory and key and self._leads and key == memory.speech_key(segment):
            memory.keep_speech(key, utterance)
        return utterance

    def _together(self, coming: Sequence[Segment], waiting_s: float) -> int:
        """How many of the coming segments are made in one run."""
        card, first = self._card, coming[0]
        if not self._cast.batching or self._batches_failed or card is None or card.bytes_per_s is None:
            return 1
        cost = self._cast.costs.of(self._speaks.name, first.nfe_step or card.nfe_step, card)
        lengths_s = segment_planner.sound_s([one.text for one in coming], card, first.speed or card.speed)
        return batch_size.together(lengths_s, card, cost, waiting_s)

    def _speak_together(self, run: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Those that are kept from there, all others in one run; what a segment costs alone is not learnt from it."""
        memory = self._cast.memory if self._leads else None
        keys = [memory.speech_key(segment) if memory else None for segment in run]
        sounds = [memory.speech(key) if memory and key else None for key in keys]
        if kept := list(takewhile(lambda sound: sound is not None, sounds)):
            return [sound for sound in kept if sound is not None]
        missing = [i for i, sound in enumerate(sounds) if sound is None]
        if len(missing) < 2:
            return [self.speak(run[0], cancelled)]
        made = self._speaks.synthesize_batch([run[i] for i in missing], cancelled)
        for i, utterance in zip(missing, made, strict=True):
            sounds[i], key = utterance, keys[i]
            if memory and key and key == memory.speech_key(run[i]):
                memory.keep_speech(key, utterance)
        return [sound for sound in sounds if sound is not None]

    @property
    def _leads(self) -> bool:
        return self._speaks is self._cast.lead

    def _prepare(self, voice: str | None) -> VoiceInfo:
        """The card of whoever speaks."""
        try:
            card = self._speaks.prepare(voice)
            if card.max_segment_bytes < text.MIN_SEGMENT_BYTES:
                raise VoiceError(
                    f"the voice {card.name!r} takes only {card.max_segment_bytes} bytes of text at a time; "
                    f"give it a shorter clip, with all of its words"
                )
        except EngineError as error:
            self._fall_back(error, voice)
            card = self._speaks.prepare(voice)
        self._card, self._seam_s = card, card.seam_s
        return card

    def _fall_back(self, error: SynthesisError | EngineError, voice: str | None) -> None:
        """Hand the rest of the line to the spare voice.

        Raises:
            EngineUnavailable: the lead cannot use the voice, and the spare voice does not work; or there is none, and
                the voice is the lead's own default: that is no fault of a line which names none.
            SynthesisError, EngineError: `error` itself, where the spare voice speaks already or is not there.
        """
        of_the_lead = voice is None and isinstance(error, VoiceError)
        spare = self._cast.spare
        if self._leads:
            self.voice_fault = isinstance(error, VoiceError)
        if spare is None or self._speaks is spare:
            if of_the_lead:
                raise EngineUnavailable(f"the default voice cannot be used: {error}") from error
            raise error
        # A test of an espeak-ng that hangs would keep the lines waiting that the lead can speak.
        if self.voice_fault and (trouble := self._cast.spare_trouble()) is not None:
            raise EngineUnavailable(f"{error}; {trouble}") from error
        # While the lead is away every line comes here: its own state has told why, once.
        level = logging.DEBUG if isinstance(error, EngineUnavailable) else logging.WARNING
        log.log(level, "the spare voice speaks: %s", error)
        self._speaks = spare
        self._lead_was_away = isinstance(error, EngineUnavailable)
        self.fell_back = str(error)
        if not (self._lead_was_away or of_the_lead):
            self.lead_fault = str(error)
