"""The rules of this house: its policies, and how it reads text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from ishowtts.config import Config
from ishowtts.errors import OperatorFileError
from ishowtts.inbox import DequeuedLine
from ishowtts.model import Line, Priority, Rejection, Samples
from ishowtts.playback.chime_files import DEFAULT as DEFAULT_CHIME
from ishowtts.playback.chime_files import ChimeFiles
from ishowtts.policies import Policies, QuietHours, merged_text
from ishowtts.text import TextReader
from ishowtts.util.logs import Untrusted

log = logging.getLogger(__name__)


def chimes(config: Config) -> ChimeFiles:
    """The chimes of a configuration."""
    audio = config.audio
    wanted = DEFAULT_CHIME if audio.chime is True else audio.chime or None
    return ChimeFiles(audio.chimes_dir or config.data_folder / "chimes", wanted)


class SpeechPolicy:
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
        self._reader = TextReader(config.text.pronunciations, language_of, config.text.normalise, default_voice)
        self._wall = wall
        self._chime = config.audio.chime
        self._chimes = chimes(config)

    @property
    def troubles(self) -> tuple[str, ...]:
        """Sentences about what the rules need and cannot use as it is."""
        return self.file_faults + ((self._chimes.fault,) if self._chimes.fault else ())

    @property
    def file_faults(self) -> tuple[str, ...]:
        """Of these, what is wrong with files that the configuration names."""
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

    def volume(self, line: Line, appliance: int) -> int | None:
        """The volume of a line; `None`: that of the appliance."""
        quiet = self._quiet()
        if quiet is None or quiet.volume is None or line.priority >= Priority.HIGH:
            return line.volume
        return min(quiet.volume, appliance if line.volume is None else line.volume)

    def chime(self, line: Line) -> tuple[Samples, int] | None:
        """What is heard before a line, and its rate in Hz; `None`: nothing, or a file that cannot be used."""
        name = self._chime if line.chime is None else line.chime
        if name is False:
            return None
        try:
            return self._chimes.find(DEFAULT_CHIME if name is True else name)
        except OperatorFileError as error:
            log.debug("line %s is spoken without a chime: %s", Untrusted(line.id), error)
            return None

    def chime_names(self) -> list[str]:
        """The chimes that a line may name."""
        return self._chimes.names()

    def read(self, taken: DequeuedLine) -> str:
        """The text as it is read aloud."""
        said = taken.line.text
        if taken.times > 1:
            said = merged_text(self._merge_say, said, taken.times)
        return self._reader.read(said, taken.line.voice)

    def warm(self) -> None:
        """Make ready what the first line would wait for."""
        self._reader.warm()
        self.chime(Line("", ""))

    def _quiet(self) -> QuietHours | None:
        return self._policies.quiet(self._wall())
