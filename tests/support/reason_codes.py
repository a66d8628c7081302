"""The reason codes that a broker may send, by packet (section 2.4 of MQTT 5, 3.2.2.3 of 3.1.1): name and fix."""

from __future__ import annotations

Table = dict[int, tuple[str, str]]
"""Code: its name in section 2.4, and a part of the fix."""
LOG, LASTS = "look at its log and version", "unless this lasts"

CONNACK: Table = {
    0x80: ("Unspecified error", LOG),
    0x81: ("Malformed packet", LOG),
    0x82: ("Protocol error", LOG),
    0x83: ("Implementation specific error", LOG),
    0x84: ("Unsupported protocol version", "set mqtt.protocol"),
    0x85: ("Client identifier not valid", "client ids"),
    0x86: ("Bad user name or password", "check mqtt.username and the password in mqtt.password_file"),
    0x87: ("Not authorized", "check mqtt.username and the password in mqtt.password_file"),
    0x88: ("Server unavailable", LASTS),
    0x89: ("Server busy", LASTS),
    0x8A: ("Banned", "lift the ban"),
    0x8C: ("Bad authentication method", "check mqtt.username"),
    0x90: ("Topic name invalid", "mqtt.prefix"),
    0x95: ("Packet too large", "max_packet_size"),
    0x97: ("Quota exceeded", "quota"),
    0x99: ("Unspecified error", LOG),  # paho does not know it here
    0x9A: ("Retain not supported", "retained messages"),
    0x9B: ("QoS not supported", "QoS 1"),
    0x9C: ("Use another server", "set mqtt.host to the other server"),
    0x9D: ("Server moved", "set mqtt.host to the other server"),
    0x9F: ("Connection rate exceeded", "limit of new connections"),
}
CONNACK_311: Table = {
    1: ("Unsupported protocol version", "set mqtt.protocol"),
    2: ("Client identifier not valid", "client ids"),
    3: ("Server unavailable", LASTS),
    4: ("Bad user name or password", "check mqtt.username"),
    5: ("Not authorized", "check mqtt.username"),
    6: ("Unspecified error", LOG),
    255: ("Unspecified error", LOG),
}
DISCONNECT: Table = {
    0x8C: ("Bad authentication method", LOG),
    0x00: ("Normal disconnection", LOG),
    **{code: CONNACK[code] for code in (0x80, 0x81, 0x82, 0x83, 0x89, 0x90, 0x95, 0x97, 0x9A, 0x9B)},
    0x99: ("Payload format invalid", LOG),
    **{code: CONNACK[code] for code in (0x9C, 0x9D, 0x9F)},
    0x87: ("Not authorized", "ACL"),
    0x8B: ("Server shutting down", LASTS),
    0x8D: ("Keep alive timeout", "mqtt.keepalive_s"),
    0x8E: ("Session taken over", "the same device.name"),
    0x8F: ("Topic filter invalid", "mqtt.prefix"),
    0x93: ("Receive maximum exceeded", LOG),
    0x94: ("Topic alias invalid", LOG),
    0x96: ("Message rate too high", "limit of messages"),
    0x98: ("Administrative action", "administrator"),
    0x9E: ("Shared subscription not supported", LOG),
    0xA0: ("Maximum connect time", LASTS),
    0xA1: ("Subscription identifiers not supported", LOG),
    0xA2: ("Wildcard subscription not supported", "wildcards"),
}
SUBACK: Table = {
    0x80: ("Unspecified error", "ACL"),
    0x83: ("Implementation specific error", "ACL"),
    0x87: ("Not authorized", "ACL"),
    0x8F: ("Topic filter invalid", "mqtt.prefix"),
    0x91: ("Packet identifier in use", "ACL"),
    0x97: ("Quota exceeded", "quota"),
    0x9E: ("Shared subscription not supported", "ACL"),
    0xA1: ("Subscription identifiers not supported", "ACL"),
    0xA2: ("Wildcard subscription not supported", "wildcards"),
}
PUBACK = {0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}

# With the codes that the standard does not allow there.
MALFORMED = ("sent a malformed packet", LOG)
NOT_ALLOWED = (*range(0x80, 0xA4), 0xFF)
CONNACK_AND_OTHERS: Table = dict.fromkeys(NOT_ALLOWED, ("Unspecified error", LOG)) | CONNACK | {0x55: MALFORMED}
DISCONNECT_AND_OTHERS: Table = dict.fromkeys((0x55, *NOT_ALLOWED), MALFORMED) | DISCONNECT
