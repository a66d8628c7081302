"""Builds the engines of the daemon in the order that `engine_choice` has chosen."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from ishowtts.config import Config
from ishowtts.engines import EngineStats, VoiceInfo
from ishowtts.engines.candidates import EngineCandidate, UnavailableEngine, worker_problem
from ishowtts.engines.engine_choice import EngineChoice, choose_engine
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.f5.f5_options import F5Options
from ishowtts.engines.hibari.hibari_package import HibariOptions, missing_package
from ishowtts.engines.remote.board_voices import BoardVoiceLibrary
from ishowtts.engines.remote.remote_engine import REMOTE, RemoteEngine
from ishowtts.engines.speech_cache_key import EspeakCacheKey, F5CacheKey, HibariCacheKey
from ishowtts.engines.speed_check import F5Speed
from ishowtts.engines.voices.voice_library import (
    VoiceLibrary,
    open_voice_library,
    uploaded_voices_folder,
    voices_folder,
)
from ishowtts.engines.weights import Weights
from ishowtts.engines.worker.restart_policy import RestartBackoff
from ishowtts.engines.worker.supervisor import EngineState
from ishowtts.engines.worker.worker_connection import Deadlines
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.errors import Cancelled, EngineError, EngineUnavailable, VoiceError
from ishowtts.model import IsCancelled
from ishowtts.text.scripts import base_language

__all__ = ["EngineChoice", "Engines", "build_engines", "choose_engine"]

log = logging.getLogger(__name__)

_HIBARI_SEGMENT_S = 20.0  # the longest segment took 0.8 s with ten other processes on two cores
_FIRST_START = (EngineState.STARTING, EngineState.LOADING, EngineState.WARMING)


class Engines:
    """The engines of a running daemon. Any thread may ask.

    Args:
        choice: which engines were chosen, and why.
        order: the engines in the order in which they are asked; at least one.
        espeak: the espeak-ng engine, whether it is in the order or not.
        voice_library: the voices that lines may ask for.
        default_voice: name of the voice of a line that names none.
        f5_speed: measures the speed of F5; `None` if F5 is not in the order.
        remote: has other appliances speak; `None` if it is not in the order.
        on_change: called after the order has changed; it must not raise.
    """

    def __init__(
        self,
        choice: EngineChoice,
        order: Sequence[EngineCandidate],
        *,
        espeak: EspeakEngine,
        voice_library: VoiceLibrary,
        default_voice: str,
        f5_speed: F5Speed | None = None,
        remote: RemoteEngine | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.remote = remote
        self._choice = choice
        self._order = tuple(order)
        self._started = self.workers
        self._f5_speed = f5_speed
        self._on_change = on_change
        self._notes: tuple[str, ...] = ()
        self.espeak = espeak
        self.voice_library = voice_library
        self.default_voice = default_voice

    @property
    def choice(self) -> EngineChoice:
        """Which engines speak now, and why."""
        return self._choice

    @property
    def order(self) -> tuple[EngineCandidate, ...]:
        """The engines in the order in which they are asked, the primary one first."""
        return self._order

    @property
    def f5(self) -> WorkerEngine | None:
        """F5, which alone speaks in cloned voices; `None` if it is not used, or cannot be used."""
        return next((each.worker for each in self._order if each.clones), None)

    @property
    def workers(self) -> tuple[WorkerEngine, ...]:
        """The engines that run in a worker."""
        return tuple(each.worker for each in self._order if each.worker is not None)

    def check_speed(self) -> bool:
        """Once F5 is warm for the first time: ends it if it is too slow, and another engine may and can lead.

        Its worker holds gigabytes. May wait for the worker. Returns whether another engine leads now.
        """
        speed, f5, others = self._f5_speed, self.f5, tuple(each for each in self._order if not each.clones)
        if speed is None or f5 is None or not speed.measure() or not speed.is_slow:
            return False
        leader = others[0].name if others and not speed.forced else None
        sentence = speed.sentence(leader) or ""
        log.warning("%s", sentence)
        self._notes = (sentence,)
        if leader is None:
            return False
        order = tuple(each.name for each in others)
        self._choice = replace(self._choice, kind=leader, why=sentence, order=order)
        self._order = others
        self._on_change()
        f5.close()
        return True

    def prepare_voice(self, name: str) -> VoiceInfo | None:
        """Makes a changed voice ready again. Returns `None` if no engine prepares voices.

        Raises:
            VoiceError: it cannot be used.
            EngineUnavailable: the worker is not warm now.
            EngineError: preparing it ended the worker.
        """
        if (f5 := self.f5) is None:
            self.voice_library.find(name)
            return None
        self.forget_voice(name)
        return f5.prepare(name)

    def forget_voice(self, name: str) -> None:
        """Discards what F5's worker knows of a voice that has changed or was removed, and ends its quarantine.

        If it is the default voice, this also starts a parked worker again.
        """
        if (f5 := self.f5) is None:
            return
        f5.forget(name)
        if name == self.default_voice:
            f5.forget(None)
            if f5.status().state is EngineState.PARKED:
                f5.retry_now()  # the default voice may be what the worker could not load

    def cloned_voice_problem(self, name: str | None) -> str | None:
        """Returns why a voice of the library is not spoken by F5, which alone can clone it; `None` if it is, or may be.

        Args:
            name: the voice that a line names; `None` if it names none, which any engine speaks as configured.
        """
        clone = next((each for each in self._order if each.clones), None)
        if clone is not None:
            return clone.engine.why if isinstance(clone.engine, UnavailableEngine) else None
        if name is None or not self.voice_library.has(name):
            return None
        return self._choice.why

    def gain_db(self, engine: str, name: str) -> float:
        """Returns the gain of a voice that F5 speaks; 0 for other engines, and for a voice without one."""
        if engine != "f5":
            return 0.0
        try:
            return self.voice_library.find(name, self.default_voice).gain_db or 0.0
        except VoiceError:
            return 0.0

    def available(self) -> bool:
        """Returns whether any engine can speak now."""
        return any(each.problem() is None for each in self._order)

    def hibari_is_starting(self) -> bool:
        """Returns whether the natural voice starts for the first time, which takes a second or two."""
        statuses = (each.status() for each in self._order if each.name == "hibari")
        return any(status.state in _FIRST_START and not status.restarts for status in statuses if status)

    @property
    def espeak_problem(self) -> str | None:
        """Why espeak-ng cannot speak; `None` if it can, or if it is not used."""
        return self.espeak.problem if self.espeak_is_used else None

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences about engines and voices that cannot speak, in addition to the states of the workers."""
        found = (self.espeak.problem, self.espeak.voice_problem) if self.espeak_is_used else ()
        remote = None if self.remote is None else self.remote.lasting_problem()
        told = (problem for problem in (*found, remote) if problem is not None)
        late = (sentence for worker in self.workers if (sentence := worker.lateness()) is not None)
        return (*told, *late, *(sentence for worker in self.workers for sentence in worker.quarantined_voices()))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that an operator should know, although everything works."""
        return self._notes

    def check_espeak(self, cancelled: IsCancelled) -> None:
        """Tests whether espeak-ng works now, and sets `espeak_problem` accordingly."""
        with suppress(EngineError, Cancelled):
            self.espeak.check(cancelled)

    @property
    def espeak_is_used(self) -> bool:
        """Whether espeak-ng is one of the engines that may speak."""
        return any(each.engine is self.espeak for each in self._order)

    def stats(self) -> EngineStats:
        """Returns the stats that F5's worker reported last."""
        return f5.stats() if (f5 := self.f5) is not None else EngineStats()

    def start(self) -> None:
        """Tests espeak-ng and starts the workers. An espeak-ng that does not work yet may work later."""
        for worker in self.workers:
            worker.start()
        if self.espeak_is_used:
            try:
                self.espeak.load(lambda _: None)
            except EngineUnavailable as error:
                log.debug("lines wait for another engine, or for espeak-ng: %s", error)

    def close(self) -> None:
        """Ends the workers and closes espeak."""
        for worker in self._started:
            worker.close()
        self.espeak.close()


def build_engines(config: Config, choice: EngineChoice, on_change: Callable[[], None]) -> Engines:
    """Builds the engines. Nothing is started yet."""
    section = config.engine
    library, default = open_voice_library(config), section.f5.default_voice
    espeak = EspeakEngine(section.espeak_voice, on_change)
    remote = RemoteEngine(section.remote.segment_s, default) if REMOTE in choice.order else None
    if remote is not None:
        library = BoardVoiceLibrary(remote.voices, voices_folder(config), uploaded_voices_folder(config))
    order: list[EngineCandidate] = []
    f5_speed = None
    for kind in choice.order:
        if kind == "f5" and choice.weights is None:
            languages = _f5_languages(config, None, library)
            order.append(_unavailable("f5", choice.f5_problem or choice.why, languages))
        elif kind == "f5" and choice.weights is not None:
            worker = _f5_worker(config, choice.weights, on_change)
            f5_speed = F5Speed(worker, section.f5.max_rtf, forced=section.kind == "f5")
            order.append(_f5(config, choice.weights, library, worker, f5_speed))
        elif kind == "hibari":
            order.append(_hibari(config, on_change))
        elif remote is not None and kind == REMOTE:
            order.append(remote.candidate())
        else:
            # As a fallback it is not worth a cache: it takes 0.02 s for a line.
            cache_key = EspeakCacheKey(espeak) if kind == choice.kind else None
            order.append(
                EngineCandidate(
                    espeak,
                    "espeak",
                    languages=espeak.languages,
                    problem=lambda: espeak.problem,
                    cache_key=cache_key,
                    reads_latin=True,
                )
            )
    return Engines(
        choice,
        order,
        espeak=espeak,
        voice_library=library,
        default_voice=default,
        f5_speed=f5_speed,
        remote=remote,
        on_change=on_change,
    )


def _f5_worker(config: Config, weights: Weights, on_change: Callable[[], None]) -> WorkerEngine:
    f5 = config.engine.f5
    options = F5Options(
        weights=str(weights.folder),
        voices_dir=str(voices_folder(config)),
        uploaded_dir=str(uploaded_voices_folder(config)),
        default_voice=f5.default_voice,
        nfe_step=f5.nfe_step,
        cfg_strength=f5.cfg_strength,
        precision=f5.tensor_precision,
        device=f5.device,
        cache_dir=str(config.cache_dir),
        switches=f5.switches,
    )
    return _worker(config, "f5", options.to_dict(), on_change)


def _f5(
    config: Config, weights: Weights, library: VoiceLibrary, worker: WorkerEngine, speed: F5Speed
) -> EngineCandidate:
    return EngineCandidate(
        worker,
        "f5",
        languages=_f5_languages(config, weights, library),
        problem=speed.problem,
        cache_key=F5CacheKey(config, weights, library),
        clones=True,
        mixes_languages=True,
        worker=worker,
        slow_prepare=worker.prepare,
    )


def _f5_languages(config: Config, weights: Weights | None, library: VoiceLibrary) -> Callable[[], frozenset[str]]:
    """Returns a function to the languages that the weights speak: as configured, as the weights say, or as is likely.

    Unknown weights are likely to speak English and Chinese, as the official ones do, and what the voices speak.
    """
    known = config.engine.f5.languages or (weights.languages if weights else None)
    if known is not None:
        fixed = frozenset(map(base_language, known))
        return lambda: fixed

    def likely() -> frozenset[str]:
        declared = (library.language(name) for name in library.names())
        return frozenset({"en", "zh", *(base_language(language) for language in declared if language)})

    return likely


def _hibari(config: Config, on_change: Callable[[], None]) -> EngineCandidate:
    if (missing := missing_package()) is not None:
        return _unavailable("hibari", missing, _english)
    options = HibariOptions(cache_dir=str(config.cache_dir)).to_dict()
    worker = _worker(config, "hibari", options, on_change, _HIBARI_SEGMENT_S)
    return EngineCandidate(
        worker,
        "hibari",
        languages=_english,
        problem=lambda: worker_problem(worker),
        cache_key=HibariCacheKey(),
        worker=worker,
        slow_prepare=worker.prepare,
    )


def _english() -> frozenset[str]:
    return frozenset({"en"})


def _unavailable(kind: str, why: str, languages: Callable[[], frozenset[str]]) -> EngineCandidate:
    return EngineCandidate(UnavailableEngine(why, kind), kind, languages, lambda: why, clones=kind == "f5")


def _worker(
    config: Config,
    kind: str,
    options: dict[str, object],
    on_change: Callable[[], None],
    longest_segment_s: float = math.inf,
) -> WorkerEngine:
    deadlines = Deadlines(**config.engine.deadlines.model_dump())
    deadlines = replace(deadlines, segment_s=min(deadlines.segment_s, longest_segment_s))
    backoff = RestartBackoff(**config.engine.restart.model_dump())
    late_s = config.engine.late_s
    return WorkerEngine(kind, options, deadlines, backoff=backoff, on_change=on_change, late_s=late_s)
