"""One thread for the disk: it runs jobs in order, bounds them, and ends."""

from __future__ import annotations

import threading

import pytest

from ishowtts.archive import ArchiveWriter
from support.waiting import eventually


def nothing() -> None:
    """Do nothing."""


def test_jobs_run_in_order_and_one_that_raises_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    writer = ArchiveWriter(lambda: done.append("open"), nothing)
    writer.start()
    for job in (lambda: done.append("one"), lambda: 1 / 0, lambda: done.append("two")):
        assert writer.offer(job)
    writer.close(5)
    assert done == ["open", "one", "two"]
    assert [record.getMessage() for record in caplog.records] == ["a job of the archive failed"]
    assert not writer.offer(nothing)


def test_while_the_disk_hangs_jobs_are_bounded_and_the_caller_does_not_wait() -> None:
    hangs, done = threading.Event(), []
    writer = ArchiveWriter(hangs.wait, nothing, most_bytes=100_000)
    writer.start()
    taken = [writer.offer(lambda: done.append(1), 30_000) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    assert writer.offer(lambda: done.append(1), must=True)
    writer.close(0.05)
    hangs.set()
    eventually(lambda: not any(thread.name == "archive" for thread in threading.enumerate()), "the end")
    assert done == [], "jobs that wait at the deadline do not run"


def test_more_jobs_fit_when_others_are_done() -> None:
    writer = ArchiveWriter(nothing, nothing, most_bytes=2000)
    writer.start()
    for _ in range(10):
        eventually(lambda: writer.offer(nothing, 1500), "room")
    writer.close(5)


def test_it_maintains_again_and_again() -> None:
    maintained: list[int] = []
    writer = ArchiveWriter(nothing, lambda: maintained.append(1), tick_s=0.01)
    writer.start()
    eventually(lambda: len(maintained) > 3, "maintenance")
    writer.close(5)
