"""When a probe is sent and when it is overdue, without a broker."""

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


def test_a_new_connection_is_probed_once_at_once(probe: LinkProbe, clock: Clock) -> None:
    assert probe.due()
    clock.now_s += 9
    assert (probe.due(), probe.overdue()) == (False, False)


def test_a_lost_probe_is_overdue_once_and_sent_again_later(probe: LinkProbe, clock: Clock) -> None:
    assert probe.due()
    clock.now_s += 10
    assert (probe.overdue(), probe.overdue(), probe.due()) == (True, False, False)
    clock.now_s += 30
    assert probe.due()


def test_any_message_counts_as_the_probe(probe: LinkProbe, clock: Clock) -> None:
    assert probe.due()
    for _ in range(10):
        clock.now_s += 9
        probe.arrived()
        assert (probe.overdue(), probe.due()) == (False, False)
    clock.now_s += 30
    assert probe.due()


def test_a_held_probe_is_sent_again_at_once(probe: LinkProbe, clock: Clock) -> None:
    probe.hold()
    assert probe.due()
    clock.now_s += 60
    probe.hold()
    assert (probe.overdue(), probe.due()) == (False, True)
    probe.arrived()
    probe.hold()
    assert not probe.due()
