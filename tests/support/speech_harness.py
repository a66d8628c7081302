"""A scheduler over a real inbox and player, with an engine of tones that fails on demand."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ishowtts.engines import VoiceInfo
from ishowtts.engines.candidates import EngineCandidate
from ishowtts.errors import Cancelled, SpeakerError, VoiceError
from ishowtts.inbox import Inbox, InboxLimits, read_history, wait_for
from ishowtts.model import Arrival, IsCancelled, Line, Report, Samples, Segment, Utterance
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.playback.wav_speaker import WavSpeaker
from ishowtts.speech import FallbackSynthesizer, Scheduler, SpeechResources
from ishowtts.speech.synthesis_thread import NextRender
from ishowtts.util.samples import resample
from support.fake_policy import FakePolicy
from support.waiting import eventually

BYTES_PER_S = 40.0
RATE_HZ = 22_050  # as espeak-ng, so that sound is resampled for the player
UNCHANGED = PostProcessor(rate_hz=24_000, loudness_lufs=None, peak_dbtp=None)


class ToneEngine:
    """Speaks each text as a tone, at 40 bytes per second. A test sets what goes wrong.

    Attributes:
        problem: Why the engine does not work, if that is known.
        ready: Whether it can speak now; if not, it is not asked.
        errors: Raised by the next calls of `synthesize`, one each.
        errors_at: Raised once, at these texts.
        endless: Texts whose synthesis only ends if it is cancelled.
        cancelled_at_s: When such a synthesis was cancelled.
        batch_errors: Raised by the next calls of `synthesize_batch`.
        batches_blocked: A batch waits until it is cancelled, or until this is false.
        prepare_error: Raised by `prepare`.
        unusable_voices: Voices that `prepare` refuses.
        spoken: The texts that were synthesised.
        runs: The texts of each batch.
        prepared, prepared_s: The voices that were asked for, and when.
    """

    def __init__(self, name: str = "primary") -> None:
        self.name = name
        self.ready = True
        self.problem: str | None = None
        self.voice = VoiceInfo("any", 60)
        self.errors: list[Exception] = []
        self.errors_at: dict[str, Exception] = {}
        self.endless: set[str] = set()
        self.cancelled_at_s: list[float] = []
        self.batch_errors: list[Exception] = []
        self.batches_blocked = False
        self.prepare_error: Exception | None = None
        self.unusable_voices: set[str | None] = set()
        self.spoken: list[str] = []
        self.runs: list[list[str]] = []
        self.prepared: list[str | None] = []
        self.prepared_s: list[float] = []

    def why_not(self) -> str | None:
        return self.problem if self.ready else "it is warming"

    def prepare(self, voice: str | None) -> VoiceInfo:
        self.prepared.append(voice)
        self.prepared_s.append(time.monotonic())
        if self.prepare_error is not None:
            raise self.prepare_error
        if voice in self.unusable_voices:
            raise VoiceError(f"the voice {voice!r} holds nothing")
        return self.voice

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        if cancelled():
            raise Cancelled
        if self.errors:
            raise self.errors.pop(0)
        if error := self.errors_at.pop(segment.text, None):
            raise error
        while segment.text in self.endless:
            if cancelled():
                self.cancelled_at_s.append(time.monotonic())
                raise Cancelled
            time.sleep(0.01)
        self.spoken.append(segment.text)
        return Utterance(tone(segment.text), RATE_HZ, 0.001, self.name, self.voice.name)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        self.runs.append([segment.text for segment in segments])
        if self.batch_errors:
            raise self.batch_errors.pop(0)
        while self.batches_blocked:
            if cancelled():
                raise Cancelled
            time.sleep(0.01)
        return [self.synthesize(segment, cancelled) for segment in segments]


def tone(text: str) -> Samples:
    """As long as this text is spoken, and never silent."""
    frames = round(max(0.2, len(text.encode()) / BYTES_PER_S) * RATE_HZ)
    return (8000 * np.sin(np.arange(frames) * 2 * np.pi * 200 / RATE_HZ)).astype(np.int16)


class RemovableSpeaker(WavSpeaker):
    """A WAV file that can be unplugged in the middle of a word, like a sound card."""

    unplugged = False
    blocks_left: int | None = None

    def open(self, rate_hz: int) -> None:
        if self.unplugged:
            raise SpeakerError("the card is not there")
        super().open(rate_hz)

    def write(self, block: Samples) -> None:
        if self.blocks_left is not None:
            self.blocks_left -= 1
            self.unplugged = self.unplugged or self.blocks_left < 0
        if self.unplugged:
            raise SpeakerError("the card was pulled out")
        super().write(block)

    def plug_in(self) -> None:
        self.blocks_left, self.unplugged = None, False


class Harness:
    """A scheduler with everything that it needs. All parts are real, except engines and policy."""

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        *,
        paced: bool = False,
        fallback: ToneEngine | None = None,
        languages: Sequence[set[str]] = (),
        pause_s: float = 0.0,
        drop_when_lost: bool = False,
        limits: InboxLimits | None = None,
        post_processor: PostProcessor = UNCHANGED,
        next_render: NextRender = lambda _spare_s: None,
        late_s: float = math.inf,
    ) -> None:
        self.primary = ToneEngine()
        self.speaker = RemovableSpeaker(folder / "sound.wav", paced=paced)
        self.reports: list[Report] = []
        self.policy = FakePolicy()
        self.default_voice: str | None = None
        self.path = folder / "inbox.sqlite"
        self.inbox = Inbox(self.path, limits or InboxLimits(), on_lines=self._wake)
        stack.callback(self.inbox.close)
        self.player = Player(self.speaker, on_change=self._wake)
        engines = [self.primary] if fallback is None else [self.primary, fallback]
        spoken = [*map(frozenset, languages), None, None]
        order = [
            EngineCandidate(
                engine,
                engine.name,
                languages=lambda known=known: known,  # type: ignore[misc]
                problem=engine.why_not,
                clones=engine is self.primary,
                mixes_languages=True,
            )
            for engine, known in zip(engines, spoken, strict=False)
        ]
        synthesizer = FallbackSynthesizer(lambda: order, late_s=late_s)
        self.resources = SpeechResources(
            synthesizer, self.player, self.policy, post_processor, default_voice=lambda: self.default_voice
        )
        self.scheduler = Scheduler(
            self.inbox,
            self.resources,
            available=lambda: True,
            paused=False,
            pause_s=pause_s,
            drop_when_lost=drop_when_lost,
            on_change=lambda: None,
            on_report=self.reports.append,
            next_render=next_render,
        )
        self.player.start()
        stack.callback(self.player.close, 10)
        self.scheduler.start()
        stack.callback(self.scheduler.close, 10)

    def _wake(self) -> None:
        self.scheduler.wake()

    def say(self, *lines: Line) -> None:
        wait_for(self.inbox.accept([Arrival(line) for line in lines]))

    def set_paused(self, paused: bool) -> None:
        self.scheduler.submit(lambda: self.scheduler.set_paused(paused))
        eventually(lambda: self.scheduler.status.paused is paused, "the pause or its end")

    def outcome(self, line_id: str) -> str | None:
        return next((e.outcome.value for e in read_history(self.path, 50) if e.id == line_id and e.outcome), None)

    def await_outcome(self, line_id: str) -> str | None:
        eventually(lambda: self.outcome(line_id), f"the outcome of {line_id}")
        return self.outcome(line_id)

    def await_synthesis(self, text: str) -> None:
        eventually(lambda: text in self.primary.spoken, f"the synthesis of {text!r}")

    def events(self) -> list[tuple[str, str]]:
        return [(event.id, event.event) for _, event in wait_for(self.inbox.unsent(100))]

    def frames_of(self, texts: list[str]) -> list[int]:
        """How many samples each of these texts takes as it is played."""
        return [len(resample(tone(text), RATE_HZ, self.player.rate_hz)) for text in texts]
