"""Events are sent in order; those that cannot be sent wait, are reported, and do not end the thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ishowtts.inbox import Inbox, InboxLimits, wait_for
from ishowtts.model import Arrival, Event, Line
from ishowtts.speech import Outbox
from support.waiting import eventually


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    made = Inbox(tmp_path / "inbox.sqlite", InboxLimits())
    wait_for(made.accept([Arrival(Line("a", "hello"))]))
    yield made
    made.close()


class Link:
    """A link to a broker that confirms as many events as a test sets."""

    def __init__(self) -> None:
        self.connected = True
        self.confirms = 0
        self.raises = False

    def send(self, numbered: Sequence[tuple[int, Event]], _timeout_s: float) -> int:
        if self.raises:
            raise ValueError("no such topic")
        return min(self.confirms, len(numbered))


def test_a_broker_that_confirms_no_event_is_reported_until_it_does(inbox: Inbox) -> None:
    link = Link()
    outbox = Outbox(inbox, link.send, lambda _: None, connected=lambda: link.connected, late_s=0.1)
    assert outbox.problem is None
    outbox.start()
    try:
        eventually(lambda: outbox.problem, "the problem")
        assert "has confirmed no event" in (outbox.problem or "")
        link.connected = False
        eventually(lambda: outbox.problem is None, "that a broker that is away is not meant")
        link.connected = True
        eventually(lambda: outbox.problem, "the problem again")
        link.confirms = 9
        eventually(lambda: outbox.problem is None, "the end of the problem")
        assert wait_for(inbox.unsent()) == []
    finally:
        outbox.close(20)


def test_a_link_that_raises_does_not_end_the_thread(inbox: Inbox) -> None:
    link = Link()
    link.raises = True
    outbox = Outbox(inbox, link.send, lambda _: None, late_s=0.1)
    outbox.start()
    try:
        eventually(lambda: outbox.problem, "the problem")
        assert outbox.alive()
        link.raises, link.confirms = False, 9
        eventually(lambda: not wait_for(inbox.unsent()), "the event to be sent")
    finally:
        outbox.close(20)


def test_an_unreadable_event_is_dropped_and_the_others_are_sent(inbox: Inbox) -> None:
    def hurt(ledger: object) -> None:
        inbox._storage.connection.execute("UPDATE outbox SET data = '[]'")

    wait_for(inbox._writer.submit(hurt))
    wait_for(inbox.accept([Arrival(Line("b", "hello"))]))
    sent: list[str] = []
    link = Link()
    link.confirms = 9
    outbox = Outbox(inbox, link.send, lambda event: sent.append(event.id))
    outbox.start()
    try:
        eventually(lambda: sent == ["b"], "the event that can be read")
    finally:
        outbox.close(20)


def test_an_event_is_reported_once_however_often_it_is_tried(inbox: Inbox) -> None:
    link, reported, tries = Link(), [], []

    def send(numbered: Sequence[tuple[int, Event]], timeout_s: float) -> int:
        tries.append(len(numbered))
        return link.send(numbered, timeout_s)

    outbox = Outbox(inbox, send, lambda event: reported.append((event.id, event.event)))
    outbox.start()
    try:
        for count in (1, 2, 3):
            eventually(lambda count=count: len(tries) == count, "the next try")
            outbox.wake()
        wait_for(inbox.accept([Arrival(Line("b", "hello"))]))
        link.confirms = 9
        outbox.wake()
        eventually(lambda: not wait_for(inbox.unsent()), "the events to be sent")
    finally:
        outbox.close(20)
    assert reported == [("a", "accepted"), ("b", "accepted")]
