"""The retained payloads `info`, `state` and `telemetry`, composed from what the parts of the appliance report."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ishowtts import __version__
from ishowtts.board import BoardIdentity
from ishowtts.config import Config
from ishowtts.engines.build import Engines
from ishowtts.engines.candidates import EngineCandidate
from ishowtts.engines.remote.board_trust import BoardCounts
from ishowtts.engines.remote.remote_engine import RemoteEngine
from ishowtts.engines.voices.voice_library import VoiceLibrary, language_lookup
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus
from ishowtts.inbox import Inbox
from ishowtts.model import AlertName, SoundFormat
from ishowtts.mqtt.link import MqttLink
from ishowtts.playback.audibility import Silence, SilentCause, ordered
from ishowtts.playback.player import Player
from ishowtts.speech import SchedulerStatus
from ishowtts.speech.renders.render_service import RenderService
from ishowtts.status.speech_figures import percentile, rounded
from ishowtts.status.telemetry import Telemetry

FOUND_PAUSED = "paused since before the daemon was started; the command resume lets it speak"
_STARTING = {EngineState.STARTING: "starting", EngineState.LOADING: "starting", EngineState.WARMING: "warming"}
_SET_BY_USERS = {SilentCause.MUTED, SilentCause.VOLUME_0}  # a card's own silence is a problem, and named there
_MOST_BOARDS = 100
_UNAVAILABLE = {EngineState.RESTARTING, EngineState.PARKED, EngineState.STOPPED}


def info_payload(
    config: Config,
    *,
    instance: str,
    identity: BoardIdentity,
    sources: Mapping[str, str],
    engines: Engines,
    voices: VoiceLibrary,
) -> dict[str, Any]:
    """Compose `info`: what does not change from one line to the next.

    Args:
        sources: The source of each field of `BoardReading`.
    """
    over_mqtt, choice = config.engine.f5.voices_over_mqtt, engines.choice
    renders = config.renders
    names, language_of = voices.names(), language_lookup(config, voices)
    return {
        "version": __version__,
        "instance": instance,
        "host": socket.gethostname(),
        "board": identity.model,
        "jetpack": identity.jetpack,
        "sources": {name_in_telemetry(field): source for field, source in sorted(sources.items())},
        "engine": choice.kind,
        "engine_why": choice.why,
        "engines": list(choice.order),
        "engine_languages": {each.name: _spoken(each) for each in engines.order},
        "telemetry_s": config.telemetry.interval_s,
        "weights_licence": choice.weights.licence if choice.weights else None,
        "voices": names,
        "voice_languages": {name: language_of(name) for name in names},
        "voices_over_mqtt": over_mqtt,
        "removable_voices": voices.uploaded_names() if over_mqtt else [],
        "limits": {"max_chars": config.limits.max_chars, "max_lines": config.queue.max_lines, "renders": renders},
        "render_formats": [each.value for each in SoundFormat] if renders else [],
        "groups": list(config.mqtt.groups),
    }


def _spoken(candidate: EngineCandidate) -> list[str] | None:
    """The languages of an engine; `None` for espeak-ng, which has over 100, and if they are not known."""
    languages = None if candidate.name == "espeak" else candidate.languages()
    return None if languages is None else sorted(languages)


def name_in_telemetry(field: str) -> str:
    """Return the name of a field of `BoardReading` in `telemetry`, as in `gpu.load_pct` or `board.power_w`."""
    part, _, rest = field.partition("_")
    return f"{part}.{rest}" if part in ("gpu", "cpu", "memory") else f"board.{field}"


@dataclass(frozen=True)
class StateFacts:
    """What the state is composed from.

    Args:
        engine: The primary engine, if it runs in a worker; else `None`.
        engine_name: The primary engine.
        other_engines: The engines after it that run in a worker.
        ready_engines: The engines that can speak now, in order.
        voice: The voice of lines that name none.
        problems: Sentences about parts that do not work as configured.
        notes: Sentences that an operator should know, although everything works.
        quiet_until: Local time until which low and normal lines wait; `None`: they do not wait.
        expires_before: Whether a line that quiet hours hold expires before they end.
        volume_configured: `audio.volume`.
        device: Name of the sound device in use.
        silences: Why a line that is played now cannot be heard; empty if it can, as far as is known.
        paused_at_start: It was paused already when the daemon started, which looks like a broken appliance.
        alerts: The active alerts, in the order of AlertName.
        private: Whether text and author of a line are withheld (`log.private`).
    """

    scheduler: SchedulerStatus
    engine: EngineStatus | None
    engine_name: str
    queue_depth: int
    muted: bool
    volume: int
    other_engines: tuple[EngineStatus, ...] = ()
    ready_engines: tuple[str, ...] = ()
    voice: str | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    paused_at_start: bool = False
    quiet_until: str | None = None
    volume_configured: int | None = None
    device: str | None = None
    silences: frozenset[Silence] = frozenset()
    expires_before: bool = False
    alerts: tuple[AlertName, ...] = ()
    private: bool = False


def state_payload(facts: StateFacts) -> dict[str, Any]:
    """Compose `state`, without `since`, which the publisher adds."""
    state, detail = _state_and_detail(facts)
    silent = next(iter(ordered(facts.silences)), None)
    return {
        "state": state,
        "engine": facts.engine_name,
        "engines": list(facts.ready_engines),
        "queue_depth": facts.queue_depth,
        "speaking": _speaking(facts),
        "paused": facts.scheduler.paused,
        "muted": facts.muted,
        "volume": facts.volume,
        "volume_configured": facts.volume_configured,
        "voice": facts.voice,
        "device": facts.device,
        "audible": silent is None,
        "silent": silent.cause.value if silent else None,
        "detail": detail,
        "alerts": [name.value for name in facts.alerts],
    }


def _speaking(facts: StateFacts) -> dict[str, Any] | None:
    """The line that is heard, and how far it was when its current segment began."""
    line, progress = facts.scheduler.speaking, facts.scheduler.progress
    if line is None:
        return None
    told = {} if facts.private else {"text": line.text, "author": line.author}
    return {
        "id": line.id,
        **{name: value for name, value in told.items() if value is not None},
        **({} if progress is None else asdict(progress)),
    }


def _state_and_detail(facts: StateFacts) -> tuple[str, str | None]:
    engine, problems = facts.engine, facts.problems
    for each in (*((engine,) if engine is not None else ()), *facts.other_engines):
        if each.state in _UNAVAILABLE:
            problems += (f"the {each.name} engine is {each.state.value}: {each.detail or 'no reason known'}",)
    silent = tuple(silence.sentence for silence in ordered(facts.silences) if silence.cause in _SET_BY_USERS)
    if facts.scheduler.paused:
        return "paused", "; ".join((*((FOUND_PAUSED,) if facts.paused_at_start else ()), *problems, *silent)) or None
    if problems:
        return "degraded", "; ".join((*problems, *silent))
    if engine is not None and engine.state in _STARTING:
        return _STARTING[engine.state], _progress(engine)
    if not facts.scheduler.prepared:
        return "starting", "what the first line needs is being loaded"
    waiting = facts.quiet_until is not None and facts.queue_depth > 0
    quiet = f"quiet hours: low and normal lines wait until {facts.quiet_until}" if waiting else None
    if quiet and facts.expires_before:
        quiet += "; some expire before, after their own ttl_s"
    detail = "; ".join((*silent, *filter(None, [quiet]), *facts.notes)) or None
    return ("speaking" if facts.scheduler.speaking else "ready"), detail


def _progress(engine: EngineStatus) -> str:
    if engine.progress is None:
        return engine.state.value
    return f"{engine.progress.phase} {engine.progress.i} of {engine.progress.n}"


@dataclass(frozen=True)
class TelemetryPayload:
    """Composes `telemetry` from the parts."""

    telemetry: Telemetry
    inbox: Inbox
    player: Player
    engines: Engines
    link: MqttLink
    renders: RenderService

    def compose(self) -> dict[str, Any]:
        """Take the readings and return the payload of the contract."""
        sound, stats = self.player.status(), self.engines.stats()
        engines = [_engine(candidate) for candidate in self.engines.order]
        engine = {**engines[0], "unbucketed": stats.unbucketed}
        audio = {
            "device": sound.device,
            "underruns": sound.underruns,
            "device_losses": sound.device_losses,
            "lateness_max_s": round(sound.lateness_max_s, 4),
        }
        mqtt = {"connected": self.link.connected, "reconnects": self.link.reconnects}
        boards = {} if self.engines.remote is None else {"boards": _boards(self.engines.remote)}
        counts = self.renders.counts()
        renders = {
            "active": counts.active,
            "waiting": counts.waiting,
            "done": counts.done,
            "failed": counts.failed,
            "cancelled": counts.cancelled,
            "rtf_p50": rounded(percentile(counts.rtf, 50), 4),
        }
        snapshot = self.telemetry.snapshot(
            renders=renders,
            engine=engine,
            engines=engines,
            audio=audio,
            mqtt=mqtt,
            queue_depth=self.inbox.depth(),
            worker_pids=[each["pid"] for each in engines if each["pid"] is not None],
            gpu_mb=stats.gpu_mb,
            gpu_graphs_mb=stats.graphs_mb,
        )
        return {**snapshot, **boards}


def _boards(remote: RemoteEngine) -> list[dict[str, Any]]:
    """The boards that render for this appliance or did so, and what each has done."""
    ready, counts = remote.ready_names(), remote.counts()
    names = sorted({*ready, *counts})[:_MOST_BOARDS]
    return [{"name": name, "ready": name in ready, **asdict(counts.get(name, BoardCounts()))} for name in names]


def _engine(candidate: EngineCandidate) -> dict[str, Any]:
    """One engine of the order, as telemetry shows it."""
    status = candidate.status()
    return {
        "name": candidate.name,
        "state": candidate.state(),
        "pid": status.pid if status else None,
        "restarts": status.restarts if status else 0,
        "last_death": status.last_death if status else None,
        "warm_s": rounded(status.warm_s, 2) if status else None,
    }
