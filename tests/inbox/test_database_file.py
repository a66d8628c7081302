"""Files that are removed or replaced under the daemon, or that others could read."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ishowtts.inbox import Inbox, InboxLimits, storage, wait_for
from ishowtts.model import Arrival, Line, Outcome
from support.waiting import eventually

Queue = Any  # of conftest.py


@pytest.fixture
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_RETRY_S", 0.1)


def beside(queue: Queue, *tails: str) -> list[Path]:
    return [queue.path.with_name(queue.path.name + tail) for tail in tails]


@pytest.mark.parametrize("tails", [("-wal", "-shm"), ("-wal",), ("-shm",)])
def test_a_log_removed_under_the_daemon_is_made_again(queue: Queue, tails: tuple[str, ...]) -> None:
    queue.inbox.accept([Line("a", "hello")])
    for path in beside(queue, *tails):
        path.unlink()
    queue.inbox.accept([Line("b", "hello")])
    assert queue.inbox.durable
    assert all(path.exists() for path in beside(queue, "-wal", "-shm"))
    queue.crash()
    assert [queue.inbox.take().line.id for _ in range(2)] == ["a", "b"]


def test_a_removed_log_is_noticed_even_if_no_line_comes(queue: Queue) -> None:
    queue.inbox.accept([Line("a", "hello")])
    for path in beside(queue, "-wal", "-shm"):
        path.unlink()
    eventually(lambda: all(path.exists() for path in beside(queue, "-wal", "-shm")), "the log to be made again")
    queue.crash()
    assert queue.inbox.take().line.id == "a"


def test_no_line_is_doubled_if_a_copy_replaces_the_file(queue: Queue, quick_retry: None) -> None:
    queue.inbox.accept([Line("a", "hello"), Line("b", "hello"), Line("c", "hello")])
    queue.restart()
    spoken = queue.inbox.take()
    copy = queue.path.with_name("copy")
    with closing(sqlite3.connect(queue.path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.rename(queue.path)
    queue.inbox.accept([Line("d", "hello")])
    queue.inbox.finish(spoken.seq, Outcome.FINISHED, {})
    eventually(lambda: queue.inbox.durable, "the return to the file")
    assert queue.inbox.depth() == 3
    assert [queue.inbox.take().line.id for _ in range(3)] == ["b", "c", "d"]
    assert queue.inbox.take() is None
    assert queue.events() == [(name, "accepted") for name in "abcd"] + [("a", "finished")]
    assert [(entry.id, entry.outcome) for entry in queue.history(9)][-1] == ("a", Outcome.FINISHED)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}


def test_the_files_are_private_whatever_the_umask_is(open_umask: None, tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.sqlite", InboxLimits())
    wait_for(inbox.accept([Arrival(Line("a", "hello"))]))
    private = {f"inbox.sqlite{tail}": "0o600" for tail in ("", "-wal", "-shm", ".lock")}
    assert modes(tmp_path) == private
    shutil.copytree(tmp_path, tmp_path / "copy")
    inbox.close()
    for path in (tmp_path / "copy").iterdir():
        path.chmod(0o666)
    inbox = Inbox(tmp_path / "copy" / "inbox.sqlite", InboxLimits())
    assert modes(tmp_path / "copy") == private, "also of a file that others could read"
    inbox.close()
