"""Builds a configured paho client (client id, TLS, last will, credentials), and a client that survives bad packets."""

from __future__ import annotations

import errno
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, ConnackCode, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MalformedPacket as PahoMalformedPacket
from paho.mqtt.properties import MQTTException, Properties

from ishowtts.mqtt import tls
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.publish_packet import MalformedPacket, PublishPacket, read_publish

log = logging.getLogger(__name__)

_MAX_INFLIGHT = 20  # paho's default
_PAYLOAD_INVALID = 0x99
_CONNACK_CODES = {*range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, *range(0x9A, 0x9E), 0x9F}
_PUBACK_CODES = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, _PAYLOAD_INVALID}
_DISCONNECT_S = 0.5
_READ_BYTES = 1 << 16
_MAX_DESCRIPTOR = 1023  # paho waits with select(), which knows no higher ones
_CONNACK, _PUBLISH, _UNSUBACK, _DISCONNECT = 0x20, 0x30, 0xB0, 0xE0
_DISCONNECT_BYTES = 3  # from here on paho reads the reason code; brokers send 1 or 2
_SILENT_REFUSALS_311 = (b"\0\1", b"\0\2")
_UNSPECIFIED = 0x80
# What paho's readers raise for a malformed packet or a reason code that the standard does not know.
_MALFORMED = (
    MalformedPacket,
    PahoMalformedPacket,
    MQTTException,
    struct.error,
    IndexError,
    KeyError,
    ValueError,
    AssertionError,
)


@dataclass(frozen=True)
class ConnectionRole:
    """The purpose of a connection.

    Args:
        persistent: The broker keeps our subscriptions, and the messages at QoS 1, while we are away.
        probe_topic: Topic of the probe, which proves that messages reach the connection.
        will_topic: Topic on which the broker publishes `offline` for us, retained.
        watched: Topics that are subscribed first. Their retained values are wanted too.
    """

    name: str
    client_id: str
    topics: tuple[str, ...]
    qos: int
    persistent: bool
    probe_topic: str
    will_topic: str | None = None
    watched: tuple[str, ...] = ()


def make_client(options: MqttOptions, role: ConnectionRole, on_tls_refusal: tls.OnRefusal) -> TolerantClient:
    """Build a client that is not connected yet.

    Args:
        on_tls_refusal: Called if the broker refuses us over TLS.

    Raises:
        ValueError: the TLS files cannot be used.
    """
    mqtt5 = options.protocol == 5
    client = TolerantClient(
        options.max_packet_bytes,
        client_id=role.client_id,
        clean_session=None if mqtt5 else not role.persistent,
        protocol=paho.MQTTv5 if mqtt5 else paho.MQTTv311,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.connect_timeout = options.connect_timeout_s
    if options.username is not None:
        password = options.password.get_secret_value() if options.password else None
        client.username_pw_set(options.username, password)
    if options.tls:
        client.tls_set_context(tls.make_context(options, on_tls_refusal))
    if role.will_topic is not None:
        delay = None
        if mqtt5:
            delay = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
            delay.WillDelayInterval = options.will_delay_s
        client.will_set(role.will_topic, b"offline", qos=1, retain=True, properties=delay)
    # If this is set, paho leaves all writing to the thread that runs the loop.
    client.on_socket_register_write = _write_in_the_loop
    return client


def connect(client: paho.Client, options: MqttOptions, role: ConnectionRole) -> None:
    """Connect to the broker and ask for the session that the role needs.

    Raises:
        OSError: the broker cannot be reached, or this process has too many open files.
    """
    if options.protocol != 5:
        client.connect(options.host, options.port, options.keepalive_s)
        _check_descriptors(client)
        return
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = options.max_packet_bytes
    properties.ReceiveMaximum = options.receive_maximum
    if role.persistent:
        properties.SessionExpiryInterval = options.session_expiry_s
    client.connect(
        options.host,
        options.port,
        options.keepalive_s,
        clean_start=not role.persistent,
        properties=properties,
    )
    _check_descriptors(client)


def _check_descriptors(client: paho.Client) -> None:
    """Refuse a socket for which paho would only say that the connection was lost."""
    sockets = (client.socket(), client._sockpairR)
    highest = max(one.fileno() for one in sockets if one is not None)
    if highest > _MAX_DESCRIPTOR:
        problem = f"this process has too many open files: descriptor {highest} of at most {_MAX_DESCRIPTOR}; restart it"
        raise OSError(errno.EMFILE, problem)


def disconnect(client: paho.Client, timeout_s: float) -> None:
    """Send what is queued, then end the connection cleanly."""
    client.disconnect()
    until_s = time.monotonic() + timeout_s
    while client.want_write() and time.monotonic() < until_s and client.loop(timeout_s / 10) == paho.MQTT_ERR_SUCCESS:
        pass


def disable_nagle(client: paho.Client) -> None:
    """Send small packets at once, without waiting until the previous one is confirmed."""
    sock = client.socket()
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def disable_delayed_ack(client: paho.Client) -> None:
    """Confirm at once over TCP what was read.

    Linux would delay the confirmation by 40 ms, and a broker without `set_tcp_nodelay` holds the next message back
    until then. Linux resets this option after each packet, so call this each time.
    """
    sock = client.socket()
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def discard_session(options: MqttOptions, role: ConnectionRole) -> None:
    """Make the broker discard the stored session of the role with all queued messages. Does nothing if it is away."""
    clean_role = replace(role, persistent=False, will_topic=None)
    client = make_client(options, clean_role, lambda _: None)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    until_s = time.monotonic() + options.connect_timeout_s
    try:
        connect(client, options, clean_role)
        while not connected.is_set() and time.monotonic() < until_s and client.loop(0.1) == paho.MQTT_ERR_SUCCESS:
            pass
        disconnect(client, _DISCONNECT_S)
    except OSError:
        return
    finally:
        client.close()


class TolerantClient(paho.Client):
    """A paho client whose connection survives every packet that a broker may forward.

    `publish_packet` reads PUBLISH packets; the thread that runs the loop passes them to `on_packet`. The client itself
    acknowledges nothing. It keeps only the beginning of a packet above `max_packet_bytes`. Over MQTT 3.1.1, and from a
    broker that ignores our Maximum Packet Size, such a packet would be delivered again after each reconnect.

    Attributes:
        fault: Why a packet of the broker itself ended the connection.
        broker_max_packet_bytes: The largest packet that the broker takes, if it says so.
    """

    def __init__(self, max_packet_bytes: int, **arguments: Any) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, **arguments)
        self.on_packet: Callable[[PublishPacket], None] | None = None
        self.fault: str | None = None
        self.broker_max_packet_bytes: int | None = None
        self._max_packet_bytes = max_packet_bytes

    def apply_limits(self, limits: Properties | None) -> None:
        """Apply the limits in the broker's CONNACK. paho ignores them, and a broker ends the connection for that."""
        self._max_inflight_messages = min(_MAX_INFLIGHT, getattr(limits, "ReceiveMaximum", _MAX_INFLIGHT))
        self.broker_max_packet_bytes = getattr(limits, "MaximumPacketSize", None)
        self._keepalive = getattr(limits, "ServerKeepAlive", self._keepalive)

    def close(self) -> None:
        """Close the socket without a DISCONNECT, and call no callback any more."""
        if (sock := self.socket()) is not None:
            sock.close()
        # Without its callbacks the client is in no reference cycle, and closes its socket pair now.
        self.on_connect = self.on_subscribe = self.on_packet = None
        self.on_publish = self.on_disconnect = None

    def _packet_read(self) -> MQTTErrorCode:
        if self._in_packet["command"] == 0:
            self._in_packet["packet"] = _BoundedPacket(self._max_packet_bytes)
        return super()._packet_read()

    def _sock_recv(self, bufsize: int) -> bytes:
        # paho asks for the whole rest at once. Its buffer is allocated before a byte of it has come.
        return super()._sock_recv(min(bufsize, _READ_BYTES))

    def _packet_handle(self) -> MQTTErrorCode:
        try:
            if self._in_packet["command"] & 0xF0 == _PUBLISH:
                packet = self._read_publish()
            elif self._in_packet["remaining_length"] > self._max_packet_bytes:
                raise MalformedPacket(f"a packet of {self._in_packet['remaining_length']} bytes that is not a PUBLISH")
            else:
                return self._handle_other()
        except _MALFORMED as error:
            log.debug("a packet of the broker cannot be parsed", exc_info=True)
            self.fault = f"{type(error).__name__}: {error}"
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if self.on_packet is not None:
            self.on_packet(packet)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_other(self) -> MQTTErrorCode:
        kind = self._in_packet["command"] & 0xF0
        if kind == _UNSUBACK:
            # Nobody waits for it. paho's reader raises at a code that is not allowed: a broker that sends such a code
            # after each UNSUBSCRIBE would end each of our connections.
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        if kind == _CONNACK:
            return self._handle_connack_tolerantly()
        if kind == _DISCONNECT and self._in_packet["remaining_length"]:
            self._in_packet["remaining_length"] = max(_DISCONNECT_BYTES, self._in_packet["remaining_length"])
        code = super()._packet_handle()
        if code == MQTTErrorCode.MQTT_ERR_PROTOCOL:
            self.fault = f"packet type {kind >> 4}, which is not allowed here"
        return code

    def _handle_connack_tolerantly(self) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        if self._protocol == paho.MQTTv311 and packet in _SILENT_REFUSALS_311:
            # paho would end the connection without a word: it tries an older version, or another client id.
            if self.on_connect is not None:
                on_connect = cast("paho.CallbackOnConnect_v2", self.on_connect)
                on_connect(
                    self,
                    None,
                    paho.ConnectFlags(False),
                    paho.convert_connack_rc_to_reason_code(ConnackCode(packet[1])),
                    None,
                )
            return MQTTErrorCode.MQTT_ERR_CONN_REFUSED
        if self._protocol == paho.MQTTv5 and len(packet) > 1 and packet[1] not in _CONNACK_CODES and packet[1] >= 0x80:
            packet[1] = _UNSPECIFIED  # a refusal all the same; paho lacks 0x99, which the standard allows
        return super()._packet_handle()

    def _read_publish(self) -> PublishPacket:
        return read_publish(
            self._in_packet["command"] & 0x0F,
            bytes(self._in_packet["packet"]),
            mqtt5=self._protocol == paho.MQTTv5,
            size_bytes=self._in_packet["remaining_length"],
        )

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        # paho ends its loop at a code that the standard does not allow here. mosquitto sends such a code for a publish
        # above its `message_size_limit`, at each try: it must count as a final refusal.
        packet = self._in_packet["packet"]
        if cmd == "PUBACK" and self._protocol == paho.MQTTv5 and len(packet) > 2 and packet[2] not in _PUBACK_CODES:
            packet[2] = _PAYLOAD_INVALID
        return super()._handle_pubackcomp(cmd)


class _BoundedPacket(bytearray):
    """The buffer to which paho appends the bytes of a packet. It keeps only the first ones."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    def __iadd__(self, data: Any) -> _BoundedPacket:  # type: ignore[misc]  # __add__ makes a plain bytearray
        self.extend(memoryview(data)[: max(0, self._max_bytes - len(self))])
        return self


def _write_in_the_loop(_client: paho.Client, _data: Any, _socket: Any) -> None:
    return None
