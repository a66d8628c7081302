"""The history has the text as it was sent, as it was changed and as it was read, and finds what is asked for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from ishowtts.inbox import HistoryFilter, last_ended_n, read_history, wait_for
from ishowtts.limits import SENT_CHARS
from ishowtts.model import Line, Outcome, Priority, Reason, Rejection
from ishowtts.mqtt.line_payload import payload_head
from ishowtts.policies.authors import author_key

Queue = Any  # of conftest.py


def speak(queue: Queue, line: Line, spoken: str | None = None) -> None:
    """Accept a line, and let it be heard to its end."""
    queue.inbox.accept([line])
    taken = queue.inbox.take()
    wait_for(queue.inbox.plain.started(taken.seq, {}))
    wait_for(queue.inbox.plain.finish(taken.seq, Outcome.FINISHED, {"rtf": 0.1}, spoken))


def ids(queue: Queue, limit: int = 99, **wanted: Any) -> list[str]:
    return [entry.id for entry in read_history(queue.path, limit, HistoryFilter(**wanted))]


def test_three_texts_the_author_and_the_times_are_kept(queue: Queue) -> None:
    line = Line("a", "alice says: 3 kg", author="Alice", priority=Priority.HIGH, sent_text="3 kg!!!!!!!")
    queue.clock.pass_s(5)
    speak(queue, line, "alice says: three kilograms")
    [entry] = queue.history(9)
    assert (entry.sent_text, entry.text, entry.read_text) == (
        "3 kg!!!!!!!",
        "alice says: 3 kg",
        "alice says: three kilograms",
    )
    assert (entry.author, entry.priority) == ("Alice", Priority.HIGH)
    assert entry.ts == entry.heard_at == "2027-01-15T08:00:05.000Z"
    assert (entry.ended_wall_s, entry.ended_n) == (queue.clock.wall, 1)
    assert not entry.speaking


def test_texts_that_are_equal_are_stored_once(queue: Queue) -> None:
    speak(queue, Line("a", "hello"), "hello")
    [entry] = queue.history(9)
    assert (entry.sent_text, entry.read_text) == (None, None)


def test_long_texts_are_cut_and_the_spoken_one_is_not(queue: Queue) -> None:
    text = "word " * 400
    queue.inbox.accept([Line("a", text, sent_text=text + "!")])
    taken = queue.inbox.take()
    assert taken.line.text == text
    wait_for(queue.inbox.plain.reached(taken.seq, text.upper(), 1900))
    wait_for(queue.inbox.plain.finish(taken.seq, Outcome.FINISHED, {}, text.upper()))
    [entry] = queue.history(9)
    assert entry.text == text
    for stored in (entry.sent_text, entry.read_text):
        assert stored.endswith("characters)")
        assert len(stored) < SENT_CHARS + 50
    queue.restart()
    assert len(queue.history(9)) == 1, "the position does not lie beyond the text that is kept"


def test_a_line_that_was_cut_off_and_is_cancelled_keeps_what_was_read(queue: Queue) -> None:
    queue.inbox.accept([Line("a", "3 kg and 4 kg")])
    taken = queue.inbox.take()
    wait_for(queue.inbox.plain.started(taken.seq, {}))
    wait_for(queue.inbox.plain.reached(taken.seq, "three kilograms and four", 16))
    wait_for(queue.inbox.plain.interrupt(taken.seq))
    assert [entry.speaking for entry in queue.history(9)] == [False]
    wait_for(queue.inbox.plain.cancel_waiting("stop"))
    [entry] = queue.history(9)
    assert (entry.outcome, entry.read_text) == (Outcome.CANCELLED, "three kilograms and four")


def test_a_replayed_line_keeps_the_text_as_it_was_sent(queue: Queue) -> None:
    speak(queue, Line("a", "hello link", sent_text="hello https://x.com"))
    wait_for(queue.inbox.plain.replay("again"))
    assert queue.history(1)[0].sent_text == "hello https://x.com"


def test_a_payload_that_is_no_line_is_kept(queue: Queue) -> None:
    queue.inbox.accept([Rejection("a", Reason.BAD_JSON, "it is not JSON", sent='{"text": "hi"')])
    queue.inbox.accept([Rejection("b", Reason.EMPTY, "it is empty", sent="\x00")])
    assert [entry.text for entry in queue.history(9)] == ["\x00", '{"text": "hi"']


def test_a_long_payload_that_is_no_line_says_how_long_it_was(queue: Queue) -> None:
    head = payload_head(b"x" * 20_000)
    queue.inbox.accept([Rejection("a", Reason.BAD_JSON, "it is not JSON", sent=head)])
    assert queue.history(1)[0].text.endswith("… (cut; it has 20000 bytes)")


def test_a_payload_that_is_no_line_keeps_its_author(queue: Queue) -> None:
    queue.inbox.accept([Rejection("a", Reason.BAD_FIELD, "speed", sent='{"text": "hi"}', author="Zed")])
    assert queue.history(1)[0].author == "Zed"
    assert ids(queue, author="zed") == ["a"]


def test_the_wanted_lines_are_found(queue: Queue) -> None:
    speak(queue, Line("heard", "one", author="Bob"))
    queue.clock.pass_s(60)
    for number in range(30):
        queue.inbox.accept([Rejection(f"r{number}", Reason.EMPTY, "empty", line=Line(f"r{number}", "", author="Eve"))])
    queue.inbox.accept([Line("waits", "two", author="ｂｏｂ"), Line("other", "three")])
    assert ids(queue, 2) == ["other", "waits"]
    assert ids(queue, heard=True) == ["heard"]
    assert ids(queue, author="BOB") == ["heard"]
    assert ids(queue, author="BOB", author_key=author_key) == ["waits", "heard"]
    assert ids(queue, 3, author="eve") == ["r29", "r28", "r27"]
    assert ids(queue, author="nobody") == []
    assert ids(queue, states=frozenset({"finished", "waiting"})) == ["other", "waits", "heard"]
    assert ids(queue, since_ts="2027-01-15T08:01:00.000Z", states=frozenset({"waiting"})) == ["other", "waits"]
    assert ids(queue, since_ts="2027-01-15T08:01:00.001Z") == []
    assert ids(queue, states=frozenset({"x' OR 1=1 --"})) == []


def test_lines_that_have_ended_since_are_found_in_the_order_of_their_ends(queue: Queue) -> None:
    assert last_ended_n(queue.path) == 0
    queue.inbox.accept([Line("first", "one"), Line("second", "two")])
    speak_second = queue.inbox.take()
    wait_for(queue.inbox.plain.cancel_waiting("cancel", "second"))
    wait_for(queue.inbox.plain.finish(speak_second.seq, Outcome.FINISHED, {}))
    assert last_ended_n(queue.path) == 2
    assert ids(queue, ended_after_n=0) == ["first", "second"]
    assert ids(queue, ended_after_n=1) == ["first"]
    assert ids(queue, ended_after_n=2) == []


@pytest.mark.parametrize("row", ["details = 'broken'", "details = '[]'", "details = '{\"author\": 3}'"])
def test_a_row_whose_author_cannot_be_read_is_shown_without_one(queue: Queue, row: str) -> None:
    speak(queue, Line("a", "hello", author="Bob"))
    queue.inbox.close()
    with closing(sqlite3.connect(queue.path)) as connection, connection:
        connection.execute(f"UPDATE lines SET {row}")
    [entry] = read_history(queue.path, 9)
    assert entry.author is None
    queue.open()


def test_damage_to_what_only_the_history_reads_costs_no_line(queue: Queue) -> None:
    queue.inbox.accept([Line("a", "hello", sent_text="hello!!!!!!!")])
    queue.inbox.close()
    with closing(sqlite3.connect(queue.path)) as connection, connection:
        connection.execute("UPDATE lines SET sent_text = x'ff', heard_at = x'ff'")
    queue.open()
    assert queue.inbox.take().line == Line("a", "hello")
    [entry] = queue.history(9)
    assert (entry.sent_text, entry.heard_at) == (None, None)
