"""Scripts for a `HostileBroker`. Each replaces its usual answer to a packet."""

from __future__ import annotations

from support import mqtt_packets as mqtt
from support.hostile_broker import Peer, Script
from support.mqtt_packets import Packet

_NO_MATCHING_SUBSCRIBERS = 0x10


def silence(_peer: Peer, _packet: Packet) -> None:
    """Do not answer."""


def refuse(code: int, *filters: str) -> Script:
    """Answer SUBSCRIBE with this reason code for the filters (for all if none is named)."""

    def script(peer: Peer, packet: Packet) -> None:
        wishes = packet.subscriptions
        codes = [code if not filters or f in filters else min(options & 3, 1) for f, options in wishes]
        peer.broker.grant(peer, packet, codes)

    return script


def refuse_connect(code: int, properties: bytes = b"\0") -> Script:
    """Answer CONNECT with a reason code, and close the connection."""

    def script(peer: Peer, packet: Packet) -> None:
        peer.send(mqtt.connack(packet.protocol, reason=code, properties=properties))
        peer.close()

    return script


def end_with(code: int, properties: bytes | None = None) -> Script:
    """Accept CONNECT, then send a DISCONNECT. The client closes: a reset of ours could overtake the packet."""

    def script(peer: Peer, packet: Packet) -> None:
        peer.serve(packet)
        peer.send(mqtt.frame(mqtt.DISCONNECT << 4, bytes([code]) + (properties or b"\0")))

    return script


def confirm_with(code: int | None, *topics: str) -> Script:
    """Answer PUBLISH on the topics (on all if none is named) with this reason code; `None` never answers.

    With codes below 0x80 it forwards the message. MQTT 3.1.1 has no reason codes: there every code confirms.
    """

    def script(peer: Peer, packet: Packet) -> None:
        if topics and packet.topic not in topics:
            peer.serve(packet)
            return
        if code is not None and code <= _NO_MATCHING_SUBSCRIBERS:
            peer.broker.route(peer, packet)
        if code is not None and packet.qos:
            peer.send(mqtt.puback(peer.protocol, packet.packet_id, code))

    return script


def drop(*topics: str) -> Script:
    """Confirm what is published on the topics (on all if none is named), and forward it to nobody."""

    def script(peer: Peer, packet: Packet) -> None:
        if topics and packet.topic not in topics:
            peer.serve(packet)
        elif packet.qos:
            peer.send(mqtt.puback(peer.protocol, packet.packet_id))

    return script


def send_before(raw: bytes) -> Script:
    """Send bytes, then the usual answer."""

    def script(peer: Peer, packet: Packet) -> None:
        peer.send(raw)
        peer.serve(packet)

    return script


def send_after(raw: bytes) -> Script:
    """Give the usual answer, then send bytes."""

    def script(peer: Peer, packet: Packet) -> None:
        peer.serve(packet)
        peer.send(raw)

    return script


def then_close(script: Script | None = None) -> Script:
    """Run the script (the usual answer if none is given), then close the connection."""

    def closing(peer: Peer, packet: Packet) -> None:
        if script is None:
            peer.serve(packet)
        else:
            script(peer, packet)
        peer.close()

    return closing


def twice(peer: Peer, packet: Packet) -> None:
    """Give the usual answer twice. A PUBLISH is forwarded twice, too. Not for a CONNECT, which opens a session."""
    peer.serve(packet)
    peer.serve(packet)


def times(count: int, script: Script) -> Script:
    """Run the script for the first `count` packets, and give the usual answer to later ones."""
    left = count

    def counted(peer: Peer, packet: Packet) -> None:
        nonlocal left
        if left:
            left -= 1
            script(peer, packet)
        else:
            peer.serve(packet)

    return counted


def of_role(role: str, script: Script) -> Script:
    """Run the script for packets of one role only."""

    def chosen(peer: Peer, packet: Packet) -> None:
        if packet.role == role:
            script(peer, packet)
        else:
            peer.serve(packet)

    return chosen


def on_topic(topic: str, script: Script) -> Script:
    """Run the script for what is published on one topic only."""

    def chosen(peer: Peer, packet: Packet) -> None:
        if packet.topic == topic:
            script(peer, packet)
        else:
            peer.serve(packet)

    return chosen
