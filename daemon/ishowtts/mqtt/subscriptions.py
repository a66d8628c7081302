"""The subscriptions of one connection: asked for, granted and refused."""

from __future__ import annotations

import logging
from itertools import zip_longest

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import ConnectionRole

log = logging.getLogger(__name__)

_SEND_RETAINED, _NEVER_SEND_RETAINED = 0, 2  # MQTT 5 retain handling


class Subscriptions:
    """Subscribes to the topics of a role and stores the broker's answers. The caller holds the session's lock."""

    def __init__(self, options: MqttOptions, role: ConnectionRole) -> None:
        self._options = options
        self._role = role
        self._asked: dict[int, tuple[str, ...]] = {}  # by mid of a SUBSCRIBE that is not answered yet
        self._refused: dict[str, str] = {}  # topic -> the broker's reason

    @property
    def asked(self) -> str:
        """The topics that the broker has not answered yet, in one text. Empty if it has answered all."""
        return ", ".join(topic for topics in self._asked.values() for topic in topics)

    @property
    def refused(self) -> str:
        """The topics that the broker refuses, with its reasons. Empty if it refuses none."""
        return ", ".join(f"{topic} ({reason})" for topic, reason in self._refused.items())

    def ask(self, client: paho.Client) -> None:
        """Send two SUBSCRIBE packets. When the second is granted, all retained values have come."""
        if self._role.watched:
            self._send(client, self._role.watched, _SEND_RETAINED)
        self._send(client, (*self._role.topics, self._role.probe_topic), _NEVER_SEND_RETAINED)

    def answered(self, mid: int, codes: list[ReasonCode]) -> None:
        """Store the broker's answer (SUBACK)."""
        topics = self._asked.pop(mid, ())
        for topic, code in zip_longest(topics, codes[: len(topics)]):
            self._refused.pop(topic, None)
            if code is None or code.is_failure:
                reason = "no answer" if code is None else str(code)
                if topic in self._role.watched:
                    log.warning("%s does not let us subscribe to %s (%s)", self._options.broker, topic, reason)
                else:
                    self._refused[topic] = reason
            elif code.value < self._role.qos:
                log.warning("%s keeps no messages of %s for us while we are away", self._options.broker, topic)

    def _send(self, client: paho.Client, topics: tuple[str, ...], retain_handling: int) -> None:
        if self._options.protocol == 5:
            wish = SubscribeOptions(qos=self._role.qos, retainHandling=retain_handling)
            _, mid = client.subscribe([(topic, wish) for topic in topics])
        else:
            _, mid = client.subscribe([(topic, self._role.qos) for topic in topics])
        if mid is not None:
            self._asked[mid] = topics
