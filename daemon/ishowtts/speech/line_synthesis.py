"""Plans and synthesises the segments of one line. If an engine fails, the rest of the line is planned without it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import takewhile

from ishowtts import text
from ishowtts.archive import SpeechCache
from ishowtts.engines import VoiceInfo
from ishowtts.engines.candidates import EngineCandidate
from ishowtts.errors import Cancelled, EngineError, EngineLate, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.model import IsCancelled, Line, Segment, Utterance
from ishowtts.speech import segment_planner
from ishowtts.speech.cached_speech import CachedSpeech, synthesize, synthesize_batch
from ishowtts.speech.late_engine import LateCheck, SilentS
from ishowtts.speech.line_engines import LineEngines
from ishowtts.speech.line_notes import Substitution
from ishowtts.speech.line_parts import LinePart, line_parts
from ishowtts.speech.segment_planner import CostModel
from ishowtts.text.languages import LanguageRun, language_runs
from ishowtts.text.scripts import base_language

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpeechSettings:
    """What the synthesis of every line needs, besides the engines. The attributes are those of FallbackSynthesizer."""

    streaming: bool = True
    batching: bool = True
    cache: SpeechCache | None = None
    language_of: Callable[[str | None], str | None] = lambda _voice: None
    substitution: Callable[[str | None], Substitution | None] = lambda _voice: None
    late_s: float = math.inf
    cost_model: CostModel = field(default_factory=CostModel)


@dataclass(frozen=True)
class PlannedSegment:
    """A segment, and where it begins in the spoken text, in characters."""

    segment: Segment
    position: int


@dataclass(frozen=True)
class SynthesizedRun:
    """The sounds of the first of the coming segments.

    Attributes:
        coming: The segments from the first of these sounds on: as they were, or planned again because an engine failed.
    """

    coming: Sequence[PlannedSegment]
    utterances: Sequence[Utterance]


class LineSynthesis:
    """Synthesises one line.

    Attributes:
        engines: Which engine speaks, and which have failed at the line.
    """

    def __init__(self, order: Sequence[EngineCandidate], settings: SpeechSettings) -> None:
        self.engines = LineEngines(order)
        self._settings = settings
        self._line = Line("", "")  # in the default voice, if it names none
        self._whole = ""
        self._language: str | None = None  # the default one, with its region
        self._runs: Sequence[LanguageRun] = ()
        self._voices: dict[str, VoiceInfo] = {}
        self._seams_s: dict[str, float] = {}
        self._substitution: Substitution | None = None
        self._batch_failed = False
        self._cancelled: IsCancelled = lambda: False  # of the present call, as is the next one
        self._silent_s: SilentS = lambda: 0.0

    def seam_s(self, engine: str) -> float:
        """Length of the cross-fade between two segments of an engine, in seconds."""
        return self._seams_s.get(engine, 0.0)

    def substitution(self, segment: Segment, engine: str) -> Substitution | None:
        """Which engine should have spoken a segment, and why it did not; `None` if the right one spoke.

        Args:
            engine: Name of the engine that spoke it.
        """
        return self._substitution or self.engines.substitution(base_language(segment.language), engine)

    def plan(
        self,
        line: Line,
        whole: str,
        position: int = 0,
        default_voice: str | None = None,
        *,
        cancelled: IsCancelled = lambda: False,
        silent_s: SilentS = lambda: 0.0,
    ) -> list[PlannedSegment]:
        """Split the line's clean text, from a position on, into segments that suit the engines and the voice.

        A text that was spoken before is split as it was then. If all of its sound is cached, no engine need be ready.

        Args:
            default_voice: The voice of a line that names none; `None`: as the engine is configured.
            silent_s: As for `synthesize_next`.

        Raises:
            EngineUnavailable: The line must wait: every engine that speaks its language is unavailable, or cannot use
                its own default voice.
            SynthesisError: No engine speaks one of the languages.
            EngineError: The voice that the line names cannot be used and no other engine can speak.
            Cancelled: `cancelled()` turned true while a voice was made ready.
        """
        self._cancelled, self._silent_s = cancelled, silent_s
        self._line = line if line.voice is not None else replace(line, voice=default_voice)
        self._whole = whole
        self.engines.begin(voice_named=line.voice is not None)
        self._language = line.language or self._settings.language_of(self._line.voice)
        self._runs = language_runs(whole, self._language, fixed=line.language is not None)
        self._substitution = self._settings.substitution(line.voice)
        return self._plan(position, 0)

    def synthesize_next(
        self,
        coming: Sequence[PlannedSegment],
        unplayed_s: float,
        cancelled: IsCancelled,
        silent_s: SilentS = lambda: 0.0,
    ) -> SynthesizedRun:
        """Synthesise the first of the coming segments: one, or as many as go into one run.

        If an engine fails, the coming segments are planned again without it: the next engine splits the text in
        another way, and it may speak fewer languages.

        Args:
            coming: Segments that are not synthesised yet, in order; at least one.
            unplayed_s: Seconds of sound that is made and not yet heard.
            silent_s: For how long a listener has heard nothing. An engine that is late then fails at this line.

        Raises:
            EngineUnavailable: No engine can speak now; the line must wait.
            SynthesisError, EngineError: No engine could speak the segment.
            Cancelled: The synthesis was cancelled.
        """
        self._cancelled, self._silent_s = cancelled, silent_s
        while True:
            first = coming[0]
            candidate = self.engines.speaker_of(base_language(first.segment.language))
            segments = self._segments_for(candidate, coming)
            try:
                utterances = self._synthesize_run(candidate, segments, unplayed_s)
            except (SynthesisError, EngineError) as error:
                self.engines.note_failure(candidate, error)
                coming = self._plan(first.position, first.segment.index)
            else:
                return SynthesizedRun(coming, utterances)

    def expected_s(self, coming: Sequence[PlannedSegment]) -> float:
        """Returns how long the synthesis of the next segment should take, in seconds; 0 if that is unknown."""
        candidate = self.engines.known_speaker_of(base_language(coming[0].segment.language)) if coming else None
        voice = self._voices.get(candidate.name) if candidate else None
        if candidate is None or voice is None:
            return 0.0
        return self._settings.cost_model.synthesis_s(candidate.name, coming[0].segment, voice) or 0.0

    def _plan(self, position: int, index: int) -> list[PlannedSegment]:
        """Plans from a position on, without the engines that have failed; again if one fails meanwhile.

        Args:
            index: Number of the first segment within the line.
        """
        while True:
            failed = self.engines.failed
            parts = line_parts(self._whole, self._runs, position, self.engines.speaker_of)
            planned: list[tuple[str, str, int]] = []
            for part in parts:
                texts = self._split(part, streaming=self._settings.streaming and part is parts[0])
                if self.engines.failed != failed:
                    break
                planned += self._placed(part, texts)
            else:
                count = index + len(planned)
                return [
                    PlannedSegment(self._segment(index + i, count, said, language), at)
                    for i, (said, language, at) in enumerate(planned)
                ]

    def _placed(self, part: LinePart, texts: Sequence[str]) -> list[tuple[str, str, int]]:
        """Each text of a part with its language and its position in the line."""
        placed, position = [], part.start
        for said in texts:
            # It is not found if a run of punctuation in it was shortened: then it begins about here.
            position = max(position, self._whole.find(said, position, part.end))
            placed.append((said, self._tag(part.language), position))
            position = min(position + len(said), part.end)
        return placed

    def _segment(self, index: int, count: int, said: str, language: str) -> Segment:
        line = self._line
        return Segment(line.id, index, count, said, line.voice, line.nfe_step, line.seed, line.speed, language)

    def _tag(self, language: str) -> str:
        """A base language, with the region of the default language if that is the same one."""
        own = self._language
        return own if own is not None and base_language(own) == language else language

    def _split(self, part: LinePart, *, streaming: bool) -> Sequence[str]:
        """Splits a part into texts for its engine. None, and a failure of the engine, if it cannot speak now."""
        candidate, cache = part.candidate, self._cached_speech(part.candidate)
        said = self._whole[part.start : part.end]
        line = replace(self._line, voice=self._voice_for(candidate), language=self._tag(part.language))
        key = cache.segmentation_key(line, said, streaming) if cache else None
        cached = cache.find_segmentation(key, line) if cache and key else None
        if cached is not None and cached.complete:
            self._seams_s[candidate.name] = cached.seam_s
            return cached.segments
        try:
            voice = self._prepare(candidate, part.language)
        except EngineError as error:
            self.engines.note_failure(candidate, error)
            return ()
        if cached is not None:
            return cached.segments
        nfe_step = line.nfe_step or voice.nfe_step
        cost = self._settings.cost_model.estimate(candidate.name, nfe_step, voice) if streaming else None
        texts = segment_planner.split(said, voice, cost, line.speed or voice.speed)
        # If the voice changed during the split, it is unknown for which of the two the text was split.
        if cache and key and key == cache.segmentation_key(line, said, streaming):
            cache.store_segmentation(key, texts, voice.seam_s)
        return texts

    def _prepare(self, candidate: EngineCandidate, language: str) -> VoiceInfo:
        """Makes the voice ready.

        Raises:
            EngineUnavailable: The engine is known not to work now. Asking one that hangs would delay every line.
            EngineError: It cannot use the voice.
        """
        if (problem := candidate.problem()) is not None:
            raise EngineUnavailable(problem)
        with self._in_time(candidate, language) as check:
            voice = candidate.prepare(self._voice_for(candidate), check)
        if voice.max_segment_bytes < text.MIN_SEGMENT_BYTES:
            raise VoiceError(
                f"the voice {voice.name!r} takes only {voice.max_segment_bytes} bytes of text at a time; "
                f"give it a shorter clip, with all of its words"
            )
        self._voices[candidate.name], self._seams_s[candidate.name] = voice, voice.seam_s
        return voice

    def _synthesize_run(
        self, candidate: EngineCandidate, coming: Sequence[Segment], unplayed_s: float
    ) -> list[Utterance]:
        """Synthesises one segment, or as many as go into one run.

        If a run of several fails at a text, the segments of this line are made one by one from then on. So the next
        engine begins with the one that cannot be spoken, as it does without batches.
        """
        run = coming[: self._batch_size(candidate, coming, unplayed_s)]
        if len(run) > 1:
            try:
                own = [replace(one, voice=self._voice_for(candidate)) for one in run]
                cache = self._cached_speech(candidate)
                # A run teaches the cost model nothing, since it does not show what one segment costs alone.
                with self._in_time(candidate, base_language(run[0].language), run) as check:
                    return synthesize_batch(candidate.engine, cache, own, check)
            except SynthesisError as error:
                log.warning("%d segments could not be spoken in one run, each is spoken alone: %s", len(run), error)
                self._batch_failed = True
        with self._in_time(candidate, base_language(coming[0].language), coming[:1]) as check:
            return [self._synthesize(candidate, coming[0], check)]

    @contextmanager
    def _in_time(self, candidate: EngineCandidate, language: str, run: Sequence[Segment] = ()) -> Iterator[LateCheck]:
        """Yields the `cancelled` of one call of an engine, and raises EngineLate if the engine was late.

        The last engine that can speak is waited for. So is one whose cost is unknown.

        Args:
            run: What it speaks. None: it makes a voice ready, which takes well below `late_s`, and goes on with that
                if it is late: then the voice speaks the next line.
        """
        costs, voice = self._settings.cost_model, self._voices.get(candidate.name)
        each_s = [None if voice is None else costs.synthesis_s(candidate.name, segment, voice) for segment in run]
        expected_s = sum(math.inf if one_s is None else one_s for one_s in each_s)
        if not self.engines.has_deputy(candidate, language):
            expected_s = math.inf
        check = LateCheck(self._cancelled, self._silent_s, self._settings.late_s, expected_s)
        try:
            yield check
        except Cancelled:
            if not check.is_late:
                raise
            candidate.given_up()
            if run and voice is not None:
                # Else an engine that became slow for good would be given up at every line.
                costs.learn_late(candidate.name, run, check.took_s, voice)
            done = "spoken" if run else "made its voice ready"
            raise EngineLate(f"{candidate.name} had not {done} after {check.took_s:.1f} s") from None

    def _synthesize(self, candidate: EngineCandidate, segment: Segment, cancelled: IsCancelled) -> Utterance:
        segment, cache = replace(segment, voice=self._voice_for(candidate)), self._cached_speech(candidate)
        utterance = synthesize(candidate.engine, cache, segment, cancelled)
        if (voice := self._voices.get(candidate.name)) is not None and not utterance.cached:
            nfe_step = segment.nfe_step or voice.nfe_step
            self._settings.cost_model.learn(candidate.name, nfe_step, utterance, voice)
        return utterance

    def _batch_size(self, candidate: EngineCandidate, coming: Sequence[Segment], unplayed_s: float) -> int:
        """How many of the coming segments go into one run."""
        voice, first = self._voices.get(candidate.name), coming[0]
        if not self._settings.batching or self._batch_failed or voice is None or voice.bytes_per_s is None:
            return 1
        nfe_step = first.nfe_step or voice.nfe_step
        cost = self._settings.cost_model.estimate(candidate.name, nfe_step, voice)
        lengths_s = segment_planner.sound_s([one.text for one in coming], voice, first.speed or voice.speed)
        return segment_planner.batch_size(lengths_s, voice, cost, unplayed_s)

    def _voice_for(self, candidate: EngineCandidate) -> str | None:
        return self._line.voice if candidate.clones else None

    def _cached_speech(self, candidate: EngineCandidate) -> CachedSpeech | None:
        cache, cache_key = self._settings.cache, candidate.cache_key
        return None if cache is None or cache_key is None else CachedSpeech(cache, cache_key)

    def _segments_for(self, candidate: EngineCandidate, coming: Sequence[PlannedSegment]) -> list[Segment]:
        """The first of the coming segments that are all for one engine."""
        segments = (one.segment for one in coming)
        return list(takewhile(lambda one: self.engines.speaker_of(base_language(one.language)) is candidate, segments))
