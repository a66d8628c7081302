"""A short-lived MQTT client for commands and scripts: publish, and read what comes back."""

from __future__ import annotations

import json
import queue
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from ishowtts.errors import BrokerError, SubscriptionRefused
from ishowtts.mqtt import connection_faults, reason_codes, tls
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import TolerantClient
from ishowtts.mqtt.publish_packet import NO_PROPERTIES, MessageProperties, PublishPacket
from ishowtts.mqtt.publisher import NO_SUBSCRIBERS, packet_bytes, paho_properties

_CONNECT_S = 10.0
_WAIT_SLICE_S = 0.2
_CREDENTIALS = "mqtt.username and mqtt.password_file"


@dataclass(frozen=True)
class Message:
    """A message that arrived on a topic. Over MQTT 3.1.1 it has no properties.

    Attributes:
        retained: The broker had kept it, and sent it because of a subscription.
    """

    topic: str
    payload: bytes
    properties: MessageProperties = NO_PROPERTIES
    retained: bool = False

    def data(self) -> Any:
        """The JSON value of the payload; `None` if it is not JSON."""
        try:
            return json.loads(self.payload)
        except (ValueError, RecursionError):
            return None


class ShortLivedClient:
    """A connection for the length of a `with` block: `with ShortLivedClient(options) as client:`.

    Raises:
        BrokerError: the broker does not answer, or refuses us.
    """

    def __init__(self, options: MqttOptions) -> None:
        self._options = options
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._refused_topics: frozenset[str] = frozenset()
        protocol = paho.MQTTv5 if options.protocol == 5 else paho.MQTTv311
        self._paho = TolerantClient(
            options.max_packet_bytes,
            client_id=f"ishowtts-cli-{secrets.token_hex(12)}",  # some brokers refuse clients without an id
            protocol=protocol,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if options.username is not None:
            self._paho.username_pw_set(
                options.username, options.password.get_secret_value() if options.password else None
            )
        self._paho.on_packet = self._message_arrived
        self._paho.on_connect = self._connected
        self._paho.on_subscribe = self._subscribed
        self._asking = threading.Lock()
        self._asked: dict[int, tuple[str, ...]] = {}  # by mid of a SUBSCRIBE: its topics
        self._refused: dict[int, str] = {}
        self._unheard: set[int] = set()
        self._paho.on_publish = self._publish_answered
        self._lost: str | None = None  # why the connection has ended
        self._paho.on_disconnect = self._disconnected

    def __enter__(self) -> ShortLivedClient:
        where = f"{self._options.host}:{self._options.port}"
        try:
            if self._options.tls:
                self._paho.tls_set_context(tls.make_context(self._options, lambda _: None))
            self._paho.connect(self._options.host, self._options.port, self._options.keepalive_s)
        except (OSError, ValueError) as error:
            if self._options.tls and isinstance(error, (ssl.SSLError, ConnectionResetError)):
                raise BrokerError(tls.untrusted_broker(error, self._options.broker)) from error
            if not isinstance(error, OSError):
                raise BrokerError(connection_faults.unusable_tls_files(error)) from error
            raise BrokerError(_unreachable(where, error)) from error
        self._paho.loop_start()
        if refusal := self._answer():
            self._close()
            raise BrokerError(f"the broker at {where} {refusal}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._paho.disconnect()
        self._close()

    def subscribe(self, *topics: str) -> None:
        """Subscribe to topics at QoS 1. Returns when the broker has granted it.

        Raises:
            SubscriptionRefused: the broker refuses some of them.
            BrokerError: the broker does not answer.
        """
        self._refused_topics = frozenset()
        with self._asking:
            _, mid = self._paho.subscribe([(topic, 1) for topic in topics])
            if mid is not None:
                self._asked[mid] = topics
        if refusal := self._answer():
            problem = f"{self._options.broker} {refusal}"
            raise SubscriptionRefused(problem, self._refused_topics) if self._refused_topics else BrokerError(problem)

    def publish(
        self,
        topic: str,
        payload: str | dict[str, Any],
        *,
        retain: bool = False,
        properties: MessageProperties = NO_PROPERTIES,
    ) -> bool:
        """Publish at QoS 1. Returns when the broker has the message: `False` if it says that nobody subscribes to it.

        Args:
            properties: Those of MQTT 5. Over MQTT 3.1.1 they are left out.
        """
        body = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        sent = paho_properties(properties) if self._options.protocol == 5 else None
        max_bytes = self._paho.broker_max_packet_bytes
        if max_bytes is not None and packet_bytes(topic, body.encode(), properties) > max_bytes:
            raise BrokerError(f"{self._options.broker} takes at most {max_bytes} bytes; send less on {topic}")
        if self._lost is not None:
            raise BrokerError(f"{self._lost}; try again")
        info = self._paho.publish(topic, body, qos=1, retain=retain, properties=sent)
        deadline_s = time.monotonic() + _CONNECT_S
        try:
            while not (info.is_published() or self.lost or time.monotonic() > deadline_s):
                info.wait_for_publish(_WAIT_SLICE_S)
        except (RuntimeError, ValueError) as error:  # paho noticed the loss, perhaps after it had sent the message
            raise BrokerError(self._unconfirmed(topic)) from error
        if reason := self._refused.pop(info.mid, None):
            raise BrokerError(
                f"the broker refuses a message on {topic}: {reason}; its ACL must allow {self._user} to publish there"
            )
        if not info.is_published():
            if self._lost is not None:
                raise BrokerError(self._unconfirmed(topic))
            raise BrokerError(
                f"the broker did not take the message on {topic}; does its ACL allow us to publish there?"
            )
        return info.mid not in self._unheard

    def messages(self, timeout_s: float | None) -> Iterator[Message]:
        """Yield what arrives within `timeout_s` from now (`None`: forever).

        Raises:
            BrokerError: The connection has ended, and all that had arrived was yielded.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = _WAIT_SLICE_S if deadline is None else deadline - time.monotonic()
            if left_s <= 0:
                return
            try:
                yield self._messages.get(timeout=min(left_s, _WAIT_SLICE_S))
            except queue.Empty:
                if self._lost is not None:
                    raise BrokerError(self._lost) from None

    @property
    def lost(self) -> bool:
        """Whether the connection has ended, with its subscriptions."""
        return self._lost is not None

    @property
    def username(self) -> str | None:
        """Our user at the broker; `None`: anonymous."""
        return self._options.username

    @property
    def _user(self) -> str:
        return "anonymous users" if self._options.username is None else f"the user {self._options.username}"

    def _unconfirmed(self, topic: str) -> str:
        """Why it makes no sense to wait for the confirmation of a message."""
        why = self._lost or f"{self._options.broker} closed the connection; look at its log"
        return f"it is not known whether the broker has the message on {topic}: {why}"

    def _answer(self) -> str | None:
        try:
            return self._answers.get(timeout=_CONNECT_S)
        except queue.Empty:
            return f"has not answered for {_CONNECT_S:.0f} s; look at its log and version"

    def _connected(self, _client: Any, _userdata: Any, _flags: Any, code: ReasonCode, limits: Any) -> None:
        if code.is_failure:
            self._answers.put(reason_codes.refusal(code, limits, who="us", credentials=_CREDENTIALS))
            return
        self._paho.apply_limits(limits)
        self._answers.put(None)

    def _subscribed(self, _client: Any, _userdata: Any, mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        with self._asking:
            topics = self._asked.pop(mid, None)
        if topics is None:
            return
        refused = [
            (topic, code)
            for topic, code in zip_longest(topics, codes[: len(topics)])
            if code is None or code.is_failure
        ]
        if not refused:
            self._answers.put(None)
            return
        self._refused_topics = frozenset(topic for topic, _ in refused)
        topic, code = refused[0]
        reason = "no answer" if code is None else code
        self._answers.put(
            f"does not let {self._user} subscribe to {topic} ({reason}); {reason_codes.subscription_fix(code)}"
        )

    def _message_arrived(self, packet: PublishPacket) -> None:
        if packet.packet_id is not None:
            self._paho.ack(packet.packet_id, packet.qos)
        if packet.topic is not None and packet.fault is None:
            self._messages.put(Message(packet.topic, packet.payload, packet.properties, packet.retained))

    def _publish_answered(self, _client: Any, _userdata: Any, mid: int, code: Any, _properties: Any) -> None:
        if code.is_failure:  # only over MQTT 5: a broker does not say so over 3.1.1
            self._refused[mid] = str(code)
        elif code.value == NO_SUBSCRIBERS:
            self._unheard.add(mid)

    def _disconnected(self, _client: Any, _userdata: Any, flags: Any, code: ReasonCode, properties: Any) -> None:
        if self._paho.fault is not None:
            why = f"sent a malformed packet ({self._paho.fault}); look at its log and version"
        else:
            ended = reason_codes.ended(code, properties, by_broker=flags.is_disconnect_packet_from_server)
            why = ended or "closed the connection; look at its log"
        if self._lost is None:
            self._lost = f"{self._options.broker} {why}"
            self._answers.put(why)

    def _close(self) -> None:
        self._paho.loop_stop()
        self._paho.close()


def _unreachable(where: str, error: OSError) -> str:
    """The sentence about a broker that cannot be reached, without the number of the error."""
    if isinstance(error, socket.gaierror):
        return f"no broker answers at {where} (the name cannot be resolved); fix mqtt.host, or the DNS of this machine"
    return (
        f"no broker answers at {where} ({error.strerror or error}); start it there (`sudo systemctl start mosquitto`), "
        "or fix mqtt.host and mqtt.port"
    )
