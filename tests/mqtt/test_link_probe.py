"""When a probe is sent and when it is overdue, on paper."""

from __future__ import annotations

import pytest

from ishowtts.mqtt.link_probe import LinkProbe
from support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def probe(clock: Clock) -> LinkProbe:
    return LinkProbe(30, 10, clock)


def test_a_new_connection_is_probed_at_once_and_once(probe: LinkProbe, clock: Clock) -> None:
    assert probe.due()
    clock.now_s += 9
    assert (probe.due(), probe.overdue()) == (False, False)


def test_one_that_does_not_come_back_is_overdue_once_and_tried_again_later(probe: LinkProbe, clock: Clock) -> None:
    assert probe.due()
    clock.now_s += 10
    assert (probe.overdue(), probe.overdue(), probe.due()) == (True, False, False)
    clock.now_s += 30
    assert probe.due()


def test_whatever_arrives_is_a_proof(probe: LinkProbe, clock: Clock) -> None:
    assert probe.due()
    for _ in range(10):
        clock.now_s += 9
        probe.arrived()
        assert (probe.overdue(), probe.due()) == (False, False)
    clock.now_s += 30
    assert probe.due()


def test_one_that_is_held_back_is_sent_again_as_soon_as_that_ends(probe: LinkProbe, clock: Clock) -> None:
    probe.hold()
    assert probe.due()
    clock.now_s += 60
    probe.hold()
    assert (probe.overdue(), probe.due()) == (False, True)
    probe.arrived()
    probe.hold()
    assert not probe.due()
