"""Retained values that the broker does not take now are published again."""

from __future__ import annotations

from typing import Any

import pytest

from ishowtts.mqtt.mqtt_options import MqttOptions
from support import broker_scripts as scripts
from support import mqtt_packets as mqtt
from support.hostile_broker import HostileBroker
from support.waiting import eventually

VOLUME = "ishowtts/unit/volume"


@pytest.fixture
def options(hostile_options: MqttOptions) -> MqttOptions:
    return hostile_options


def published(hostile: HostileBroker) -> list[bytes]:
    return [packet.payload for packet in hostile.received_of(mqtt.PUBLISH, VOLUME)]


@pytest.mark.parametrize("code", [0x80, 0x83, 0x97])
def test_a_retained_value_that_is_refused_for_now_is_published_again(
    hostile: HostileBroker, make_link: Any, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("ishowtts.mqtt.publisher._RETAINED_RETRY_S", 0.1)
    link = make_link().start()
    hostile.on_publish = scripts.on_topic(VOLUME, scripts.times(2, scripts.confirm_with(code)))
    link.link.publish_retained("volume", 7)
    eventually(lambda: VOLUME in hostile.retained, "the value at the broker", 10)
    assert published(hostile) == [b"7"] * 3
    assert link.link.reconnects == 0


def test_a_newer_retained_value_replaces_the_one_that_is_retried(
    hostile: HostileBroker, make_link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ishowtts.mqtt.publisher._RETAINED_RETRY_S", 0.05)
    link = make_link().start()
    hostile.on_publish = scripts.confirm_with(0x97, VOLUME)
    for volume in (7, 8):
        link.link.publish_retained("volume", volume)
        payload = str(volume).encode()
        eventually(lambda payload=payload: published(hostile).count(payload) >= 4, "tries", 10)
    values = published(hostile)
    assert set(values[values.index(b"8") :]) == {b"8"}
    hostile.on_publish = None
    eventually(lambda: VOLUME in hostile.retained, "the value at the broker", 10)
    assert hostile.retained[VOLUME].payload == b"8"


@pytest.mark.parametrize("name", ["volume", "alert/hot"])
def test_a_retained_value_that_is_refused_for_good_is_sent_once_and_logged_once(
    hostile: HostileBroker,
    make_link: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    monkeypatch.setattr("ishowtts.mqtt.publisher._RETAINED_RETRY_S", 0.0)
    link = make_link(probe_interval_s=0.2).start()
    hostile.on_publish = scripts.confirm_with(0x87, f"ishowtts/unit/{name}")
    link.link.publish_retained(name, 7)
    link.link.publish_retained(name, 8)
    hostile.wait_for(lambda packet: packet.topic == "ishowtts/unit/probe", 20, count=5)
    packets = hostile.received_of(mqtt.PUBLISH, f"ishowtts/unit/{name}")
    assert [packet.payload for packet in packets] == [b"7", b"8"]
    told = name.replace("hot", "#")
    assert caplog.text.count(f"does not take what we publish on ishowtts/unit/{told} (Not authorized)") == 1
