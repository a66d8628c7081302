"""A speech policy that a test changes while lines are spoken."""

from __future__ import annotations

from ishowtts.inbox import DequeuedLine
from ishowtts.model import Line, Priority, Samples
from ishowtts.text import clean


class FakePolicy:
    """Takes the place of `SpeechPolicy`. By default every line is spoken as it is, without a chime."""

    def __init__(self) -> None:
        self.lowest = Priority.LOW
        self.quiet_volume: int | None = None
        self.read_aloud = clean
        self.chime_sound: tuple[Samples, int] | None = None

    def prepare(self) -> None:
        pass

    def min_priority(self) -> Priority:
        return self.lowest

    def volume(self, line: Line, appliance_volume: int) -> int | None:
        return line.volume if self.quiet_volume is None else self.quiet_volume

    def spoken_text(self, dequeued: DequeuedLine) -> str:
        return self.read_aloud(dequeued.line.text)

    def chime(self, line: Line) -> tuple[Samples, int] | None:
        return self.chime_sound
