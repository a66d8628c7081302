"""One connection to the broker, from CONNECT to its end.

Every connection gets its own paho client, which our own thread runs. So an acknowledgement can never reach a later
connection, where its number means another message. paho resends no outdated retained value after a reconnect. And a
network thread that dies inside paho cannot go unnoticed.
"""

from __future__ import annotations

import logging
import math
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from ishowtts.model import Acknowledge, Delivery
from ishowtts.mqtt import connection_faults, reason_codes
from ishowtts.mqtt.acknowledgements import Acknowledgements
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
from ishowtts.mqtt.publish_packet import NO_PROPERTIES, MessageProperties, PublishPacket, ReceivedMessage
from ishowtts.mqtt.publisher import OnAnswer, PendingPublish, Publisher
from ishowtts.mqtt.reachability import Reachability

log = logging.getLogger(__name__)

_LOOP_S = 1.0
_DISCONNECT_S = 0.5
_CREDENTIALS = "mqtt.username and the password in mqtt.password_file"


@dataclass(frozen=True)
class SessionHandlers:
    """The callbacks of a connection. All are called on its thread and must not block.

    Args:
        on_open: We are connected. Takes whether the broker still knew our session, and the function that subscribes.
        on_ready: The broker has answered all subscriptions.
        on_message: A message, and the function that acknowledges it.
        on_reachable: `None`: messages are proven to reach us. Otherwise the sentence that says why they may not.
        on_completed: The broker has saved our acknowledgements of these deliveries. It will not repeat them.
        on_retained_answer: The broker has answered the publish of a retained value. Takes its topic, and why the broker
            refuses it (`None`: it does not). Returns whether the callee reports a refusal.
    """

    on_open: Callable[[bool, Callable[[], None]], None]
    on_ready: Callable[[], None]
    on_message: Callable[[ReceivedMessage, Acknowledge], None]
    on_reachable: Callable[[str | None], None]
    on_completed: Callable[[Sequence[Delivery]], object]
    on_retained_answer: Callable[[str, str | None], bool] = lambda _topic, _refusal: False


class Session:
    """One connection. One thread makes, runs and closes it; any thread may call the other methods.

    Args:
        ascending_ids: Whether the broker was seen to give packet ids in ascending order.

    Attributes:
        stepped_s: When its thread began its present step, which is to connect, or a second of the loop at most.
    """

    def __init__(
        self, options: MqttOptions, role: ConnectionRole, handlers: SessionHandlers, *, ascending_ids: bool = False
    ) -> None:
        self._options = options
        self._role = role
        self._handlers = handlers
        self._lock = threading.Lock()
        self._client: TolerantClient | None = None
        self._acknowledgements = Acknowledgements(self._send_ack, options.broker_saves_s)
        self._publisher = Publisher(options, self._acknowledgements, self._lock)
        self._reachability = Reachability(options, role, handlers.on_reachable)
        self._optional: dict[int, Callable[[str | None], None]] = {}  # by mid of a SUBSCRIBE: who wants the answer
        self._ascending_ids = ascending_ids
        self._resumed = False
        self._reason: str | None = None  # why the connection ends, if the broker said so
        self._connack_received = False
        self._tls_refusal: ssl.SSLError | None = None
        self._progress_s = math.inf  # when the broker last did what we wait for
        self._open = False
        self._ending = False
        self.ready = False
        self.stepped_s = time.monotonic()

    def run(self) -> str:
        """Connect and serve until the connection ends. Returns the sentence that says why."""
        try:
            client = make_client(self._options, self._role, self._tls_refused)
        except ValueError as error:
            return connection_faults.unusable_tls_files(error)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_packet = self._message_arrived
        client.on_publish = self._publish_answered
        client.on_disconnect = self._disconnected
        with self._lock:
            self._client = client
        try:
            connect(client, self._options, self._role)
        except (OSError, ValueError) as error:
            return connection_faults.unreachable(self._options, error)
        if self._ending:
            client.disconnect()
        disable_nagle(client)
        return self._serve(client)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        properties: MessageProperties = NO_PROPERTIES,
        retry: bool = True,
        on_answer: OnAnswer | None = None,
    ) -> PendingPublish | None:
        """Hand a message to the network. Returns `None` if there is no connection. See `Publisher.publish`."""
        with self._lock:
            if self._client is None or not self.ready:
                return None
            return self._publisher.publish(
                self._client,
                topic,
                payload,
                qos=qos,
                retain=retain,
                properties=properties,
                retry=retry,
                on_answer=on_answer,
            )

    def subscribe_optional(self, topic: str, on_answer: Callable[[str | None], None]) -> bool:
        """Subscribe at QoS 0 to a topic that we can do without. Returns whether an answer will come.

        Args:
            on_answer: Takes why the broker refuses it; `None`: it does not.
        """
        with self._lock:
            if self._client is None or not self.ready:
                return False
            _, mid = self._client.subscribe(topic)
            if mid is not None:
                self._optional[mid] = on_answer
            return mid is not None

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Unsubscribe from topics that an earlier run of ours has subscribed to."""
        with self._lock:
            if self._client is not None:
                self._client.unsubscribe(list(topics))

    @property
    def broker_max_packet_bytes(self) -> int | None:
        """The largest packet that the broker takes, if it says so."""
        client = self._client
        return None if client is None else client.broker_max_packet_bytes

    @property
    def ended_without_message(self) -> bool:
        """Whether the connection was accepted and ended before any message came, and we did not end it."""
        return self._open and not self._ending and not self._reachability.proven

    @property
    def ascending_ids(self) -> bool:
        """Whether the broker was seen to give packet ids in ascending order, on this connection or before."""
        return self._ascending_ids or self._acknowledgements.ascending_ids

    def end(self) -> None:
        """Close the connection cleanly: the broker does not publish the will."""
        self._ending = True
        with self._lock:
            if self._client is not None:
                self._client.disconnect()

    def close(self) -> None:
        """Close the socket. An acknowledgement that comes later has no effect. Idempotent."""
        self._acknowledgements.close()
        with self._lock:
            client, self._client = self._client, None
            self.ready, self._publisher.closed = False, True
        if client is not None:
            client.close()

    def _serve(self, client: TolerantClient) -> str:
        """Run the network loop until the connection ends, or the broker does not do what it must."""
        self._progress_s = time.monotonic()
        while (code := client.loop(_LOOP_S)) == paho.MQTT_ERR_SUCCESS:
            self.stepped_s = time.monotonic()
            disable_delayed_ack(client)
            self._take_answers()
            with self._lock:
                self._publisher.retry_retained(client)
            if (reason := self._overdue()) is not None:
                # The broker does not publish `offline` for us: we reconnect within the delay of the will.
                if self._role.will_topic is not None:
                    client.publish(self._role.will_topic, b"offline", 1, retain=True)
                disconnect(client, _DISCONNECT_S)
                return reason
        if self._ending:
            return f"the connection to {self._options.broker} is closed"
        return connection_faults.lost(
            self._options,
            code,
            reason=self._reason,
            fault=client.fault,
            answered=self._connack_received,
            tls_refusal=self._tls_refusal,
        )

    def _overdue(self) -> str | None:
        """What the broker has not done in time. Sends the probe if it is due."""
        timeout_s = self._options.connect_timeout_s
        waited = time.monotonic() - self._progress_s > timeout_s
        if not self._connack_received:
            return f"{self._options.broker} has not answered our CONNECT for {timeout_s:g} s" if waited else None
        if topics := self._reachability.subscriptions.asked:
            if not waited:
                return None
            reason = f"{self._options.broker} has not answered our subscription to {topics} for {timeout_s:g} s"
            self._reachability.report(reason)
            return reason
        if self.ready and (probe_fault := self._check_probe()):
            return probe_fault
        timeout_s = self._options.confirm_timeout_s
        if self._publisher.overdue(timeout_s):
            return f"{self._options.broker} has not confirmed what we publish for {timeout_s:g} s"
        return None

    def _check_probe(self) -> str | None:
        """Send the probe if it is due. Returns why it did not come back, if a new connection may help."""
        # Either we hold back the next message, or the broker confirms nothing: the probe cannot leave then.
        client = self._client
        if self._acknowledgements.owed or (
            client is not None and self._publisher.unconfirmed >= client.max_inflight_messages
        ):
            self._reachability.probe.hold()
            return None
        if self._reachability.probe.due():
            if self._reachability.subscriptions.refused:
                self._subscribe()
            self._send_probe(self._role.probe_topic)
        return self._reachability.report_lost_probe()

    def _send_probe(self, topic: str) -> None:
        with self._lock:
            if self._client is not None:
                self._reachability.probe.sent(self._publisher.publish(self._client, topic, b"probe", qos=1).mid)

    def _tls_refused(self, error: ssl.SSLError) -> None:
        self._tls_refusal = error

    def _connected(self, _client: paho.Client, _data: Any, flags: Any, code: ReasonCode, limits: Any) -> None:
        self._connack_received = True
        if code.is_failure:
            why = reason_codes.refusal(code, limits, who="us", credentials=_CREDENTIALS)
            self._reason = f"{self._options.broker} {why}"
            return
        if (client := self._client) is not None:
            client.apply_limits(limits)
            if missing := reason_codes.missing_features(limits):
                # It would end each connection at our first publish.
                self._reason = f"{self._options.broker} {missing}"
                client.disconnect()
                return
        self._open, self._resumed = True, bool(flags.session_present)
        self._handlers.on_open(self._resumed, self._subscribe)

    def _subscribe(self) -> None:
        with self._lock:
            if self._client is not None:
                self._reachability.subscriptions.ask(self._client)
            self._progress_s = time.monotonic()

    def _subscribed(self, _c: paho.Client, _data: Any, mid: int, codes: list[ReasonCode], _p: Any) -> None:
        with self._lock:
            on_answer = self._optional.pop(mid, None)
        if on_answer is not None:
            on_answer(next((str(code) for code in codes if code.is_failure), None))
            return
        with self._lock:
            if not self._reachability.subscriptions.answered(mid, codes) or self._reachability.subscriptions.asked:
                return
            first, self.ready = not self.ready, self._client is not None
        self._reachability.report_refused_subscriptions()
        if first:
            self._handlers.on_ready()

    def _message_arrived(self, packet: PublishPacket) -> None:
        self._progress_s = time.monotonic()
        delivery = packet.delivery()
        if delivery is not None and self._resumed and not self.ready and self._ascending_ids:
            # A broker that was killed repeats what waited there under its packet id, without DUP. If its ids ascend,
            # another message has another id. If it gives the lowest free id, this may be another message.
            delivery = replace(delivery, again=True)
        acknowledge = _nothing_to_acknowledge if delivery is None else self._acknowledgements.expect(delivery)
        if self.ready:  # before that the probe is still to come
            self._reachability.message_arrived()
        if packet.topic is None:
            log.warning("a message is dropped: its topic is not UTF-8")
            acknowledge()
        elif packet.topic == self._role.probe_topic:
            acknowledge()
        else:
            self._handlers.on_message(packet.message(packet.topic, delivery), acknowledge)

    def _send_ack(self, packet_id: int) -> None:
        if (client := self._client) is not None:
            client.ack(packet_id, 1)

    def _publish_answered(self, _client: paho.Client, _data: Any, mid: int, code: ReasonCode, _props: Any) -> None:
        self._publisher.answered(mid, code)

    def _take_answers(self) -> None:
        """Process what the broker answered to our publishes, which also proves that it processed acknowledgements."""
        for answer in self._publisher.take_answers():
            topic, refusal = answer.retained_topic, answer.refusal
            reported = self._reachability.probe.answered(answer.mid, refusal) or (
                topic is not None and self._handlers.on_retained_answer(topic, refusal)
            )
            if refusal is not None and not reported:
                self._publisher.warn(refusal, topic)
        if completed := self._acknowledgements.take_completed():
            self._handlers.on_completed(completed)

    def _disconnected(self, _c: paho.Client, _data: Any, flags: Any, code: ReasonCode, limits: Any) -> None:
        why = reason_codes.ended(code, limits, by_broker=flags.is_disconnect_packet_from_server)
        if why is not None and self._reason is None:
            self._reason = f"{self._options.broker} {why}"


def _nothing_to_acknowledge() -> None:
    return None
