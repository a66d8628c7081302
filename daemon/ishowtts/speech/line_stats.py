"""Measures how a line was spoken: waiting, synthesis, sound and the time to the first sample."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from ishowtts.inbox import DequeuedLine
from ishowtts.model import EngineShare, Report, Utterance
from ishowtts.playback.playback_buffer import Playing


@dataclass
class LineStats:
    """Figures of one line, counted from its beginning."""

    began_s: float = field(default_factory=time.monotonic)
    synth_s: float = 0.0
    audio_s: float = 0.0
    first_sample_s: float | None = None
    first: Utterance | None = None
    last: Utterance | None = None
    all_cached: bool = True
    _shares: dict[str, EngineShare] = field(default_factory=dict)  # by engine, without sound from the cache

    def segment_queued(self, utterance: Utterance) -> None:
        """A segment went to the player."""
        self.synth_s += utterance.synth_s
        self.first = self.first or utterance
        self.last = utterance
        self.all_cached &= utterance.cached

    def segment_started(self, playing: Playing) -> None:
        """A segment may have started to play."""
        if self.first_sample_s is None:
            self.first_sample_s = playing.started_at

    def segment_heard(self, utterance: Utterance, playing: Playing) -> None:
        """A segment was heard to its end."""
        audio_s = utterance.audio_s - playing.overlap_s
        self.audio_s += audio_s
        if not utterance.cached:
            share = self._shares.get(utterance.engine) or EngineShare(utterance.engine, 0.0, 0.0)
            self._shares[utterance.engine] = replace(
                share, synth_s=share.synth_s + utterance.synth_s, audio_s=share.audio_s + audio_s
            )

    def report(self, dequeued: DequeuedLine, engine: str) -> Report:
        """The report of the line.

        Args:
            engine: The engine to name if no segment was spoken.
        """
        first, last = self.first, self.last
        # The time of a sample is an estimate of the device: on a busy machine it was up to 0.05 s before the beginning.
        ttfa_s = None if self.first_sample_s is None else max(0.0, self.first_sample_s - self.began_s)
        began_with = None if first is None or first.cached else first.engine
        return Report(
            queue_s=dequeued.queue_s,
            synth_s=self.synth_s,
            audio_s=self.audio_s,
            ttfa_s=ttfa_s,
            engine=last.engine if last else engine,
            voice=last.voice if last else dequeued.line.voice or "",
            nfe_step=last.nfe_step if last else None,
            cached=last is not None and self.all_cached,
            shares=tuple(
                replace(share, ttfa_s=ttfa_s if share.engine == began_with else None) for share in self._shares.values()
            ),
        )


def event_data(report: Report) -> dict[str, object]:
    """A report as the `finished` event shows it; seconds to the millisecond."""
    return {
        "queue_s": round(report.queue_s, 3),
        "synth_s": round(report.synth_s, 3),
        "audio_s": round(report.audio_s, 3),
        "rtf": None if report.rtf is None else round(report.rtf, 4),
        "ttfa_s": None if report.ttfa_s is None else round(report.ttfa_s, 3),
        "engine": report.engine,
        "voice": report.voice,
        "nfe_step": report.nfe_step,
        "cached": report.cached,
    }
