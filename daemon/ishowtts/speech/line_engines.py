"""The engines of one line: which of them speaks which language, and which have failed at the line."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ishowtts.engines.candidates import EngineCandidate
from ishowtts.errors import EngineError, EngineLate, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.speech.line_notes import Substitution

log = logging.getLogger(__name__)


class LineEngines:
    """The engines in their order, for one line. An engine that failed at the line is not asked again for it.

    Attributes:
        engine_error: How an engine failed at this line; `None` if none did, or if they were only unavailable.
        voice_unusable: Whether an engine cannot use the voice of this line. It can speak in other voices.
    """

    def __init__(self, order: Sequence[EngineCandidate]) -> None:
        self._order = tuple(order)
        self._voice_named = False
        self._found: dict[str, EngineCandidate | None] = {}  # the first in order that speaks a language
        self._failures: dict[str, SynthesisError | EngineError] = {}
        self.engine_error: str | None = None
        self.voice_unusable = False

    @property
    def outdated(self) -> bool:
        """Whether an engine does not speak only because it was unavailable, and it is back."""
        return any(
            isinstance(self._failures.get(each.name), EngineUnavailable) and each.problem() is None
            for each in self._order
        )

    @property
    def first(self) -> str:
        """Name of the first engine in order that has not failed."""
        return next((each.name for each in self._order if each.name not in self._failures), self._order[-1].name)

    @property
    def failed(self) -> frozenset[str]:
        """Names of the engines that failed at this line, or were unavailable."""
        return frozenset(self._failures)

    def begin(self, *, voice_named: bool) -> None:
        """Keeps the languages that the engines speak now. Reads the files of voices.

        Args:
            voice_named: Whether the line names a voice.
        """
        self._voice_named = voice_named
        self._order = tuple(each.snapshot() for each in self._order)
        self._found.clear()

    def speaker_of(self, language: str) -> EngineCandidate:
        """The first engine in order that speaks a language and has not failed. The answer is kept for the line.

        Raises:
            EngineUnavailable: Some of them are only unavailable: the line must wait.
            SynthesisError, EngineError: Nobody can speak it.
        """
        if language not in self._found:
            able = (each for each in self._order if each.name not in self._failures and each.speaks(language))
            self._found[language] = next(able, None)
        if (found := self._found[language]) is None:
            raise self._nobody(language)
        return found

    def known_speaker_of(self, language: str) -> EngineCandidate | None:
        """What `speaker_of` has answered before; `None` if it was not asked since an engine failed."""
        return self._found.get(language)

    def has_deputy(self, candidate: EngineCandidate, language: str) -> bool:
        """Whether another engine can speak a language now."""
        return any(
            each.name not in self._failures
            and each.name != candidate.name
            and each.speaks(language)
            and each.problem() is None
            for each in self._order
        )

    def substitution(self, language: str, engine: str) -> Substitution | None:
        """Which engine should have spoken a language, and why it did not; `None` if the right one spoke.

        A line that names a voice should be spoken by the engine that clones it; else the first in order that speaks
        the language should speak.

        Args:
            engine: Name of the engine that spoke it.
        """
        able = [each for each in self._order if each.speaks(language) or (each.clones and self._voice_named)]
        if not able or able[0].name == engine:
            return None
        failure = self._failures.get(able[0].name)
        reason = f"{able[0].name} does not speak the language {language!r}" if failure is None else str(failure)
        return Substitution(able[0].name, reason)

    def note_failure(self, candidate: EngineCandidate, error: SynthesisError | EngineError) -> None:
        """Notes that an engine cannot speak the rest of this line."""
        self._failures[candidate.name] = error
        self._found.clear()
        if isinstance(error, EngineUnavailable) and not isinstance(error, EngineLate):
            # While an engine is unavailable every line comes here: its own state has told why, once.
            log.debug("another engine speaks: %s", error)
            return
        log.warning("%s does not speak this line, the next engine does: %s", candidate.name, error)
        if isinstance(error, EngineLate):
            return
        self.voice_unusable |= isinstance(error, VoiceError)
        if not isinstance(error, VoiceError) or self._voice_named:
            self.engine_error = self.engine_error or str(error)

    def _nobody(self, language: str) -> SynthesisError | EngineError:
        """Why nobody can speak a language."""
        failures = [self._failures[each.name] for each in self._order if each.speaks(language)]
        if not failures:
            names = [each.name for each in self._order]
            fix = "" if "espeak" in names else "; add espeak to engine.fallback, which speaks over 100 languages"
            asked = f"which is in this text (asked: {', '.join(names)})"
            return SynthesisError(f"no engine speaks the language {language!r}, {asked}{fix}")
        reason = "; ".join(dict.fromkeys(map(str, failures)))
        if not self._voice_named and all(isinstance(failure, VoiceError) for failure in failures):
            return EngineUnavailable(f"the default voice cannot be used: {reason}")  # the line is not at fault
        if any(isinstance(failure, EngineUnavailable) for failure in failures):
            return EngineUnavailable(reason)
        return failures[-1]
