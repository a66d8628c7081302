"""In a flood of lines that are not accepted, the first have an event each. The others are counted for one event."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ishowtts.errors import InboxError
from ishowtts.inbox import arrivals, wait_for
from ishowtts.inbox.transaction import Transaction
from ishowtts.model import Arrival, Event, Line, Outcome, Reason, Rejection, ReplyTo

Queue = Any  # of conftest.py


def flood(queue: Queue, count: int, reason: Reason = Reason.EMPTY, reply_to: ReplyTo | None = None) -> None:
    for _ in range(0, count, 100):
        queue.inbox.accept([Rejection("r", reason, "no", reply_to)] * 100)


def unsent(queue: Queue) -> list[Event]:
    numbered = queue.inbox.unsent(100_000)
    queue.inbox.sent(numbered)
    return [event for _, event in numbered]


def summed_up(queue: Queue) -> list[dict[str, Any]]:
    queue.inbox.sum_up()
    return [{"event": event.event, **event.data} for event in unsent(queue)]


def test_in_a_flood_of_rejected_lines_a_hundred_have_an_event_and_the_others_one_for_each_reason(queue: Queue) -> None:
    flood(queue, 5000)
    flood(queue, 200, Reason.BAD_JSON)
    queue.inbox.accept([Rejection("mine", Reason.TOO_LONG, "no", ReplyTo("r"))])
    queue.inbox.record(Event("now", "", "command", {"command": "mute"}))
    events = unsent(queue)
    assert [event.event for event in events] == ["rejected"] * 101 + ["command"]
    assert events[100].id == "mine", "a publisher waits for this one"
    assert summed_up(queue) == [
        {
            "event": "rejected",
            "reason": reason,
            "detail": f"{count} more lines were rejected for this reason; send fewer at once",
            "count": count,
        }
        for reason, count in (("bad_json", 200), ("empty", 4900))
    ]
    assert summed_up(queue) == []
    assert len(queue.history(10_000)) == 5201, "each is in the history"


def test_after_ten_seconds_rejected_lines_have_an_event_each_again(queue: Queue) -> None:
    flood(queue, 200)
    unsent(queue)
    queue.clock.pass_s(10)
    queue.inbox.accept([Rejection("r", Reason.EMPTY, "no")])
    assert len(unsent(queue)) == 1


def test_lines_with_a_response_topic_have_a_limit_of_their_own(queue: Queue) -> None:
    flood(queue, 200)
    flood(queue, 1200, reply_to=ReplyTo("r"))
    assert Counter(event.reply_to is not None for event in unsent(queue)) == {False: 100, True: 1000}
    assert [each["count"] for each in summed_up(queue)] == [300]


def test_a_flood_of_duplicates_is_summed_up_too(queue: Queue) -> None:
    queue.inbox.accept([Line("a", "hello")] * 301)
    assert Counter(event.event for event in unsent(queue)) == {"accepted": 1, "duplicate": 100}
    detail = "200 more lines were duplicates; send fewer at once"
    assert summed_up(queue) == [{"event": "duplicate", "of": None, "outcome": None, "detail": detail, "count": 200}]


def test_accepted_lines_have_all_their_events_during_a_flood(queue: Queue) -> None:
    flood(queue, 1000)
    queue.inbox.accept([Line("a", "hello")])
    queue.inbox.finish(queue.inbox.take().seq, Outcome.FINISHED, {})
    assert [event.event for event in unsent(queue)][-2:] == ["accepted", "finished"]


def test_lines_that_were_only_counted_are_summed_up_after_a_crash(queue: Queue) -> None:
    flood(queue, 300)
    unsent(queue)
    queue.crash()
    flood(queue, 300)
    unsent(queue)
    assert [each["count"] for each in summed_up(queue)] == [400]


def test_a_change_that_was_rolled_back_is_not_counted(queue: Queue) -> None:
    flood(queue, 100)
    unsent(queue)

    def fail(transaction: Transaction) -> None:
        arrivals.reject(transaction, Line("a", "hello"), "empty", "no")
        raise InboxError("rolled back")

    with pytest.raises(InboxError, match="rolled back"):
        wait_for(queue.inbox.plain._writer.submit(fail))
    assert summed_up(queue) == []


@pytest.mark.parametrize("stored", ["", "[", "[1]", '{"empty": "x", "filtered": -1}', "[" * 5000])
def test_a_count_that_is_damaged_counts_as_none(queue: Queue, stored: str) -> None:
    queue.inbox.remember(".rejected_counts", stored)
    assert summed_up(queue) == []
    queue.inbox.plain.accept([Arrival(Rejection("r", Reason.EMPTY, "no"))] * 103)
    unsent(queue)
    assert [each["count"] for each in summed_up(queue)] == [3]
