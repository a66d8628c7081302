"""Each command gets one answer; those of a flood are summed up in one."""

from __future__ import annotations

import logging

import pytest

from ishowtts.inbox import Inbox, InboxLimits, wait_for
from ishowtts.speech.commands import CommandAnswers
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


def sent(inbox: Inbox) -> list[tuple[str, bool, str, str | None]]:
    events = [event for _, event in wait_for(inbox.unsent(10_000))]
    return [tuple(event.data[key] for key in ("command", "ok", "detail", "transaction")) for event in events]


def test_of_a_flood_of_unreadable_commands_ten_are_answered_and_the_others_summed_up(
    answers: CommandAnswers, inbox: Inbox, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(50_000):
        answers.send("", None, False, f"unknown command {number}", f"t{number}")
    answers.sum_up()
    assert [transaction for *_, transaction in sent(inbox)] == [f"t{number}" for number in range(10)]
    clock.now_s += 10
    answers.sum_up()
    answers.sum_up()
    assert sent(inbox)[10:] == [
        ("", False, "of more such commands within 10 s, 49990 refused; send fewer", None),
    ]
    assert len(caplog.records) == 11
    assert caplog.records[0].getMessage() == "command ? refused: unknown command 0"


def test_a_flood_of_one_command_does_not_cost_another_its_answers(answers: CommandAnswers, inbox: Inbox) -> None:
    for number in range(500):
        answers.send("pause", None, number % 2 == 0, "paused", None)
        answers.send("", None, False, "unknown", None)
    answers.send("stop", None, True, "1 line was cancelled", "mine")
    assert sent(inbox)[-1] == ("stop", True, "1 line was cancelled", "mine")
    assert len(sent(inbox)) == 100 + 10 + 1
    answers.sum_up(last=True)
    summary = "of more such commands within 10 s, 200 executed and 200 refused; send fewer"
    assert ("pause", False, summary, None) in sent(inbox)


def test_a_summary_says_how_many_commands_were_executed(answers: CommandAnswers, inbox: Inbox) -> None:
    for _ in range(101):
        answers.send("volume", None, True, "the volume is 30", None)
    answers.sum_up(last=True)
    assert sent(inbox)[-1] == ("volume", True, "of more such commands within 10 s, 1 executed; send fewer", None)
