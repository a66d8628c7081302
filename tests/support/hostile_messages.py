"""Makes hostile messages for all topics of an appliance from what fuzzers have found, and from changes of that."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ishowtts.mqtt.command_payload import BadCommand, parse_command, parse_voice, parse_volume
from ishowtts.mqtt.publish_packet import MalformedPacket, read_publish
from support import mqtt_packets as mqtt
from support.fuzz_targets import TARGETS
from support.fuzzing import known_inputs, mutated

CORPORA = ("line", "text", "policies", "packet", "command", "voice", "event", "clip")
"""Targets whose inputs are sent."""
REPLIES = "ishowtts/reply/flood"
_TOPICS: Mapping[str, Sequence[tuple[str, int]]] = {
    "line": (("say", 40), ("say/anna", 6), ("say/nobody", 4), ("urgent", 8), ("group/all/say", 6)),
    "command": (("command", 6), ("group/all/command", 1), ("volume/set", 3), ("voice/set", 2)),
    "voice": (("voice/anna/set", 2), ("voice/-/set", 1)),
    "render": (("render", 6), ("render/cancel", 2)),
    "probe": (("probe", 1),),
}
"""Kind of a message: its topics below the root (`group/…`: below the prefix), with their weights."""
_FROM: Mapping[str, Sequence[str]] = {
    "line": ("line", "line", "text", "policies", "packet", "event"),
    "command": ("command", "command", "voice", "event"),
    "voice": ("voice", "voice", "command"),
    "render": ("line", "line", "text", "event"),
    "probe": ("event", "command"),
}
"""Kind of a message: the corpora that its payloads are from."""
_VALID: Mapping[str, Sequence[bytes]] = {
    "line": (
        b'\0{"text": "Tea is ready.", "id": "tea"}',
        b'\0{"text": "Again.", "id": "tea", "author": "Bob"}',
        b"\0Hi.",
    ),
    "command": (
        *(b"replay", b"stop", b"pause", b"resume", b"mute", b"unmute", b"skip", b"reload", b"history"),
        b'{"command": "cancel", "author": "Bob"}',
        b'{"command": "cancel", "id": "tea"}',
    ),
}
"""Inputs that do something, beside the seeds."""
_HEAD_BYTES = {"line": 1, "text": 3, "policies": 1}
"""So many bytes of an input are for the target and not for the text."""
_LARGE = 4000
"""One message in so many is a hundred times as large."""
_RECORDING = 300
"""One message for a voice in so many is a complete upload. Each one makes the daemon start a child."""


@dataclass(frozen=True)
class HostileMessage:
    """A message to publish at QoS 1.

    Attributes:
        kind: `line`, `command`, `voice`, `render` or `probe`.
        topic: Below the root of the appliance, or below the prefix if it starts with `group/`.
        properties: The properties field of MQTT 5.
    """

    kind: str
    topic: str
    payload: bytes
    properties: bytes

    @property
    def is_no_command(self) -> bool:
        """Whether a payload on a topic of commands is none at all, by the daemon's own parsers."""
        read = {"volume/set": parse_volume, "voice/set": parse_voice}.get(self.topic, parse_command)
        try:
            if self.kind == "command":
                read(self.payload)
        except BadCommand as error:
            return error.command == ""
        return False

    @property
    def correlation(self) -> bytes | None:
        """The number of a request for sound that can be answered."""
        marker = f"{REPLIES}/render".encode() + b"\x09\0\x08"
        at = self.properties.find(marker)
        return None if at < 0 else self.properties[at + len(marker) :][:8]

    def renumbered(self, number: int) -> HostileMessage:
        """The same message. A request for sound has another number, because each has one last part."""
        if self.correlation is None:
            return self
        return replace(self, properties=self.properties.replace(self.correlation, number.to_bytes(8, "big")))


def hostile_messages(
    corpora: Mapping[str, Sequence[bytes]], chance: random.Random, count: int
) -> Iterator[HostileMessage]:
    """Makes messages: each input of the corpora once if there is room, then those and changed ones.

    Args:
        corpora: The inputs of each target of `CORPORA`. Seeds and known inputs are added.
    """
    all_inputs = {
        name: [*_VALID.get(name, ()), *TARGETS[name].seeds, *known_inputs(name), *corpora.get(name, ())]
        for name in CORPORA
    }
    topics = [(kind, topic) for kind, each in _TOPICS.items() for topic, weight in each for _ in range(weight)]
    first = [(kind, name, data) for kind, names in _FROM.items() for name in {*names} for data in all_inputs[name]]
    chance.shuffle(first)
    for number in range(count):
        if number < len(first):
            kind, name, data = first[number]
            topic = chance.choice([topic for of, topic in topics if of == kind])
        else:
            kind, topic = chance.choice(topics)
            name = chance.choice(_FROM[kind])
            inputs = all_inputs[name]
            data = mutated(chance, inputs, TARGETS[name].tokens) if chance.random() < 0.7 else chance.choice(inputs)
        payload = _payload(name, data)
        if kind == "voice" and chance.randrange(_RECORDING) == 0:
            payload = _upload(mutated(chance, all_inputs["clip"], TARGETS["clip"].tokens), number)
        if chance.randrange(_LARGE) == 0:
            payload *= 100
        yield HostileMessage(kind, topic, payload, _properties(kind, number, payload, chance))


def _payload(name: str, data: bytes) -> bytes:
    if name == "packet":
        head = data[:1] or b"\0"
        try:
            return read_publish(head[0] & 15, data[1:], mqtt5=bool(head[0] & 16), size_bytes=len(data)).payload
        except MalformedPacket:
            return data
    return data[_HEAD_BYTES.get(name, 0) :]


def _upload(recording: bytes, number: int) -> bytes:
    part = {"upload": f"u{number}", "part": 0, "parts": 1, "data": base64.b64encode(recording[:30_000]).decode()}
    return json.dumps({**part, "text": "Hello there.", "consent": True}).encode()


def _properties(kind: str, number: int, payload: bytes, chance: random.Random) -> bytes:
    """A valid properties field: a broker ends the connection at any other."""
    found = []
    if chance.random() < 0.2:
        found.append(
            mqtt.text_property(mqtt.CONTENT_TYPE, chance.choice(["application/json", "text/plain", "", "é" * 99]))
        )
    if chance.random() < 0.1:
        found.append(mqtt.number_property(mqtt.MESSAGE_EXPIRY, chance.choice([1, 60, 2**32 - 1]), 4))
    if chance.random() < 0.1:
        found.append(
            mqtt.user_property(chance.choice(["", "part", "seq", "k" * 500]), chance.choice(["", "audio", "\u202e"]))
        )
    if kind == "render" and chance.random() < 0.95:
        found.append(mqtt.text_property(mqtt.RESPONSE_TOPIC, f"{REPLIES}/render"))
        found.append(mqtt.text_property(mqtt.CORRELATION, number.to_bytes(8, "big")))
    elif chance.random() < 0.2:
        others = [f"{REPLIES}/{number % 50}", "ishowtts/reply/", "other/topic", f"ishowtts/reply/{'a/' * 100}"]
        found.append(mqtt.text_property(mqtt.RESPONSE_TOPIC, chance.choice(others)))
        found.append(mqtt.text_property(mqtt.CORRELATION, chance.choice([b"", payload[:64], b"\0" * 5000])))
    return mqtt.properties(*found)
