"""One connection to the broker, from CONNECT to its end.

Every connection gets a paho client of its own, run by our own thread. So an acknowledgement can never reach a
later connection (where its number means another message), paho resends no stale retained value after a
reconnect, and a network thread that dies inside paho cannot go unnoticed.
"""

from __future__ import annotations

import logging
import math
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ishowtts.model import Delivery
from ishowtts.mqtt import tls
from ishowtts.mqtt.acknowledgements import Ack, Acknowledgements
from ishowtts.mqtt.incoming import Incoming, delivery_of, message_of
from ishowtts.mqtt.link_probe import LinkProbe
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import (
    ConnectionRole,
    TolerantClient,
    confirm_at_once,
    connect,
    disconnect,
    make_client,
    send_at_once,
)
from ishowtts.mqtt.pending_publish import TRY_AGAIN, PendingPublish
from ishowtts.mqtt.publish_packet import PublishPacket

logger = logging.getLogger(__name__)

_RETAINED, _NEVER_RETAINED = 0, 2  # MQTT 5 retain handling: whether what is retained is sent at subscribe
_LOOP_S = 1.0
_LEAVE_S = 0.5
_PUBLISH_HEAD_BYTES = 16


@dataclass(frozen=True)
class SessionHandlers:
    """Who hears of what happens on a connection. All are called on its thread and must not block.

    Args:
        on_open: we are connected: whether the broker knew our session still, and what makes the subscriptions.
        on_ready: the broker has answered all subscriptions.
        on_message: a message, and its acknowledgement.
        on_hearing: `None`: messages are proven to reach us; else the sentence that says why they may not.
        on_settled: the broker has saved our acknowledgements of these deliveries: it will not repeat them.
    """

    on_open: Callable[[bool, Callable[[], None]], None]
    on_ready: Callable[[], None]
    on_message: Callable[[Incoming, Ack], None]
    on_hearing: Callable[[str | None], None]
    on_settled: Callable[[Sequence[Delivery]], object]


class Session:
    """One connection. Made, run and closed by one thread; the other methods may be called on any.

    Args:
        counts_up: whether the broker was seen to give packet ids in ascending order (`Acknowledgements.counts_up`).
    """

    def __init__(
        self, options: MqttOptions, role: ConnectionRole, handlers: SessionHandlers, *, counts_up: bool = False
    ) -> None:
        self._options = options
        self._role = role
        self._handlers = handlers
        self._lock = threading.Lock()
        self._client: TolerantClient | None = None
        self._acks = Acknowledgements(self._send_ack, options.broker_saves_s)
        self._counts_up = counts_up
        self._resumed = False
        self._why: str | None = None
        self._answered = False
        self._refusal: ssl.SSLError | None = None
        self._asked: dict[int, tuple[str, ...]] = {}
        self._refused_topics: dict[str, str] = {}  # with the broker's reason
        self._progress_s = math.inf  # when the broker last did what we wait for
        self._unconfirmed: dict[int, int] = {}  # by mid of a publish: acknowledgements sent before it
        self._confirmed_s = math.inf  # when the broker last confirmed a publish, or a first one began to wait for it
        self._answers: deque[tuple[int, ReasonCode]] = deque()
        self._warned: set[str] = set()  # refusals of publishes that the log has told
        self._wanted_again: set[int] = set()  # mids of publishes that the broker does not take now
        self._probe = LinkProbe(options.probe_interval_s, options.probe_timeout_s)
        self._probe_mid: int | None = None
        self._probe_refusal: str | None = None
        self._hearing: tuple[str | None] | None = None  # what `on_hearing` was told last
        self._open = False
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
        client.on_packet = self._arrived
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
        send_at_once(client)
        return self._serve(client)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        correlation: bytes | None = None,
        insists: bool = True,
    ) -> PendingPublish | None:
        """Hand a message to the network; `None` where there is no connection.

        Args:
            insists: see `Publishing`.
        """
        properties = None
        if correlation is not None and self._options.protocol == 5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = correlation
        with self._lock:
            if self._client is None or not self.ready:
                return None
            most_bytes = self._client.broker_max_packet_bytes
            if most_bytes is not None and _packet_bytes(topic, payload, correlation) > most_bytes:
                self._warn(f"more than {most_bytes} bytes, and this has {len(payload)}")
                return PendingPublish(self, None, insists=insists)
            acks_before = self._acks.count  # read first: one that is sent meanwhile does not count
            info = self._client.publish(topic, payload, qos, retain, properties)
            if qos > 0:
                self._await_answer(info.mid, acks_before)
            return PendingPublish(self, info, insists=insists)

    def wants_again(self, mid: int) -> bool:
        """Whether the broker has answered that it does not take this publish now."""
        return mid in self._wanted_again

    @property
    def unheard(self) -> bool:
        """Whether the broker let us in, and the connection ended before any message had come; not if we ended it."""
        return self._open and not self._ending and self._hearing != (None,)

    @property
    def counts_up(self) -> bool:
        """Whether the broker was seen to give packet ids in ascending order, on this connection or before."""
        return self._counts_up or self._acks.counts_up

    def end(self) -> None:
        """Close the connection cleanly: no will."""
        self._ending = True
        with self._lock:
            if self._client is not None:
                self._client.disconnect()

    def close(self) -> None:
        """Let go of the socket; what was acknowledged too late has no effect any more. Idempotent."""
        self._acks.close()
        with self._lock:
            client, self._client = self._client, None
            self.ready, self.closed = False, True
        if client is None:
            return
        if (sock := client.socket()) is not None:
            sock.close()
        # Without its callbacks the client is in no cycle, and closes its socket pair now.
        client.on_connect = client.on_subscribe = client.on_packet = None
        client.on_publish = client.on_disconnect = None

    def _serve(self, client: TolerantClient) -> str:
        """Until the connection ends, or the broker does not do what it must."""
        self._progress_s = time.monotonic()
        while (code := client.loop(_LOOP_S)) == paho.MQTT_ERR_SUCCESS:
            confirm_at_once(client)
            self._take_answers()
            if (why := self._overdue()) is not None:
                # The broker does not say so for us: we come back within the delay of the will.
                if self._role.will_topic is not None:
                    client.publish(self._role.will_topic, b"offline", 1, retain=True)
                disconnect(client, _LEAVE_S)
                return why
        if self._ending:
            return f"the connection to {self._options.broker} is closed"
        if self._options.tls and not self._answered:
            return tls.refusal(self._refusal, self._options.broker)
        if client.fault is not None:
            return f"{self._options.broker} sent what is no MQTT packet ({client.fault}); look at its log and version"
        return self._why or f"the connection to {self._options.broker} is lost ({paho.error_string(code)})"

    def _overdue(self) -> str | None:
        """What the broker has not done in time. Sends the probe where one is due."""
        now_s, limit_s = time.monotonic(), self._options.connect_timeout_s
        waited = now_s - self._progress_s > limit_s
        if not self._answered:
            return f"{self._options.broker} has not answered our CONNECT for {limit_s:g} s" if waited else None
        if self._asked:
            if not waited:
                return None
            topics = ", ".join(topic for asked in self._asked.values() for topic in asked)
            why = f"{self._options.broker} has not answered our subscription to {topics} for {limit_s:g} s"
            self._tell_hearing(why)
            return why
        if self.ready and (deaf := self._probed()):
            return deaf
        limit_s = self._options.confirm_timeout_s
        if self._unconfirmed and now_s - self._confirmed_s > limit_s:
            return f"{self._options.broker} has not confirmed what we publish for {limit_s:g} s"
        return None

    def _probed(self) -> str | None:
        """Why the probe has not come back, where a new connection may help; sends it when it is due."""
        topic = self._role.probe_topic
        # It is we who hold back what comes next, or the broker that confirms nothing: then the probe cannot leave.
        client = self._client
        if self._acks.owed or (client is not None and len(self._unconfirmed) >= client.max_inflight_messages):
            self._probe.hold()
            return None
        if self._probe.due():
            if self._refused_topics:
                self._subscribe()
            self._send_probe(topic)
        if not self._probe.overdue() or self._refused_topics:
            return None
        answer = "" if self._probe_refusal is None else f" ({self._options.broker} refuses it: {self._probe_refusal})"
        user = self._options.username or "this appliance"
        why = (
            f"the probe on {topic} did not come back within {self._options.probe_timeout_s:g} s{answer}: "
            f"{self._role.name} may not reach us; let {user} read and write {topic} in the broker's ACL, "
            "and see that its queue is not full"
        )
        self._tell_hearing(why)
        # A refusal would only be repeated on another connection.
        return why if self._probe_refusal is None else None

    def _send_probe(self, topic: str) -> None:
        with self._lock:
            if self._client is not None:
                acks_before = self._acks.count
                self._probe_mid = self._client.publish(topic, b"probe", 1).mid
                self._await_answer(self._probe_mid, acks_before)

    def _tell_hearing(self, why: str | None) -> None:
        if self._hearing != (why,):
            self._hearing = (why,)
            self._handlers.on_hearing(why)

    def _refused(self, error: ssl.SSLError) -> None:
        self._refusal = error

    def _connected(self, _client: paho.Client, _data: Any, flags: Any, code: ReasonCode, limits: Any) -> None:
        self._answered = True
        if code.is_failure:
            self._why = (
                f"{self._options.broker} refuses us ({code}); "
                "check mqtt.username and the password in mqtt.password_file"
            )
            return
        if (client := self._client) is not None:
            client.keep_to(limits)
        self._open, self._resumed = True, bool(flags.session_present)
        self._handlers.on_open(self._resumed, self._subscribe)

    def _subscribe(self) -> None:
        with self._lock:
            # In two packets: when the second is granted, what is retained on the watched topics has come.
            if self._role.watched:
                self._ask_for(self._role.watched, _RETAINED)
            self._ask_for((*self._role.topics, self._role.probe_topic), _NEVER_RETAINED)
            self._progress_s = time.monotonic()

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
            for topic, code in zip_longest(topics, codes[: len(topics)]):
                self._refused_topics.pop(topic, None)
                if code is None or code.is_failure:
                    why = "no answer" if code is None else str(code)
                    if topic in self._role.watched:
                        logger.warning("%s does not let us subscribe to %s (%s)", self._options.broker, topic, why)
                    else:
                        self._refused_topics[topic] = why
                elif code.value < self._role.qos:
                    logger.warning("%s keeps no messages of %s for us while we are away", self._options.broker, topic)
            if self._asked:
                return
            first, self.ready = not self.ready, not self.closed
        if self._refused_topics:
            each = ", ".join(f"{topic} ({why})" for topic, why in self._refused_topics.items())
            self._tell_hearing(f"{self._options.broker} does not let us subscribe to {each}; allow it in its ACL")
        if first:
            self._handlers.on_ready()

    def _arrived(self, packet: PublishPacket) -> None:
        self._progress_s = time.monotonic()
        delivery = delivery_of(packet)
        if delivery is not None and self._resumed and not self.ready and self._counts_up:
            # What waited at a broker that was killed comes again under its packet id, without DUP. One that counts up
            # gives another message another id; one that gives the lowest free id may mean another message.
            delivery = replace(delivery, again=True)
        ack = _nothing_to_acknowledge if delivery is None else self._acks.expect(delivery)
        if self.ready:  # before that the probe is still to come
            self._probe.arrived()
            if not self._refused_topics:
                self._tell_hearing(None)
        if packet.topic is None:
            logger.warning("a message is dropped: its topic is not UTF-8")
            ack()
        elif packet.topic == self._role.probe_topic:
            ack()
        else:
            self._handlers.on_message(message_of(packet, packet.topic, delivery), ack)

    def _send_ack(self, packet_id: int) -> None:
        if (client := self._client) is not None:
            client.ack(packet_id, 1)

    def _await_answer(self, mid: int, acks_before: int) -> None:
        """A publish waits for its PUBACK. The caller holds the lock, so that no answer is taken before."""
        if not self._unconfirmed:
            self._confirmed_s = time.monotonic()
        self._unconfirmed[mid] = acks_before
        self._wanted_again.discard(mid)

    def _published(self, _client: paho.Client, _data: Any, mid: int, code: ReasonCode, _props: Any) -> None:
        # paho holds a lock here that `publish` waits for with ours held: the rest is done after the loop's turn.
        if code.value in TRY_AGAIN:
            self._wanted_again.add(mid)
        self._answers.append((mid, code))

    def _take_answers(self) -> None:
        """The broker answered publishes, and so has processed the acknowledgements that we sent before them."""
        processed = None
        while self._answers:
            mid, code = self._answers.popleft()
            with self._lock:
                if mid in self._unconfirmed:  # paho tells of what was written at QoS 0 too
                    processed = max(processed or 0, self._unconfirmed.pop(mid))
                    self._confirmed_s = time.monotonic()
            if mid == self._probe_mid:
                self._probe_refusal = str(code) if code.is_failure else None
            elif code.is_failure:
                self._warn(str(code))
        if processed is not None:
            self._acks.processed(processed)
        if settled := self._acks.settled():
            self._handlers.on_settled(settled)

    def _warn(self, why: str) -> None:
        """Log once a connection that the broker refuses what we publish: it may refuse a hundred events a second."""
        if why not in self._warned:
            self._warned.add(why)
            logger.warning("%s does not take what we publish (%s); change its ACL or limits", self._options.broker, why)

    def _disconnected(self, _c: paho.Client, _data: Any, flags: Any, code: ReasonCode, _props: Any) -> None:
        if flags.is_disconnect_packet_from_server and self._why is None:
            self._why = (
                f"{self._options.broker} ended the connection ({code}); "
                "if this repeats, another client may be using the same device.name"
            )


def _packet_bytes(topic: str, payload: bytes, correlation: bytes | None) -> int:
    """The size of a PUBLISH of these, give or take a few bytes."""
    return len(topic.encode()) + len(payload) + len(correlation or b"") + _PUBLISH_HEAD_BYTES


def _nothing_to_acknowledge() -> None:
    return None
