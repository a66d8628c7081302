"""Composes the message by which Home Assistant discovers the appliance: one device with its entities.

Home Assistant drops the whole message, silently, if its top level, `device` or `origin` has a key that it does not
know. An unknown key in a component is ignored. Versions from 2024.11 read the message.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ishowtts import __version__
from ishowtts.board import BoardIdentity
from ishowtts.config import Config
from ishowtts.model import FINAL_EVENTS, AlertName
from ishowtts.mqtt.discovery_sensors import SENSORS
from ishowtts.mqtt.topics import Topics

LINE_EVENTS = ("accepted", "started", "interrupted", "resumed", *sorted(FINAL_EVENTS))
"""Types of the event entity. A `command` event is about no line, and is not one of them."""

STATES = ("starting", "warming", "ready", "speaking", "paused", "degraded")
"""Values of `state.state`."""

_ALERT_NAMES = {
    AlertName.THROTTLED: "Throttled",
    AlertName.HOT: "Too hot",
    AlertName.CLOCKS_UNLOCKED: "Clocks unlocked",
    AlertName.SLOW: "Too slow",
    AlertName.NO_SOUND: "No sound",
    AlertName.MUTED_CARD: "Sound card muted",
    AlertName.FALLBACK_VOICE: "Fallback voice",
    AlertName.DEAF: "Messages do not arrive",
    AlertName.DISK_SHORT: "Disk space short",
}
_MAX_VOICES = 500  # 32 kB of names at most
_MAX_STATE_CHARS = 255  # Home Assistant's limit of a state
_MAX_EXPIRY_S = 2**32 - 2
_SAY = '{"text": {{ value | tojson }}, "author": "Home Assistant"}'


@dataclass(frozen=True)
class DiscoveryFacts:
    """What the message is composed from.

    Args:
        root: `<prefix>/<device>`.
        voices: The voices that lines can name.
        max_age_s: Seconds after which a line expires.
        quiet_hours_hold: Whether quiet hours let normal lines wait.
        private: Whether texts must stay out of sensors (`log.private`).
    """

    root: str
    identity: BoardIdentity
    voices: Sequence[str] = ()
    max_age_s: float = 900.0
    quiet_hours_hold: bool = False
    private: bool = False

    @classmethod
    def from_config(cls, config: Config, root: str, identity: BoardIdentity, voices: Sequence[str]) -> DiscoveryFacts:
        """Take the facts from the configuration."""
        quiet = config.policies.quiet
        return cls(
            root,
            identity,
            voices,
            max_age_s=config.queue.max_age_s,
            quiet_hours_hold=quiet.from_ is not None and quiet.action == "wait",
            private=config.log.private,
        )


def device_id(root: str) -> str:
    """The id of the appliance in Home Assistant: `ishowtts_` and the root topic, with only `[a-zA-Z0-9_-]`.

    Two roots never have the same id. If the prefix does not ensure that, the id ends with a part of the root's digest.
    """
    reduced = f"ishowtts_{re.sub('[^a-zA-Z0-9_-]', '_', root)}"
    # Without _ in the prefix, the first _ after it separates the two levels. The name of a device needs no change.
    if re.fullmatch("[a-zA-Z0-9-]+/[a-z0-9_-]+", root):
        return reduced
    return f"{reduced}-{hashlib.sha256(root.encode()).hexdigest()[:12]}"


def discovery_topic(prefix: str, root: str) -> str:
    """The retained topic of the message.

    Args:
        prefix: `home_assistant.prefix`.
    """
    return f"{prefix}/device/{device_id(root)}/config"


def discovery_message(facts: DiscoveryFacts) -> dict[str, Any]:
    """Compose the message."""
    return {
        "device": _device(facts),
        "origin": {"name": "iShowTTS", "sw_version": __version__},
        "components": _Components(facts).all(),
    }


def _device(facts: DiscoveryFacts) -> dict[str, Any]:
    identity = facts.identity
    maker, _, model = (identity.model or "").partition(" ")
    by_nvidia = maker == "NVIDIA" and model
    known = {
        "manufacturer": maker if by_nvidia else "iShowTTS",
        "model": model if by_nvidia else identity.model,
        "serial_number": identity.serial,
        "hw_version": identity.jetpack,
    }
    return {
        "identifiers": [device_id(facts.root)],
        "name": f"iShowTTS {facts.root.rpartition('/')[2]}",
        "sw_version": __version__,
        **{key: value for key, value in known.items() if value is not None},
    }


class _Components:
    """The entities of one device.

    `null` in our payloads is rendered as `None`, which Home Assistant takes for unknown.
    """

    def __init__(self, facts: DiscoveryFacts) -> None:
        self._facts = facts
        self._id = device_id(facts.root)
        self._topics = Topics(facts.root)

    def all(self) -> dict[str, dict[str, Any]]:
        """Return the components by their keys, which later versions must not give to anything else.

        A component with only a platform removes the entity, if there was one.
        """
        return {
            "say": self._notify("say", None, "say", expires=not self._facts.quiet_hours_hold),
            "urgent": self._notify("urgent", "Urgent", "urgent", expires=True),
            "line": self._line(),
            "volume": self._volume(),
            "mute": self._mute(),
            "pause": self._pause(),
            "skip": self._button("skip", "Skip", "mdi:skip-next"),
            "stop": self._button("stop", "Stop", "mdi:stop"),
            "replay": self._button("replay", "Replay", "mdi:replay"),
            "voice": self._voice() if self._facts.voices else {"platform": "select"},
            "state": self._state(),
            "queue_depth": self._queue_depth(),
            "speaking": {"platform": "sensor"} if self._facts.private else self._speaking(),
            **{sensor.key: self._entity("sensor", sensor.key, **sensor.fields(self._topics)) for sensor in SENSORS},
            **{f"alert_{name.value}": self._alert(name) for name in AlertName},
            "connection": self._connection(),
            "version": self._version(),
        }

    def _entity(self, platform: str, key: str, *, has_availability: bool = True, **fields: Any) -> dict[str, Any]:
        entity = {"platform": platform, "unique_id": f"{self._id}_{key}", **fields}
        if has_availability:
            entity["availability_topic"] = self._topics.availability
        return entity

    def _notify(self, key: str, name: str | None, topic: str, *, expires: bool) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "name": name,  # None: that of the device
            "command_topic": f"{self._facts.root}/{topic}",
            "command_template": _SAY,
            "qos": 1,
        }
        if expires:
            # The time in the queue of a broker counts then, too. It would also count during quiet hours.
            fields["message_expiry_interval"] = max(1, min(math.ceil(self._facts.max_age_s), _MAX_EXPIRY_S))
        return self._entity("notify", key, **fields)

    def _line(self) -> dict[str, Any]:
        types = ", ".join(f"'{name}'" for name in LINE_EVENTS)
        template = (
            f"{{% if value_json.event in [{types}] %}}"
            "{{ dict(value_json.items() | rejectattr(0, 'eq', 'event'), event_type=value_json.event) | tojson }}"
            "{% endif %}"
        )
        return self._entity(
            "event",
            "line",
            name="Line",
            icon="mdi:message-text",
            state_topic=self._topics.event,
            value_template=template,
            event_types=list(LINE_EVENTS),
            qos=1,
        )

    def _volume(self) -> dict[str, Any]:
        return self._entity(
            "number",
            "volume",
            name="Volume",
            icon="mdi:volume-high",
            state_topic=self._topics.retained("volume"),
            command_topic=self._topics.volume_set,
            min=0,
            max=100,
            step=1,
            mode="slider",
            unit_of_measurement="%",
        )

    def _mute(self) -> dict[str, Any]:
        return self._entity(
            "switch",
            "mute",
            name="Mute",
            icon="mdi:volume-off",
            state_topic=self._topics.retained("muted"),
            state_on="true",
            state_off="false",
            command_topic=self._topics.command,
            payload_on="mute",
            payload_off="unmute",
        )

    def _pause(self) -> dict[str, Any]:
        return self._entity(
            "switch",
            "pause",
            name="Pause",
            icon="mdi:pause",
            state_topic=self._topics.retained("state"),
            value_template="{{ 'paused' if value_json.paused else 'running' }}",
            state_on="paused",
            state_off="running",
            command_topic=self._topics.command,
            payload_on="pause",
            payload_off="resume",
        )

    def _button(self, command: str, name: str, icon: str) -> dict[str, Any]:
        return self._entity(
            "button", command, name=name, icon=icon, command_topic=self._topics.command, payload_press=command
        )

    def _voice(self) -> dict[str, Any]:
        return self._entity(
            "select",
            "voice",
            name="Voice",
            icon="mdi:account-voice",
            entity_category="config",
            state_topic=self._topics.retained("voice"),
            value_template="{{ value_json }}",
            command_topic=self._topics.voice_set,
            options=list(self._facts.voices[:_MAX_VOICES]),
        )

    def _state(self) -> dict[str, Any]:
        told = ", ".join(f"{name}=value_json.get('{name}')" for name in ("detail", "since", "engine", "device"))
        return self._entity(
            "sensor",
            "state",
            name="State",
            icon="mdi:state-machine",
            device_class="enum",
            options=list(STATES),
            state_topic=self._topics.retained("state"),
            value_template="{{ value_json.state }}",
            json_attributes_topic=self._topics.retained("state"),
            json_attributes_template=f"{{{{ dict({told}) | tojson }}}}",
        )

    def _queue_depth(self) -> dict[str, Any]:
        return self._entity(
            "sensor",
            "queue_depth",
            name="Lines waiting",
            icon="mdi:tray-full",
            state_class="measurement",
            unit_of_measurement="lines",
            state_topic=self._topics.retained("state"),
            value_template="{{ value_json.queue_depth }}",
        )

    def _speaking(self) -> dict[str, Any]:
        template = (
            "{% set line = value_json.speaking %}"
            f"{{{{ none if not line else line.text if line.text | length <= {_MAX_STATE_CHARS} "
            f"else line.text[:{_MAX_STATE_CHARS - 1}] ~ '…' }}}}"
        )
        return self._entity(
            "sensor",
            "speaking",
            name="Speaking",
            icon="mdi:bullhorn",
            state_topic=self._topics.retained("state"),
            value_template=template,
        )

    def _alert(self, name: AlertName) -> dict[str, Any]:
        topic = self._topics.retained(name)
        fields: dict[str, Any] = {
            "name": _ALERT_NAMES[name],
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topic,
            "value_template": "{{ {true: 'ON', false: 'OFF'}.get(value_json.active) }}",
            "json_attributes_topic": topic,
            "qos": 1,
        }
        if name is AlertName.DEAF:
            # The appliance is `offline` while messages do not reach it. This alert says why, so it is available then.
            fields["availability_mode"] = "any"
            fields["availability"] = [
                {"topic": self._topics.availability},
                {"topic": topic, "value_template": "{{ 'online' if value_json.active else 'offline' }}"},
            ]
        key = f"alert_{name.value}"
        return self._entity("binary_sensor", key, has_availability=name is not AlertName.DEAF, **fields)

    def _connection(self) -> dict[str, Any]:
        return self._entity(
            "binary_sensor",
            "connection",
            has_availability=False,  # it shows the availability itself
            name="Connection",
            device_class="connectivity",
            entity_category="diagnostic",
            state_topic=self._topics.availability,
            payload_on="online",
            payload_off="offline",
            qos=1,
        )

    def _version(self) -> dict[str, Any]:
        # Without `latest_version`, which the appliance does not know, the state of this entity is unknown.
        return self._entity(
            "update",
            "version",
            name="Version",
            title="iShowTTS",
            entity_category="diagnostic",
            state_topic=self._topics.retained("info"),
            value_template="{{ dict(installed_version=value_json.version) | tojson }}",
        )
