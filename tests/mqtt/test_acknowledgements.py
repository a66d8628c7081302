"""Acknowledgements leave in the order of arrival, and are settled once the broker has processed them."""

from __future__ import annotations

import pytest

from ishowtts.mqtt.acknowledgements import Acknowledgements
from ishowtts.speech import Delivery


@pytest.fixture
def sent() -> list[int]:
    return []


@pytest.fixture
def acks(sent: list[int]) -> Acknowledgements:
    return Acknowledgements(sent.append)


def delivery(packet_id: int, content: bytes = b"ding") -> Delivery:
    return Delivery(packet_id, content, again=False)


def test_they_leave_in_the_order_of_arrival(acks: Acknowledgements, sent: list[int]) -> None:
    first, second, third = (acks.expect(delivery(number)) for number in (1, 2, 3))
    third()
    second()
    assert (sent, acks.owed) == ([], True)
    first()
    first()
    assert (sent, acks.owed, acks.count) == ([1, 2, 3], False, 3)


def test_those_sent_before_what_the_broker_answered_are_settled_once(acks: Acknowledgements) -> None:
    for number in (1, 2, 3):
        acks.expect(delivery(number))()
    assert acks.settle(0) == []
    assert acks.settle(2) == [delivery(1), delivery(2)]
    assert acks.settle(2) == []
    assert acks.settle(3) == [delivery(3)]


def test_a_packet_id_that_is_in_use_again_is_not_settled_by_an_older_answer(acks: Acknowledgements) -> None:
    acks.expect(delivery(1))()
    second = acks.expect(delivery(1))
    assert acks.settle(1) == []
    second()
    assert acks.settle(1) == []
    assert acks.settle(2) == [delivery(1)]


def test_nothing_is_sent_after_the_connection(acks: Acknowledgements, sent: list[int]) -> None:
    late = acks.expect(delivery(1))
    acks.close()
    late()
    assert (sent, acks.settle(9)) == ([], [])
