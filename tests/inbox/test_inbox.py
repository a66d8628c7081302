from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, InboxLimits, read_history, settled
from ishowtts.model import Arrival, Event, Line, Outcome, Priority, Reason, Rejection, ReplyTo

House = Any  # of conftest.py


def line(line_id: str, priority: Priority = Priority.NORMAL, **more: Any) -> Line:
    return Line(line_id, more.pop("text", f"text of {line_id}"), priority=priority, **more)


def test_a_line_comes_out_as_it_went_in(house: House) -> None:
    sent = Line("a", "Hallo", "anna", Priority.HIGH, 60.0, 1.2, 16, 70, "bell", "me", 7, ReplyTo("r/1", b"\x00\xff"))
    house.inbox.accept([sent])
    house.clock.pass_s(2)
    taken = house.inbox.take()
    assert (taken.line, taken.queue_s, taken.position, taken.attempts) == (sent, 2.0, 0, 1)


def test_the_highest_priority_goes_first_then_the_oldest(house: House) -> None:
    house.inbox.accept([line("l", Priority.LOW), line("n1"), line("n2"), line("h", Priority.HIGH)])
    assert [house.inbox.take().line.id for _ in range(4)] == ["h", "n1", "n2", "l"]
    assert house.inbox.take() is None


def test_events_tell_a_life_from_arrival_to_end_in_order(house: House) -> None:
    house.inbox.accept([line("a", reply_to=ReplyTo("r", b"c"))])
    seq = house.inbox.take().seq
    house.clock.pass_s(1.5)
    house.inbox.started(seq, muted=False)
    house.inbox.started(seq, muted=False)
    house.inbox.finish(seq, Outcome.FINISHED, {"audio_s": 1.0})
    events = [event for _, event in house.inbox.unsent()]
    ts = "2027-01-15T08:00:00.000Z"
    assert events[0] == Event(ts, "a", "accepted", {"queue_depth": 1})
    assert (events[1].event, events[1].data, events[1].reply_to) == (
        "started",
        {"queue_s": 1.5, "muted": False},
        None,
    )
    assert (events[2].event, events[2].data) == ("finished", {"audio_s": 1.0})
    assert events[2].reply_to == ReplyTo("r", b"c")
    assert len(events) == 3


def test_a_second_end_is_refused_and_leaves_no_event(house: House) -> None:
    house.inbox.accept([line("a")])
    seq = house.inbox.take().seq
    house.inbox.finish(seq, Outcome.FINISHED, {})
    house.events()
    with pytest.raises(InboxError, match=r"line a .* is finished"):
        house.inbox.finish(seq, Outcome.FAILED, {"error": "late"})
    assert house.events() == []
    with pytest.raises(InboxError, match="no line number 99"):
        house.inbox.started(99, muted=False)


def test_a_rejection_gets_its_final_event_and_its_place_in_the_history(house: House) -> None:
    house.inbox.accept([Rejection("x", Reason.BAD_JSON, "not JSON at column 3", ReplyTo("r"))])
    [(_, event)] = house.inbox.unsent()
    assert (event.event, event.reply_to) == ("rejected", ReplyTo("r"))
    assert event.data == {"reason": "bad_json", "detail": "not JSON at column 3"}
    assert house.history(5)[0].outcome is Outcome.REJECTED


def test_the_same_id_and_text_is_a_duplicate_only_for_a_while(house: House) -> None:
    house.inbox.accept([line("a"), line("a"), line("a", text="another text")])
    assert house.events() == [("a", "accepted"), ("a", "duplicate"), ("a", "accepted")]
    house.inbox.finish(house.inbox.take().seq, Outcome.FINISHED, {})
    house.events()
    house.inbox.accept([line("a")])
    [(number, event)] = house.inbox.unsent()
    assert event.data == {"of": "a", "outcome": "finished"}
    house.inbox.sent([(number, event)])
    house.clock.pass_s(601)
    house.inbox.accept([line("a")])
    assert house.events() == [("a", "accepted")]


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
        {"text": "another text"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_same_id_with_other_content_is_another_line(house: House, other: dict[str, Any]) -> None:
    """Who knows id and text of a line must not silence it by sending it first at volume 0."""
    sent = line("a", text="hello")
    house.inbox.accept([replace(sent, **other), sent, sent])
    assert house.events() == [("a", "accepted"), ("a", "accepted"), ("a", "duplicate")]
    assert house.inbox.depth() == 2


def test_a_duplicate_that_may_live_longer_lets_the_first_one_live_as_long(house: House) -> None:
    house.inbox.accept([line("a", ttl_s=5), line("b", ttl_s=100), line("a", ttl_s=60), line("b", ttl_s=5)])
    assert [name for _, name in house.events()] == ["accepted", "accepted", "duplicate", "duplicate"]
    house.clock.pass_s(59)
    assert [house.inbox.take().line.id for _ in range(2)] == ["a", "b"]


def test_a_duplicate_of_an_open_line_is_not_answered_at_its_reply_topic(house: House) -> None:
    """The final event of the first one is the answer. After that, the duplicate is answered itself."""
    house.inbox.accept([line("a", reply_to=ReplyTo("r")), line("a", reply_to=ReplyTo("r"))])
    assert [(event.event, event.reply_to) for _, event in house.inbox.unsent()] == [
        ("accepted", None),
        ("duplicate", None),
    ]
    house.inbox.finish(house.inbox.take().seq, Outcome.FINISHED, {})
    house.inbox.accept([line("a", reply_to=ReplyTo("r"))])
    assert [(event.event, event.reply_to) for _, event in house.inbox.unsent()][2:] == [
        ("finished", ReplyTo("r")),
        ("duplicate", ReplyTo("r")),
    ]


def test_a_line_that_expired_may_come_again(house: House) -> None:
    house.inbox.accept([line("a", ttl_s=0.001)])
    house.clock.pass_s(1)
    house.inbox.accept([line("a")])
    assert house.events() == [("a", "accepted"), ("a", "expired"), ("a", "accepted")]


@pytest.mark.parametrize("spoken", [False, True], ids=["waiting", "spoken"])
def test_a_rejection_does_not_carry_the_id_of_an_open_line(house: House, spoken: bool) -> None:
    house.inbox.accept([line("a")])
    taken = house.inbox.take() if spoken else None
    house.events()
    reply_to = ReplyTo("r")
    house.inbox.accept([Rejection("a", Reason.BAD_FIELD, "bogus: is unknown", reply_to)])
    [(number, event)] = house.inbox.unsent()
    assert (event.event, event.reply_to, event.data["reason"]) == ("rejected", reply_to, "bad_field")
    assert event.id != "a"
    assert event.data["detail"].startswith("bogus: is unknown (it was sent with the id a,")
    assert house.history(1)[0].id == event.id
    house.inbox.sent([(number, event)])

    taken = taken or house.inbox.take()
    house.inbox.finish(taken.seq, Outcome.FINISHED, {})
    house.inbox.accept([Rejection("a", Reason.BAD_FIELD, "bogus: is unknown")])
    assert house.events() == [("a", "finished"), ("a", "rejected")], "nobody else's event now"


def test_a_duplicate_is_known_over_a_restart(house: House) -> None:
    house.inbox.accept([line("a")])
    house.crash()
    house.clock.reboot()
    house.restart()
    house.inbox.accept([line("a")])
    assert house.events() == [("a", "accepted"), ("a", "duplicate")]


@pytest.mark.parametrize("orderly", [True, False])
def test_what_is_sent_every_morning_is_no_duplicate_of_the_day_before(house: House, orderly: bool) -> None:
    house.inbox.accept([line("good morning")])
    house.inbox.finish(house.inbox.take().seq, Outcome.FINISHED, {})
    house.events()
    for _ in range(100):
        house.clock.pass_s(20)
        house.inbox.expire()
    house.inbox.recall("volume")  # behind all of them
    if orderly:
        house.inbox.close()
        house.clock.reboot()
        house.open()
    else:
        house.clock.reboot()
        house.crash()
    house.inbox.accept([line("good morning")])
    assert house.events() == [("good morning", "accepted")]


def test_in_a_full_queue_a_low_line_takes_the_place_of_the_oldest_low_line(house: House) -> None:
    house.inbox.accept([line("l1", Priority.LOW), line("l2", Priority.LOW), line("n1"), line("n2")])
    house.events()
    house.inbox.accept([line("l3", Priority.LOW), line("l4", Priority.LOW)])
    assert house.events() == [("l1", "evicted"), ("l3", "accepted"), ("l2", "evicted"), ("l4", "accepted")]


def test_in_a_full_queue_the_newest_of_the_lowest_priority_gives_way_to_a_higher_one(house: House) -> None:
    high, urgent = Priority.HIGH, Priority.URGENT
    house.inbox.accept([line("l1", Priority.LOW), line("l2", Priority.LOW), line("n1"), line("n2")])
    house.events()
    house.inbox.accept([line("n3"), line("u1", urgent), line("h1", high), line("h2", high)])
    assert house.events() == [
        ("l2", "evicted"),
        ("n3", "accepted"),
        ("l1", "evicted"),
        ("u1", "accepted"),
        ("n3", "evicted"),
        ("h1", "accepted"),
        ("n2", "evicted"),
        ("h2", "accepted"),
    ]
    assert house.inbox.depth() == 4
    assert [house.inbox.take().line.id for _ in range(4)] == ["u1", "h1", "h2", "n1"]


@pytest.mark.parametrize("priority", Priority)
def test_a_queue_full_of_one_priority_refuses_a_line_of_that_priority_or_a_lower_one(
    house: House, priority: Priority
) -> None:
    house.inbox.accept([line(f"{n}", priority) for n in range(4)])
    house.events()
    house.inbox.accept([line(lower.name, lower) for lower in Priority if Priority.LOW < lower <= priority])
    house.inbox.accept([Rejection("r", Reason.EMPTY, "empty")])
    assert {name for _, name in house.events()} == {"rejected"}
    assert house.inbox.depth() == 4
    assert priority is Priority.LOW or house.history(2)[1].data["reason"] == "queue_full"


def test_a_line_that_a_full_queue_refused_may_try_again(house: House) -> None:
    house.inbox.accept([line(f"n{n}") for n in range(5)])
    assert house.events()[-1] == ("n4", "rejected")
    house.inbox.take()
    house.inbox.accept([line("n4")])
    assert house.events() == [("n4", "accepted")]


def test_a_line_heard_in_part_never_gives_way(house: House) -> None:
    house.inbox.accept([line("l", Priority.LOW)])
    seq = house.inbox.take().seq
    house.inbox.started(seq, muted=False)
    house.inbox.interrupt(seq, 1)
    house.inbox.accept([line("n1"), line("n2"), line("n3"), line("n4")])
    assert house.events()[-1] == ("n4", "rejected")
    seq = house.inbox.take().seq
    house.inbox.started(seq, muted=False)
    house.inbox.interrupt(seq, 1)
    house.inbox.accept([line(f"u{n}", Priority.URGENT) for n in range(4)])
    assert [name for _, name in house.events()].count("evicted") == 2, "n2 and n3; l and n1 were heard in part"


def test_a_line_expires_at_its_own_age_or_the_queues_and_not_once_started(house: House) -> None:
    house.inbox.accept([line("s", Priority.HIGH, ttl_s=10), line("t", ttl_s=10), line("u", ttl_s=1e9)])
    seq = house.inbox.take().seq
    house.inbox.started(seq, muted=True)
    house.inbox.interrupt(seq, 1)
    house.clock.pass_s(10)
    assert house.inbox.take().line.id == "s"
    house.clock.pass_s(890)
    house.inbox.expire()
    assert [e for e in house.events() if e[1] == "expired"] == [("t", "expired"), ("u", "expired")]
    assert house.inbox.depth() == 0


def test_a_jump_of_the_wall_clock_expires_nothing(house: House) -> None:
    house.inbox.accept([line("a")])
    house.clock.wall += 50 * 365 * 86400
    assert house.inbox.take().queue_s == 0


def test_a_line_keeps_its_remaining_life_over_a_boot(house: House) -> None:
    house.inbox.accept([line("a", ttl_s=100)])
    house.clock.pass_s(60)
    house.inbox.expire()
    house.inbox.close()
    house.clock.reboot()
    house.open()
    house.clock.pass_s(39)
    taken = house.inbox.take()
    assert taken.queue_s == pytest.approx(99)
    house.inbox.postpone(taken.seq)
    house.clock.pass_s(1)
    assert house.inbox.take() is None


def test_lines_in_a_held_voice_wait_and_the_others_pass(house: House) -> None:
    house.inbox.accept([
        line("u", Priority.URGENT, voice="anna"), line("a", voice="anna"), line("b"), line("c", voice="bob"),
    ])  # fmt: skip
    assert house.inbox.urgent_waiting()
    assert not house.inbox.urgent_waiting(["anna"]), "what may not be taken interrupts nobody"
    assert house.inbox.prefetch(held=["anna"]).line.id == "b"
    assert house.inbox.take(held=["anna", None]).line.id == "c"
    assert house.inbox.take(held=["anna"]).line.id == "b"
    assert house.inbox.take(held=["anna"]) is None
    assert [house.inbox.take().line.id for _ in range(2)] == ["u", "a"]


def test_a_line_that_was_begun_waits_for_its_voice_too(house: House) -> None:
    house.inbox.accept([line("a", voice="anna")])
    seq = house.inbox.take().seq
    house.inbox.started(seq, muted=False)
    house.inbox.interrupt(seq, 1)
    assert house.inbox.take(Priority.HIGH, held=["anna"]) is None
    assert house.inbox.take(Priority.HIGH).line.id == "a"


def test_an_interrupted_line_goes_on_at_its_cut_before_its_equals(house: House) -> None:
    house.inbox.accept([line("a"), line("b")])
    first = house.inbox.take()
    house.inbox.accept([line("u", Priority.URGENT)])
    assert house.inbox.urgent_waiting()
    house.inbox.interrupt(first.seq, 3)
    assert house.inbox.take().line.id == "u"
    assert not house.inbox.urgent_waiting()
    again = house.inbox.take()
    assert (again.line.id, again.position, again.attempts) == ("a", 3, 1)
    assert ("a", "interrupted") in house.events()


def test_a_postponed_line_returns_silently_and_keeps_its_position(house: House) -> None:
    house.inbox.accept([line("a"), line("b")])
    seq = house.inbox.take().seq
    house.inbox.reached(seq, 2)
    house.events()
    rung = house.lines_rung
    house.inbox.postpone(seq)
    assert house.events() == []
    assert house.lines_rung == rung + 1
    again = house.inbox.take()
    assert (again.line.id, again.position, again.attempts) == ("a", 2, 1)


def test_after_a_crash_a_line_goes_on_from_its_position_and_after_two_it_fails(house: House) -> None:
    house.inbox.accept([line("a")])
    house.inbox.reached(house.inbox.take().seq, 1)
    house.crash()
    again = house.inbox.take()
    assert (again.position, again.attempts) == (1, 2)
    house.crash()
    assert house.inbox.take() is None
    assert house.events() == [("a", "accepted"), ("a", "failed")]
    assert "2 times" in house.history(1)[0].data["error"]


def test_an_accepted_line_survives_sigkill(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from ishowtts.inbox import Inbox, InboxLimits, settled
from ishowtts.model import Arrival, Line, Outcome
inbox = Inbox(Path(sys.argv[1]), InboxLimits())
settled(inbox.accept([Arrival(Line(str(n), "hello")) for n in range(20)]))
settled(inbox.finish(settled(inbox.take().future).seq, Outcome.FINISHED, {}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "inbox.sqlite"
    assert subprocess.run([sys.executable, "-c", program, path], timeout=60, check=False).returncode == -9
    inbox = Inbox(path, InboxLimits())
    assert inbox.depth() == 19
    assert [event.event for _, event in settled(inbox.unsent())] == ["accepted"] * 20 + ["finished"]
    inbox.close()


def test_waiting_lines_are_cancelled_all_or_by_id(house: House) -> None:
    house.inbox.accept([line("a"), line("b"), line("c"), line("d")])
    house.inbox.take()
    house.events()
    assert house.inbox.cancel_waiting("command", "c") == 1
    assert house.inbox.cancel_waiting("command", "nobody") == 0
    assert house.inbox.cancel_waiting("command") == 2
    assert house.events() == [("c", "cancelled"), ("b", "cancelled"), ("d", "cancelled")]
    assert house.history(1)[0].data == {"by": "command"}


def test_events_stay_in_the_outbox_until_they_are_sent_also_over_a_crash(house: House) -> None:
    command = Event("2026-11-20T10:15:00.000Z", "", "command", {"command": "skip", "ok": True})
    house.inbox.accept([line("a"), line("b")])
    house.inbox.record(command)
    house.inbox.sent(house.inbox.unsent(1))
    house.crash()
    assert [event.id for _, event in house.inbox.unsent()] == ["b", ""]
    assert house.inbox.unsent()[1][1] == command


def test_listeners_are_called_after_the_commit_and_may_use_the_inbox(house: House) -> None:
    seen: list[int] = []
    path = house.folder / "second.sqlite"
    inbox = Inbox(path, InboxLimits(), on_lines=lambda: seen.append(read_history(path, 9)[0].outcome is None))
    settled(inbox.accept([Arrival(line("a"))]))
    inbox.close()
    assert seen == [True]


def test_what_fails_in_the_middle_of_a_group_changes_nothing(house: House) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        house.inbox.accept([line("a"), line("b", seed=object())])
    assert (house.inbox.depth(), house.events(), house.lines_rung) == (0, [], 0)


def test_the_last_line_that_sounded_can_be_said_again(house: House) -> None:
    assert house.inbox.replay("r") is None
    house.inbox.accept([line("a", reply_to=ReplyTo("r")), line("b"), line("c")])
    for name in ("a", "b"):
        seq = house.inbox.take().seq
        if name == "a":
            house.inbox.started(seq, muted=False)
        house.inbox.finish(seq, Outcome.FINISHED if name == "a" else Outcome.FAILED, {})
    assert house.inbox.replay("again").id == "a"
    again = [house.inbox.take().line for _ in range(2)][1]
    assert again == line("again", text="text of a")


def test_the_history_is_read_beside_a_running_daemon_and_after_it(house: House) -> None:
    house.inbox.accept([line("a"), line("b", Priority.HIGH, voice="anna")])
    house.inbox.finish(house.inbox.take().seq, Outcome.FINISHED, {"rtf": 0.1})
    running = read_history(house.path, 10)
    assert [(e.id, e.outcome, e.voice) for e in running] == [
        ("b", Outcome.FINISHED, "anna"),
        ("a", None, None),
    ]
    house.inbox.close()
    assert read_history(house.path, 1) == running[:1]
    with pytest.raises(InboxError, match="no history"):
        read_history(house.folder / "none.sqlite", 1)
    house.open()


def test_old_lines_are_forgotten_but_neither_waiting_nor_young_ones(house: House) -> None:
    house.inbox.accept([line("a"), line("b")])
    house.inbox.finish(house.inbox.take().seq, Outcome.FINISHED, {})
    house.clock.wall += 31 * 86400
    house.inbox.prune()
    assert len(house.history(9)) == 2, "the date has jumped, the line is seconds old"
    house.clock.since_boot += 700
    house.inbox.prune()
    assert [entry.id for entry in house.history(9)] == ["b"]


def test_the_history_keeps_a_line_for_as_many_days_as_it_should(house: House) -> None:
    house.inbox.accept([line("a")])
    house.inbox.finish(house.inbox.take().seq, Outcome.FINISHED, {})
    house.clock.pass_s(29 * 86_400)
    house.inbox.prune()
    assert [entry.id for entry in house.history(9)] == ["a"]
    house.clock.pass_s(2 * 86_400)
    house.inbox.prune()
    assert house.history(9) == []


def test_settings_survive_a_restart(house: House) -> None:
    assert house.inbox.recall("volume") is None
    house.inbox.remember("volume", "70")
    house.inbox.remember("volume", "30")
    house.crash()
    assert house.inbox.recall("volume") == "30"


def test_a_text_that_utf8_cannot_hold_is_stored_all_the_same(house: House) -> None:
    house.inbox.accept([line("a\ud800", text="x\udfff\x00y")])
    assert house.inbox.take().line.text == "x?\x00y"


def test_each_commit_reaches_the_disk_before_it_returns(house: House) -> None:
    def look(ledger: Any) -> list[int | str]:
        return [ledger.rows(f"PRAGMA {name}")[0][0] for name in ("synchronous", "journal_mode")]

    writer = house.inbox.plain._writer
    assert settled(writer.submit(look, durable=True)) == [2, "wal"]
    assert settled(writer.submit(look)) == [1, "wal"]


@pytest.mark.parametrize("damage", ["all", "a page", "version"])
def test_a_damaged_file_is_set_aside_and_a_fresh_one_begun(house: House, damage: str) -> None:
    house.inbox.accept([line(str(n), text="x" * 3000) for n in range(4)])
    house.inbox.close()
    path = house.path
    if damage == "version":
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 1")
        connection.close()
    else:
        raw = bytearray(path.read_bytes())
        raw[0 if damage == "all" else 4096 :] = b"\xa5" * len(raw[0 if damage == "all" else 4096 :])
        path.write_bytes(raw)
    house.open()
    assert "corrupt-" in house.inbox.trouble
    assert house.inbox.durable
    assert house.inbox.depth() == {"all": 0, "a page": 0, "version": 4}[damage], "what can be read is rescued"
    assert len(list(path.parent.glob("*.corrupt-*"))) == 1


def test_where_nothing_can_be_written_lines_wait_in_memory_and_say_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    inbox = Inbox(tmp_path / "file" / "inbox.sqlite", InboxLimits())
    inbox.accept([Arrival(line("a"))])
    [(_, event)] = settled(inbox.unsent())
    inbox.close()
    assert "memory only" in inbox.trouble
    assert "state_dir" in inbox.trouble
    assert not inbox.durable
    assert event.data == {"queue_depth": 1, "durable": False}


def test_a_second_daemon_is_turned_away(house: House) -> None:
    with pytest.raises(InboxError, match="in use by another"):
        Inbox(house.path, house.limits)


def test_a_closed_inbox_refuses_with_a_sentence(house: House) -> None:
    house.inbox.close()
    with pytest.raises(InboxError, match="cannot be used any more"):
        house.inbox.accept([line("a")])
    house.open()


def test_threads_take_each_line_once(house: House) -> None:
    path = house.folder / "many.sqlite"
    inbox = Inbox(path, InboxLimits())
    taken: list[str] = []
    one_orders = threading.Lock()

    def work(name: int) -> None:
        for n in range(10):
            settled(inbox.accept([Arrival(line(f"{name}-{n}"))]))
            with one_orders:
                mine = settled(inbox.take().future)
            taken.append(mine.line.id)
            settled(inbox.finish(mine.seq, Outcome.FINISHED, {}))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    inbox.close()
    assert sorted(taken) == sorted({f"{name}-{n}" for name in range(4) for n in range(10)})


def test_a_line_that_was_rehearsed_waits_on_and_no_other_is_rehearsed_after_a_crash_until_it_has_ended(
    house: House,
) -> None:
    house.inbox.accept([Line("a", "one"), Line("b", "two"), Line("c", "three")])
    spoken = house.inbox.take()
    rehearsed = house.inbox.prefetch()
    assert (rehearsed.line.id, rehearsed.attempts, house.inbox.depth()) == ("b", 0, 2)
    house.crash()
    assert house.inbox.prefetch() is None
    house.inbox.finish(spoken.seq, Outcome.FINISHED, {})
    assert house.inbox.prefetch() is None
    assert house.inbox.take().line.id == "b"
    assert house.inbox.prefetch() is None
    house.inbox.finish(rehearsed.seq, Outcome.FINISHED, {})
    assert house.inbox.prefetch().line.id == "c"


def test_an_orderly_end_casts_no_suspicion_on_a_line_that_was_rehearsed(house: House) -> None:
    house.inbox.accept([Line("a", "one")])
    house.inbox.prefetch()
    house.restart()
    assert house.inbox.prefetch().line.id == "a"


def test_of_settings_that_come_faster_than_the_disk_the_newest_is_written(house: House) -> None:
    inbox = house.inbox.plain
    house.inbox.remember("volume", "10")
    with closing(sqlite3.connect(house.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the writer waits for the file
        kept = [inbox.remember("volume", str(number)) for number in range(10_000)]
        muted = [inbox.remember("muted", str(number % 2)) for number in range(10_000)]
        assert len(set(map(id, kept + muted))) <= 4, "one write of each key, and one that runs"
        other.execute("ROLLBACK")
    for future in kept + muted:
        settled(future)
    assert house.inbox.recall("volume") == "9999"
    assert house.inbox.recall("muted") == "1"
    house.restart()
    assert house.inbox.recall("volume") == "9999"


def test_a_setting_that_is_kept_already_changes_nothing(house: House) -> None:
    changes = house.inbox.plain._storage.connection.total_changes
    for volume in ("30", "30", "30"):
        house.inbox.remember("volume", volume)
    with closing(sqlite3.connect(house.path)) as other:
        assert other.execute("SELECT value FROM settings WHERE key = 'volume'").fetchall() == [("30",)]
    assert house.inbox.plain._storage.connection.total_changes == changes + 1


def test_a_cancel_reads_the_lines_of_its_id_alone(make_house: Callable[..., House]) -> None:
    house = make_house(max_lines=1000)
    house.inbox.accept([Line(f"line {number}", "hello") for number in range(900)] + [Line("odd \ud800", "hello")])
    reads = 0

    def count() -> None:
        nonlocal reads
        reads += 1

    house.inbox.plain._storage.connection.set_progress_handler(count, 10)  # called each 10 steps of SQLite
    assert house.inbox.cancel_waiting("cancel", "unknown") == 0
    assert reads < 1000, "each transaction counts the lines that wait, 3 steps a line; to read them takes 50"
    house.inbox.plain._storage.connection.set_progress_handler(None, 0)
    assert house.inbox.cancel_waiting("cancel", "line 7") == 1
    assert house.inbox.cancel_waiting("cancel", "odd \ud800") == 1


def test_a_replay_finds_what_sounded_behind_any_number_of_lines_that_did_not(house: House) -> None:
    house.inbox.accept([line("heard")])
    house.inbox.started(house.inbox.take().seq, muted=False)
    house.inbox.finish(1, Outcome.FINISHED, {})
    house.inbox.accept([Rejection(str(number), Reason.BAD_FIELD, "not a number") for number in range(3000)])
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 10

    connection = house.inbox.plain._storage.connection
    connection.set_progress_handler(count, 10)
    assert house.inbox.replay("again").id == "heard"
    connection.set_progress_handler(None, 0)
    assert steps < 2000
