"""Runs the gateway's connection to a broker, and keeps what arrived on it and what it told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts_gateway.appliances.broker_link import BrokerLink
from ishowtts_gateway.appliances.message_backlog import LinkMessage
from support.broker import Broker
from support.hostile_broker import HostileBroker

TOPICS = ("ishowtts/test/state", "ishowtts/test/event", "ishowtts/reply/me/#")


class Followed:
    """A link, what arrived on it, and what it told about its connection."""

    def __init__(self, broker: Broker | HostileBroker, **options: Any) -> None:
        self.messages: list[LinkMessage] = []
        self.told: list[tuple[bool, str | None]] = []
        known = {"retry_min_s": 0.02, "retry_max_s": 0.05, "connect_timeout_s": 1.0, **options}
        self.link = BrokerLink(
            MqttOptions(broker.host, broker.port, "ishowtts/test", "ishowtts", **known),
            TOPICS,
            self.messages.append,
            lambda connected, detail: self.told.append((connected, detail)),
        )


def follow(broker: Broker | HostileBroker, scenario: Callable[[Followed], Awaitable[None]], **options: Any) -> Followed:
    """Run a scenario with a link to the broker."""

    async def run() -> Followed:
        followed = Followed(broker, **options)
        followed.link.start()
        try:
            await scenario(followed)
        finally:
            await followed.link.stop(5)
        return followed

    return asyncio.run(run())
