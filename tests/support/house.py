"""The rules of a house, as the pipeline asks for them."""

from __future__ import annotations

from ishowtts.inbox import DequeuedLine
from ishowtts.model import Line, Priority, Samples
from ishowtts.text import clean


class House:
    """Its rules, which a test changes."""

    def __init__(self) -> None:
        self.least = Priority.LOW
        self.most: int | None = None
        self.words = clean
        self.bell: tuple[Samples, int] | None = None

    def minimum(self) -> Priority:
        return self.least

    def volume(self, line: Line, appliance: int) -> int | None:
        return line.volume if self.most is None else self.most

    def chime(self, line: Line) -> tuple[Samples, int] | None:
        return self.bell

    def warm(self) -> None:
        pass

    def read(self, taken: DequeuedLine) -> str:
        return self.words(taken.line.text)
