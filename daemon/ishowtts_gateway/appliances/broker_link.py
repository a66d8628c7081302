"""Keeps one connection to the broker: subscribes, publishes, and connects again after growing, random pauses."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from ishowtts.mqtt import connection_faults, reason_codes
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import (
    ConnectionRole,
    TolerantClient,
    connect,
    disable_delayed_ack,
    disable_nagle,
    disconnect,
    make_client,
)
from ishowtts.mqtt.publish_packet import MessageProperties, PublishPacket
from ishowtts.mqtt.publisher import NO_SUBSCRIBERS, packet_bytes, paho_properties
from ishowtts.util.rate_limit import RateLimit
from ishowtts_gateway.appliances.message_backlog import LinkMessage, MessageBacklog
from ishowtts_gateway.gateway_error import NOT_AUTHORIZED, GatewayError, PublishRefused

log = logging.getLogger(__name__)

_CREDENTIALS = "gateway.mqtt.username and gateway.mqtt.password_file, or those of mqtt"
_LOOP_S = 1.0
_DISCONNECT_S = 0.5
_STABLE_S = 10.0  # after a connection that lasted this long, the next pause is short again
_CONFIRM_S = 10.0
_RESUBSCRIBE_S = 30.0
_MAX_FAILURES_LOGGED = 3  # in 10 s
_MAX_UNCONFIRMED = 300  # more than the requests that may wait for an answer
_KEEPALIVE_S = 20  # a broker that hangs is noticed within twice this time
_MAX_PACKET_BYTES = 393_216  # an answer with lines of the history has 200 kB


class BrokerLink:
    """Owns the thread `mqtt`, which runs the connection. Everything else belongs to the asyncio loop.

    If messages come faster than the loop takes them, the thread stops reading until the loop has caught up.

    Args:
        options: The broker and our user there.
        topics: Topic filters to subscribe to.
        on_message: Called in the loop for each message.
        on_connection: Called in the loop when `connected` or `detail` changes.
    """

    def __init__(
        self,
        options: MqttOptions,
        topics: Sequence[str],
        on_message: Callable[[LinkMessage], None],
        on_connection: Callable[[bool, str | None], None],
    ) -> None:
        keepalive_s = min(options.keepalive_s, _KEEPALIVE_S)
        self._options = replace(options, max_packet_bytes=_MAX_PACKET_BYTES, keepalive_s=keepalive_s)
        self._topics = tuple(topics)
        self._on_message = on_message
        self._on_connection = on_connection
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._client: TolerantClient | None = None
        self._backlog = MessageBacklog()
        self._failures = RateLimit(_MAX_FAILURES_LOGGED)
        self._unconfirmed: dict[tuple[TolerantClient, int], asyncio.Future[ReasonCode | GatewayError]] = {}
        self._reason: str | None = None  # why the connection ends, if the broker said so
        self._asked: dict[int, list[str]] = {}  # by mid of a SUBSCRIBE: its topics
        self._refused: list[str] = []
        self._asked_at_s = 0.0
        self._connack_received = False
        self._tls_refusal: ssl.SSLError | None = None
        self.connected = False
        self.detail: str | None = f"connecting to {options.broker}"

    @property
    def mqtt5(self) -> bool:
        """Whether the connection has response topics and reason codes."""
        return self._options.protocol == 5

    @property
    def broker_max_packet_bytes(self) -> int | None:
        """The largest packet that the broker takes, if it says so."""
        client = self._client
        return None if client is None else client.broker_max_packet_bytes

    def start(self) -> None:
        """Start the thread. Call this in the loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    async def stop(self, timeout_s: float) -> None:
        """Disconnect and end the thread."""
        self._stopping.set()
        self._backlog.close()
        if (client := self._client) is not None:
            client.disconnect()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, timeout_s)
        self._told(False, "the gateway ends")

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        response_topic: str | None = None,
        correlation: bytes | None = None,
        expiry_s: int | None = None,
    ) -> bool:
        """Publish at QoS 1. Returns when the broker has confirmed it.

        Returns: False if the broker says that nobody subscribes to the topic. Not every broker says so.

        Raises:
            PublishRefused: the broker does not take the message.
            GatewayError: there is no connection, or it ended before the broker confirmed the message.
        """
        client = self._client
        if client is None or not self.connected:
            raise GatewayError(503, self.detail or f"{self._options.broker} is not connected")
        if len(self._unconfirmed) >= _MAX_UNCONFIRMED:
            raise GatewayError(503, f"{self._options.broker} has not confirmed {_MAX_UNCONFIRMED} messages; try later")
        wanted = MessageProperties(response_topic=response_topic, correlation=correlation, expiry_s=expiry_s)
        max_bytes = client.broker_max_packet_bytes
        if max_bytes is not None and packet_bytes(topic, payload, wanted) > max_bytes:
            raise GatewayError(413, f"{self._options.broker} takes at most {max_bytes} bytes; send less")
        info = client.publish(topic, payload, 1, False, paho_properties(wanted) if self.mqtt5 else None)
        answer: asyncio.Future[ReasonCode | GatewayError] = asyncio.get_running_loop().create_future()
        self._unconfirmed[client, info.mid] = answer
        try:
            # Not `wait_for`: before Python 3.12 it ignores a cancellation that comes together with the answer.
            await asyncio.wait({answer}, timeout=_CONFIRM_S)
        finally:
            self._unconfirmed.pop((client, info.mid), None)
        if not answer.done():
            raise GatewayError(
                504, f"{self._options.broker} has not confirmed the message for {_CONFIRM_S:g} s; look at its log"
            )
        code = answer.result()
        if isinstance(code, GatewayError):
            raise code
        if code.is_failure:
            raise PublishRefused(code.value, self._refusal(topic, code))
        return bool(code.value != NO_SUBSCRIBERS)

    def _refusal(self, topic: str, code: ReasonCode) -> str:
        if code.value == NOT_AUTHORIZED:
            return f"the broker does not let {self._user} publish to {topic}; its ACL must allow that"
        return f"{self._options.broker} does not take the message on {topic} ({code})"

    @property
    def _user(self) -> str:
        return "anonymous users" if self._options.username is None else f"the user {self._options.username}"

    # The methods below run on the thread.

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                try:
                    reason = self._serve()
                finally:
                    self._close()
            except Exception as error:
                # The boundary to paho: any error costs one connection, not the link.
                log.exception("the connection to the broker failed")
                reason = f"the connection to {self._options.broker} failed ({type(error).__name__})"
            if self._stopping.is_set():
                return
            self._tell(False, reason)
            stable = time.monotonic() - began_s > _STABLE_S
            failures = 0 if stable else failures + 1
            longest_s = min(self._options.retry_max_s, self._options.retry_min_s * 2 ** min(failures, 16))
            self._stopping.wait(random.uniform(longest_s / 2, longest_s))  # noqa: S311

    def _serve(self) -> str:
        """Run one connection. Returns the sentence that says why it ended."""
        # Whoever knows a client id can end our session: it is random, and another one for each connection.
        role = ConnectionRole("gateway", f"ishowtts-gateway-{secrets.token_hex(12)}", (), 1, False, "")
        self._reason, self._tls_refusal, self._connack_received = None, None, False
        self._asked, self._refused = {}, []
        try:
            client = make_client(self._options, role, self._tls_refused)
        except ValueError as error:
            return connection_faults.unusable_tls_files(error)
        client.on_connect = self._connack
        client.on_subscribe = self._suback
        client.on_packet = self._packet
        client.on_publish = self._puback
        client.on_disconnect = self._disconnected
        self._client = client
        try:
            connect(client, self._options, role)
        except (OSError, ValueError) as error:
            return connection_faults.unreachable(self._options, error)
        disable_nagle(client)
        return self._run_loop(client)

    def _run_loop(self, client: TolerantClient) -> str:
        """Run the network loop until the connection ends. Returns the sentence that says why."""
        began_s, code = time.monotonic(), paho.MQTT_ERR_SUCCESS
        broker, timeout_s = self._options.broker, self._options.connect_timeout_s
        while not self._stopping.is_set() and (code := client.loop(_LOOP_S)) == paho.MQTT_ERR_SUCCESS:
            disable_delayed_ack(client)
            now_s = time.monotonic()
            if not self._connack_received and now_s - began_s > timeout_s:
                return f"{broker} has not answered our CONNECT for {timeout_s:g} s"
            if self._asked and now_s - self._asked_at_s > timeout_s:
                return f"{broker} has not answered our subscriptions for {timeout_s:g} s"
            if self._refused and not self._asked and now_s - self._asked_at_s > _RESUBSCRIBE_S:
                self._subscribe(client, self._refused)
        if self._stopping.is_set():
            disconnect(client, _DISCONNECT_S)
            return "the gateway ends"
        return connection_faults.lost(
            self._options,
            code,
            reason=self._reason,
            fault=client.fault,
            answered=self._connack_received,
            tls_refusal=self._tls_refusal,
        )

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connack(self, client: Any, _data: Any, _flags: Any, code: ReasonCode, limits: Any) -> None:
        self._connack_received = True
        if code.is_failure:
            why = reason_codes.refusal(code, limits, who=self._user, credentials=_CREDENTIALS)
            self._reason = f"{self._options.broker} {why}"
            return
        client.apply_limits(limits)
        if missing := reason_codes.missing_features(limits):
            self._reason = f"{self._options.broker} {missing}"
            client.disconnect()
            return
        self._subscribe(client, self._topics)

    def _subscribe(self, client: TolerantClient, topics: Sequence[str]) -> None:
        self._asked_at_s = time.monotonic()
        _, mid = client.subscribe([(topic, _qos(topic)) for topic in topics])
        if mid is not None:
            self._asked[mid] = list(topics)

    def _suback(self, _client: Any, _data: Any, mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        topics = self._asked.pop(mid, None)
        if topics is None:
            return
        answers = dict(zip_longest(topics, codes[: len(topics)]))
        self._refused = [topic for topic, code in answers.items() if code is None or code.is_failure]
        detail = None
        if self._refused:
            detail = (
                f"{self._options.broker} does not let {self._user} subscribe to {self._refused[0]}"
                f"{f' and {len(self._refused) - 1} more topics' if len(self._refused) > 1 else ''}; "
                f"{reason_codes.subscription_fix(answers[self._refused[0]])}"
            )
        self._tell(len(self._refused) < len(self._topics), detail)

    def _packet(self, packet: PublishPacket) -> None:
        if packet.packet_id is not None and (client := self._client) is not None:
            client.ack(packet.packet_id, packet.qos)
        if packet.topic is None or packet.fault is not None:
            return
        properties = packet.properties
        message = LinkMessage(packet.topic, packet.payload, packet.retained, properties.correlation, properties.user)
        if self._backlog.put(message):
            self._call(self._drain)

    def _puback(self, client: Any, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        self._call(self._confirmed, client, mid, code)

    def _disconnected(self, _client: Any, _data: Any, flags: Any, code: ReasonCode, limits: Any) -> None:
        why = reason_codes.ended(code, limits, by_broker=flags.is_disconnect_packet_from_server)
        if why is not None and self._reason is None:
            self._reason = f"{self._options.broker} {why}"

    def _tls_refused(self, error: ssl.SSLError) -> None:
        self._tls_refusal = error

    def _tell(self, connected: bool, detail: str | None) -> None:
        self._call(self._told, connected, detail)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        try:
            loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop was closed meanwhile
            log.debug("the loop is closed")

    # The methods below run in the loop.

    def _drain(self) -> None:
        messages, more = self._backlog.take()
        for message in messages:
            try:
                self._on_message(message)
            except Exception:
                # The boundary to what anybody publishes: any error costs one message, not the link.
                if self._failures.allows():
                    log.exception("a message on %s cannot be processed", message.topic)
        if more:
            self._call(self._drain)

    def _confirmed(self, client: TolerantClient, mid: int, code: ReasonCode) -> None:
        answer = self._unconfirmed.get((client, mid))
        if answer is not None and not answer.done():
            answer.set_result(code)

    def _told(self, connected: bool, detail: str | None) -> None:
        if not connected:
            for answer in self._unconfirmed.values():
                if not answer.done():
                    answer.set_result(GatewayError(503, detail or "the connection to the broker is lost"))
        if (connected, detail) == (self.connected, self.detail):
            return
        if detail is not None and not self._stopping.is_set():
            log.warning("%s", detail)
        elif connected:
            log.info("connected to %s", self._options.broker)
        self.connected, self.detail = connected, detail
        self._on_connection(connected, detail)


def _qos(topic: str) -> int:
    """The QoS of a subscription: 1 for events and answers.

    All else is retained, and 200 appliances have 3000 such values. A broker that lags would answer no ping before it
    has read as many acknowledgements.
    """
    return 1 if topic.endswith(("/event", "/#")) else 0
