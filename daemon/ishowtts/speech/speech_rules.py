"""What the house has to say about a line that is to be spoken."""

from __future__ import annotations

from typing import Protocol

from ishowtts.inbox import DequeuedLine
from ishowtts.model import Line, Priority, Samples


class SpeechRules(Protocol):
    """Asked by the conductor; nothing here may block for long."""

    def minimum(self) -> Priority:
        """The lowest priority that is spoken now."""

    def volume(self, line: Line, appliance: int) -> int | None:
        """The volume of a line, 0 to 100; `None`: that of the appliance, which is `appliance` now."""

    def chime(self, line: Line) -> tuple[Samples, int] | None:
        """What is to be heard before a line, and its rate in Hz; `None`: nothing. Never raises."""

    def warm(self) -> None:
        """Make ready what the first line would wait for. Called on the thread `synthesis`."""

    def read(self, taken: DequeuedLine) -> str:
        """The text as it is read aloud. Called on the thread `synthesis`."""
