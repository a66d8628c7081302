"""Applies the configuration to a line: whether it is accepted, when, how loud, in which words and after which chime."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from ishowtts.config import Config
from ishowtts.errors import OperatorFileError
from ishowtts.inbox import DequeuedLine
from ishowtts.limits import RENDER_CHARS
from ishowtts.model import Line, Priority, Rejection, Samples
from ishowtts.playback.chime_files import DEFAULT as DEFAULT_CHIME
from ishowtts.playback.chime_files import ChimeFiles
from ishowtts.policies import Policies, QuietHours, merged_text
from ishowtts.text.reader import TextReader

# Every kind of text that loads something: numbers in two languages, an address, emoji, styled letters, repeats.
_WARM_UP_TEXT = "𝓦𝓪𝓻𝓶 up: 1.5 °C at 5 p.m. on 2026-05-01, $3.50 soooooo 😀😀 see https://example.com/a 今天气温25度。"
_WARM_UP_AUTHOR = "Ａnna 😀"


class SpeechPolicy:
    """Answers what the configuration says about a line. Any thread may ask.

    Args:
        policies: Admission of lines, and quiet hours.
        reader: Turns a text into the words that are read aloud.
        chimes: The chimes that there are.
        chime: `audio.chime`: the chime of a line that names none.
        merge_say: `policies.merge_say`: how a line that was merged says its count.
        local_time: Returns the local time, for quiet hours.
        max_render_chars: The longest text to render.
    """

    def __init__(
        self,
        policies: Policies,
        reader: TextReader,
        chimes: ChimeFiles,
        *,
        chime: bool | str,
        merge_say: str,
        local_time: Callable[[], datetime] = datetime.now,
        max_render_chars: int = RENDER_CHARS,
    ) -> None:
        self._policies = policies
        self._render_policies = policies.for_longer_texts(max_render_chars)
        self._admission = threading.Lock()
        self._reader = reader
        self._chimes = chimes
        self._chime = chime
        self._merge_say = merge_say
        self._local_time = local_time

    @classmethod
    def from_config(
        cls,
        config: Config,
        voices: Callable[[], Collection[str]],
        language_of: Callable[[str | None], str | None],
        local_time: Callable[[], datetime] = datetime.now,
    ) -> SpeechPolicy:
        """Build it from a configuration.

        Args:
            voices: Returns the names of the voices that there are now.
            language_of: Language of a voice by its name; `None` from it means English.
            local_time: Returns the local time, for quiet hours.
        """
        return cls(
            Policies(config.policies, config.limits, config.engine.f5.nfe_step, voices=voices),
            _reader(config, language_of),
            ChimeFiles.from_config(config),
            chime=config.audio.chime,
            merge_say=config.policies.merge_say,
            local_time=local_time,
            max_render_chars=max(config.limits.max_chars, RENDER_CHARS),
        )

    def changed(self, config: Config, former: Config, language_of: Callable[[str | None], str | None]) -> SpeechPolicy:
        """The policy of another configuration. Files that this one reads already are not read again.

        Nothing changes before `take_effect`. The counts of the minute, and the lock for them, are the same.

        Args:
            former: The configuration of this policy. Its section `engine` is the same.
            language_of: As for `from_config`.

        Raises:
            OperatorFileError: A file that is read only now cannot be used.
        """
        other, faults = copy.copy(self), []
        other._policies = self._policies.changed(config.policies, config.limits)
        other._render_policies = other._policies.for_longer_texts(max(config.limits.max_chars, RENDER_CHARS))
        if config.policies.blocked != former.policies.blocked:
            faults.append(other._policies.fault)
        if config.text != former.text:
            other._reader = _reader(config, language_of)
            faults.append(other._reader.file_fault)
        other._chime, other._merge_say = config.audio.chime, config.policies.merge_say
        if (config.audio.chime, config.chimes_folder) != (former.audio.chime, former.chimes_folder):
            other._chimes = ChimeFiles.from_config(config)
            faults.append(other._chimes.fault or other._chime_fault())
        if sentences := [fault for fault in faults if fault]:
            raise OperatorFileError("; ".join(sentences))
        return other

    def take_effect(self) -> None:
        """Count lines against the limits of this policy from now on."""
        with self._admission:
            self._policies.take_effect()

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences for the operator about files that cannot be used as they are."""
        return tuple(fault for fault in (self._policies.fault, self._reader.fault, self._chimes.fault) if fault)

    def prepare(self) -> None:
        """Admit and read a text that nobody hears, so that the first line finds everything loaded."""
        self._reader.warm()
        line = Line("", _WARM_UP_TEXT, author=_WARM_UP_AUTHOR)
        self._policies.explain(line)
        self.spoken_text(DequeuedLine(0, line, 0.0, 0, None, 1, 2))
        self.quiet_until()
        self.chime_names()
        self._chime_fault()  # `problems` tells of it

    def admit(self, line: Line) -> Line | Rejection:
        """The line as it is to be spoken, or why it is rejected."""
        with self._admission:
            admitted = self._policies.admit(line)
        if isinstance(admitted, Line) and admitted.priority < self.min_priority():
            return replace(admitted, done=(*admitted.done, "quiet"))
        return admitted

    def admit_render(self, line: Line) -> Line | Rejection:
        """The line as it is to be rendered for others, or why it is rejected. Quiet hours do not matter to it."""
        with self._admission:
            return self._render_policies.admit(line)

    def quiet_until(self) -> str | None:
        """Local time until which low and normal lines wait; `None` if they do not wait."""
        quiet = self._quiet_hours()
        return None if quiet is None or quiet.volume is not None else quiet.until

    def min_priority(self) -> Priority:
        """Lowest priority that is spoken now."""
        return Priority.LOW if self.quiet_until() is None else Priority.HIGH

    def volume(self, line: Line, appliance_volume: int) -> int | None:
        """Volume of a line, 0 to 100; `None` if it is spoken at the volume of the appliance."""
        quiet = self._quiet_hours()
        if quiet is None or quiet.volume is None or line.priority >= Priority.HIGH:
            return line.volume
        return min(quiet.volume, appliance_volume if line.volume is None else line.volume)

    def spoken_text(self, dequeued: DequeuedLine) -> str:
        """The text of a line as it is read aloud. May take long: called on the thread `synthesis`."""
        text = dequeued.line.text
        if dequeued.times > 1:
            text = merged_text(self._merge_say, text, dequeued.times)
        return self._reader.read(text, dequeued.line.voice, dequeued.line.language)

    def chime(self, line: Line) -> tuple[Samples, int] | None:
        """The chime before a line and its rate in Hz; `None` if it has none.

        Raises:
            OperatorFileError: There is no such chime, or its file cannot be used.
        """
        name = self._chime if line.chime is None else line.chime
        if name is False:
            return None
        return self._chimes.find(DEFAULT_CHIME if name is True else name)

    def chime_names(self) -> list[str]:
        """Names of the chimes that a line may ask for."""
        return self._chimes.names()

    def _chime_fault(self) -> str | None:
        """Why the chime of lines that name none cannot be played; `None` if it can."""
        try:
            self.chime(Line("", ""))
        except OperatorFileError as error:
            return str(error)
        return None

    def _quiet_hours(self) -> QuietHours | None:
        return self._policies.quiet_hours(self._local_time())


def _reader(config: Config, language_of: Callable[[str | None], str | None]) -> TextReader:
    text = config.text
    return TextReader(text.pronunciations, language_of, text.normalise, config.engine.f5.default_voice, text.decimal)
