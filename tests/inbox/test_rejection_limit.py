"""Of a flood of lines that are not accepted, the first have an event each and the others one together."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ishowtts.errors import InboxError
from ishowtts.inbox import arrivals, settled
from ishowtts.inbox.transaction import Transaction
from ishowtts.model import Arrival, Event, Line, Outcome, Reason, Rejection, ReplyTo

House = Any  # of conftest.py


def flood(house: House, count: int, reason: Reason = Reason.EMPTY, reply_to: ReplyTo | None = None) -> None:
    for _ in range(0, count, 100):
        house.inbox.accept([Rejection("r", reason, "no", reply_to)] * 100)


def unsent(house: House) -> list[Event]:
    numbered = house.inbox.unsent(100_000)
    house.inbox.sent(numbered)
    return [event for _, event in numbered]


def told_together(house: House) -> list[dict[str, Any]]:
    house.inbox.sum_up()
    return [{"event": event.event, **event.data} for event in unsent(house)]


def test_of_a_flood_of_refused_lines_a_hundred_have_an_event_and_the_others_one_for_each_reason(house: House) -> None:
    flood(house, 5000)
    flood(house, 200, Reason.BAD_JSON)
    house.inbox.accept([Rejection("mine", Reason.TOO_LONG, "no", ReplyTo("r"))])
    house.inbox.record(Event("now", "", "command", {"command": "mute"}))
    events = unsent(house)
    assert [event.event for event in events] == ["rejected"] * 101 + ["command"]
    assert events[100].id == "mine", "somebody waits for this one"
    assert told_together(house) == [
        {
            "event": "rejected",
            "reason": reason,
            "detail": f"{count} more lines were rejected for this reason; send fewer at once",
            "count": count,
        }
        for reason, count in (("bad_json", 200), ("empty", 4900))
    ]
    assert told_together(house) == []
    assert len(house.history(10_000)) == 5201, "each is in the history"


def test_after_ten_seconds_refused_lines_have_an_event_each_again(house: House) -> None:
    flood(house, 200)
    unsent(house)
    house.clock.pass_s(10)
    house.inbox.accept([Rejection("r", Reason.EMPTY, "no")])
    assert len(unsent(house)) == 1


def test_lines_with_a_response_topic_have_a_limit_of_their_own(house: House) -> None:
    flood(house, 200)
    flood(house, 1200, reply_to=ReplyTo("r"))
    assert Counter(event.reply_to is not None for event in unsent(house)) == {False: 100, True: 1000}
    assert [each["count"] for each in told_together(house)] == [300]


def test_a_flood_of_duplicates_is_told_together_too(house: House) -> None:
    house.inbox.accept([Line("a", "hello")] * 301)
    assert Counter(event.event for event in unsent(house)) == {"accepted": 1, "duplicate": 100}
    detail = "200 more lines were duplicates; send fewer at once"
    assert told_together(house) == [{"event": "duplicate", "of": None, "outcome": None, "detail": detail, "count": 200}]


def test_accepted_lines_have_all_their_events_during_a_flood(house: House) -> None:
    flood(house, 1000)
    house.inbox.accept([Line("a", "hello")])
    house.inbox.finish(house.inbox.take().seq, Outcome.FINISHED, {})
    assert [event.event for event in unsent(house)][-2:] == ["accepted", "finished"]


def test_lines_that_were_only_counted_are_told_of_after_a_crash(house: House) -> None:
    flood(house, 300)
    unsent(house)
    house.crash()
    flood(house, 300)
    unsent(house)
    assert [each["count"] for each in told_together(house)] == [400]


def test_a_change_that_was_undone_is_not_counted(house: House) -> None:
    flood(house, 100)
    unsent(house)

    def fail(transaction: Transaction) -> None:
        arrivals.reject(transaction, Line("a", "hello"), "empty", "no")
        raise InboxError("undone")

    with pytest.raises(InboxError, match="undone"):
        settled(house.inbox.plain._writer.submit(fail))
    assert told_together(house) == []


@pytest.mark.parametrize("stored", ["", "[", "[1]", '{"empty": "x", "filtered": -1}', "[" * 5000])
def test_a_count_that_is_damaged_counts_as_none(house: House, stored: str) -> None:
    house.inbox.remember(".rejected_counts", stored)
    assert told_together(house) == []
    house.inbox.plain.accept([Arrival(Rejection("r", Reason.EMPTY, "no"))] * 103)
    unsent(house)
    assert [each["count"] for each in told_together(house)] == [3]
