"""An appliance that a script plays behind a `HostileBroker`, and a gateway that talks to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ishowtts.config import Config
from ishowtts_gateway.appliance_client import ApplianceClient
from support import mqtt_packets as mqtt
from support.gateway_waiting import until
from support.hostile_broker import HostileBroker, Peer
from support.mqtt_packets import Packet

TS = "2026-11-20T10:15:00.000Z"
Answers = Callable[[HostileBroker, Packet, Any], None]


"""Take the broker, a request, and its payload as JSON."""


def event(broker: HostileBroker, name: str, **fields: Any) -> None:
    """Publish an event."""
    broker.publish("ishowtts/test/event", json.dumps({"ts": TS, "id": "", "event": name, **fields}))


def reply(broker: HostileBroker, asked: Packet, value: object, correlation: bytes | None = None) -> None:
    """Answer a request at its response topic."""
    (topic,) = asked.properties[mqtt.RESPONSE_TOPIC]
    (data,) = asked.properties[mqtt.CORRELATION]
    payload = value if isinstance(value, bytes) else json.dumps(value).encode()
    encoded = mqtt.properties(mqtt.text_property(mqtt.CORRELATION, data if correlation is None else correlation))
    broker.publish(topic, payload, properties=encoded)


def appliance(**answers: Answers) -> Callable[[Peer, Packet], None]:
    """A script that answers requests, by the last level of their topic, or by the command."""

    def script(peer: Peer, packet: Packet) -> None:
        peer.serve(packet)
        asked = json.loads(packet.payload)
        name = packet.topic.removeprefix("ishowtts/test/").partition("/")[0]
        name = asked.get("command", name) if isinstance(asked, dict) else name
        if name in answers:
            answers[name](peer.broker, packet, asked)

    return script


def ask(
    broker: HostileBroker,
    scenario: Callable[[ApplianceClient], Awaitable[None]],
    *,
    mqtt_keys: Mapping[str, Any] | None = None,
    **gateway: Any,
) -> None:
    """Run a scenario with a gateway that is connected.

    Args:
        mqtt_keys: Further keys of the section `mqtt`.
        gateway: The section `gateway`.
    """

    async def run() -> None:
        mqtt_section = {"host": broker.host, "port": broker.port, **(mqtt_keys or {})}
        made = ApplianceClient(Config(mqtt=mqtt_section, gateway=gateway), "ishowtts/test")
        async with made.connected():
            await until(lambda: made.directory.broker_connected)
            await scenario(made)

    asyncio.run(run())
