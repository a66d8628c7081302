"""The engines in the order in which they are asked: what each of them speaks, and whether it can speak now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ishowtts.engines import VoiceInfo
from ishowtts.engines.speech_cache_key import CacheKey
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.errors import EngineUnavailable
from ishowtts.model import IsCancelled, Segment, Utterance


class Synthesizer(Protocol):
    """The part of `Engine` that synthesis needs. The worker engine has it too."""

    @property
    def name(self) -> str:
        """Name of the engine, as events show it."""

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Makes a voice ready."""

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speaks one segment."""

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Speaks several segments of one voice in one run, all or none."""


@dataclass(frozen=True)
class UnavailableEngine:
    """Stands for a configured engine that cannot be used: every call raises EngineUnavailable with the reason."""

    why: str
    name: str = "f5"

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Raises EngineUnavailable."""
        raise EngineUnavailable(self.why)

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Raises EngineUnavailable."""
        raise EngineUnavailable(self.why)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Raises EngineUnavailable."""
        raise EngineUnavailable(self.why)


@dataclass(frozen=True)
class EngineCandidate:
    """One engine of the order.

    Attributes:
        engine: what is asked to speak.
        name: its name in events: `f5`, `hibari`, `espeak` or `remote`.
        languages: returns the base languages that it speaks, such as `en`; `None` from it means every language.
        problem: returns why it cannot speak now, as far as is known without a request to it; `None` if it can.
        cache_key: cache key of its speech; `None` if its speech is not cached.
        clones: whether it speaks in the voice that a line names. Every other engine has voices of its own.
        mixes_languages: whether one segment may hold several of its languages.
        mixes_now: the same, if it depends on the boards that render.
        reads_latin: whether it reads Latin words in a text of any of its languages.
        worker: the same engine, if it runs in a worker.
        comes_and_goes: whether it is `absent` whenever it has a problem.
        slow_prepare: `engine.prepare` with a `cancelled`, if it may take long.
        given_up: told that the engine was too late, and that what it was asked for is not wanted any more.
    """

    engine: Synthesizer
    name: str
    languages: Callable[[], frozenset[str] | None] = lambda: None
    problem: Callable[[], str | None] = lambda: None
    cache_key: CacheKey | None = None
    clones: bool = False
    mixes_languages: bool = False
    mixes_now: Callable[[], bool] | None = None
    reads_latin: bool = False
    worker: WorkerEngine | None = None
    comes_and_goes: bool = False
    slow_prepare: Callable[[str | None, IsCancelled], VoiceInfo] | None = None
    given_up: Callable[[], None] = lambda: None

    def speaks(self, language: str) -> bool:
        """Returns whether it speaks a base language."""
        languages = self.languages()
        return languages is None or language in languages

    def snapshot(self) -> EngineCandidate:
        """Returns the same engine with the languages that it speaks now, for one line. May read the voices' files."""
        languages = self.languages()
        mixes = self.mixes_languages if self.mixes_now is None else self.mixes_now()
        return replace(self, languages=lambda: languages, mixes_languages=mixes)

    def prepare(self, voice: str | None, cancelled: IsCancelled) -> VoiceInfo:
        """Makes a voice ready. Raises Cancelled if it may take long and `cancelled()` turned true."""
        return self.engine.prepare(voice) if self.slow_prepare is None else self.slow_prepare(voice, cancelled)

    def status(self) -> EngineStatus | None:
        """Returns the status of its worker; `None` if it has none."""
        return self.worker.status() if self.worker else None

    def state(self) -> str:
        """Returns its state in one word: `unresponsive` if it keeps lines waiting, else that of its worker.

        One without a worker is `absent` if it cannot be used; else `ready`.
        """
        if self.worker is not None:
            state = self.worker.status().state
            return "unresponsive" if state is EngineState.READY and self.worker.lateness() else state.value
        absent = isinstance(self.engine, UnavailableEngine) or (self.comes_and_goes and self.problem() is not None)
        return "absent" if absent else "ready"


def worker_problem(worker: WorkerEngine) -> str | None:
    """Returns why an engine in a worker cannot speak now; `None` if it can."""
    status = worker.status()
    if status.state is EngineState.READY:
        return worker.lateness()
    detail = f": {status.detail}" if status.detail else ""
    return f"the engine {status.name} is {status.state.value}{detail}"
