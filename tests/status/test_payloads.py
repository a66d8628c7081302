"""The state of the appliance follows from what its parts report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ishowtts.engines import Progress
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus
from ishowtts.model import Line
from ishowtts.playback.audibility import Silence, SilentCause
from ishowtts.speech import SchedulerStatus
from ishowtts.speech.speech_progress import SpeechProgress
from ishowtts.status.payloads import FOUND_PAUSED, StateFacts, state_payload

IDLE = StateFacts(SchedulerStatus(None, False, None), EngineStatus("f5", EngineState.READY, 24000), "f5", 0, False, 80)
MUTED, VOLUME_0, SILENT_DEVICE = (
    frozenset({Silence.by(cause)}) for cause in (SilentCause.MUTED, SilentCause.VOLUME_0, SilentCause.SILENT_DEVICE)
)
UNPREPARED = SchedulerStatus(None, False, None, prepared=False)
PROGRESS = SpeechProgress("f5", "anna", "2026-11-30T08:00:00.000Z", 2, 3, 4.5, 6.0)
SPEAKING = SchedulerStatus(Line("a", "hello", author="Bob"), False, None, progress=PROGRESS)


@pytest.mark.parametrize(
    ("facts", "state", "detail"),
    [
        (IDLE, "ready", None),
        (replace(IDLE, engine=None, engine_name="espeak"), "ready", None),
        (replace(IDLE, scheduler=SPEAKING), "speaking", None),
        (replace(IDLE, engine=EngineStatus("f5", EngineState.LOADING, 24000)), "starting", "loading"),
        (
            replace(IDLE, engine=EngineStatus("f5", EngineState.WARMING, 24000, progress=Progress("warm", 1, 3))),
            "warming",
            "warm 1 of 3",
        ),
        (
            replace(IDLE, engine=EngineStatus("f5", EngineState.PARKED, 24000, detail="it died five times")),
            "degraded",
            "the f5 engine is parked: it died five times",
        ),
        (
            replace(IDLE, other_engines=(EngineStatus("hibari", EngineState.RESTARTING, 24000, detail="it died"),)),
            "degraded",
            "the hibari engine is restarting: it died",
        ),
        (replace(IDLE, other_engines=(EngineStatus("hibari", EngineState.LOADING, 24000),)), "ready", None),
        (replace(IDLE, notes=("F5 is slow",)), "ready", "F5 is slow"),
        (replace(IDLE, notes=("F5 is slow",), problems=("the card is away",)), "degraded", "the card is away"),
        (replace(IDLE, scheduler=SPEAKING, problems=("the card is away",)), "degraded", "the card is away"),
        (
            replace(IDLE, scheduler=SchedulerStatus(None, True, None), problems=("the card is away",)),
            "paused",
            "the card is away",
        ),
        (replace(IDLE, scheduler=SchedulerStatus(None, True, None)), "paused", None),
        (replace(IDLE, quiet_until="07:00"), "ready", None),
        (
            replace(IDLE, quiet_until="07:00", queue_depth=1),
            "ready",
            "quiet hours: low and normal lines wait until 07:00",
        ),
        (
            replace(IDLE, quiet_until="07:00", queue_depth=1, expires_before=True),
            "ready",
            "quiet hours: low and normal lines wait until 07:00; some expire before, after their own ttl_s",
        ),
        (replace(IDLE, scheduler=SchedulerStatus(None, True, None), paused_at_start=True), "paused", FOUND_PAUSED),
        (replace(IDLE, scheduler=UNPREPARED), "starting", "what the first line needs is being loaded"),
        (replace(IDLE, scheduler=UNPREPARED, problems=("the card is away",)), "degraded", "the card is away"),
        (replace(IDLE, silences=MUTED), "ready", "the appliance is muted; the command unmute ends that"),
        (replace(IDLE, silences=VOLUME_0), "ready", "the volume is 0; set it over volume/set"),
        (
            replace(IDLE, scheduler=SPEAKING, silences=MUTED | VOLUME_0),
            "speaking",
            "the appliance is muted; the command unmute ends that; the volume is 0; set it over volume/set",
        ),
        (
            replace(IDLE, silences=MUTED, problems=("the card is away",)),
            "degraded",
            "the card is away; the appliance is muted; the command unmute ends that",
        ),
        (replace(IDLE, silences=SILENT_DEVICE), "ready", None),
    ],
)
def test_the_state_and_its_detail_follow_from_the_facts(facts: StateFacts, state: str, detail: str | None) -> None:
    payload = state_payload(facts)
    assert (payload["state"], payload["detail"]) == (state, detail)


@pytest.mark.parametrize(
    ("silences", "silent"),
    [
        (frozenset(), None),
        (MUTED, "muted"),
        (VOLUME_0, "volume_0"),
        (SILENT_DEVICE, "silent_device"),
        (MUTED | {Silence(SilentCause.NO_DEVICE, "the card is away")}, "no_device"),
        (VOLUME_0 | MUTED | SILENT_DEVICE, "muted"),
        (frozenset({Silence(SilentCause.CARD_VOLUME_0, "the card is at 0 %")}), "card_volume_0"),
    ],
)
def test_the_state_says_whether_a_line_could_be_heard(silences: frozenset[Silence], silent: str | None) -> None:
    payload = state_payload(replace(IDLE, silences=silences))
    assert (payload["audible"], payload["silent"]) == (silent is None, silent)


def test_the_state_names_the_current_line() -> None:
    speaking = {
        "id": "a",
        "text": "hello",
        "author": "Bob",
        "engine": "f5",
        "voice": "anna",
        "since": "2026-11-30T08:00:00.000Z",
        "segment": 2,
        "segments": 3,
        "played_s": 4.5,
        "left_s": 6.0,
    }
    assert state_payload(replace(IDLE, scheduler=SPEAKING))["speaking"] == speaking
    del speaking["author"], speaking["text"]
    assert state_payload(replace(IDLE, scheduler=SPEAKING, private=True))["speaking"] == speaking
    assert state_payload(IDLE)["speaking"] is None
