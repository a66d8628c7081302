"""Which engine leads, and why: `engine.kind` and what is there decide."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ishowtts.config import Config
from ishowtts.engines import Engine, EngineStats, VoiceInfo
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.f5.f5_options import F5Options
from ishowtts.engines.speech_cache_key import CacheKey, EspeakCacheKey, F5CacheKey
from ishowtts.engines.voices.shelf import VoiceShelf
from ishowtts.engines.weights import Weights, locate
from ishowtts.engines.worker.remote_engine import RemoteEngine
from ishowtts.engines.worker.requests import Deadlines
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus, RestartBackoff
from ishowtts.errors import Cancelled, EngineError, EngineUnavailable, FatalError, VoiceError, WeightsError
from ishowtts.model import IsCancelled, Segment, Utterance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineChoice:
    """The engine that leads.

    Args:
        kind: `f5` or `espeak`.
        why: one sentence for the operator.
        weights: what f5 loads; `None` for espeak, and where f5 was asked for but cannot be.
        trouble: why the engine that was asked for does not speak.
    """

    kind: str
    why: str
    weights: Weights | None = None
    trouble: str | None = None


def choose_engine(config: Config) -> EngineChoice:
    """Take f5 where weights are, else espeak, unless the configuration says which."""
    kind = config.engine.kind
    if kind == "espeak":
        return EngineChoice("espeak", "engine.kind is espeak")
    try:
        weights = locate(config.engine.f5.weights, config.data_folder)
    except WeightsError as error:
        if kind == "f5" or config.engine.f5.weights is not None:
            return EngineChoice("f5", "F5 is configured, but its weights cannot be used", trouble=str(error))
        return EngineChoice("espeak", f"weights were found, but cannot be used: {error}", trouble=str(error))
    if weights is not None:
        return EngineChoice("f5", f"weights were found in {weights.folder}", weights)
    none = "no F5-TTS weights were found; `ishowtts fetch` gets them"
    if kind == "f5":
        return EngineChoice("f5", none, trouble=none)
    return EngineChoice("espeak", none)


@dataclass(frozen=True)
class UnavailableEngine:
    """The engine that was asked for and cannot be: every call says why."""

    why: str
    name: str = "f5"

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Never."""
        raise EngineUnavailable(self.why)

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Never."""
        raise EngineUnavailable(self.why)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Never."""
        raise EngineUnavailable(self.why)


@dataclass(frozen=True)
class Engines:
    """The engines of a running daemon.

    Args:
        choice: which engine is the primary one, and why.
        primary: speaks every line as long as it can.
        fallback: speaks what the primary cannot; `None` if `engine.fallback` is off, or if espeak is the primary.
        remote: the primary, if it runs in a worker.
        espeak: the espeak-ng engine, whether it is used or not.
        cache_key: of the primary's speech; `None`: its speech is not cached.
    """

    choice: EngineChoice
    primary: Engine | RemoteEngine | UnavailableEngine
    fallback: EspeakEngine | None
    remote: RemoteEngine | None
    espeak: EspeakEngine
    shelf: VoiceShelf
    default_voice: str
    cache_key: CacheKey | None = None

    def prepare_voice(self, name: str) -> VoiceInfo | None:
        """Make a changed voice ready anew; `None` where no engine prepares one.

        Raises:
            VoiceError: it cannot be used.
            EngineUnavailable: the worker is not warm now.
            EngineError: it ended the worker.
        """
        if self.remote is None:
            self.shelf.find(name)
            return None
        self.forget_voice(name)
        return self.remote.prepare(name)

    def forget_voice(self, name: str) -> None:
        """A voice has changed, or has gone: whatever is known of it holds no more."""
        if self.remote is None:
            return
        self.remote.forget(name)
        if name == self.default_voice:
            self.remote.forget(None)
            if self.remote.status().state is EngineState.PARKED:
                self.remote.retry_now()  # it may be what the worker could not load

    def available(self) -> bool:
        """Whether any engine can speak now."""
        if self._espeak_is_used and self.espeak_trouble is None:
            return True
        return self.primary is not self.espeak and self.primary_ready()

    def primary_ready(self) -> bool:
        """Whether the primary engine can speak now, as far as is known without asking it."""
        if self.remote is not None:
            return self.remote.status().state is EngineState.READY
        return not isinstance(self.primary, UnavailableEngine)

    @property
    def espeak_trouble(self) -> str | None:
        """Why espeak-ng cannot speak, where it is to; `None`: it can."""
        return self.espeak.trouble if self._espeak_is_used else None

    @property
    def troubles(self) -> tuple[str, ...]:
        """Sentences about engines and voices that cannot speak, besides those of `status`."""
        espeak = () if self.espeak_trouble is None else (self.espeak_trouble,)
        return (*espeak, *(self.remote.voices_set_aside() if self.remote else ()))

    def check_espeak(self, cancelled: IsCancelled) -> None:
        """Find out whether espeak-ng works now; `espeak_trouble` tells."""
        with suppress(EngineError, Cancelled):
            self.espeak.check(cancelled)

    @property
    def _espeak_is_used(self) -> bool:
        return self.fallback is not None or self.primary is self.espeak

    def status(self) -> EngineStatus | None:
        """How the worker does; `None` where espeak leads, or f5 has nothing to load."""
        return self.remote.status() if self.remote else None

    def vitals(self) -> EngineStats:
        """What the worker said of itself last."""
        return self.remote.vitals() if self.remote else EngineStats()

    def start(self) -> None:
        """Have the spare voice found and the worker started. An espeak-ng that does not work yet may later.

        Raises:
            FatalError: espeak-ng works, and has no voice of the configured name.
        """
        if self._espeak_is_used:
            try:
                self.espeak.load(lambda _: None)
            except VoiceError as error:
                raise FatalError(str(error)) from error
            except EngineUnavailable as error:
                log.debug("lines wait for another engine, or for espeak-ng: %s", error)
        if self.remote is not None:
            self.remote.start()

    def close(self) -> None:
        """End the worker and the spare voice."""
        if self.remote is not None:
            self.remote.close()
        self.espeak.close()


def build_engines(config: Config, choice: EngineChoice, on_change: Callable[[], None]) -> Engines:
    """Make the engines; nothing is started yet."""
    section = config.engine
    shelf, default = voices(config), section.f5.default_voice
    espeak = EspeakEngine(section.espeak_voice, lambda voice: shelf.language(voice, default), on_change)
    if choice.kind == "espeak":
        return Engines(choice, espeak, None, None, espeak, shelf, default, EspeakCacheKey(config, espeak, shelf))
    fallback = espeak if section.fallback else None
    if choice.weights is None:
        unavailable = UnavailableEngine(choice.trouble or choice.why)
        return Engines(choice, unavailable, fallback, None, espeak, shelf, default)
    options = F5Options(
        weights=str(choice.weights.folder),
        voices_dir=str(voices_dir(config)),
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
    return Engines(choice, remote, fallback, remote, espeak, shelf, default, F5CacheKey(config, choice.weights, shelf))


def languages(config: Config, kind: str, shelf: VoiceShelf) -> Callable[[str | None], str | None]:
    """What language a voice speaks, by its name; `None` from it: English, as far as anybody knows."""
    of_itself = config.engine.espeak_voice if kind == "espeak" else None
    return lambda voice: shelf.language(voice, config.engine.f5.default_voice) or of_itself


def voices(config: Config) -> VoiceShelf:
    """The voices that lines may ask for."""
    return VoiceShelf(voices_dir(config))


def voices_dir(config: Config) -> Path:
    """Where the folders of the voices are: `engine.f5.voices_dir`, else beside the weights."""
    return config.engine.f5.voices_dir or config.data_folder / "voices"
