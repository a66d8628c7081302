"""The reason codes by which a broker refuses us or ends the connection (MQTT 5), and what its operator can do."""

from __future__ import annotations

from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ishowtts.util.logs import visible

_BAD_CREDENTIALS = (0x86, 0x87, 0x8C)
_MOVED = (0x9C, 0x9D)
_KEEP_ALIVE = 0x8D
_MAX_REFERENCE_CHARS = 200

_LOOK = "look at its log and version"
_WAIT = "nothing needs to be done unless this lasts; then look at its log"
_ACL = "allow it in its ACL"
_WILDCARDS = "let it allow subscriptions with wildcards, or use another broker"
_FIXES = {
    0x84: "set mqtt.protocol to the version that it has, 5 or 3.1.1",
    0x85: "let it allow client ids that begin with ishowtts or with mqtt.prefix",
    0x87: "let its ACL allow the topics of docs/mqtt.md",
    0x88: _WAIT,
    0x89: _WAIT,
    0x8A: "lift the ban there",
    0x8B: _WAIT,
    _KEEP_ALIVE: "if this repeats, the network or this machine is too slow: raise mqtt.keepalive_s",
    0x8E: "if this repeats, another client may be using the same device.name",
    0x8F: "let it allow topics that begin with mqtt.prefix",
    0x90: "let it allow topics that begin with mqtt.prefix",
    0x95: "raise its largest packet size (max_packet_size in mosquitto)",
    0x96: "raise its limit of messages",
    0x97: "raise its quota",
    0x98: "ask its administrator if this repeats",
    0x9A: "let it keep retained messages (retain_available in mosquitto), which iShowTTS needs",
    0x9B: "let it allow QoS 1 (max_qos in mosquitto), which iShowTTS needs",
    0x9C: "set mqtt.host to the other server",
    0x9D: "set mqtt.host to the other server",
    0x9F: "raise its limit of new connections",
    0xA0: _WAIT,
    0xA2: _WILDCARDS,
}
# What a refused subscription means where it is not the ACL.
_SUBSCRIPTION_FIXES = {0x8F: _FIXES[0x8F], 0x97: _FIXES[0x97], 0xA2: _WILDCARDS}


def refusal(code: ReasonCode, limits: Properties | None, *, who: str, credentials: str) -> str:
    """Why the broker refuses our CONNECT (CONNACK), without its name: "refuses us (Banned); lift the ban there".

    Args:
        limits: The properties of the CONNACK.
        who: Who is refused.
        credentials: The keys of the configuration to check if name or password are wrong.
    """
    fix = f"check {credentials}" if code.value in _BAD_CREDENTIALS else _fix(code, limits)
    return f"refuses {who} ({code}); {fix}"


def ended(code: ReasonCode, properties: Properties | None, *, by_broker: bool) -> str | None:
    """Why the connection has ended, without the broker's name. `None`: neither side said why.

    Args:
        by_broker: It sent a DISCONNECT. Otherwise the code is that of paho.
    """
    if not by_broker:
        return f"does not answer our pings; {_FIXES[_KEEP_ALIVE]}" if code.value == _KEEP_ALIVE else None
    return f"ended the connection ({code}); {_fix(code, properties)}"


def subscription_fix(code: ReasonCode | None) -> str:
    """What to do about a refused subscription (SUBACK). `None`: the broker has left out its answer."""
    return _LOOK if code is None else _SUBSCRIPTION_FIXES.get(code.value, _ACL)


def missing_features(limits: Properties | None) -> str | None:
    """What the broker says in its CONNACK that it cannot do and we need, without its name; `None` if it can all."""
    if getattr(limits, "MaximumQoS", 1) < 1:
        return f"takes no messages at QoS 1; {_FIXES[0x9B]}"
    if not getattr(limits, "RetainAvailable", 1):
        return f"keeps no retained messages; {_FIXES[0x9A]}"
    if not getattr(limits, "WildcardSubscriptionAvailable", 1):
        return f"has no subscriptions with wildcards; {_WILDCARDS}"
    return None


def _fix(code: ReasonCode, properties: Properties | None) -> str:
    fix = _FIXES.get(code.value, _LOOK)
    reference = getattr(properties, "ServerReference", None)
    if code.value in _MOVED and reference:
        return f"{fix}, {visible(str(reference)[:_MAX_REFERENCE_CHARS])}"
    return fix
