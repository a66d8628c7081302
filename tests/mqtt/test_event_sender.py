"""Event payloads, and which events count as confirmed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ishowtts.model import Event
from ishowtts.mqtt.event_sender import EventSender, event_payload
from ishowtts.mqtt.strict_json import dumps

TS = "2026-11-20T10:15:00.000Z"


@dataclass
class FakePublish:
    """A publish that the broker has confirmed, or never confirms."""

    confirmed: bool
    refused: bool = False

    def wait(self, deadline_s: float) -> bool:
        return self.confirmed


@dataclass
class FakeSession:
    """A session on which the broker confirms only the events with these ids."""

    confirms: set[str]
    published: list[str] = field(default_factory=list)

    def publish(self, topic: str, body: bytes, **_options: Any) -> FakePublish:
        event_id = body.decode().split('"id":"')[1].split('"')[0]
        self.published.append(event_id)
        return FakePublish(event_id in self.confirms)


def test_events_after_an_unconfirmed_one_do_not_count_as_confirmed() -> None:
    """The caller deletes so many events from the outbox: the unconfirmed one would be lost."""
    sender = EventSender("events", answers=False)
    session: Any = FakeSession(confirms={"a", "c"})
    numbered = [(number, Event(TS, name, "finished")) for number, name in enumerate("abc")]
    assert sender.send(session, numbered, 0.1) == 1
    assert sender.send(session, numbered[1:], 0.1) == 0
    assert session.published == ["a", "b", "c"], "each is published once"


def test_the_data_of_an_event_cannot_replace_its_name() -> None:
    event = Event("t", "a", "finished", {"rtf": 0.1, "event": "x", "id": "x", "ts": "x"})
    assert event_payload(event) == {"ts": "t", "id": "a", "event": "finished", "rtf": 0.1}


def test_half_a_surrogate_pair_does_not_stop_an_event() -> None:
    assert dumps({"detail": "a\ud800é"}) == '{"detail":"a?é"}'.encode()
