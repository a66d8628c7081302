"""The rules of this house: its policies, and how it reads text."""

from __future__ import annotations

from ishowtts import text
from ishowtts.inbox import Taken
from ishowtts.speech import Line, Priority, Rejection


class HouseRules:
    """What the configuration says about lines, from their arrival to their sound."""

    def admit(self, line: Line) -> Line | Rejection:
        """The line as it is to be spoken, or why it is not."""
        return line

    def minimum(self) -> Priority:
        """The lowest priority that is spoken now."""
        return Priority.LOW

    def volume(self, line: Line) -> int | None:
        """The volume of a line; `None`: that of the appliance."""
        return line.volume

    def read(self, taken: Taken) -> str:
        """The text as it is read aloud."""
        return text.clean(taken.line.text)
