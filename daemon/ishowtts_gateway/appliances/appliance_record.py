"""What the gateway knows of one appliance: the newest value of each topic, its lines and its telemetry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ishowtts.limits import VOLUME
from ishowtts.model import AlertName
from ishowtts_gateway.appliances.line_log import LineLog
from ishowtts_gateway.appliances.published_value import parse, parse_object, text
from ishowtts_gateway.appliances.telemetry_series import TelemetrySeries

ONLINE, OFFLINE = "online", "offline"
SHOWN_LINES = 200
MAX_EVENT_BYTES = 16_384
_OBJECT_BYTES = {"state": 16_384, "info": 65_536, "telemetry": 32_768}
_ALERT_BYTES = 4096
_LEVEL_BYTES = 1024
_MAX_VOICE_CHARS = 128
_ALERT_NAMES = frozenset(name.value for name in AlertName)

Fields = dict[str, Any]
"""Top-level fields of a snapshot that changed, with their new values."""


class ApplianceRecord:
    """The state of one appliance. It is `None` wherever nothing is known.

    Attributes:
        availability: `online` or `offline`.
        state, info, telemetry: The objects as published, checked to be objects of bounded size.
        alerts: The objects below `alert/`, by the names of the alerts.
        controls: What the gateway may do with it: `say`, `command`, `voices`.

    Args:
        name: The name of the device.
        root: Its root topic.
    """

    def __init__(self, name: str, root: str) -> None:
        self.name = name
        self.root = root
        self.availability: str | None = None
        self.state: dict[str, Any] | None = None
        self.info: dict[str, Any] | None = None
        self.telemetry: dict[str, Any] | None = None
        self.alerts: dict[str, dict[str, Any]] = {}
        self.volume: int | None = None
        self.muted: bool | None = None
        self.voice: str | None = None
        self.controls: dict[str, bool] | None = None
        self.lines = LineLog()
        self.series = TelemetrySeries()

    @property
    def online(self) -> bool:
        """Whether messages reach the appliance."""
        return self.availability == ONLINE

    def apply_retained(self, topic: str, payload: bytes) -> Fields:
        """Apply a message of a retained topic. An empty payload removes the value. Returns the fields that changed.

        Args:
            topic: The part of the topic after the root, as in `state` and `alert/hot`.

        Raises:
            ValueError: the payload is not one that an appliance publishes. The record stays as it was.
        """
        name, _, alert = topic.partition("/")
        if name == "alert" and alert in _ALERT_NAMES:
            return self._apply_alert(alert, payload)
        if alert or name not in _READERS:
            return {}
        value = _READERS[name](payload) if payload else None
        if getattr(self, name) == value:
            return {}
        setattr(self, name, value)
        return {name: value}

    def snapshot(self) -> dict[str, Any]:
        """Everything that a page needs to show the appliance, as values of JSON."""
        return {
            "name": self.name,
            "root": self.root,
            "availability": self.availability,
            "state": self.state,
            "info": self.info,
            "alerts": self.alerts,
            "telemetry": self.telemetry,
            "volume": self.volume,
            "muted": self.muted,
            "voice": self.voice,
            "controls": self.controls,
            "lines": [record.as_json() for record in self.lines.recent(SHOWN_LINES)],
        }

    def _apply_alert(self, name: str, payload: bytes) -> Fields:
        alerts = {key: value for key, value in self.alerts.items() if key != name}
        if payload:
            alerts[name] = parse_object(payload, _ALERT_BYTES)
        if alerts == self.alerts:
            return {}
        self.alerts = alerts  # a new object: a reader may hold the earlier one
        return {"alerts": alerts}


def _availability(payload: bytes) -> str:
    if payload not in (ONLINE.encode(), OFFLINE.encode()):
        raise ValueError("availability is neither online nor offline")
    return payload.decode()


def _volume(payload: bytes) -> int:
    value = parse(payload, _LEVEL_BYTES)
    if type(value) is not int or not VOLUME[0] <= value <= VOLUME[1]:
        raise ValueError(f"volume is not a whole number from {VOLUME[0]} to {VOLUME[1]}")
    return value


def _muted(payload: bytes) -> bool:
    value = parse(payload, _LEVEL_BYTES)
    if not isinstance(value, bool):
        raise ValueError("muted is neither true nor false")
    return value


def _voice(payload: bytes) -> str:
    value = text(parse(payload, _LEVEL_BYTES), _MAX_VOICE_CHARS)
    if value is None:
        raise ValueError("voice is not the name of a voice")
    return value


_READERS: Mapping[str, Any] = {
    "availability": _availability,
    "state": lambda payload: parse_object(payload, _OBJECT_BYTES["state"]),
    "info": lambda payload: parse_object(payload, _OBJECT_BYTES["info"]),
    "telemetry": lambda payload: parse_object(payload, _OBJECT_BYTES["telemetry"]),
    "volume": _volume,
    "muted": _muted,
    "voice": _voice,
}
"""Reads the payload of each topic whose newest value counts."""
