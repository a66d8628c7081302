"""Each alert follows from the facts: its limits, its sentence, and what is no reason for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ishowtts.board import BoardReading
from ishowtts.model import AlertName
from ishowtts.playback.audibility import Silence, SilentCause
from ishowtts.playback.player import SoundStatus
from ishowtts.status.alert_rules import RESTART_CLOCKS, RULES, AlertFacts, LeadingEngine

SOUND = SoundStatus("hw:1", 0, 0, None, 0.0)
WELL = AlertFacts(
    85.0, 0.8, BoardReading(), LeadingEngine("f5", deputy="espeak"), "f5", SOUND, throttled=False, rtf=0.1
)
FIND = {rule.name.value: rule.find for rule in RULES}
UNMUTE = "the sound card hw:1 is muted (Speaker), so nothing is heard; run `amixer -D hw:1 sset Speaker unmute`"
PARKED = "the f5 engine is parked: the worker ended 5 times recently"


def reading(**values: float | bool) -> AlertFacts:
    return replace(WELL, reading=BoardReading(**values))  # type: ignore[arg-type]


def locked(locked_now: bool | None, lock_again: str | None = RESTART_CLOCKS) -> AlertFacts:
    return replace(WELL, reading=BoardReading(gpu_clock_locked=locked_now), lock_again=lock_again)


def sound(**values: str | None) -> AlertFacts:
    return replace(WELL, sound=replace(SOUND, **values))  # type: ignore[arg-type]


def silent(*silences: Silence) -> AlertFacts:
    return replace(WELL, silences=frozenset(silences))


def led_by(problem: str | None, deputy: str | None = "hibari", may_take_s: float = 10) -> AlertFacts:
    return replace(WELL, leader=LeadingEngine("f5", problem, may_take_s, deputy))


SLOW = "F5 is slow, so hibari leads; a GPU would help"
DROPPED = replace(WELL, leader=LeadingEngine("f5", SLOW, deputy="hibari", dropped=True))


@pytest.mark.parametrize(
    ("name", "facts", "active", "holds"),
    [
        ("throttled", WELL, False, False),
        ("throttled", replace(WELL, throttled=True), False, True),
        ("throttled", replace(WELL, throttled=None), True, None),
        ("hot", WELL, False, None),
        ("hot", WELL, True, None),
        ("hot", reading(gpu_temp_c=float("nan"), cpu_temp_c=float("inf")), False, None),
        ("hot", reading(gpu_temp_c=84.9), False, False),
        ("hot", reading(gpu_temp_c=85.0), False, True),
        ("hot", reading(cpu_temp_c=85.0), False, True),
        ("hot", reading(gpu_temp_c=40.0, cpu_temp_c=99.0), False, True),
        ("hot", reading(gpu_temp_c=80.0), True, True),
        ("hot", reading(gpu_temp_c=79.9, cpu_temp_c=60.0), True, False),
        ("hot", reading(cpu_temp_c=60.0), False, False),
        ("hot", reading(cpu_temp_c=60.0), True, None),  # the GPU may be the one that is hot, and does not answer now
        ("hot", reading(gpu_temp_c=81.0), True, True),
        ("clocks_unlocked", locked(False), False, True),
        ("clocks_unlocked", locked(True), True, False),
        ("clocks_unlocked", locked(None), True, None),
        ("clocks_unlocked", locked(False, None), True, False),
        ("slow", replace(WELL, rtf=None), True, None),
        ("slow", replace(WELL, rtf=0.79), False, False),
        ("slow", replace(WELL, rtf=0.8), False, True),
        ("slow", replace(WELL, rtf=0.73), True, True),
        ("slow", replace(WELL, rtf=0.71), True, False),
        ("no_sound", WELL, False, False),
        ("no_sound", sound(lost="the sound device hw:1 was lost: No such device"), False, True),
        (
            "no_sound",
            sound(substitute_reason="hw:1 is away; hw:2 is used until it is back", device="hw:2"),
            False,
            False,
        ),
        ("no_sound", sound(substitute_reason="hw:1 is away; silent is used", device="silent"), False, True),
        ("no_sound", sound(device="silent"), False, False),
        ("no_sound", silent(Silence.by(SilentCause.MUTED), Silence.by(SilentCause.VOLUME_0)), False, False),
        ("muted_card", silent(Silence(SilentCause.CARD_MUTED, UNMUTE)), False, True),
        ("muted_card", silent(Silence(SilentCause.CARD_VOLUME_0, UNMUTE)), False, True),
        ("muted_card", silent(*map(Silence.by, (SilentCause.MUTED, SilentCause.SILENT_DEVICE))), False, False),
        ("fallback_voice", WELL, False, False),
        ("fallback_voice", led_by(PARKED), False, True),
        ("fallback_voice", led_by(PARKED, None), False, False),
        ("deaf", WELL, True, False),
        ("deaf", replace(WELL, deaf="the broker does not let us subscribe; allow it in its ACL"), False, True),
        ("disk_short", WELL, True, False),
        ("disk_short", replace(WELL, disk="less than 200 MB are free in /var; make room"), False, True),
    ],
)
def test_whether_there_is_a_reason_follows_from_the_facts(
    name: str, facts: AlertFacts, active: bool, holds: bool | None
) -> None:
    assert FIND[name](facts, active).holds is holds


@pytest.mark.parametrize(
    ("name", "facts", "detail", "fix", "value"),
    [
        ("throttled", replace(WELL, throttled=True, throttle_events=3), "slows itself down", "power supply", 3),
        ("throttled", replace(WELL, throttled=True), "slows itself down", "nvpmodel", None),
        ("hot", reading(gpu_temp_c=86.04, cpu_temp_c=70.0), "the GPU has reached 85 °C (alerts.hot_c)", "fan", 86.0),
        ("hot", reading(gpu_temp_c=70.0, cpu_temp_c=91.0), "the CPU has reached", "air flow", 91.0),
        ("clocks_unlocked", locked(False), "no longer locked", RESTART_CLOCKS, None),
        ("slow", replace(WELL, rtf=1.234), "f5 needs 0.8 s or more", "lower engine.f5.nfe_step", 1.23),
        ("slow", replace(WELL, rtf=1.0, engine="espeak"), "espeak needs", "use the CPU", 1.0),
        ("slow", replace(locked(False), rtf=1.0), "f5 needs", RESTART_CLOCKS, 1.0),
        ("no_sound", sound(lost="the sound device hw:1 was lost: No such device"), "was lost", "audio.device", None),
        ("no_sound", sound(lost="nosuch is no device; see `ishowtts devices`"), "no device", "see `ishowtts", None),
        ("no_sound", sound(substitute_reason="a is away; silent is used", device="silent"), "a is", "plug it in", None),
        ("muted_card", silent(Silence(SilentCause.CARD_MUTED, UNMUTE)), "is muted (Speaker)", "amixer", None),
        ("fallback_voice", led_by(PARKED), f"{PARKED}, so hibari speaks in its place", "journalctl", None),
        ("fallback_voice", led_by("no weights; run x"), "no weights, so hibari speaks in its place", "run x", None),
        ("fallback_voice", DROPPED, "F5 is slow, so hibari leads", "a GPU would help, and engine.kind hibari", None),
        ("deaf", replace(WELL, deaf="protocol error"), "protocol error", "log of the broker", None),
        ("deaf", replace(WELL, deaf="say is refused; allow it"), "say is refused", "allow it", None),
        ("disk_short", replace(WELL, disk="it is full; make room", free_mb=120), "it is full", "make room", 120),
    ],
)
def test_the_sentence_says_what_is_wrong_and_ends_with_the_fix(
    name: str, facts: AlertFacts, detail: str, fix: str, value: float | None
) -> None:
    found = FIND[name](facts, False)
    assert (found.holds, found.value) == (True, value)
    problem, _, own_fix = (found.detail or "").rpartition("; ")
    assert detail in problem
    assert fix in own_fix


def test_what_may_end_by_itself_is_no_alert_for_some_time() -> None:
    late = {
        "fallback_voice": led_by(PARKED, may_take_s=600),
        "clocks_unlocked": locked(False),
        "no_sound": sound(lost="x"),
    }
    assert [FIND[name](facts, False).after_s for name, facts in late.items()] == [600, 10, 1]


def test_every_alert_of_the_contract_has_one_rule_in_its_order() -> None:
    assert [rule.name for rule in RULES] == list(AlertName)
