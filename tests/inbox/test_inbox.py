from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, InboxLimits, read_history, wait_for
from ishowtts.model import Arrival, Event, Line, Outcome, Priority, Reason, Rejection, ReplyTo
from support.waiting import eventually

Queue = Any  # of conftest.py


def line(line_id: str, priority: Priority = Priority.NORMAL, **more: Any) -> Line:
    return Line(line_id, more.pop("text", f"text of {line_id}"), priority=priority, **more)


def test_a_line_comes_out_as_it_went_in(queue: Queue) -> None:
    sent = Line(
        "a", "Hallo", "anna", Priority.HIGH, 60.0, 1.2, 16, 70, "bell", "me", 7, "de-AT", "hallo",
        ReplyTo("r/1", b"\x00\xff"),
    )  # fmt: skip
    queue.inbox.accept([sent])
    queue.clock.pass_s(2)
    taken = queue.inbox.take()
    assert (taken.line, taken.queue_s, taken.position, taken.attempts) == (sent, 2.0, 0, 1)


def test_the_highest_priority_goes_first_then_the_oldest(queue: Queue) -> None:
    queue.inbox.accept([line("l", Priority.LOW), line("n1"), line("n2"), line("h", Priority.HIGH)])
    assert [queue.inbox.take().line.id for _ in range(4)] == ["h", "n1", "n2", "l"]
    assert queue.inbox.take() is None


def test_events_report_a_line_from_arrival_to_end_in_order(queue: Queue) -> None:
    queue.inbox.accept([line("a", reply_to=ReplyTo("r", b"c"))])
    seq = queue.inbox.take().seq
    queue.clock.pass_s(1.5)
    queue.inbox.started(seq, muted=False)
    queue.inbox.started(seq, muted=False)
    queue.inbox.finish(seq, Outcome.FINISHED, {"audio_s": 1.0})
    events = [event for _, event in queue.inbox.unsent()]
    ts = "2027-01-15T08:00:00.000Z"
    assert events[0] == Event(ts, "a", "accepted", {"queue_depth": 1, "priority": "normal", "text": "text of a"})
    assert (events[1].event, events[1].data, events[1].reply_to) == (
        "started",
        {"queue_s": 1.5, "muted": False},
        None,
    )
    assert (events[2].event, events[2].data) == ("finished", {"audio_s": 1.0, "text": "text of a"})
    assert events[2].reply_to == ReplyTo("r", b"c")
    assert len(events) == 3


def test_a_second_end_is_refused_and_leaves_no_event(queue: Queue) -> None:
    queue.inbox.accept([line("a")])
    seq = queue.inbox.take().seq
    queue.inbox.finish(seq, Outcome.FINISHED, {})
    queue.events()
    with pytest.raises(InboxError, match=r"line a .* is finished"):
        queue.inbox.finish(seq, Outcome.FAILED, {"error": "late"})
    assert queue.events() == []
    with pytest.raises(InboxError, match="no line number 99"):
        queue.inbox.started(99, muted=False)


def test_a_rejection_has_a_final_event_and_an_entry_in_the_history(queue: Queue) -> None:
    queue.inbox.accept([Rejection("x", Reason.BAD_JSON, "not JSON at column 3", ReplyTo("r"))])
    [(_, event)] = queue.inbox.unsent()
    assert (event.event, event.reply_to) == ("rejected", ReplyTo("r"))
    assert event.data == {"reason": "bad_json", "detail": "not JSON at column 3"}
    assert queue.history(5)[0].outcome is Outcome.REJECTED


def test_the_same_id_and_text_is_a_duplicate_only_for_a_while(queue: Queue) -> None:
    queue.inbox.accept([line("a"), line("a"), line("a", text="another text")])
    assert queue.events() == [("a", "accepted"), ("a", "duplicate"), ("a", "accepted")]
    queue.inbox.finish(queue.inbox.take().seq, Outcome.FINISHED, {})
    queue.events()
    queue.inbox.accept([line("a")])
    [(number, event)] = queue.inbox.unsent()
    assert event.data == {"of": "a", "outcome": "finished", "text": "text of a"}
    queue.inbox.sent([(number, event)])
    queue.clock.pass_s(601)
    queue.inbox.accept([line("a")])
    assert queue.events() == [("a", "accepted")]


@pytest.mark.parametrize(
    "other",
    [
        {"volume": 0},
        {"voice": "anna"},
        {"speed": 2.0},
        {"nfe_step": 4},
        {"priority": Priority.LOW},
        {"chime": "bell"},
        {"author": "me"},
        {"seed": 7},
        {"language": "de"},
        {"text": "another text"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_same_id_with_other_content_is_another_line(queue: Queue, other: dict[str, Any]) -> None:
    """Somebody who knows the id and text of a line must not silence it by sending it first at volume 0."""
    sent = line("a", text="hello")
    queue.inbox.accept([replace(sent, **other), sent, sent])
    assert queue.events() == [("a", "accepted"), ("a", "accepted"), ("a", "duplicate")]
    assert queue.inbox.depth() == 2


def test_a_duplicate_that_may_wait_longer_extends_the_life_of_the_first_line(queue: Queue) -> None:
    queue.inbox.accept([line("a", ttl_s=5), line("b", ttl_s=100), line("a", ttl_s=60), line("b", ttl_s=5)])
    assert [name for _, name in queue.events()] == ["accepted", "accepted", "duplicate", "duplicate"]
    queue.clock.pass_s(59)
    assert [queue.inbox.take().line.id for _ in range(2)] == ["a", "b"]


def test_a_duplicate_of_an_open_line_is_not_answered_at_its_reply_topic(queue: Queue) -> None:
    """The final event of the first one is the answer. After that, the duplicate is answered itself."""
    queue.inbox.accept([line("a", reply_to=ReplyTo("r")), line("a", reply_to=ReplyTo("r"))])
    assert [(event.event, event.reply_to) for _, event in queue.inbox.unsent()] == [
        ("accepted", None),
        ("duplicate", None),
    ]
    queue.inbox.finish(queue.inbox.take().seq, Outcome.FINISHED, {})
    queue.inbox.accept([line("a", reply_to=ReplyTo("r"))])
    assert [(event.event, event.reply_to) for _, event in queue.inbox.unsent()][2:] == [
        ("finished", ReplyTo("r")),
        ("duplicate", ReplyTo("r")),
    ]


def test_a_line_that_expired_may_come_again(queue: Queue) -> None:
    queue.inbox.accept([line("a", ttl_s=0.001)])
    queue.clock.pass_s(1)
    queue.inbox.accept([line("a")])
    assert queue.events() == [("a", "accepted"), ("a", "expired"), ("a", "accepted")]


@pytest.mark.parametrize("spoken", [False, True], ids=["waiting", "spoken"])
def test_a_rejection_does_not_carry_the_id_of_an_open_line(queue: Queue, spoken: bool) -> None:
    queue.inbox.accept([line("a")])
    taken = queue.inbox.take() if spoken else None
    queue.events()
    reply_to = ReplyTo("r")
    queue.inbox.accept([Rejection("a", Reason.BAD_FIELD, "bogus: is unknown", reply_to)])
    [(number, event)] = queue.inbox.unsent()
    assert (event.event, event.reply_to, event.data["reason"]) == ("rejected", reply_to, "bad_field")
    assert event.id != "a"
    assert event.data["detail"].startswith("bogus: is unknown (it was sent with the id a,")
    assert queue.history(1)[0].id == event.id
    queue.inbox.sent([(number, event)])

    taken = taken or queue.inbox.take()
    queue.inbox.finish(taken.seq, Outcome.FINISHED, {})
    queue.inbox.accept([Rejection("a", Reason.BAD_FIELD, "bogus: is unknown")])
    assert queue.events() == [("a", "finished"), ("a", "rejected")], "no other line has this id any more"


def test_a_duplicate_is_known_after_a_restart(queue: Queue) -> None:
    queue.inbox.accept([line("a")])
    queue.crash()
    queue.clock.reboot()
    queue.restart()
    queue.inbox.accept([line("a")])
    assert queue.events() == [("a", "accepted"), ("a", "duplicate")]


@pytest.mark.parametrize("orderly", [True, False])
def test_a_line_that_is_sent_every_morning_is_not_a_duplicate_of_the_day_before(queue: Queue, orderly: bool) -> None:
    queue.inbox.accept([line("good morning")])
    queue.inbox.finish(queue.inbox.take().seq, Outcome.FINISHED, {})
    queue.events()
    for _ in range(100):
        queue.clock.pass_s(20)
        queue.inbox.expire()
    queue.inbox.recall("volume")  # after all of them
    if orderly:
        queue.inbox.close()
        queue.clock.reboot()
        queue.open()
    else:
        queue.clock.reboot()
        queue.crash()
    queue.inbox.accept([line("good morning")])
    assert queue.events() == [("good morning", "accepted")]


def test_in_a_full_queue_a_low_line_replaces_the_oldest_low_line(queue: Queue) -> None:
    queue.inbox.accept([line("l1", Priority.LOW), line("l2", Priority.LOW), line("n1"), line("n2")])
    queue.events()
    queue.inbox.accept([line("l3", Priority.LOW), line("l4", Priority.LOW)])
    assert queue.events() == [("l1", "evicted"), ("l3", "accepted"), ("l2", "evicted"), ("l4", "accepted")]


def test_in_a_full_queue_a_higher_line_replaces_the_newest_line_of_the_lowest_priority(queue: Queue) -> None:
    high, urgent = Priority.HIGH, Priority.URGENT
    queue.inbox.accept([line("l1", Priority.LOW), line("l2", Priority.LOW), line("n1"), line("n2")])
    queue.events()
    queue.inbox.accept([line("n3"), line("u1", urgent), line("h1", high), line("h2", high)])
    assert queue.events() == [
        ("l2", "evicted"),
        ("n3", "accepted"),
        ("l1", "evicted"),
        ("u1", "accepted"),
        ("n3", "evicted"),
        ("h1", "accepted"),
        ("n2", "evicted"),
        ("h2", "accepted"),
    ]
    assert queue.inbox.depth() == 4
    assert [queue.inbox.take().line.id for _ in range(4)] == ["u1", "h1", "h2", "n1"]


@pytest.mark.parametrize("priority", Priority)
def test_a_queue_full_of_one_priority_rejects_a_line_of_that_priority_or_a_lower_one(
    queue: Queue, priority: Priority
) -> None:
    queue.inbox.accept([line(f"{n}", priority) for n in range(4)])
    queue.events()
    queue.inbox.accept([line(lower.name, lower) for lower in Priority if Priority.LOW < lower <= priority])
    queue.inbox.accept([Rejection("r", Reason.EMPTY, "empty")])
    assert {name for _, name in queue.events()} == {"rejected"}
    assert queue.inbox.depth() == 4
    assert priority is Priority.LOW or queue.history(2)[1].data["reason"] == "queue_full"


def test_a_line_that_a_full_queue_rejected_may_come_again(queue: Queue) -> None:
    queue.inbox.accept([line(f"n{n}") for n in range(5)])
    assert queue.events()[-1] == ("n4", "rejected")
    queue.inbox.take()
    queue.inbox.accept([line("n4")])
    assert queue.events() == [("n4", "accepted")]


def test_a_line_that_was_partly_heard_is_never_evicted(queue: Queue) -> None:
    queue.inbox.accept([line("l", Priority.LOW)])
    seq = queue.inbox.take().seq
    queue.inbox.started(seq, muted=False)
    queue.inbox.interrupt(seq, 1)
    queue.inbox.accept([line("n1"), line("n2"), line("n3"), line("n4")])
    assert queue.events()[-1] == ("n4", "rejected")
    seq = queue.inbox.take().seq
    queue.inbox.started(seq, muted=False)
    queue.inbox.interrupt(seq, 1)
    queue.inbox.accept([line(f"u{n}", Priority.URGENT) for n in range(4)])
    assert [name for _, name in queue.events()].count("evicted") == 2, "n2 and n3; l and n1 were partly heard"


def test_a_line_expires_after_its_own_time_or_the_queues_but_not_after_its_start(queue: Queue) -> None:
    queue.inbox.accept([line("s", Priority.HIGH, ttl_s=10), line("t", ttl_s=10), line("u", ttl_s=1e9)])
    seq = queue.inbox.take().seq
    queue.inbox.started(seq, muted=True)
    queue.inbox.interrupt(seq, 1)
    queue.clock.pass_s(10)
    assert queue.inbox.take().line.id == "s"
    queue.clock.pass_s(890)
    queue.inbox.expire()
    assert [e for e in queue.events() if e[1] == "expired"] == [("t", "expired"), ("u", "expired")]
    assert queue.inbox.depth() == 0


def test_a_jump_of_the_wall_clock_expires_nothing(queue: Queue) -> None:
    queue.inbox.accept([line("a")])
    queue.clock.wall += 50 * 365 * 86400
    assert queue.inbox.take().queue_s == 0


def test_a_line_keeps_its_remaining_time_after_a_boot(queue: Queue) -> None:
    queue.inbox.accept([line("a", ttl_s=100)])
    queue.clock.pass_s(60)
    queue.inbox.expire()
    queue.inbox.close()
    queue.clock.reboot()
    queue.open()
    queue.clock.pass_s(39)
    taken = queue.inbox.take()
    assert taken.queue_s == pytest.approx(99)
    queue.inbox.postpone(taken.seq)
    queue.clock.pass_s(1)
    assert queue.inbox.take() is None


def test_lines_in_a_held_voice_wait_and_the_others_pass(queue: Queue) -> None:
    queue.inbox.accept([
        line("u", Priority.URGENT, voice="anna"), line("a", voice="anna"), line("b"), line("c", voice="bob"),
    ])  # fmt: skip
    assert queue.inbox.urgent_waiting()
    assert not queue.inbox.urgent_waiting(["anna"]), "a line that may not be taken does not interrupt"
    assert queue.inbox.peek_for_prefetch(held=["anna"]).line.id == "b"
    assert queue.inbox.take(held=["anna", None]).line.id == "c"
    assert queue.inbox.take(held=["anna"]).line.id == "b"
    assert queue.inbox.take(held=["anna"]) is None
    assert [queue.inbox.take().line.id for _ in range(2)] == ["u", "a"]


def test_a_started_line_waits_for_its_voice_too(queue: Queue) -> None:
    queue.inbox.accept([line("a", voice="anna")])
    seq = queue.inbox.take().seq
    queue.inbox.started(seq, muted=False)
    queue.inbox.interrupt(seq, 1)
    assert queue.inbox.take(Priority.HIGH, held=["anna"]) is None
    assert queue.inbox.take(Priority.HIGH).line.id == "a"


def test_an_interrupted_line_goes_on_from_its_position_before_others_of_its_priority(queue: Queue) -> None:
    queue.inbox.accept([line("a"), line("b")])
    first = queue.inbox.take()
    queue.inbox.accept([line("u", Priority.URGENT)])
    assert queue.inbox.urgent_waiting()
    queue.inbox.interrupt(first.seq, 3)
    assert queue.inbox.take().line.id == "u"
    assert not queue.inbox.urgent_waiting()
    again = queue.inbox.take()
    assert (again.line.id, again.position, again.attempts) == ("a", 3, 1)
    assert ("a", "interrupted") in queue.events()


def test_a_line_that_goes_on_says_so(queue: Queue) -> None:
    queue.inbox.accept([line("a")])
    first = queue.inbox.take()
    assert not first.was_started
    queue.inbox.started(first.seq, muted=False)
    queue.inbox.interrupt(first.seq, 1)
    again = queue.inbox.take()
    assert again.was_started
    wait_for(queue.inbox.plain.resumed(again.seq, {"muted": True}))
    assert queue.events() == [("a", "accepted"), ("a", "started"), ("a", "interrupted"), ("a", "resumed")]


def test_a_postponed_line_returns_without_an_event_and_keeps_its_position(queue: Queue) -> None:
    queue.inbox.accept([line("a"), line("b")])
    seq = queue.inbox.take().seq
    queue.inbox.reached(seq, 2)
    queue.events()
    rung = queue.lines_calls
    queue.inbox.postpone(seq)
    assert queue.events() == []
    assert queue.lines_calls == rung + 1
    again = queue.inbox.take()
    assert (again.line.id, again.position, again.attempts) == ("a", 2, 1)


def test_after_a_crash_a_line_goes_on_from_its_position_and_after_two_it_fails(queue: Queue) -> None:
    queue.inbox.accept([line("a")])
    queue.inbox.reached(queue.inbox.take().seq, 1)
    queue.crash()
    again = queue.inbox.take()
    assert (again.position, again.attempts) == (1, 2)
    queue.crash()
    assert queue.inbox.take() is None
    assert queue.events() == [("a", "accepted"), ("a", "failed")]
    assert "2 times" in queue.history(1)[0].data["error"]


def test_an_accepted_line_survives_sigkill(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from ishowtts.inbox import Inbox, InboxLimits, wait_for
from ishowtts.model import Arrival, Line, Outcome
inbox = Inbox(Path(sys.argv[1]), InboxLimits())
wait_for(inbox.accept([Arrival(Line(str(n), "hello")) for n in range(20)]))
wait_for(inbox.finish(wait_for(inbox.take().future).seq, Outcome.FINISHED, {}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "inbox.sqlite"
    assert subprocess.run([sys.executable, "-c", program, path], timeout=60, check=False).returncode == -9
    inbox = Inbox(path, InboxLimits())
    assert inbox.depth() == 19
    assert [event.event for _, event in wait_for(inbox.unsent())] == ["accepted"] * 20 + ["finished"]
    inbox.close()


def test_all_waiting_lines_or_those_of_one_id_are_cancelled(queue: Queue) -> None:
    queue.inbox.accept([line("a"), line("b"), line("c"), line("d")])
    queue.inbox.take()
    queue.events()
    assert queue.inbox.cancel_waiting("command", "c") == 1
    assert queue.inbox.cancel_waiting("command", "nobody") == 0
    assert queue.inbox.cancel_waiting("command") == 2
    assert queue.events() == [("c", "cancelled"), ("b", "cancelled"), ("d", "cancelled")]
    assert queue.history(1)[0].data == {"by": "command"}


def test_the_waiting_lines_of_one_author_are_cancelled(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(merge_s=60, max_lines=10)
    queue.inbox.accept([line("a", author="Bob"), line("b", author="Al"), line("c"), line("d", author="bob")])
    queue.inbox.accept([line("e", author="Al", text="party"), line("f", author="Bob", text="party")])
    queue.inbox.accept([line("g", author="Eve", text="party"), line("h", author="Bob", text="party")])
    queue.events()

    def is_bob(name: str | None) -> bool:
        return name is not None and name.casefold() == "bob"

    assert queue.inbox.cancel_author("cancel", is_bob, "b") == (0, 0), "it is not his"
    assert queue.inbox.cancel_author("cancel", is_bob, "d") == (1, 0)
    assert queue.inbox.cancel_author("cancel", is_bob) == (1, 2)
    assert queue.events() == [("d", "cancelled"), ("a", "cancelled")]
    assert queue.inbox.cancel_author("cancel", is_bob) == (0, 0), "each repeat is taken out once"
    taken = [queue.inbox.take() for _ in range(3)]
    assert [(one.line.id, one.times) for one in taken] == [("b", 1), ("c", 1), ("e", 2)]


def test_events_stay_in_the_outbox_until_they_are_sent_even_after_a_crash(queue: Queue) -> None:
    command = Event("2026-11-20T10:15:00.000Z", "", "command", {"command": "skip", "ok": True})
    queue.inbox.accept([line("a"), line("b")])
    queue.inbox.record(command)
    queue.inbox.sent(queue.inbox.unsent(1))
    queue.crash()
    assert [event.id for _, event in queue.inbox.unsent()] == ["b", ""]
    assert queue.inbox.unsent()[1][1] == command


def test_listeners_are_called_after_the_commit_and_may_use_the_inbox(queue: Queue) -> None:
    seen: list[int] = []
    path = queue.folder / "second.sqlite"
    inbox = Inbox(path, InboxLimits(), on_lines=lambda: seen.append(read_history(path, 9)[0].outcome is None))
    wait_for(inbox.accept([Arrival(line("a"))]))
    inbox.close()
    assert seen == [True]


def test_a_group_that_fails_in_the_middle_changes_nothing(queue: Queue) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        queue.inbox.accept([line("a"), line("b", seed=object())])
    assert (queue.inbox.depth(), queue.events(), queue.lines_calls) == (0, [], 0)


def test_the_last_line_that_was_heard_can_be_replayed(queue: Queue) -> None:
    assert queue.inbox.replay("r") is None
    queue.inbox.accept([line("a", reply_to=ReplyTo("r")), line("b"), line("c")])
    for name in ("a", "b"):
        seq = queue.inbox.take().seq
        if name == "a":
            queue.inbox.started(seq, muted=False)
        queue.inbox.finish(seq, Outcome.FINISHED if name == "a" else Outcome.FAILED, {})
    assert queue.inbox.replay("again").id == "a"
    again = [queue.inbox.take().line for _ in range(2)][1]
    assert again == line("again", text="text of a")


def test_the_history_is_read_while_the_daemon_runs_and_afterwards(queue: Queue) -> None:
    queue.inbox.accept([line("a"), line("b", Priority.HIGH, voice="anna")])
    queue.inbox.finish(queue.inbox.take().seq, Outcome.FINISHED, {"rtf": 0.1})
    running = read_history(queue.path, 10)
    assert [(e.id, e.outcome, e.voice) for e in running] == [
        ("b", Outcome.FINISHED, "anna"),
        ("a", None, None),
    ]
    queue.inbox.close()
    assert read_history(queue.path, 1) == running[:1]
    with pytest.raises(InboxError, match="no history"):
        read_history(queue.folder / "none.sqlite", 1)
    queue.open()


def test_old_lines_are_pruned_but_not_waiting_or_recent_ones(queue: Queue) -> None:
    queue.inbox.accept([line("a"), line("b")])
    queue.inbox.finish(queue.inbox.take().seq, Outcome.FINISHED, {})
    queue.clock.wall += 31 * 86400
    queue.inbox.prune()
    assert len(queue.history(9)) == 2, "the date has jumped, and the line is seconds old"
    queue.clock.since_boot += 700
    queue.inbox.prune()
    assert [entry.id for entry in queue.history(9)] == ["b"]


def test_the_history_keeps_a_line_for_as_many_days_as_it_should(queue: Queue) -> None:
    queue.inbox.accept([line("a")])
    queue.inbox.finish(queue.inbox.take().seq, Outcome.FINISHED, {})
    queue.clock.pass_s(29 * 86_400)
    queue.inbox.prune()
    assert [entry.id for entry in queue.history(9)] == ["a"]
    queue.clock.pass_s(2 * 86_400)
    queue.inbox.prune()
    assert queue.history(9) == []


def test_settings_survive_a_restart(queue: Queue) -> None:
    assert queue.inbox.recall("volume") is None
    queue.inbox.remember("volume", "70")
    queue.inbox.remember("volume", "30")
    queue.crash()
    assert queue.inbox.recall("volume") == "30"


def test_a_text_that_utf8_cannot_hold_is_stored_with_replacements(queue: Queue) -> None:
    queue.inbox.accept([line("a\ud800", text="x\udfff\x00y")])
    assert queue.inbox.take().line.text == "x?\x00y"


def test_each_commit_reaches_the_disk_before_it_returns(queue: Queue) -> None:
    def look(transaction: Any) -> list[int | str]:
        return [transaction.rows(f"PRAGMA {name}")[0][0] for name in ("synchronous", "journal_mode")]

    writer = queue.inbox.plain._writer
    assert wait_for(writer.submit(look, durable=True)) == [2, "wal"]
    assert wait_for(writer.submit(look)) == [1, "wal"]


@pytest.mark.parametrize(
    "change",
    [
        lambda inbox: inbox.finish(1, Outcome.FINISHED, {}),
        lambda inbox: inbox.cancel_waiting("stop"),
        lambda inbox: inbox.cancel_author("cancel", lambda _: True),
        lambda inbox: inbox.remember("muted", "1"),
    ],
)
def test_an_outcome_and_a_setting_are_on_disk_before_others_are_told(
    queue: Queue, change: Callable[[Any], Future[Any]]
) -> None:
    queue.inbox.accept([line("a")])
    statements: list[str] = []
    queue.inbox.plain._storage.connection.set_trace_callback(statements.append)
    wait_for(change(queue.inbox.plain))
    assert "PRAGMA synchronous = FULL" in statements
    assert "PRAGMA synchronous = NORMAL" not in statements


def test_an_expiry_is_on_disk_before_others_are_told(queue: Queue) -> None:
    queue.inbox.accept([line("a")])
    statements: list[str] = []
    queue.inbox.plain._storage.connection.set_trace_callback(statements.append)
    queue.clock.pass_s(1000)
    queue.inbox.plain.expire()
    eventually(lambda: queue.inbox.depth() == 0, "the expiry")
    assert "PRAGMA synchronous = NORMAL" not in statements[: statements.index("COMMIT")]


@pytest.mark.parametrize("damage", ["all", "a page", "version"])
def test_a_damaged_file_is_set_aside_and_replaced_by_a_fresh_one(queue: Queue, damage: str) -> None:
    queue.inbox.accept([line(str(n), text="x" * 3000) for n in range(4)])
    queue.inbox.close()
    path = queue.path
    if damage == "version":
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 1")
        connection.close()
    else:
        raw = bytearray(path.read_bytes())
        raw[0 if damage == "all" else 4096 :] = b"\xa5" * len(raw[0 if damage == "all" else 4096 :])
        path.write_bytes(raw)
    queue.open()
    assert "corrupt-" in queue.inbox.problem
    assert queue.inbox.durable
    assert queue.inbox.depth() == {"all": 0, "a page": 0, "version": 4}[damage], "rows that can be read are salvaged"
    assert len(list(path.parent.glob("*.corrupt-*"))) == 1


def test_a_power_cut_while_a_damaged_file_is_replaced_loses_no_line(
    queue: Queue, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.inbox.accept([line(str(n)) for n in range(4)])
    queue.inbox.close()
    connection = sqlite3.connect(queue.path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    rename, after_cuts = Path.rename, tmp_path_factory.mktemp("after-cuts")

    def cut_and_rename(self: Path, target: Path) -> Path:
        shutil.copytree(queue.path.parent, after_cuts / str(len(list(after_cuts.iterdir()))))
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", cut_and_rename)
        queue.open()
    assert queue.inbox.depth() == 4
    folders = sorted(after_cuts.iterdir())
    assert len(folders) == 5, "before the fresh file is complete, then before each rename to the end"
    for folder in folders:
        inbox = Inbox(folder / queue.path.name, queue.limits, clock=queue.clock)
        assert (inbox.depth(), inbox.durable) == (4, True)
        inbox.close()
        assert len(list(folder.glob("*.corrupt-*"))) == 1
        assert not [*folder.glob("*.draft*"), *folder.glob("*.complete*")]


def test_lines_wait_in_memory_if_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    inbox = Inbox(tmp_path / "file" / "inbox.sqlite", InboxLimits())
    inbox.accept([Arrival(line("a"))])
    [(_, event)] = wait_for(inbox.unsent())
    inbox.close()
    assert "memory only" in inbox.problem
    assert "state_dir" in inbox.problem
    assert not inbox.durable
    assert event.data == {"queue_depth": 1, "priority": "normal", "durable": False, "text": "text of a"}


def test_a_second_daemon_is_refused(queue: Queue) -> None:
    with pytest.raises(InboxError, match="in use by another"):
        Inbox(queue.path, queue.limits)


def test_a_closed_inbox_refuses_with_a_sentence(queue: Queue) -> None:
    queue.inbox.close()
    with pytest.raises(InboxError, match="cannot be used any more"):
        queue.inbox.accept([line("a")])
    queue.open()


def test_threads_take_each_line_once(queue: Queue) -> None:
    path = queue.folder / "many.sqlite"
    inbox = Inbox(path, InboxLimits())
    taken: list[str] = []
    one_takes = threading.Lock()

    def work(name: int) -> None:
        for n in range(10):
            wait_for(inbox.accept([Arrival(line(f"{name}-{n}"))]))
            with one_takes:
                mine = wait_for(inbox.take().future)
            taken.append(mine.line.id)
            wait_for(inbox.finish(mine.seq, Outcome.FINISHED, {}))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    inbox.close()
    assert sorted(taken) == sorted({f"{name}-{n}" for name in range(4) for n in range(10)})


def test_after_a_crash_no_line_is_prefetched_until_the_one_that_was_has_ended(
    queue: Queue,
) -> None:
    queue.inbox.accept([Line("a", "one"), Line("b", "two"), Line("c", "three")])
    spoken = queue.inbox.take()
    prefetched = queue.inbox.peek_for_prefetch()
    assert (prefetched.line.id, prefetched.attempts, queue.inbox.depth()) == ("b", 0, 2)
    queue.crash()
    assert queue.inbox.peek_for_prefetch() is None
    queue.inbox.finish(spoken.seq, Outcome.FINISHED, {})
    assert queue.inbox.peek_for_prefetch() is None
    assert queue.inbox.take().line.id == "b"
    assert queue.inbox.peek_for_prefetch() is None
    queue.inbox.finish(prefetched.seq, Outcome.FINISHED, {})
    assert queue.inbox.peek_for_prefetch().line.id == "c"


def test_after_an_orderly_end_prefetching_goes_on(queue: Queue) -> None:
    queue.inbox.accept([Line("a", "one")])
    queue.inbox.peek_for_prefetch()
    queue.restart()
    assert queue.inbox.peek_for_prefetch().line.id == "a"


def test_the_newest_value_is_written_if_settings_come_faster_than_the_disk(queue: Queue) -> None:
    inbox = queue.inbox.plain
    queue.inbox.remember("volume", "10")
    with closing(sqlite3.connect(queue.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the writer waits for the file
        kept = [inbox.remember("volume", str(number)) for number in range(10_000)]
        muted = [inbox.remember("muted", str(number % 2)) for number in range(10_000)]
        assert len(set(map(id, kept + muted))) <= 4, "one write of each key, and one that runs"
        other.execute("ROLLBACK")
    for future in kept + muted:
        wait_for(future)
    assert queue.inbox.recall("volume") == "9999"
    assert queue.inbox.recall("muted") == "1"
    queue.restart()
    assert queue.inbox.recall("volume") == "9999"


def test_a_setting_that_is_stored_already_changes_nothing(queue: Queue) -> None:
    changes = queue.inbox.plain._storage.connection.total_changes
    for volume in ("30", "30", "30"):
        queue.inbox.remember("volume", volume)
    with closing(sqlite3.connect(queue.path)) as other:
        assert other.execute("SELECT value FROM settings WHERE key = 'volume'").fetchall() == [("30",)]
    assert queue.inbox.plain._storage.connection.total_changes == changes + 1


def test_a_cancel_reads_only_the_lines_of_its_id(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(max_lines=1000)
    queue.inbox.accept([Line(f"line {number}", "hello") for number in range(900)] + [Line("odd \ud800", "hello")])
    reads = 0

    def count() -> None:
        nonlocal reads
        reads += 1

    queue.inbox.plain._storage.connection.set_progress_handler(count, 10)  # called every 10 steps of SQLite
    assert queue.inbox.cancel_waiting("cancel", "unknown") == 0
    assert reads < 1000, "each transaction counts waiting lines, 3 steps a line; to read them takes 50"
    queue.inbox.plain._storage.connection.set_progress_handler(None, 0)
    assert queue.inbox.cancel_waiting("cancel", "line 7") == 1
    assert queue.inbox.cancel_waiting("cancel", "odd \ud800") == 1


def test_a_replay_finds_the_last_heard_line_before_any_number_of_others(queue: Queue) -> None:
    queue.inbox.accept([line("heard")])
    queue.inbox.started(queue.inbox.take().seq, muted=False)
    queue.inbox.finish(1, Outcome.FINISHED, {})
    queue.inbox.accept([Rejection(str(number), Reason.BAD_FIELD, "not a number") for number in range(3000)])
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 10

    connection = queue.inbox.plain._storage.connection
    connection.set_progress_handler(count, 10)
    assert queue.inbox.replay("again").id == "heard"
    connection.set_progress_handler(None, 0)
    assert steps < 2000
