"""The rules of this house: its policies, and how it reads text."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from ishowtts.config import Config
from ishowtts.inbox import Taken
from ishowtts.policies import Policies, Quiet, merged_text
from ishowtts.speech import Line, Priority, Rejection
from ishowtts.text import Reader


class HouseRules:
    """What the configuration says about lines, from their arrival to their sound.

    Args:
        voices: names of the voices there are now.
        language_of: of a voice by name; `None` from it is English.
        wall: local wall time.
    """

    def __init__(
        self,
        config: Config,
        voices: Callable[[], Collection[str]],
        language_of: Callable[[str | None], str | None],
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._merge_say = config.policies.merge_say
        self._policies = Policies(config.policies, config.limits, config.engine.f5.nfe_step, voices=voices)
        default_voice = config.engine.f5.default_voice
        self._reader = Reader(config.text.pronunciations, language_of, config.text.normalise, default_voice)
        self._wall = wall

    @property
    def troubles(self) -> tuple[str, ...]:
        """Sentences about files of the operator's that cannot be used as they are."""
        return tuple(fault for fault in (self._policies.fault, self._reader.fault) if fault)

    def quiet_until(self) -> str | None:
        """The local time until which low and normal lines wait; `None`: they do not."""
        quiet = self._quiet()
        return None if quiet is None or quiet.volume is not None else quiet.until

    def admit(self, line: Line) -> Line | Rejection:
        """The line as it is to be spoken, or why it is not."""
        admitted = self._policies.admit(line)
        if isinstance(admitted, Line) and admitted.priority < self.minimum():
            return replace(admitted, done=(*admitted.done, "quiet"))
        return admitted

    def minimum(self) -> Priority:
        """The lowest priority that is spoken now."""
        return Priority.LOW if self.quiet_until() is None else Priority.HIGH

    def volume(self, line: Line) -> int | None:
        """The volume of a line; `None`: that of the appliance."""
        quiet = self._quiet()
        if quiet is None or quiet.volume is None or line.priority >= Priority.HIGH:
            return line.volume
        return quiet.volume if line.volume is None else min(line.volume, quiet.volume)

    def read(self, taken: Taken) -> str:
        """The text as it is read aloud."""
        said = taken.line.text
        if taken.times > 1:
            said = merged_text(self._merge_say, said, taken.times)
        return self._reader.read(said, taken.line.voice)

    def warm(self) -> None:
        """Make ready what the first line would wait for."""
        self._reader.warm()

    def _quiet(self) -> Quiet | None:
        return self._policies.quiet(self._wall())
