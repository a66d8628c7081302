"""A paho client made for one connection, and how it introduces itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ishowtts.mqtt import tls
from ishowtts.mqtt.options import MqttOptions

_UNSPECIFIED_ERROR = 0x80
_PUBACK_CODES = {0x00, 0x10, _UNSPECIFIED_ERROR, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}


@dataclass(frozen=True)
class Role:
    """What a connection is for.

    Args:
        persistent: the broker keeps our subscriptions, and what arrives at QoS 1, while we are away.
        will_topic: where the broker says `offline` for us, retained.
        watched: topics that are subscribed to first, and of which what is retained is wanted too.
    """

    name: str
    client_id: str
    topics: tuple[str, ...]
    qos: int
    persistent: bool
    will_topic: str | None = None
    watched: tuple[str, ...] = ()


def make_client(options: MqttOptions, role: Role, refused: tls.Heard) -> paho.Client:
    """A client that is not connected yet.

    Args:
        refused: told of what the broker says against us over TLS.

    Raises:
        ValueError: the TLS files cannot be used.
    """
    five = options.protocol == 5
    client = _Client(
        CallbackAPIVersion.VERSION2,
        client_id=role.client_id,
        clean_session=None if five else not role.persistent,
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.connect_timeout = options.connect_timeout_s
    if options.username is not None:
        password = options.password.get_secret_value() if options.password else None
        client.username_pw_set(options.username, password)
    if options.tls:
        client.tls_set_context(tls.make_context(options, refused))
    if role.will_topic is not None:
        delay = None
        if five:
            delay = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
            delay.WillDelayInterval = options.will_delay_s
        client.will_set(role.will_topic, b"offline", qos=1, retain=True, properties=delay)
    # With this set paho leaves all writing to the thread that runs the loop.
    client.on_socket_register_write = _leave_it_to_the_loop
    return client


def connect(client: paho.Client, options: MqttOptions, role: Role) -> None:
    """Reach the broker and ask for the session that the role wants.

    Raises:
        OSError: it cannot be reached.
    """
    if options.protocol != 5:
        client.connect(options.host, options.port, options.keepalive_s)
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


class _Client(paho.Client):
    """paho ends its loop at an acknowledgement with a code that the standard does not allow there.

    mosquitto answers so where a publish is above its `message_size_limit`; what it refuses must not end a connection.
    """

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        if self._protocol == paho.MQTTv5 and len(packet) > 2 and packet[2] not in _PUBACK_CODES:
            packet[2] = _UNSPECIFIED_ERROR
        return super()._handle_pubackcomp(cmd)


def _leave_it_to_the_loop(_client: paho.Client, _data: Any, _socket: Any) -> None:
    return None
