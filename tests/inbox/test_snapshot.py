"""Copies of the queue's file: complete while a daemon writes, and prepared for another time and place."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, InboxLimits, migrations, read_setting, snapshot, wait_for
from ishowtts.inbox.database_file import FileDamaged, FileTooNew
from ishowtts.inbox.snapshot import QueueContent
from ishowtts.model import Arrival, Line, Outcome, Priority
from support.waiting import eventually


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    inbox = Inbox(tmp_path / "inbox.sqlite", InboxLimits())
    yield inbox
    inbox.close()


def accept(inbox: Inbox, *texts: str) -> None:
    wait_for(inbox.accept([Arrival(Line(text, text)) for text in texts]))


def copy(tmp_path: Path) -> Path:
    target = tmp_path / "copy.sqlite"
    target.unlink(missing_ok=True)
    target.touch()
    with closing(snapshot.open_source(tmp_path / "inbox.sqlite")) as source:
        snapshot.copy_queue(source, target)
    return target


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_a_copy_has_what_was_committed_and_no_file_beside_it(inbox: Inbox, tmp_path: Path) -> None:
    accept(inbox, "one", "two")
    wait_for(inbox.remember("volume", "31"))
    target = copy(tmp_path)
    assert snapshot.examine_copy(target) == QueueContent(migrations.VERSION, 2, 0)
    assert read_setting(target, "volume") == "31"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("copy")] == ["copy.sqlite"]


def test_a_copy_under_a_stream_of_lines_is_the_queue_of_one_moment(inbox: Inbox, tmp_path: Path) -> None:
    stop = threading.Event()

    def stream() -> None:
        number = 0
        while not stop.is_set():
            accept(inbox, *(str(number + each) for each in range(5)))
            number += 5

    thread = threading.Thread(target=stream)
    thread.start()
    try:
        eventually(lambda: (snapshot.examine_copy(copy(tmp_path)).waiting or 0) > 0, "the first lines")
        counts = [snapshot.examine_copy(copy(tmp_path)).waiting or 0 for _ in range(8)]
        eventually(lambda: (snapshot.examine_copy(copy(tmp_path)).waiting or 0) > counts[0], "more lines")
    finally:
        stop.set()
        thread.join()
    assert counts == sorted(counts)
    assert {count % 5 for count in counts} == {0}, "a group is in a copy as a whole or not at all"


def test_lines_that_waited_expire_without_an_event(inbox: Inbox, tmp_path: Path) -> None:
    accept(inbox, "spoken", "begun", "waiting")
    for outcome in (Outcome.FINISHED, None):
        taken = wait_for(inbox.take(Priority.LOW, ()).future)
        assert taken is not None
        if outcome:
            wait_for(inbox.finish(taken.seq, outcome, {}))
    target = copy(tmp_path)
    facts = snapshot.prepare_copy(target, keep_waiting=False, forget=(), settings={})
    assert facts == QueueContent(migrations.VERSION, 0, 3)
    assert rows(target, "SELECT id, state, data, ended_n FROM lines ORDER BY seq") == [
        ("spoken", "finished", "{}", 1),
        ("begun", "expired", '{"by": "restore"}', 2),
        ("waiting", "expired", '{"by": "restore"}', 3),
    ]
    assert rows(target, "SELECT * FROM outbox") == []
    with closing(Inbox(target, InboxLimits())) as restored:
        accept(restored, "new")
        assert restored.depth() == 1


def test_lines_that_waited_go_on_if_that_is_wanted(inbox: Inbox, tmp_path: Path) -> None:
    accept(inbox, "waiting")
    wait_for(inbox.remember("instances", "a b"))
    target = copy(tmp_path)
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("INSERT INTO deliveries (packet_id, digest, seq) VALUES (1, x'00', 1)")
        connection.execute("INSERT INTO settings (key, value) VALUES ('.session', 'then')")
        connection.commit()
    facts = snapshot.prepare_copy(target, keep_waiting=True, forget=["instances"], settings={"client_secret": "s"})
    assert facts.waiting == 1
    assert rows(target, "SELECT * FROM deliveries") == []
    assert read_setting(target, ".session") is None
    assert read_setting(target, "instances") is None
    assert read_setting(target, "client_secret") == "s"
    assert rows(target, "SELECT event FROM outbox") == [("accepted",)]
    with closing(Inbox(target, InboxLimits())) as restored:
        taken = wait_for(restored.take(Priority.LOW, ()).future)
        assert taken is not None
        assert taken.line.text == "waiting"


@pytest.mark.parametrize("version", sorted(migrations.STEPS))
def test_a_copy_of_each_version_is_prepared_and_upgraded_later(tmp_path: Path, version: int) -> None:
    old = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(old)) as connection:
        for step, sql in migrations.STEPS.items():
            if step <= version:
                connection.executescript(sql)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute(
            "INSERT INTO lines (id, text, priority, details, ts, born_s, deadline_s, state)"
            " VALUES ('a', 'a', 1, '{}', '', 1, 2, 'waiting')"
        )
        connection.commit()
    facts = snapshot.prepare_copy(old, keep_waiting=False, forget=(), settings={})
    assert facts == QueueContent(version, 0, 1)
    Inbox(old, InboxLimits()).close()
    assert snapshot.examine_copy(old).version == migrations.VERSION


def test_a_newer_a_foreign_and_a_damaged_file_are_refused(inbox: Inbox, tmp_path: Path) -> None:
    accept(inbox, *map(str, range(100)))
    target = copy(tmp_path)
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(FileTooNew, match="version 99"):
        snapshot.prepare_copy(target, keep_waiting=True, forget=(), settings={})
    with closing(sqlite3.connect(target)) as connection:
        connection.execute(f"PRAGMA user_version = {migrations.VERSION}")
        connection.execute("CREATE VIEW evil AS SELECT 1")
    with pytest.raises(FileDamaged, match="other tables"):
        snapshot.prepare_copy(target, keep_waiting=True, forget=(), settings={})
    target = copy(tmp_path)
    content = bytearray(target.read_bytes())
    content[8192:20000] = b"\xff" * (20000 - 8192)
    target.write_bytes(content)
    with pytest.raises(FileDamaged, match="damaged"):
        snapshot.examine_copy(target)
    (tmp_path / "absent").mkdir()
    with pytest.raises(InboxError):
        snapshot.open_source(tmp_path / "absent")


def test_the_log_is_emptied_once_the_daemon_is_gone(inbox: Inbox, tmp_path: Path) -> None:
    accept(inbox, "one")
    path = tmp_path / "inbox.sqlite"
    crashed = tmp_path / "crashed.sqlite"
    crashed.write_bytes(path.read_bytes())
    crashed.with_name("crashed.sqlite-wal").write_bytes(path.with_name("inbox.sqlite-wal").read_bytes())
    assert snapshot.empty_log(crashed)
    assert snapshot.examine_copy(crashed).waiting == 1
    assert not snapshot.empty_log(tmp_path / "absent.sqlite")
    assert not snapshot.empty_log(path), "a daemon uses it"
