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
from ishowtts.engines.f5.f5_options import F5Options, Optimisations
from ishowtts.engines.speech_cache_key import EspeakCacheKey, F5CacheKey
from ishowtts.engines.voices.shelf import VoiceShelf
from ishowtts.engines.weights import Weights, locate
from ishowtts.engines.worker.remote_engine import RemoteEngine
from ishowtts.engines.worker.requests import Deadlines
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus, RestartBackoff
from ishowtts.errors import Cancelled, EngineError, EngineUnavailable, FatalError, VoiceError, WeightsError
from ishowtts.model import IsCancelled, Segment, Utterance
from ishowtts.pipeline import Cast
from ishowtts.pipeline.memory import Fingerprint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lead:
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


def choose(config: Config) -> Lead:
    """Take f5 where weights are, else espeak, unless the configuration says which."""
    kind = config.engine.kind
    if kind == "espeak":
        return Lead("espeak", "engine.kind is espeak")
    try:
        weights = locate(config.engine.f5.weights, config.data_folder)
    except WeightsError as error:
        if kind == "f5" or config.engine.f5.weights is not None:
            return Lead("f5", "F5 is configured, but its weights cannot be used", trouble=str(error))
        return Lead("espeak", f"weights were found, but cannot be used: {error}", trouble=str(error))
    if weights is not None:
        return Lead("f5", f"weights were found in {weights.folder}", weights)
    none = "no F5-TTS weights were found; `ishowtts fetch` gets them"
    if kind == "f5":
        return Lead("f5", none, trouble=none)
    return Lead("espeak", none)


@dataclass(frozen=True)
class Absent:
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
class Company:
    """The engines of a running daemon. `fingerprint`: of the one that leads; `None`: what it speaks is not kept."""

    lead: Lead
    cast: Cast
    remote: RemoteEngine | None
    spare: Engine
    shelf: VoiceShelf
    default_voice: str
    fingerprint: Fingerprint | None = None

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
        """Whether anyone can speak now."""
        if self._espeak_speaks and self.espeak_trouble is None:
            return True
        return self.remote is not None and self.remote.status().state is EngineState.READY

    @property
    def espeak_trouble(self) -> str | None:
        """Why espeak-ng cannot speak, where it is to; `None`: it can."""
        return self.spare.trouble if self._espeak_speaks and isinstance(self.spare, EspeakEngine) else None

    @property
    def troubles(self) -> tuple[str, ...]:
        """Sentences about engines and voices that cannot speak, besides those of `status`."""
        espeak = () if self.espeak_trouble is None else (self.espeak_trouble,)
        return (*espeak, *(self.remote.voices_set_aside() if self.remote else ()))

    def check_espeak(self, cancelled: IsCancelled) -> None:
        """Find out whether espeak-ng works now; `espeak_trouble` tells."""
        if isinstance(self.spare, EspeakEngine):
            with suppress(EngineError, Cancelled):
                self.spare.check(cancelled)

    @property
    def _espeak_speaks(self) -> bool:
        return self.cast.spare is not None or self.cast.lead is self.spare

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
        if self._espeak_speaks:
            try:
                self.spare.load(lambda _: None)
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
        self.spare.close()


def engage(config: Config, lead: Lead, on_change: Callable[[], None]) -> Company:
    """Make the engines; nothing is started yet."""
    section = config.engine
    shelf, default = voices(config), section.f5.default_voice
    spare = EspeakEngine(section.espeak_voice, lambda voice: shelf.language(voice, default), on_change)
    if lead.kind == "espeak":
        return Company(lead, Cast(spare, None), None, spare, shelf, default, EspeakCacheKey(config, spare, shelf))
    if lead.weights is None:
        absent = Absent(lead.trouble or lead.why)
        cast = Cast(absent, spare if section.fallback else None, lead_ready=lambda: False)
        return Company(lead, cast, None, spare, shelf, default)
    options = F5Options(
        weights=str(lead.weights.folder),
        voices_dir=str(voices_dir(config)),
        default_voice=section.f5.default_voice,
        nfe_step=section.f5.nfe_step,
        cfg_strength=section.f5.cfg_strength,
        precision=section.f5.precision,
        device=section.f5.device,
        cache_dir=str(config.cache_dir),
        optimisations=Optimisations(**section.f5.optimisations.model_dump(exclude={"streaming", "batching"})),
    )
    deadlines = Deadlines(**section.deadlines.model_dump())
    backoff = RestartBackoff(**section.restart.model_dump())
    remote = RemoteEngine("f5", options.to_dict(), deadlines, backoff=backoff, on_change=on_change)
    cast = Cast(
        remote,
        spare if section.fallback else None,
        streaming=section.f5.optimisations.streaming,
        batching=section.f5.optimisations.batching,
        lead_ready=lambda: remote.status().state is EngineState.READY,
        spare_trouble=lambda: spare.trouble,
    )
    fingerprint = F5CacheKey(config, lead.weights, shelf)
    return Company(lead, cast, remote, spare, shelf, default, fingerprint)


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
