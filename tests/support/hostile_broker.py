"""A small MQTT 3.1.1 and 5 broker for tests, which breaks the standard by script.

Without a script it keeps to the standard: sessions with queued and redelivered QoS 1 messages, retained messages,
filters with + and #. It has no wills, no QoS 2, no expiry, and no limits. Each script replaces its answer to one kind
of packet:

    with HostileBroker(on_subscribe=refuse(0x87)) as broker:
        broker.on_publish = confirm_with(None, "a/event")
        broker.publish("a/say", b"x", properties=BROKEN_PROPERTIES["unknown property"])
        broker.wait_for(lambda packet: packet.kind == PUBACK)
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from support import mqtt_packets as mqtt
from support.broker_session import Message, Session, forwarded_properties, matches
from support.mqtt_packets import Packet

_SEND_S = 10
_JOIN_S = 20.0
_NO_LOCAL, _RETAIN_HANDLING_SHIFT = 0x04, 4


class Peer:
    """One TCP connection of a client."""

    def __init__(self, broker: HostileBroker, sock: socket.socket, number: int) -> None:
        self.broker = broker
        self.number = number
        self.session: Session | None = None
        self.protocol = 4
        self._sock = sock
        self._closed = False
        self._sending = threading.Lock()
        # Not `settimeout`: that would apply to the thread that reads as well.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_S, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def role(self) -> str:
        """The role of the connection."""
        return self.session.role if self.session is not None else "other"

    def send(self, raw: bytes) -> bool:
        """Send bytes at the configured speed. False if the client is gone."""
        with self._sending:
            if self.broker.byte_every_s:
                return all(self._send(raw[i : i + 1], self.broker.byte_every_s) for i in range(len(raw)))
            return self._send(raw)

    def send_huge(self, topic: str, size: int) -> int:
        """Send a PUBLISH at QoS 0 whose remaining length is `size`. Returns how many bytes the client accepted."""
        head = mqtt.text(topic) + (b"\0" if self.protocol == 5 else b"")
        sent, block = len(head), b"x" * (1 << 16)
        with self._sending:
            if not self._send(bytes([mqtt.PUBLISH << 4]) + mqtt.varint(size) + head):
                return 0
            while sent < size and self._send(block[: size - sent]):
                sent += min(len(block), size - sent)
        return sent

    def serve(self, packet: Packet) -> None:
        """Answer as the standard requires."""
        self.broker.serve(self, packet)

    def close(self) -> None:
        """Close the connection."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Read and answer until the connection ends."""
        with self._sock, self._sock.makefile("rb") as stream:
            if self.broker.on_accept is not None:
                self.broker.on_accept(self)
            with contextlib.suppress(OSError):
                while not self._closed and (read := mqtt.read_frame(stream)) is not None:
                    self.broker.received(self, *read)
            self.broker.lost(self)

    def _send(self, raw: bytes, pause_s: float = 0.0) -> bool:
        try:
            self._sock.sendall(raw)
        except OSError:
            self.close()
            return False
        time.sleep(pause_s)
        return True


Script = Callable[[Peer, Packet], None]
"""Replaces the answer to one packet. `peer.serve(packet)` gives the usual one."""


class HostileBroker:
    """`with HostileBroker(on_connect=…) as broker:` listens on `broker.host`, `broker.port`.

    Tests may change all attributes that are arguments here while it runs.

    Args:
        on_accept: Called with each new connection before anything is read from it.
        on_connect, on_subscribe, on_publish, on_puback, on_ping: Scripts; `support.broker_scripts` has some.
        forwards: Called with the role of a client and a topic. Returns whether the client gets the message.
        reuse_ids: Give each message the lowest free packet id, instead of ascending ones.
        connack_properties: The properties field of each CONNACK, such as the broker's own Receive Maximum.
        byte_every_s: Send one byte at a time with this pause after it. 0 sends at once.

    Attributes:
        cut_after_bytes: By role: send only so many bytes of the next PUBLISH, then close the connection.
        packets: All packets of clients, in order.
        retained: Retained messages, by topic.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        on_accept: Callable[[Peer], None] | None = None,
        on_connect: Script | None = None,
        on_subscribe: Script | None = None,
        on_publish: Script | None = None,
        on_puback: Script | None = None,
        on_ping: Script | None = None,
        forwards: Callable[[str, str], bool] = lambda _role, _topic: True,
        reuse_ids: bool = False,
        connack_properties: bytes = b"\0",
        byte_every_s: float = 0.0,
    ) -> None:
        self.on_accept = on_accept
        self.on_connect = on_connect
        self.on_subscribe = on_subscribe
        self.on_publish = on_publish
        self.on_puback = on_puback
        self.on_ping = on_ping
        self.forwards = forwards
        self.reuse_ids = reuse_ids
        self.connack_properties = connack_properties
        self.byte_every_s = byte_every_s
        self.cut_after_bytes: dict[str, int] = {}
        self.packets: list[Packet] = []
        self.retained: dict[str, Message] = {}
        self._sessions: dict[str, Session] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._peers: list[tuple[Peer, threading.Thread]] = []
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._stopping = False
        self._acceptor = threading.Thread(target=self._accept, name="hostile-broker")

    def __enter__(self) -> HostileBroker:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(_JOIN_S)
        self._listener.close()
        for peer, thread in self._peers:
            peer.close()
            thread.join(_JOIN_S)

    # For tests

    def connections(self, role: str | None = None) -> int:
        """How many CONNECT packets came, of one role or of all."""
        return len(self.received_of(mqtt.CONNECT, role=role))

    def received_of(self, kind: int, topic: str | None = None, role: str | None = None) -> list[Packet]:
        """Packets of clients of one kind, on one topic, by one role."""
        with self._lock:
            return [p for p in self.packets if p.kind == kind and topic in (None, p.topic) and role in (None, p.role)]

    def wait_for(self, holds: Callable[[Packet], object], timeout_s: float = 20.0, *, count: int = 1) -> Packet:
        """Wait for the `count`-th packet for which `holds` is true.

        Raises:
            AssertionError: it did not come in time.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while len(found := [packet for packet in self.packets if holds(packet)]) < count:
                left_s = deadline_s - time.monotonic()
                assert left_s > 0, (
                    f"{len(found)} of {count} packets within {timeout_s:.0f} s; came: {self.packets[-20:]}"
                )
                self._changed.wait(left_s)
            return found[count - 1]

    def peer(self, role: str, timeout_s: float = 20.0) -> Peer:
        """Wait for the connection of a role, until it has subscribed. Fails after the timeout."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while True:
                for session in self._sessions.values():
                    if session.role == role and session.peer is not None and session.subscriptions:
                        return session.peer
                left_s = deadline_s - time.monotonic()
                assert left_s > 0, f"no connection for {role} within {timeout_s:.0f} s"
                self._changed.wait(left_s)

    def publish(
        self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False, properties: bytes = b"\0"
    ) -> None:
        """Publish as a client would, to all sessions that subscribe to the topic."""
        raw = payload.encode() if isinstance(payload, str) else payload
        self._route(Message(topic, raw, qos, retain, properties), None)

    def plant(self, role: str, message: Message) -> None:
        """Put a message into the session of a role, even without a matching subscription."""
        session = self.peer(role).session
        assert session is not None
        with self._lock:
            self._deliver(session, message)

    def unacknowledged(self, role: str) -> list[Message]:
        """Messages that the client of a role has not acknowledged, and messages that wait for it."""
        with self._lock:
            found = [session for session in self._sessions.values() if session.role == role]
            return [message for session in found for message in (*session.in_flight.values(), *session.waiting)]

    def forget_sessions(self) -> None:
        """Lose all sessions, as a killed broker does. Connections end."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            if session.peer is not None:
                session.peer.close()

    # For peers

    def received(self, peer: Peer, first_byte: int, body: bytes) -> None:
        """Record a packet and answer it."""
        fields = mqtt.decode(first_byte, body, peer.protocol)
        packet = Packet(connection=peer.number, **fields)
        scripts = {
            mqtt.CONNECT: self.on_connect,
            mqtt.SUBSCRIBE: self.on_subscribe,
            mqtt.PUBLISH: self.on_publish,
            mqtt.PUBACK: self.on_puback,
            mqtt.PINGREQ: self.on_ping,
        }
        if packet.kind == mqtt.CONNECT:
            peer.protocol = packet.protocol
            role = Session(packet.client_id, False).role
        else:
            role = peer.role
        packet = replace(packet, role=role, protocol=peer.protocol)
        with self._changed:
            self.packets.append(packet)
            self._changed.notify_all()
        script = scripts.get(packet.kind)
        if script is None:
            self.serve(peer, packet)
        else:
            script(peer, packet)
        with self._changed:
            self._changed.notify_all()

    def serve(self, peer: Peer, packet: Packet) -> None:
        """Answer as the standard requires."""
        if packet.kind == mqtt.CONNECT:
            self._open(peer, packet)
        elif packet.kind == mqtt.SUBSCRIBE:
            self.grant(peer, packet, [min(options & 3, 1) for _, options in packet.subscriptions])
        elif packet.kind == mqtt.UNSUBSCRIBE:
            with self._lock:
                assert peer.session is not None
                for topic_filter, _ in packet.subscriptions:
                    peer.session.subscriptions.pop(topic_filter, None)
            codes = [0] * len(packet.subscriptions)
            peer.send(mqtt.suback(peer.protocol, packet.packet_id, codes, mqtt.UNSUBACK))
        elif packet.kind == mqtt.PUBLISH:
            self.route(peer, packet)
            if packet.qos:
                peer.send(mqtt.puback(peer.protocol, packet.packet_id))
        elif packet.kind == mqtt.PUBACK:
            with self._lock:
                if peer.session is not None:
                    peer.session.in_flight.pop(packet.packet_id, None)
        elif packet.kind == mqtt.PINGREQ:
            peer.send(mqtt.frame(mqtt.PINGRESP << 4, b""))
        elif packet.kind == mqtt.DISCONNECT:
            peer.close()

    def grant(self, peer: Peer, packet: Packet, codes: list[int]) -> None:
        """Answer a SUBSCRIBE with one code for each filter. Codes of 0x80 and above do not subscribe."""
        with self._lock:
            session = peer.session
            assert session is not None
            granted = [wish for wish, code in zip(packet.subscriptions, codes, strict=True) if code < 0x80]
            known = set(session.subscriptions)
            session.subscriptions |= dict(granted)
            peer.send(mqtt.suback(peer.protocol, packet.packet_id, codes))
            for topic_filter, options in granted:
                handling = options >> _RETAIN_HANDLING_SHIFT
                if handling == 2 or (handling == 1 and topic_filter in known):
                    continue
                for topic, message in self.retained.items():
                    if matches(topic_filter, topic) and self.forwards(session.role, topic):
                        self._send_message(session, replace(message, qos=min(message.qos, options & 3)))
            self._changed.notify_all()

    def route(self, peer: Peer, packet: Packet) -> None:
        """Forward a message of a client to all sessions that subscribe to it."""
        self._route(
            Message(packet.topic, packet.payload, packet.qos, packet.retain, forwarded_properties(packet)), peer
        )

    def lost(self, peer: Peer) -> None:
        """Note that a connection has ended."""
        with self._changed:
            session = peer.session
            if session is not None and session.peer is peer:
                session.peer = None
                if not session.persistent:
                    self._sessions.pop(session.client_id, None)
            self._changed.notify_all()

    def _accept(self) -> None:
        number = 0
        while not self._stopping:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            number += 1
            peer = Peer(self, sock, number)
            thread = threading.Thread(target=peer.run, name=f"hostile-broker-{number}")
            with self._lock:
                self._peers.append((peer, thread))
            thread.start()

    def _open(self, peer: Peer, packet: Packet) -> None:
        persistent = (
            bool(packet.properties.get(mqtt.SESSION_EXPIRY, [0])[0]) if peer.protocol == 5 else not packet.clean
        )
        with self._lock:
            known = self._sessions.get(packet.client_id)
            if known is not None and known.peer is not None:
                known.peer.close()
            if known is None or packet.clean:
                session, resumed = Session(packet.client_id, persistent), False
            else:
                session, resumed = known, True
            session.persistent, session.peer, peer.session = persistent, peer, session
            self._sessions[packet.client_id] = session
            peer.send(mqtt.connack(peer.protocol, session_present=resumed, properties=self.connack_properties))
            for packet_id, message in list(session.in_flight.items()):
                self._send_publish(peer, packet_id, message, dup=True)
            waiting, session.waiting = session.waiting, []
            for message in waiting:
                self._send_message(session, message)

    def _route(self, message: Message, sender: Peer | None) -> None:
        assert isinstance(message.topic, str)
        with self._changed:
            if message.retain:
                self.retained.pop(message.topic, None)
                if message.payload:
                    self.retained[message.topic] = message
            for session in list(self._sessions.values()):
                matching = [o for f, o in session.subscriptions.items() if matches(f, message.topic)]
                if sender is not None and session is sender.session:
                    matching = [options for options in matching if not options & _NO_LOCAL]
                if matching and self.forwards(session.role, message.topic):
                    qos = min(message.qos, max(options & 3 for options in matching))
                    self._deliver(session, replace(message, qos=qos, retain=False))
            self._changed.notify_all()

    def _deliver(self, session: Session, message: Message) -> None:
        if session.peer is not None:
            self._send_message(session, message)
        elif message.qos:
            session.waiting.append(message)

    def _send_message(self, session: Session, message: Message) -> None:
        assert session.peer is not None
        packet_id = 0
        if message.qos:
            packet_id = 0 if self.reuse_ids else session.last_id
            while (packet_id := packet_id % 65_535 + 1) in session.in_flight:
                pass
            session.last_id = packet_id
            session.in_flight[packet_id] = message
        self._send_publish(session.peer, packet_id, message)

    def _send_publish(self, peer: Peer, packet_id: int, message: Message, *, dup: bool = False) -> None:
        raw = mqtt.publish(
            peer.protocol,
            message.topic,
            message.payload,
            qos=message.qos,
            packet_id=packet_id,
            dup=dup,
            retain=message.retain,
            properties=message.properties,
        )
        cut = self.cut_after_bytes.pop(peer.role, None)
        peer.send(raw[:cut])
        if cut is not None:
            peer.close()
