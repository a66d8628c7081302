"""The word for how the appliance is, from what its parts say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ishowtts.engines import Progress
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus
from ishowtts.model import Line
from ishowtts.speech import SchedulerStatus
from ishowtts.status.state_payload import FOUND_PAUSED, StateFacts, compose

IDLE = StateFacts(SchedulerStatus(None, False, None), EngineStatus("f5", EngineState.READY, 24000), "f5", 0, False, 80)
SPEAKING = SchedulerStatus(Line("a", "hello"), False, None)


@pytest.mark.parametrize(
    ("facts", "word", "detail"),
    [
        (IDLE, "ready", None),
        (replace(IDLE, engine=None, engine_name="espeak"), "ready", None),
        (replace(IDLE, sheet=SPEAKING), "speaking", None),
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
        (replace(IDLE, sheet=SPEAKING, troubles=("the card is away",)), "degraded", "the card is away"),
        (
            replace(IDLE, sheet=SchedulerStatus(None, True, None), troubles=("the card is away",)),
            "paused",
            "the card is away",
        ),
        (replace(IDLE, sheet=SchedulerStatus(None, True, None)), "paused", None),
        (replace(IDLE, quiet_until="07:00"), "ready", None),
        (
            replace(IDLE, quiet_until="07:00", queue_depth=1),
            "ready",
            "quiet hours: low and normal lines wait until 07:00",
        ),
        (replace(IDLE, sheet=SchedulerStatus(None, True, None), found_paused=True), "paused", FOUND_PAUSED),
    ],
)
def test_the_state_says_what_holds(facts: StateFacts, word: str, detail: str | None) -> None:
    payload = compose(facts)
    assert (payload["state"], payload["detail"]) == (word, detail)


def test_the_state_names_the_line_that_is_spoken() -> None:
    assert compose(replace(IDLE, sheet=SPEAKING))["speaking"] == {"id": "a", "text": "hello"}
    assert compose(IDLE)["speaking"] is None
