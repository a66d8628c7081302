"""The order of the engines in tests, and lines that are spoken with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ishowtts.engines.candidates import EngineCandidate, Synthesizer
from ishowtts.model import IsCancelled, Line, Utterance
from ishowtts.speech.fallback import FallbackSynthesizer
from ishowtts.speech.line_synthesis import LineSynthesis, PlannedSegment


def never() -> bool:
    return False


def engine_order(
    primary: Synthesizer, *others: Synthesizer | None, **fields: object
) -> Callable[[], list[EngineCandidate]]:
    """Engines that speak every language; the first one speaks in the voice of the line. `fields` are of the first."""
    named = [EngineCandidate(engine, engine.name, mixes_languages=True) for engine in (primary, *others) if engine]
    named[0] = replace(named[0], **{"clones": True, **fields})  # type: ignore[arg-type]
    return lambda: named


def speak(
    synthesizer: FallbackSynthesizer, whole: str, line: Line | None = None, *, unplayed_s: float = 0.0
) -> list[Utterance]:
    """The sounds of a line, asked for as a speech task does."""
    synthesis = synthesizer.begin_line()
    return speak_planned(synthesis, synthesis.plan(line or Line("line", whole), whole), unplayed_s=unplayed_s)


def speak_planned(
    synthesis: LineSynthesis,
    coming: Sequence[PlannedSegment],
    *,
    unplayed_s: float = 0.0,
    cancelled: IsCancelled = never,
) -> list[Utterance]:
    """The sounds of planned segments."""
    spoken: list[Utterance] = []
    while coming:
        run = synthesis.synthesize_next(coming, unplayed_s, cancelled)
        assert 0 < len(run.utterances) <= len(run.coming)
        spoken += run.utterances
        coming = run.coming[len(run.utterances) :]
    return spoken


def texts(planned: Sequence[PlannedSegment]) -> list[str]:
    """The texts of planned segments."""
    return [one.segment.text for one in planned]
