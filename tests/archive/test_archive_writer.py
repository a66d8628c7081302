"""One thread for the disk: in order, bounded, and with an end."""

from __future__ import annotations

import threading

import pytest

from ishowtts.archive import ArchiveWriter
from support.waiting import eventually


def nothing() -> None:
    """There is nothing to do."""


def test_jobs_are_done_in_order_and_one_that_raises_costs_itself(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    writer = ArchiveWriter(lambda: done.append("open"), nothing)
    writer.start()
    for job in (lambda: done.append("one"), lambda: 1 / 0, lambda: done.append("two")):
        assert writer.offer(job)
    writer.close(5)
    assert done == ["open", "one", "two"]
    assert [record.getMessage() for record in caplog.records] == ["a job of the archive failed"]
    assert not writer.offer(nothing)


def test_while_the_disk_hangs_no_more_than_so_much_waits_and_nobody_waits_for_it() -> None:
    hangs, done = threading.Event(), []
    writer = ArchiveWriter(hangs.wait, nothing, most_bytes=100_000)
    writer.start()
    taken = [writer.offer(lambda: done.append(1), 30_000) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    assert writer.offer(lambda: done.append(1), must=True)
    writer.close(0.05)
    hangs.set()
    eventually(lambda: not any(thread.name == "archive" for thread in threading.enumerate()), "the end")
    assert done == [], "what waits at the deadline is left"


def test_room_is_made_for_more_as_jobs_are_done() -> None:
    writer = ArchiveWriter(nothing, nothing, most_bytes=2000)
    writer.start()
    for _ in range(10):
        eventually(lambda: writer.offer(nothing, 1500), "room")
    writer.close(5)


def test_it_tends_again_and_again() -> None:
    tended: list[int] = []
    writer = ArchiveWriter(nothing, lambda: tended.append(1), tick_s=0.01)
    writer.start()
    eventually(lambda: len(tended) > 3, "tending")
    writer.close(5)
