"""Builds the engines of the daemon: the primary one that `engine_choice` has chosen, and the fallback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ishowtts.config import Config
from ishowtts.engines import Engine, EngineStats, VoiceInfo
from ishowtts.engines.engine_choice import EngineChoice, choose_engine
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.f5.f5_options import F5Options
from ishowtts.engines.speech_cache_key import CacheKey, EspeakCacheKey, F5CacheKey
from ishowtts.engines.voices.voice_library import VoiceLibrary, open_voice_library, voices_folder
from ishowtts.engines.worker.remote_engine import RemoteEngine
from ishowtts.engines.worker.restart_policy import RestartBackoff
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus
from ishowtts.engines.worker.worker_connection import Deadlines
from ishowtts.errors import Cancelled, EngineError, EngineUnavailable, VoiceError
from ishowtts.model import IsCancelled, Segment, Utterance

__all__ = ["EngineChoice", "Engines", "UnavailableEngine", "build_engines", "choose_engine"]

log = logging.getLogger(__name__)


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
class Engines:
    """The engines of a running daemon.

    Args:
        choice: which engine is the primary one, and why.
        primary: speaks every line that it can speak.
        fallback: speaks what the primary cannot; `None` if `engine.fallback` is off, or if espeak is the primary.
        remote: the primary, if it runs in a worker.
        espeak: the espeak-ng engine, whether it is used or not.
        voice_library: the voices that lines may ask for.
        default_voice: name of the voice of a line that names none.
        cache_key: cache key of the primary's speech; `None` if its speech is not cached.
    """

    choice: EngineChoice
    primary: Engine | RemoteEngine | UnavailableEngine
    fallback: EspeakEngine | None
    remote: RemoteEngine | None
    espeak: EspeakEngine
    voice_library: VoiceLibrary
    default_voice: str
    cache_key: CacheKey | None = None

    def prepare_voice(self, name: str) -> VoiceInfo | None:
        """Makes a changed voice ready again. Returns `None` if no engine prepares voices.

        Raises:
            VoiceError: it cannot be used.
            EngineUnavailable: the worker is not warm now.
            EngineError: preparing it ended the worker.
        """
        if self.remote is None:
            self.voice_library.find(name)
            return None
        self.forget_voice(name)
        return self.remote.prepare(name)

    def forget_voice(self, name: str) -> None:
        """Discards what the worker knows of a voice that has changed or was removed, and ends its quarantine.

        If it is the default voice, this also starts a parked worker again.
        """
        if self.remote is None:
            return
        self.remote.forget(name)
        if name == self.default_voice:
            self.remote.forget(None)
            if self.remote.status().state is EngineState.PARKED:
                self.remote.retry_now()  # the default voice may be what the worker could not load

    def cloned_voice_problem(self, name: str | None) -> str | None:
        """Returns why a voice of the library is not spoken by F5, which alone can clone it; `None` if it is, or may be.

        Args:
            name: the voice that a line names; `None` if it names none, which any engine speaks as configured.
        """
        if isinstance(self.primary, UnavailableEngine):
            return self.primary.why
        if self.primary is not self.espeak or name is None or name not in self.voice_library.names():
            return None
        return self.choice.why

    def gain_db(self, engine: str, name: str) -> float:
        """Returns the gain of a voice that F5 speaks; 0 for other engines, and for a voice without one."""
        if engine == self.espeak.name:
            return 0.0
        try:
            return self.voice_library.find(name, self.default_voice).gain_db or 0.0
        except VoiceError:
            return 0.0

    def available(self) -> bool:
        """Returns whether any engine can speak now."""
        if self.espeak_is_used and self.espeak_problem is None:
            return True
        return self.primary is not self.espeak and self.primary_ready()

    def primary_ready(self) -> bool:
        """Returns whether the primary engine can speak now, as far as is known without a request to it."""
        if self.remote is not None:
            return self.remote.status().state is EngineState.READY
        return not isinstance(self.primary, UnavailableEngine)

    @property
    def espeak_problem(self) -> str | None:
        """Why espeak-ng cannot speak; `None` if it can, or if it is not used."""
        return self.espeak.problem if self.espeak_is_used else None

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences about engines and voices that cannot speak, in addition to those of `status`."""
        found = (self.espeak.problem, self.espeak.voice_problem) if self.espeak_is_used else ()
        espeak = (problem for problem in found if problem is not None)
        return (*espeak, *(self.remote.quarantined_voices() if self.remote else ()))

    def check_espeak(self, cancelled: IsCancelled) -> None:
        """Tests whether espeak-ng works now, and sets `espeak_problem` accordingly."""
        with suppress(EngineError, Cancelled):
            self.espeak.check(cancelled)

    @property
    def espeak_is_used(self) -> bool:
        """Whether espeak-ng is the primary engine or the fallback engine."""
        return self.fallback is not None or self.primary is self.espeak

    def status(self) -> EngineStatus | None:
        """Returns the status of the worker; `None` if there is no worker."""
        return self.remote.status() if self.remote else None

    def stats(self) -> EngineStats:
        """Returns the stats that the worker reported last."""
        return self.remote.stats() if self.remote else EngineStats()

    def start(self) -> None:
        """Tests espeak-ng and starts the worker. An espeak-ng that does not work yet may work later."""
        if self.espeak_is_used:
            try:
                self.espeak.load(lambda _: None)
            except EngineUnavailable as error:
                log.debug("lines wait for another engine, or for espeak-ng: %s", error)
        if self.remote is not None:
            self.remote.start()

    def close(self) -> None:
        """Ends the worker and closes espeak."""
        if self.remote is not None:
            self.remote.close()
        self.espeak.close()


def build_engines(config: Config, choice: EngineChoice, on_change: Callable[[], None]) -> Engines:
    """Builds the engines. Nothing is started yet."""
    section = config.engine
    library, default = open_voice_library(config), section.f5.default_voice
    espeak = EspeakEngine(section.espeak_voice, lambda voice: library.language(voice, default), on_change)
    if choice.kind == "espeak":
        return Engines(choice, espeak, None, None, espeak, library, default, EspeakCacheKey(config, espeak, library))
    fallback = espeak if section.fallback else None
    if choice.weights is None:
        unavailable = UnavailableEngine(choice.problem or choice.why)
        return Engines(choice, unavailable, fallback, None, espeak, library, default)
    options = F5Options(
        weights=str(choice.weights.folder),
        voices_dir=str(voices_folder(config)),
        default_voice=section.f5.default_voice,
        nfe_step=section.f5.nfe_step,
        cfg_strength=section.f5.cfg_strength,
        precision=section.f5.tensor_precision,
        device=section.f5.device,
        cache_dir=str(config.cache_dir),
        switches=section.f5.switches,
    )
    deadlines = Deadlines(**section.deadlines.model_dump())
    backoff = RestartBackoff(**section.restart.model_dump())
    remote = RemoteEngine("f5", options.to_dict(), deadlines, backoff=backoff, on_change=on_change)
    cache_key = F5CacheKey(config, choice.weights, library)
    return Engines(choice, remote, fallback, remote, espeak, library, default, cache_key)
