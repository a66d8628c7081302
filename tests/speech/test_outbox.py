"""Events that cannot be sent: what is said of them, and that nothing ends the thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ishowtts.inbox import Inbox, InboxLimits, settled
from ishowtts.model import Arrival, Event, Line
from ishowtts.speech import Outbox
from support.waiting import eventually


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    made = Inbox(tmp_path / "inbox.sqlite", InboxLimits())
    settled(made.accept([Arrival(Line("a", "hello"))]))
    yield made
    made.close()


class Link:
    """A broker that confirms as many events as it is told to."""

    def __init__(self) -> None:
        self.connected = True
        self.confirms = 0
        self.raises = False

    def send(self, numbered: Sequence[tuple[int, Event]], _timeout_s: float) -> int:
        if self.raises:
            raise ValueError("no such topic")
        return min(self.confirms, len(numbered))


def test_events_that_the_broker_does_not_confirm_are_a_trouble_until_it_does(inbox: Inbox) -> None:
    link = Link()
    outbox = Outbox(inbox, link.send, lambda _: None, connected=lambda: link.connected, late_s=0.1)
    assert outbox.trouble is None
    outbox.start()
    try:
        eventually(lambda: outbox.trouble, "the trouble")
        assert "has confirmed no event" in (outbox.trouble or "")
        link.connected = False
        eventually(lambda: outbox.trouble is None, "that a broker that is away is not meant")
        link.connected = True
        eventually(lambda: outbox.trouble, "the trouble again")
        link.confirms = 9
        eventually(lambda: outbox.trouble is None, "the end of the trouble")
        assert settled(inbox.unsent()) == []
    finally:
        outbox.close(20)


def test_a_link_that_fails_does_not_end_the_thread(inbox: Inbox) -> None:
    link = Link()
    link.raises = True
    outbox = Outbox(inbox, link.send, lambda _: None, late_s=0.1)
    outbox.start()
    try:
        eventually(lambda: outbox.trouble, "the trouble")
        assert outbox.alive()
        link.raises, link.confirms = False, 9
        eventually(lambda: not settled(inbox.unsent()), "the event to be sent")
    finally:
        outbox.close(20)


def test_an_event_that_cannot_be_read_is_dropped_and_the_others_are_sent(inbox: Inbox) -> None:
    def hurt(ledger: object) -> None:
        inbox._storage.connection.execute("UPDATE outbox SET data = '[]'")

    settled(inbox._writer.submit(hurt))
    settled(inbox.accept([Arrival(Line("b", "hello"))]))
    sent: list[str] = []
    link = Link()
    link.confirms = 9
    outbox = Outbox(inbox, link.send, lambda event: sent.append(event.id))
    outbox.start()
    try:
        eventually(lambda: sent == ["b"], "the event that can be read")
    finally:
        outbox.close(20)
