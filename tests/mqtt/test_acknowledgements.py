"""Acknowledgements are sent in the order of arrival. A delivery is completed once the broker has saved its own."""

from __future__ import annotations

import pytest

from ishowtts.model import Delivery
from ishowtts.mqtt.acknowledgements import Acknowledgements
from support.clock import Clock


@pytest.fixture
def sent() -> list[int]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def acks(sent: list[int], clock: Clock) -> Acknowledgements:
    return Acknowledgements(sent.append, 5.0, clock)


def delivery(packet_id: int, content: bytes = b"ding") -> Delivery:
    return Delivery(packet_id, content, again=False)


def test_acknowledgements_are_sent_in_the_order_of_arrival(acks: Acknowledgements, sent: list[int]) -> None:
    first, second, third = (acks.expect(delivery(number)) for number in (1, 2, 3))
    third()
    second()
    assert (sent, acks.owed) == ([], True)
    first()
    first()
    assert (sent, acks.owed, acks.count) == ([1, 2, 3], False, 3)


def test_deliveries_are_completed_when_the_broker_has_answered_and_saved(acks: Acknowledgements, clock: Clock) -> None:
    for number in (1, 2, 3):
        acks.expect(delivery(number))()
    acks.processed(2)
    clock.now_s += 4
    assert acks.take_completed() == []
    acks.processed(3)
    clock.now_s += 1
    assert acks.take_completed() == [delivery(1), delivery(2)]
    clock.now_s += 4
    assert (acks.take_completed(), acks.take_completed()) == ([delivery(3)], [])


def test_an_older_answer_does_not_complete_a_packet_id_in_use_again(acks: Acknowledgements, clock: Clock) -> None:
    acks.expect(delivery(1))()
    acks.processed(1)
    second = acks.expect(delivery(1))
    clock.now_s += 9
    assert acks.take_completed() == []
    second()
    acks.processed(1)
    clock.now_s += 9
    assert acks.take_completed() == []
    acks.processed(2)
    clock.now_s += 9
    assert acks.take_completed() == [delivery(1)]


def test_nothing_is_acknowledged_after_the_connection_ended(
    acks: Acknowledgements, sent: list[int], clock: Clock
) -> None:
    late = acks.expect(delivery(1))
    acks.close()
    late()
    acks.processed(9)
    clock.now_s += 9
    assert (sent, acks.take_completed()) == ([], [])


def test_a_broker_that_skips_a_free_packet_id_has_ascending_ids(acks: Acknowledgements) -> None:
    acks.expect(delivery(1))()
    acks.expect(delivery(2))()
    assert not acks.ascending_ids  # the first one may not have been free
    acks.processed(2)
    acks.expect(delivery(1))()
    assert not acks.ascending_ids
    acks.processed(3)
    acks.expect(delivery(3))()
    assert acks.ascending_ids
