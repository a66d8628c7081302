"""What is acknowledged is on disk, in the order of arrival."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, InboxLimits
from ishowtts.pipeline import Intake
from ishowtts.speech import Line, Reason, Rejection
from support.waiting import eventually


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    made = Inbox(tmp_path / "inbox.sqlite", InboxLimits())
    yield made
    made.close()


def test_arrivals_are_stored_before_they_are_acknowledged_in_order(inbox: Inbox) -> None:
    intake, acknowledged = Intake(inbox), []

    def ack(number: int) -> None:
        acknowledged.append((number, inbox.depth() > number))

    for number in range(250):
        intake.offer(Line(str(number), "hello"), lambda number=number: ack(number))
    intake.start()
    intake.close(20)
    assert acknowledged == [(number, True) for number in range(250)]


def test_what_cannot_be_stored_is_tried_again_and_not_acknowledged_before(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, refused = inbox.accept, []

    def refuse_once(arrivals: list[Line | Rejection]) -> None:
        if not refused:
            refused.append(len(arrivals))
            raise InboxError("the disk is full")
        accept(arrivals)

    monkeypatch.setattr(inbox, "accept", refuse_once)
    intake, acknowledged = Intake(inbox), []
    intake.start()
    intake.offer(Line("a", "hello"), lambda: acknowledged.append("a"))
    eventually(lambda: acknowledged == ["a"], "the second try")
    intake.close(20)
    assert refused == [1]
    assert inbox.depth() == 1


def test_past_its_bound_a_line_becomes_a_rejection(inbox: Inbox) -> None:
    intake = Intake(inbox)
    for number in range(4097):
        intake.offer(Line(str(number), "hello"), lambda: None)
    intake.start()
    intake.close(60)
    rejected = [entry for entry in inbox.history(5000) if entry.outcome == "rejected" and entry.id == "4096"]
    assert len(rejected) == 1
    assert rejected[0].data == {"reason": Reason.QUEUE_FULL.value, "detail": rejected[0].data["detail"]}
