"""The rules of the alerts: what each of them looks at, its limits, and its sentence. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ishowtts.board import BoardReading
from ishowtts.model import AlertName
from ishowtts.playback.audibility import Silence, SilentCause
from ishowtts.playback.player import SoundStatus
from ishowtts.playback.silent_speaker import SilentSpeaker

COOLER_C = 5.0
"""`hot` ends so far below `alerts.hot_c`."""
SLOW_END = 0.9
"""`slow` ends below this share of `alerts.slow_rtf`."""
FIRST_START_S = 600.0
"""An engine that starts for the first time is not replaced by another one until it takes longer than this."""
RESTART_S = 10.0
"""A worker that is ready again sooner is no alert."""
UNLOCKED_S = 10.0
DEVICE_S = 1.0
"""A device that is opened at the start, or opened again at once, is no alert."""
RESTART_CLOCKS = "sudo systemctl restart ishowtts-clocks"

_CARD = {SilentCause.CARD_MUTED, SilentCause.CARD_VOLUME_0}
_PLUG_IN = "plug it in, or name another one in audio.device (`ishowtts devices` lists them)"
_RESTART = "`sudo journalctl -u ishowtts` says why, and `sudo systemctl restart ishowtts` starts it again"


@dataclass(frozen=True)
class LeadingEngine:
    """The engine that should speak first, and what takes its place.

    Attributes:
        name: `f5`, `hibari`, `espeak` or `remote`.
        problem: Why it does not speak now; `None` if it does.
        may_take_s: For so long its problem is no alert.
        deputy: The engine that speaks in its place; `None` if none can.
        dropped: Whether it was taken out of the order. `problem` then says who leads.
    """

    name: str
    problem: str | None = None
    may_take_s: float = 0.0
    deputy: str | None = None
    dropped: bool = False


@dataclass(frozen=True)
class AlertFacts:
    """What the alerts are decided from.

    Attributes:
        hot_c, slow_rtf: The section `alerts` of the configuration.
        throttled: Whether the board slows itself down, or has done so since the last look; `None`: unknown.
        throttle_events: How often it has done so since the alert was raised; `None`: unknown.
        lock_again: How to lock the clocks again; `None` if they are not meant to be locked.
        engine: The engine that leads now, also if it is not the one that should.
        rtf: Median real-time factor of its last lines; `None` if there are too few.
        sound: The state of the sound output.
        silences: Why a line that is played now cannot be heard.
        deaf: Why messages may not reach us.
        disk: Why the disk is short.
        free_mb: Free space of the disk.
    """

    hot_c: float
    slow_rtf: float
    reading: BoardReading
    leader: LeadingEngine
    engine: str
    sound: SoundStatus
    silences: frozenset[Silence] = frozenset()
    throttled: bool | None = None
    throttle_events: int | None = None
    lock_again: str | None = None
    rtf: float | None = None
    deaf: str | None = None
    disk: str | None = None
    free_mb: float | None = None


@dataclass(frozen=True)
class RuleResult:
    """What a rule finds.

    Attributes:
        holds: Whether there is a reason for the alert; `None`: unknown.
        detail: The sentence with the fix, if it holds.
        value: The figure of the alert.
        after_s: For so long it must hold before the alert is raised.
    """

    holds: bool | None
    detail: str | None = None
    value: float | None = None
    after_s: float = 0.0


Rule = Callable[[AlertFacts, bool], RuleResult]
"""Takes the facts, and whether the alert is active now."""

ABSENT = RuleResult(False)
_UNKNOWN = RuleResult(None)


def throttled(facts: AlertFacts, _active: bool) -> RuleResult:
    """The board slows itself down."""
    return RuleResult(
        facts.throttled,
        "the board slows itself down, because it is too hot or its power supply is too weak; check the power supply "
        "and the cooling, or choose a power mode that takes less power (nvpmodel)",
        facts.throttle_events,
    )


def hot(facts: AlertFacts, active: bool) -> RuleResult:
    """The hotter one of GPU and CPU is too hot."""
    known = {"GPU": facts.reading.gpu_temp_c, "CPU": facts.reading.cpu_temp_c}
    temps_c = {name: temp_c for name, temp_c in known.items() if temp_c is not None and math.isfinite(temp_c)}
    if not temps_c:
        return _UNKNOWN
    hotter = max(temps_c, key=lambda name: temps_c[name])
    holds = temps_c[hotter] >= facts.hot_c - (COOLER_C if active else 0.0)
    if active and not holds and len(temps_c) < len(known):
        return _UNKNOWN  # the one that was hot may be the one that does not answer now
    return RuleResult(
        holds,
        f"the {hotter} has reached {facts.hot_c:g} °C (alerts.hot_c); check the fan and the air flow, or "
        "choose a power mode that takes less power (nvpmodel)",
        round(temps_c[hotter], 1),
    )


def clocks_unlocked(facts: AlertFacts, _active: bool) -> RuleResult:
    """Clocks that are meant to be locked are not."""
    if facts.lock_again is None:
        return ABSENT
    locked = facts.reading.gpu_clock_locked
    return RuleResult(
        None if locked is None else not locked,
        f"the clock of the GPU is no longer locked, so lines may be heard later; {facts.lock_again}",
        after_s=UNLOCKED_S,
    )


def slow(facts: AlertFacts, active: bool) -> RuleResult:
    """The leading engine needs too long for a second of speech."""
    if facts.rtf is None:
        return _UNKNOWN
    return RuleResult(
        facts.rtf >= facts.slow_rtf * (SLOW_END if active else 1.0),
        f"{facts.engine} needs {facts.slow_rtf:g} s or more for a second of speech (alerts.slow_rtf), so lines are "
        f"heard late; {_faster(facts)}",
        round(facts.rtf, 2),
    )


def no_sound(facts: AlertFacts, _active: bool) -> RuleResult:
    """No line can be heard, because there is no sound device that works."""
    sound = facts.sound
    if sound.lost is not None:
        return RuleResult(True, _with_fix(sound.lost, _PLUG_IN), after_s=DEVICE_S)
    if sound.substitute_reason is not None and sound.device == SilentSpeaker.name:
        return RuleResult(True, f"{sound.substitute_reason}; {_PLUG_IN}", after_s=DEVICE_S)
    return ABSENT


def muted_card(facts: AlertFacts, _active: bool) -> RuleResult:
    """The mixer of the sound card lets no sound through."""
    sentences = [silence.sentence for silence in facts.silences if silence.cause in _CARD]
    return RuleResult(True, sentences[0]) if sentences else ABSENT


def fallback_voice(facts: AlertFacts, _active: bool) -> RuleResult:
    """Another engine speaks in place of the one that should."""
    leader = facts.leader
    if leader.problem is None or leader.deputy is None:
        return ABSENT
    if leader.dropped:
        return RuleResult(
            True, f"{leader.problem}, and engine.kind {leader.deputy} accepts it", after_s=leader.may_take_s
        )
    problem, _, fix = leader.problem.rpartition("; ")
    told = f"{problem or fix}, so {leader.deputy} speaks in its place; {fix if problem else _RESTART}"
    return RuleResult(True, told, after_s=leader.may_take_s)


def deaf(facts: AlertFacts, _active: bool) -> RuleResult:
    """Messages may not reach the appliance, although it is connected."""
    return ABSENT if facts.deaf is None else RuleResult(True, _with_fix(facts.deaf, "see the log of the broker"))


def disk_short(facts: AlertFacts, _active: bool) -> RuleResult:
    """The disk is nearly full, or does not take the queue."""
    return ABSENT if facts.disk is None else RuleResult(True, facts.disk, facts.free_mb)


def _faster(facts: AlertFacts) -> str:
    """What makes speech faster, the likeliest cause first."""
    if facts.lock_again is not None and facts.reading.gpu_clock_locked is False:
        return f"the clocks are not locked: {facts.lock_again}"
    if facts.engine == "remote":
        return "start another board, or one that is faster (docs/stage.md)"
    if facts.engine != "f5":
        return "stop other programs that use the CPU, or choose a faster power mode (nvpmodel)"
    return (
        "choose a faster power mode (nvpmodel), stop other programs that use the GPU, lower engine.f5.nfe_step, or set "
        "engine.kind to hibari"
    )


def _with_fix(sentence: str, fix: str) -> str:
    return sentence if "; " in sentence else f"{sentence}; {fix}"


@dataclass(frozen=True)
class AlertRule:
    """One alert.

    Attributes:
        find: Looks at the facts.
        clear_after_s: For so long the condition must be absent before the alert is cleared.
        value_step: A smaller change of the value is not published.
    """

    name: AlertName
    find: Rule
    clear_after_s: float = 0.0
    value_step: float = 1.0


RULES = (
    AlertRule(AlertName.THROTTLED, throttled, clear_after_s=60.0),
    AlertRule(AlertName.HOT, hot, value_step=2.0),
    AlertRule(AlertName.CLOCKS_UNLOCKED, clocks_unlocked),
    AlertRule(AlertName.SLOW, slow, value_step=0.1),
    AlertRule(AlertName.NO_SOUND, no_sound),
    AlertRule(AlertName.MUTED_CARD, muted_card),
    AlertRule(AlertName.FALLBACK_VOICE, fallback_voice),
    AlertRule(AlertName.DEAF, deaf),
    AlertRule(AlertName.DISK_SHORT, disk_short, value_step=50.0),
)
"""All alerts, in the order of AlertName."""
