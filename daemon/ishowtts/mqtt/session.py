"""One connection to the broker, from CONNECT to its end.

Every connection gets a paho client of its own, run by our own thread. So an acknowledgement can never reach a
later connection (where its number means another message), paho resends no stale retained value after a
reconnect, and a network thread that dies inside paho cannot go unnoticed.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ishowtts.mqtt import tls
from ishowtts.mqtt.options import MqttOptions
from ishowtts.mqtt.paho_client import Role, connect, make_client
from ishowtts.mqtt.payload import MessageProperties
from ishowtts.speech import Delivery

logger = logging.getLogger(__name__)

_RETAINED, _NEVER_RETAINED = 0, 2  # MQTT 5 retain handling: whether what is retained is sent at subscribe
_WAIT_SLICE_S = 0.2


@dataclass(frozen=True)
class Incoming:
    """A message as it arrived."""

    topic: str
    payload: bytes
    retained: bool
    properties: MessageProperties
    delivery: Delivery | None


Ack = Callable[[], None]


class Publishing:
    """A publish under way."""

    def __init__(self, session: Session, info: paho.MQTTMessageInfo) -> None:
        self._session = session
        self._info = info

    def wait(self, deadline_s: float) -> bool:
        """Whether the broker has it by `deadline_s` (monotonic); false soon after the connection ends."""
        while not self.done():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or self._session.closed:
                return self.done()
            try:
                self._info.wait_for_publish(min(left_s, _WAIT_SLICE_S))
            except (RuntimeError, ValueError):  # paho could not even queue it
                return False
        return True

    def done(self) -> bool:
        """Whether the broker has it."""
        try:
            return self._info.is_published()
        except (RuntimeError, ValueError):
            return False


class Session:
    """One connection. Made, run and closed by one thread; the other methods may be called on any.

    Args:
        on_open: we are connected: whether the broker knows our session still, and what makes the subscriptions.
        on_ready: the subscriptions stand.
        on_message: a message, and its acknowledgement. Must not block.
    """

    def __init__(
        self,
        options: MqttOptions,
        role: Role,
        on_open: Callable[[bool, Callable[[], None]], None],
        on_ready: Callable[[], None],
        on_message: Callable[[Incoming, Ack], None],
    ) -> None:
        self._options = options
        self._role = role
        self._on_open = on_open
        self._on_ready = on_ready
        self._on_message = on_message
        self._lock = threading.Lock()
        self._unacknowledged: deque[list[Any]] = deque()
        self._client: paho.Client | None = None
        self._why: str | None = None
        self._answered = False
        self._refusal: ssl.SSLError | None = None
        self._asked: dict[int, tuple[str, ...]] = {}
        self._ending = False
        self.ready = False
        self.closed = False

    def run(self) -> str:
        """Connect and serve until the connection ends; returns the sentence that says why."""
        try:
            client = make_client(self._options, self._role, self._refused)
        except ValueError as error:
            return f"the files of mqtt.tls cannot be used ({error}); mend their paths or permissions"
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._arrived
        client.on_publish = self._published
        client.on_disconnect = self._disconnected
        with self._lock:
            self._client = client
        try:
            connect(client, self._options, self._role)
        except (OSError, ValueError) as error:
            if self._options.tls and isinstance(error, (ssl.SSLError, ConnectionResetError)):
                return tls.distrust(error, self._options.broker)
            why = (error.strerror if isinstance(error, OSError) else None) or error
            return f"{self._options.broker} cannot be reached ({why}); it is tried again until it answers"
        if self._ending:
            client.disconnect()
        _send_at_once(client)
        while (code := client.loop(1.0)) == paho.MQTT_ERR_SUCCESS:
            _confirm_at_once(client)
        if self._ending:
            return f"the connection to {self._options.broker} is closed"
        if self._options.tls and not self._answered:
            return tls.refusal(self._refusal, self._options.broker)
        return self._why or f"the connection to {self._options.broker} is lost ({paho.error_string(code)})"

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        correlation: bytes | None = None,
    ) -> Publishing | None:
        """Hand a message to the network; `None` where there is no connection."""
        properties = None
        if correlation is not None and self._options.protocol == 5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = correlation
        with self._lock:
            if self._client is None or not self.ready:
                return None
            return Publishing(self, self._client.publish(topic, payload, qos, retain, properties))

    def end(self) -> None:
        """Close the connection cleanly: no will."""
        self._ending = True
        with self._lock:
            if self._client is not None:
                self._client.disconnect()

    def close(self) -> None:
        """Let go of the socket; what was acknowledged too late has no effect any more. Idempotent."""
        with self._lock:
            client, self._client = self._client, None
            self.ready, self.closed = False, True
            self._unacknowledged.clear()
        if client is None:
            return
        if (sock := client.socket()) is not None:
            sock.close()
        # Without its callbacks the client is in no cycle, and closes its socket pair now.
        client.on_connect = client.on_subscribe = client.on_message = None
        client.on_publish = client.on_disconnect = None

    def _refused(self, error: ssl.SSLError) -> None:
        self._refusal = error

    def _connected(self, _client: paho.Client, _data: Any, flags: Any, code: ReasonCode, _props: Any) -> None:
        self._answered = True
        if code.is_failure:
            self._why = (
                f"{self._options.broker} refuses us ({code}); "
                "check mqtt.username and the password in mqtt.password_file"
            )
            return
        self._on_open(bool(flags.session_present), self._subscribe)

    def _subscribe(self) -> None:
        with self._lock:
            # In two packets: when the second is granted, what is retained on the watched topics has come.
            if self._role.watched:
                self._ask_for(self._role.watched, _RETAINED)
            self._ask_for(self._role.topics, _NEVER_RETAINED)

    def _ask_for(self, topics: tuple[str, ...], retain_handling: int) -> None:
        if self._client is None:
            return
        if self._options.protocol == 5:
            wish = SubscribeOptions(qos=self._role.qos, retainHandling=retain_handling)
            _, mid = self._client.subscribe([(topic, wish) for topic in topics])
        else:
            _, mid = self._client.subscribe([(topic, self._role.qos) for topic in topics])
        if mid is not None:
            self._asked[mid] = topics

    def _subscribed(self, _c: paho.Client, _data: Any, mid: int, codes: list[ReasonCode], _p: Any) -> None:
        with self._lock:
            topics = self._asked.pop(mid, ())
        for topic, code in zip(topics, codes, strict=False):
            if code.is_failure:
                logger.warning(
                    "%s does not let us subscribe to %s (%s); mend its ACL", self._options.broker, topic, code
                )
        if self._asked:
            return
        with self._lock:
            self.ready = not self.closed
        self._on_ready()

    def _arrived(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        ack = self._acknowledgement(message.mid) if message.qos == 1 else _nothing_to_acknowledge
        try:
            topic = message.topic
        except UnicodeDecodeError:
            logger.warning("a message is dropped: its topic is not UTF-8")
            ack()
            return
        carried = message.properties
        properties = MessageProperties(
            content_type=getattr(carried, "ContentType", None),
            response_topic=getattr(carried, "ResponseTopic", None),
            correlation=getattr(carried, "CorrelationData", None),
            expiry_s=getattr(carried, "MessageExpiryInterval", None),
        )
        delivery = _delivery(message) if message.qos == 1 else None
        self._on_message(Incoming(topic, message.payload, message.retain, properties, delivery), ack)

    def _acknowledgement(self, mid: int) -> Ack:
        entry = [mid, False]

        def ack() -> None:
            with self._lock:
                entry[1] = True
                while self._client is not None and self._unacknowledged and self._unacknowledged[0][1]:
                    self._client.ack(self._unacknowledged.popleft()[0], 1)

        with self._lock:
            self._unacknowledged.append(entry)
        return ack

    def _published(self, _client: paho.Client, _data: Any, _mid: int, code: ReasonCode, _props: Any) -> None:
        if code.is_failure:
            logger.warning(
                "%s does not take what we publish (%s); mend its ACL or its limits", self._options.broker, code
            )

    def _disconnected(self, _c: paho.Client, _data: Any, flags: Any, code: ReasonCode, _props: Any) -> None:
        if flags.is_disconnect_packet_from_server and self._why is None:
            self._why = (
                f"{self._options.broker} ended the connection ({code}); "
                "if this repeats, another client may be using the same device.name"
            )


def _delivery(message: paho.MQTTMessage) -> Delivery:
    digest = hashlib.blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=16).digest()
    return Delivery(message.mid, digest, message.dup)


def _send_at_once(client: paho.Client) -> None:
    """Small packets do not wait for the one before to be confirmed."""
    sock = client.socket()
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _confirm_at_once(client: paho.Client) -> None:
    """Confirm what was read. A broker without `set_tcp_nodelay` holds the next message back until then, which Linux
    would delay by 40 ms; it forgets this wish with each packet.
    """
    sock = client.socket()
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _nothing_to_acknowledge() -> None:
    return None
