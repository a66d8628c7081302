"""The voice of lines that name none: set over MQTT, else `engine.f5.default_voice`."""

from __future__ import annotations

import threading

from ishowtts.engines import VoiceInfo
from ishowtts.engines.build import Engines
from ishowtts.errors import CommandError, VoiceError
from ishowtts.util.known_names import listed


class DefaultVoice:
    """The default voice, and the setting that changes it. Any thread may call any method.

    A voice that was set and is gone, or cannot be used, is replaced by the configured one until it is back.

    Args:
        engines: Has the voices that there are, and the configured one.
        stored: The setting from before the start; `None` or empty if none was set.
    """

    def __init__(self, engines: Engines, stored: str | None) -> None:
        self._engines = engines
        self._library = engines.voice_library
        self._configured = engines.default_voice
        self._lock = threading.Lock()
        self._chosen: str | None = stored or None
        self._problem: str | None = None
        self.refresh()

    @property
    def name(self) -> str:
        """Name of the voice that lines without one use now."""
        return self.override() or self._configured

    def override(self) -> str | None:
        """The voice that replaces the configured one now; `None` if none does. It reads no disk."""
        with self._lock:
            return None if self._problem or self._chosen == self._configured else self._chosen

    @property
    def problem(self) -> str | None:
        """Why the voice that was set is not used; `None` if it is, or if none was set."""
        with self._lock:
            return self._problem

    def is_there(self, name: str) -> bool:
        """Whether there is such a voice. It takes little time, however many voices there are."""
        return self._library.has(name)

    def why_not(self, name: str) -> str:
        """Why a voice that was not there cannot be used. It may list the voices."""
        try:
            self.check(name)
        except CommandError as error:
            return str(error)
        return f"the voice {name!r} was not there until now; ask for it again"

    def check(self, name: str) -> None:
        """Check that there is such a voice and that its files can be read. Reads the disk.

        Raises:
            CommandError: The sentence lists the voices.
        """
        try:
            self._library.find(name)
        except VoiceError as error:
            voices = listed(self._library.listed())
            if self._library.has(name) or voices in str(error):
                raise CommandError(str(error)) from error
            joint = " The" if str(error).endswith("?") else "; the"
            raise CommandError(f"{error}{joint} voices are {voices}") from error

    def choose(self, name: str | None) -> str:
        """Use a voice from now on. `check` must have accepted it.

        Args:
            name: `None`: the configured voice.

        Returns: a sentence that names the voice, and says why it is not heard if another engine speaks.
        """
        with self._lock:
            self._chosen, self._problem = name, None
        reason = self._engines.cloned_voice_problem(self.name)
        unheard = f"; it is not heard, because another engine speaks: {reason}" if reason else ""
        return f"the default voice is {self.name}{', as configured' if name is None else ''}{unheard}"

    def prepare(self, name: str) -> VoiceInfo | None:
        """Make a voice ready, as `Engines.prepare_voice`. If it is the one that was set and cannot be used, drop it."""
        try:
            return self._engines.prepare_voice(name)
        except VoiceError as error:
            with self._lock:
                if name == self._chosen != self._configured:
                    self._problem = self._sentence(str(error))
            raise

    def refresh(self) -> None:
        """Look again whether the voice that was set is there, after voices have changed. Reads the disk."""
        with self._lock:
            chosen = self._chosen
        problem = None
        if chosen is not None and chosen != self._configured:
            try:
                self._library.find(chosen)
            except VoiceError as error:
                problem = self._sentence(str(error))
        with self._lock:
            if self._chosen == chosen:
                self._problem = problem

    def _sentence(self, reason: str) -> str:
        return (
            f"lines without a voice use {self._configured!r}, because the one that was set over MQTT cannot be used: "
            f"{reason}"
        )
