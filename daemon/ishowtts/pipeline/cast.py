"""Who speaks: the fallback rule."""

from __future__ import annotations

import logging
from typing import Protocol

from ishowtts.engines import Engine, IsCancelled, VoiceCard
from ishowtts.errors import EngineError, EngineUnavailable, SynthesisError
from ishowtts.speech import Segment, Utterance

log = logging.getLogger(__name__)

_SPARE_SEGMENT_BYTES = 400


class Speaks(Protocol):
    """What the cast needs of its engines: a part of `Engine`, which the remote engine keeps as well."""

    @property
    def name(self) -> str:
        """As events show it."""

    def prepare(self, voice: str | None) -> VoiceCard:
        """Make a voice ready."""

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speak one segment."""


class Cast:
    """The leading engine and the spare voice.

    Args:
        lead: the configured engine.
        spare: speaks where the lead cannot; `None` where `engine.fallback` is off or the lead is espeak itself.
    """

    def __init__(self, lead: Speaks, spare: Engine | None) -> None:
        self.lead = lead
        self.spare = spare

    def part(self) -> Part:
        """The voice of one line."""
        return Part(self)


class Part:
    """Speaks one line: the lead as long as it can, the spare voice from the first failed segment on."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._speaks: Speaks = cast.lead
        self.fell_back: str | None = None

    @property
    def engine(self) -> str:
        """Who speaks now."""
        return self._speaks.name

    def segment_bytes(self, voice: str | None) -> int:
        """The longest segment, in UTF-8 bytes, that whoever speaks takes in this voice.

        Raises:
            EngineUnavailable: the lead is away and there is no spare voice: the line waits.
            EngineError: the voice cannot be used and there is no spare voice.
        """
        try:
            return self._speaks.prepare(voice).max_segment_bytes
        except EngineError as error:
            self._fall_back(error)
        return _SPARE_SEGMENT_BYTES

    def speak(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """One segment's sound.

        Raises:
            EngineUnavailable: the lead is away and there is no spare voice: the line waits.
            SynthesisError, EngineError: nobody could speak it.
            Cancelled: it was told to stop.
        """
        try:
            return self._speaks.synthesize(segment, cancelled)
        except (SynthesisError, EngineError) as error:
            self._fall_back(error)
        return self._speaks.synthesize(segment, cancelled)

    def _fall_back(self, error: SynthesisError | EngineError) -> None:
        """Hand the rest of the line to the spare voice; re-raise where it speaks already or is not there."""
        spare = self._cast.spare
        if spare is None or self._speaks is spare:
            raise error
        # While the lead is away every line comes here: its own state has told why, once.
        level = logging.DEBUG if isinstance(error, EngineUnavailable) else logging.WARNING
        log.log(level, "the spare voice speaks: %s", error)
        self._speaks = spare
        self.fell_back = str(error)
