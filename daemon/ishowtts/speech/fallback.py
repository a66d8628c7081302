"""Synthesises a line: each segment by the first engine in order that speaks its language and has not failed."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ishowtts.archive import SpeechCache
from ishowtts.engines.build import Engines
from ishowtts.engines.candidates import EngineCandidate
from ishowtts.model import IsCancelled, Line
from ishowtts.speech.line_notes import Substitution
from ishowtts.speech.line_synthesis import LineSynthesis, SpeechSettings

log = logging.getLogger(__name__)

_WARM_UP_TEXT = "It is ready, and says so."


class FallbackSynthesizer:
    """The engines in their order, and what all lines share: measured costs and the cache.

    Args:
        order: Returns the engines in the order in which they are asked; at least one. It must not block.
        streaming: Whether a line may begin with a short segment, so that it is heard sooner.
        batching: Whether several segments of a line may be made in one run.
        cache: The cache of speech; `None` if speech is not kept.
        local_engine: An engine that is prepared for its first line in this process; `None` if there is none.
        language_of: Returns the language of a voice; `None` from it means English.
        substitution: Returns why the engine that a voice needs is none of these; `None` if it is, or needs none.
        late_s: After so long without sound an engine is late that takes much longer than expected.
    """

    def __init__(
        self,
        order: Callable[[], Sequence[EngineCandidate]],
        *,
        streaming: bool = True,
        batching: bool = True,
        cache: SpeechCache | None = None,
        local_engine: EngineCandidate | None = None,
        language_of: Callable[[str | None], str | None] = lambda _voice: None,
        substitution: Callable[[str | None], Substitution | None] = lambda _voice: None,
        late_s: float = math.inf,
    ) -> None:
        self._order = order
        self._local_engine = local_engine
        self.settings = SpeechSettings(streaming, batching, cache, language_of, substitution, late_s)

    @classmethod
    def from_engines(
        cls,
        engines: Engines,
        *,
        streaming: bool,
        batching: bool,
        language_of: Callable[[str | None], str | None],
        cache: SpeechCache | None = None,
        late_s: float = math.inf,
    ) -> FallbackSynthesizer:
        """Build it from the engines of the daemon."""
        return cls(
            lambda: engines.order,
            streaming=streaming,
            batching=batching,
            cache=cache,
            local_engine=next((each for each in engines.order if each.engine is engines.espeak), None),
            language_of=language_of,
            substitution=lambda voice: _substitution(engines, voice),
            late_s=late_s,
        )

    def begin_line(self) -> LineSynthesis:
        """The synthesis of one line. It begins with the engines that can speak now."""
        return LineSynthesis(self._order(), self.settings)

    def begin_render(self, *, is_segment: bool = False) -> LineSynthesis:
        """The synthesis of one render: one segment at a time, so that a line never waits for several.

        Args:
            is_segment: The text is not split for an early first sound: its requester waits for all of it.
        """
        settings = replace(self.settings, batching=False, streaming=self.settings.streaming and not is_segment)
        return LineSynthesis(self._order(), settings)

    def working_engines(self) -> frozenset[str]:
        """Names of the engines that are believed to work. It does not block."""
        return frozenset(each.name for each in self._order() if each.problem() is None)

    def prepare(self, cancelled: IsCancelled) -> None:
        """Synthesise a text that nobody hears with the engine in this process. A worker has prepared itself.

        Raises:
            EngineError, SynthesisError, Cancelled: As from `LineSynthesis.synthesize_next`.
        """
        line = Line("", _WARM_UP_TEXT)
        for candidate in self._order():
            if candidate.cache_key is not None:
                candidate.cache_key(None)  # asks espeak-ng for its version
        if self._local_engine is not None:
            # Neither the cache nor the costs of real lines must hold anything of this text.
            synthesis = LineSynthesis([self._local_engine], SpeechSettings())
            synthesis.synthesize_next(synthesis.plan(line, line.text), 0.0, cancelled)


def _substitution(engines: Engines, voice: str | None) -> Substitution | None:
    """Another primary engine speaks in place of F5 if a line names a voice of the library."""
    reason = None if voice is None else engines.cloned_voice_problem(voice)
    return None if reason is None else Substitution("f5", reason)
