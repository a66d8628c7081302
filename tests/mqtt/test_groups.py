"""Lines and commands to a group reach each of its members, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ishowtts.model import Command, Priority
from support.client import Client
from support.waiting import eventually

GROUP = "ishowtts/group/downstairs"


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_member_speaks_the_lines_of_its_groups(
    make_link: Callable[..., Any], mqtt_client: Client, protocol: int
) -> None:
    link = make_link(protocol=protocol, groups=("downstairs", "all")).start()
    mqtt_client.publish(f"{GROUP}/say", "one")
    mqtt_client.publish(f"{GROUP}/say/anna", "two")
    mqtt_client.publish(f"{GROUP}/urgent", "three")
    mqtt_client.publish("ishowtts/group/all/say", "four")
    mqtt_client.publish("ishowtts/group/upstairs/say", "not for us")
    mqtt_client.publish(f"{GROUP}/command", "skip")
    mqtt_client.publish("ishowtts/unit/say", "five")
    eventually(lambda: link.recorder.texts == ["one", "two", "three", "four", "five"], "all five")
    assert [line.voice for line in link.recorder.arrivals[:3]] == [None, "anna", None]
    assert link.recorder.arrivals[2].priority is Priority.URGENT
    eventually(lambda: link.recorder.commands == [Command("skip")], "the command")
    assert not link.recorder.faults


def test_a_retained_line_of_a_group_is_not_spoken(make_link: Callable[..., Any], mqtt_client: Client) -> None:
    mqtt_client.publish(f"{GROUP}/say", "old", retain=True)
    link = make_link(groups=("downstairs",)).start()
    mqtt_client.publish(f"{GROUP}/say", "new")
    eventually(lambda: link.recorder.texts == ["new"])


def test_a_member_that_left_is_unsubscribed(make_link: Callable[..., Any], mqtt_client: Client) -> None:
    secret = {"client_secret": "the same directory"}
    make_link(groups=("downstairs", "all"), **secret).start().link.stop(10)
    link = make_link(groups=("all",), **secret).start()
    assert link.recorder.sessions[0][1], "the broker has kept the session and its subscriptions"
    mqtt_client.publish(f"{GROUP}/say", "not for us")
    mqtt_client.publish("ishowtts/group/all/say", "for us")
    eventually(lambda: link.recorder.texts == ["for us"])
    with Client(*mqtt_client.address) as watcher:
        eventually(lambda: _nobody_listens(watcher), "the end of the subscription")
    assert link.recorder.texts == ["for us"]


def _nobody_listens(client: Client) -> bool:
    """Whether the broker says that a line to the group reaches nobody."""
    codes: list[Any] = []
    client._paho.on_publish = lambda _c, _u, _mid, code, _p: codes.append(code.value)
    client.publish(f"{GROUP}/say", "not for us")
    eventually(lambda: codes)
    client._paho.on_publish = None
    return bool(codes[0] == 0x10)
