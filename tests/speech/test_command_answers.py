"""Each command has one answer; of a flood the rest has one together."""

from __future__ import annotations

import logging

import pytest

from ishowtts.inbox import Inbox, InboxLimits, settled
from ishowtts.speech.command_answers import CommandAnswers
from support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox():
    inbox = Inbox(None, InboxLimits())
    yield inbox
    inbox.close()


@pytest.fixture
def answers(inbox: Inbox, clock: Clock) -> CommandAnswers:
    return CommandAnswers(inbox, clock)


def told(inbox: Inbox) -> list[tuple[str, bool, str, str | None]]:
    events = [event for _, event in settled(inbox.unsent(10_000))]
    return [tuple(event.data[key] for key in ("command", "ok", "detail", "transaction")) for event in events]


def test_of_a_flood_of_what_is_no_command_ten_are_answered_and_the_rest_is_summed_up(
    answers: CommandAnswers, inbox: Inbox, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(50_000):
        answers.tell("", None, False, f"unknown command {number}", f"t{number}")
    answers.sum_up()
    assert [transaction for *_, transaction in told(inbox)] == [f"t{number}" for number in range(10)]
    clock.now_s += 10
    answers.sum_up()
    answers.sum_up()
    assert told(inbox)[10:] == [
        ("", False, "of more such commands within 10 s, 49990 refused; send fewer", None),
    ]
    assert len(caplog.records) == 11
    assert caplog.records[0].getMessage() == "command ? refused: unknown command 0"


def test_a_flood_of_one_command_leaves_the_answers_of_another(answers: CommandAnswers, inbox: Inbox) -> None:
    for number in range(500):
        answers.tell("pause", None, number % 2 == 0, "paused", None)
        answers.tell("", None, False, "unknown", None)
    answers.tell("stop", None, True, "1 line was cancelled", "mine")
    assert told(inbox)[-1] == ("stop", True, "1 line was cancelled", "mine")
    assert len(told(inbox)) == 100 + 10 + 1
    answers.sum_up(last=True)
    assert ("pause", False, "of more such commands within 10 s, 200 obeyed and 200 refused; send fewer", None) in told(
        inbox
    )


def test_what_was_obeyed_is_summed_up_as_that(answers: CommandAnswers, inbox: Inbox) -> None:
    for _ in range(101):
        answers.tell("volume", None, True, "the volume is 30", None)
    answers.sum_up(last=True)
    assert told(inbox)[-1] == ("volume", True, "of more such commands within 10 s, 1 obeyed; send fewer", None)
