"""The discovery message at a real broker: published, published again, replaced and removed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ishowtts.board import BoardIdentity
from ishowtts.config import Config
from ishowtts.inbox import Inbox, InboxLimits, wait_for
from ishowtts.mqtt.discovery import PUBLISHED_KEY, HomeAssistantDiscovery, stored_topics
from ishowtts.mqtt.mqtt_options import MqttOptions
from support import broker_scripts as scripts
from support import mqtt_packets as mqtt
from support.broker import Broker
from support.client import Client
from support.hostile_broker import HostileBroker, Peer
from support.waiting import eventually

TOPIC = "homeassistant/device/ishowtts_ishowtts_unit/config"
STATUS = "homeassistant/status"
OLD = "old/device/ishowtts_ishowtts_unit/config"


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    inbox = Inbox(tmp_path / "inbox.sqlite", InboxLimits(), on_lines=lambda: None, on_events=lambda: None)
    yield inbox
    inbox.close()


@pytest.fixture
def discover(make_link: Any, inbox: Inbox) -> Iterator[Callable[..., HomeAssistantDiscovery]]:
    """`discover(prefix=…)`: a link with its discovery, started; the keywords are those of `home_assistant`."""
    with ExitStack() as stack:

        def start(voices: list[str] | None = None, serial: str = "1421", **keys: Any) -> HomeAssistantDiscovery:
            config = Config(home_assistant=keys)
            link = make_link(home_assistant_status=STATUS if config.home_assistant.discovery else None)
            board = BoardIdentity("NVIDIA Jetson Orin Nano", "6.2", serial)
            names = ["anna"] if voices is None else voices
            found = HomeAssistantDiscovery(
                config, "ishowtts/unit", board, voices=lambda: names, inbox=inbox, link=link.link
            )
            found.start()
            stack.callback(found.close, 5.0)
            link.start()
            return found

        yield start


def at_broker(broker: Broker, *topics: str) -> dict[str, bytes]:
    """What a client receives that subscribes to these topics now, in the order of the topics."""
    with Client(broker.host, broker.port) as late:
        for topic in topics:
            late.subscribe(topic)
        late.subscribe("fence").publish("fence", "x")
        late.wait_for("fence")
        return {message.topic: message.payload for message in late.messages if message.topic != "fence"}


def online(broker: HostileBroker) -> bool:
    message = broker.retained.get("ishowtts/unit/availability")
    return message is not None and message.payload == b"online"


def published(inbox: Inbox) -> dict[str, str | None]:
    return stored_topics(inbox.recall(PUBLISHED_KEY))


def test_it_is_retained_and_remembered(discover: Any, mqtt_client: Client, broker: Broker, inbox: Inbox) -> None:
    mqtt_client.subscribe(TOPIC)
    discover()
    mqtt_client.wait_for(TOPIC, lambda m: "anna" in m.json["components"]["voice"]["options"])
    assert list(at_broker(broker, "homeassistant/#", "old/#")) == [TOPIC]
    assert published(inbox) == {TOPIC: "1421"}


def test_it_is_published_again_when_home_assistant_starts_or_voices_change(
    discover: Any, mqtt_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ishowtts.mqtt.discovery._MAX_WAIT_S", 0.05)
    voices = ["anna"]
    found = discover(voices)
    mqtt_client.subscribe(TOPIC).wait_for(TOPIC)

    mqtt_client.publish(STATUS, "offline")
    mqtt_client.publish(STATUS, "online")
    mqtt_client.wait_for(TOPIC, count=2)
    voices.append("bob")
    found.wake()
    mqtt_client.wait_for(TOPIC, lambda m: "bob" in m.json["components"]["voice"]["options"])
    found.wake()
    assert len(mqtt_client.on(TOPIC)) == 3


def test_it_is_published_again_after_each_connect(discover: Any, mqtt_client: Client, broker: Broker) -> None:
    discover()
    mqtt_client.subscribe(TOPIC).wait_for(TOPIC)
    mqtt_client.publish(TOPIC, None, retain=True)  # as Home Assistant does if its user deletes the device
    broker.stop()
    broker.start()
    eventually(lambda: TOPIC in at_broker(broker, TOPIC), "the message again")


@pytest.mark.parametrize("keys", [{"prefix": "new"}, {"discovery": False}])
def test_a_message_of_an_earlier_configuration_is_removed(
    discover: Any, mqtt_client: Client, broker: Broker, inbox: Inbox, keys: dict[str, Any]
) -> None:
    for topic in (TOPIC, OLD):
        mqtt_client.publish(topic, "{}", retain=True)
    wait_for(inbox.remember(PUBLISHED_KEY, f'{{"{TOPIC}": "1421"}}'))
    discover(**keys)
    wanted = {TOPIC.replace("homeassistant", "new"): "1421"} if "prefix" in keys else {}
    eventually(lambda: published(inbox) == wanted, "the setting")
    # The setting names the topic before the message is published, so the broker may get the message later.
    expected = {OLD, *wanted}
    eventually(lambda: set(at_broker(broker, "homeassistant/#", "old/#", "new/#")) == expected, "the messages")


def test_the_message_of_another_board_is_left_alone(
    discover: Any, mqtt_client: Client, broker: Broker, inbox: Inbox
) -> None:
    """A disk that was copied from another board remembers the topic of that board."""
    mqtt_client.publish(OLD, "{}", retain=True)
    wait_for(inbox.remember(PUBLISHED_KEY, f'{{"{OLD}": "another"}}'))
    discover()
    eventually(lambda: published(inbox) == {TOPIC: "1421"}, "the setting")
    assert set(at_broker(broker, TOPIC, OLD)) == {TOPIC, OLD}


def test_without_discovery_no_topic_outside_the_root_is_touched(
    discover: Any, mqtt_client: Client, inbox: Inbox
) -> None:
    mqtt_client.subscribe("#")
    discover(discovery=False)
    mqtt_client.wait_for("ishowtts/unit/availability", lambda m: m.text == "online")
    assert all(message.topic.startswith("ishowtts/unit/") for message in mqtt_client.messages)
    assert published(inbox) == {}


def test_it_is_not_published_while_another_appliance_uses_the_root(
    make_link: Any, mqtt_client: Client, broker: Broker, inbox: Inbox
) -> None:
    mqtt_client.publish("ishowtts/unit/info", {"instance": "another"}, retain=True)
    link = make_link().link
    found = HomeAssistantDiscovery(Config(), "ishowtts/unit", BoardIdentity(), voices=list, inbox=inbox, link=link)
    found.start()
    try:
        link.start()
        eventually(lambda: "another one" in (link.why_not_connected or ""), "the guard")
        eventually(lambda: published(inbox), "the setting")
        assert at_broker(broker, "homeassistant/#") == {}
    finally:
        found.close(5.0)


class TestRefusals:
    """A broker that refuses discovery costs one line of the log, and no line of speech."""

    @pytest.fixture
    def options(self, hostile_options: MqttOptions) -> MqttOptions:
        return hostile_options

    def test_a_refused_publish(self, hostile: HostileBroker, discover: Any, caplog: pytest.LogCaptureFixture) -> None:
        hostile.on_publish = scripts.confirm_with(0x87, TOPIC)
        with caplog.at_level(logging.WARNING):
            found = discover()
            eventually(lambda: caplog.messages, "the warning")
            found._home_assistant_started()
            found._due_s = 0.0
            found.wake()
            eventually(lambda: len(hostile.received_of(mqtt.PUBLISH, TOPIC)) == 2, "the second try")
            eventually(lambda: online(hostile), "online")
        [message] = caplog.messages
        assert TOPIC in message
        assert "home_assistant.discovery" in message

    @pytest.mark.parametrize("topic", [TOPIC, STATUS])
    def test_a_broker_that_ends_the_connection_for_a_topic(
        self, hostile: HostileBroker, discover: Any, caplog: pytest.LogCaptureFixture, topic: str
    ) -> None:
        """As some brokers do. The topic is given up, and lines arrive again."""

        def close_if_subscribed(peer: Peer, packet: mqtt.Packet) -> None:
            if any(wanted == topic for wanted, _ in packet.subscriptions):
                peer.close()
            else:
                peer.serve(packet)

        hostile.on_publish = scripts.on_topic(topic, scripts.then_close(scripts.silence))
        hostile.on_subscribe = close_if_subscribed
        with caplog.at_level(logging.WARNING, "ishowtts.mqtt.discovery"):
            discover()
            eventually(lambda: any(topic in message for message in caplog.messages), "the warning")
            eventually(lambda: online(hostile), "online")
        assert len(hostile.received_of(mqtt.PUBLISH, TOPIC)) >= 3
        assert sum(topic in message for message in caplog.messages) == 1

    def test_a_refused_subscription(
        self, hostile: HostileBroker, discover: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        hostile.on_subscribe = scripts.refuse(0x87, STATUS)
        with caplog.at_level(logging.WARNING):
            discover()
            eventually(lambda: TOPIC in hostile.retained, "the message")
            eventually(lambda: caplog.messages, "the warning")
            eventually(lambda: online(hostile), "online")
        [message] = caplog.messages
        assert STATUS in message
        assert "ACL" in message


@pytest.mark.parametrize("setting", [None, "", "no JSON", "[]", "[" * 5000, "7", '{"": "x", "a": 7}'])
def test_a_damaged_setting_names_no_topic(setting: str | None) -> None:
    assert stored_topics(setting) == {}


def test_a_reload_moves_the_message_and_the_topic_that_is_watched(
    discover: Any, mqtt_client: Client, broker: Broker, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ishowtts.mqtt.discovery._MAX_WAIT_S", 0.05)
    moved, status = TOPIC.replace("homeassistant", "new"), "new/status"
    found = discover()
    mqtt_client.subscribe(TOPIC).wait_for(TOPIC)
    mqtt_client.subscribe(moved)
    found._outside.watch(status)
    found.change(Config(home_assistant={"prefix": "new"}))
    mqtt_client.wait_for(moved)
    eventually(lambda: published(inbox) == {moved: "1421"}, "the removal of the former one")
    mqtt_client.publish(STATUS, "online")
    mqtt_client.publish(status, "online")
    mqtt_client.wait_for(moved, count=2)
    assert list(at_broker(broker, "homeassistant/#", "new/#")) == [moved]
    found.change(Config(home_assistant={"discovery": False}))
    found.change(Config(home_assistant={"prefix": "new"}))
    found.change(Config(home_assistant={"discovery": False}))
    eventually(lambda: published(inbox) == {}, "the end of discovery")
    assert at_broker(broker, "homeassistant/#", "new/#") == {}
    mqtt_client.publish(status, "online")
    assert len(mqtt_client.on(moved)) <= 3
