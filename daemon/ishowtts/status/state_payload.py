"""What the appliance says of itself: the retained `state` payload, from what its parts say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ishowtts.engines.worker.supervisor import EngineState, EngineStatus
from ishowtts.speech import SchedulerStatus

FOUND_PAUSED = "paused since before the daemon was started; the command resume lets it speak"
_COMING = {EngineState.STARTING: "starting", EngineState.LOADING: "starting", EngineState.WARMING: "warming"}
_AWAY = {EngineState.RESTARTING, EngineState.PARKED, EngineState.STOPPED}


@dataclass(frozen=True)
class StateFacts:
    """What the state is made of.

    Args:
        engine: the worker's engine; `None` where espeak is the configured voice.
        troubles: sentences of parts that do not work as configured.
        quiet_until: the local time until which low and normal lines wait; `None`: they do not.
        found_paused: whether it was paused already when the daemon started: that looks like a broken appliance.
    """

    sheet: SchedulerStatus
    engine: EngineStatus | None
    engine_name: str
    queue_depth: int
    muted: bool
    volume: int
    troubles: tuple[str, ...] = ()
    found_paused: bool = False
    quiet_until: str | None = None


def compose(facts: StateFacts) -> dict[str, Any]:
    """The `state` payload without `since`, which the publisher knows."""
    word, detail = _word(facts)
    speaking = facts.sheet.speaking
    return {
        "state": word,
        "engine": facts.engine_name,
        "queue_depth": facts.queue_depth,
        "speaking": None if speaking is None else {"id": speaking.id, "text": speaking.text},
        "paused": facts.sheet.paused,
        "muted": facts.muted,
        "volume": facts.volume,
        "detail": detail,
    }


def _word(facts: StateFacts) -> tuple[str, str | None]:
    engine, troubles = facts.engine, facts.troubles
    if engine is not None and engine.state in _AWAY:
        troubles += (f"the {engine.name} engine is {engine.state.value}: {engine.detail or 'no reason known'}",)
    if facts.sheet.paused:
        return "paused", "; ".join((*((FOUND_PAUSED,) if facts.found_paused else ()), *troubles)) or None
    if troubles:
        return "degraded", "; ".join(troubles)
    if engine is not None and engine.state in _COMING:
        return _COMING[engine.state], _progress(engine)
    waiting = facts.quiet_until is not None and facts.queue_depth > 0
    detail = f"quiet hours: low and normal lines wait until {facts.quiet_until}" if waiting else None
    return ("speaking" if facts.sheet.speaking else "ready"), detail


def _progress(engine: EngineStatus) -> str:
    if engine.progress is None:
        return engine.state.value
    return f"{engine.progress.phase} {engine.progress.i} of {engine.progress.n}"
