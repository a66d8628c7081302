"""Keeps a record for each appliance, from the messages that they publish, and tells watchers what changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from ishowtts.limits import NAME
from ishowtts.util.rate_limit import RateLimit
from ishowtts_gateway.appliances.appliance_record import MAX_EVENT_BYTES, ONLINE, ApplianceRecord
from ishowtts_gateway.appliances.change_feed import ALL_KINDS, ApplianceChange, ChangeFeed, Kind, Watcher
from ishowtts_gateway.appliances.line_record import LineRecord
from ishowtts_gateway.appliances.published_value import parse_object

log = logging.getLogger(__name__)

MAX_DEVICES = 200
REPLY = "reply"  # `<prefix>/reply/` has answers; no device may have this name
_TOPICS = ("availability", "state", "info", "telemetry", "event", "volume", "muted", "voice", "alert/+")
_MAX_FAULTS_LOGGED = 10
_MAX_ENDED, _MAX_WAITING, _MAX_CHARS = 20_000, 20_000, 20_000_000  # of the lines of all appliances together

OnEvent = Callable[[str, dict[str, Any]], None]
"""Takes the name of a device and an event of it."""
OnTelemetry = Callable[[str, dict[str, Any], bool], None]
"""Takes the name of a device, its telemetry, and whether the broker had it before we subscribed."""


class ApplianceDirectory:
    """The appliances that the gateway shows.

    Attributes:
        records: By the names of the devices; at most 200.
        broker_connected, broker_detail: Whether the broker is connected, and the sentence that says what is wrong.

    Args:
        prefix: `mqtt.prefix`.
        names: The names of the devices; `None`: every appliance under the prefix.
    """

    def __init__(self, prefix: str, names: Sequence[str] | None) -> None:
        self._prefix = prefix
        self._names = None if names is None else frozenset(names)
        self._feed = ChangeFeed()
        self._on_event: list[OnEvent] = []
        self._on_telemetry: list[OnTelemetry] = []
        self._faults = RateLimit(_MAX_FAULTS_LOGGED)
        self._full = False
        self._unconfirmed: set[str] = set()  # whose availability the broker has not sent since it was connected
        self.records: dict[str, ApplianceRecord] = {}
        self.broker_connected = False
        self.broker_detail: str | None = None
        for name in names or ():
            self._add(ApplianceRecord(name, f"{prefix}/{name}"))

    @property
    def topics(self) -> list[str]:
        """The topic filters that the directory needs."""
        roots = [f"{self._prefix}/+"] if self._names is None else [record.root for record in self.records.values()]
        return [f"{root}/{topic}" for root in roots for topic in _TOPICS]

    def watch(self, kinds: Collection[Kind] = ALL_KINDS) -> AbstractContextManager[Watcher]:
        """`with directory.watch() as changes:`, then `async for change in changes`. `close` ends the iteration.

        Args:
            kinds: The kinds of changes that are wanted. `reset` always comes.
        """
        return self._feed.watch(kinds)

    def add_event_listener(self, on_event: OnEvent) -> None:
        """Call a function for each event of an appliance, except repetitions of the same event."""
        self._on_event.append(on_event)

    def add_telemetry_listener(self, on_telemetry: OnTelemetry) -> None:
        """Call a function for each telemetry of an appliance."""
        self._on_telemetry.append(on_telemetry)

    def close(self) -> None:
        """End what all watchers iterate over."""
        self._feed.close()

    def tell_lines(self, device: str, lines: Iterable[LineRecord]) -> None:
        """Tell the watchers that lines of a device have changed."""
        for line in lines:
            self._tell("line", device, line.as_json())

    def forget_unconfirmed(self) -> None:
        """Make the availability of an appliance unknown if the broker did not have it after it was connected.

        Call it some seconds after the connection is made: the broker sends what it retains at once.
        """
        for name in self._unconfirmed:
            record = self.records.get(name)
            if record is not None and record.availability is not None:
                record.availability = None
                self._tell("device", name, {"availability": None})
        self._unconfirmed.clear()

    def set_broker(self, connected: bool, detail: str | None) -> None:
        """Set whether the broker is connected, and why not."""
        if connected and not self.broker_connected:
            self._unconfirmed = set(self.records)
        self.broker_connected, self.broker_detail = connected, detail
        self._tell("broker", None, {"connected": connected, "detail": detail})

    def set_controls(self, device: str, controls: dict[str, bool]) -> None:
        """Set what the gateway may do with a device."""
        record = self.records.get(device)
        if record is not None and record.controls != controls:
            record.controls = controls
            self._tell("device", device, {"controls": controls})

    def apply(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Apply a message. What no appliance publishes is ignored, and logged at level debug.

        Args:
            retained: The broker had the message before we subscribed. Retained telemetry is no new reading, and a
                retained event is not from an appliance.
        """
        name, _, tail = topic.removeprefix(f"{self._prefix}/").partition("/")
        if not topic.startswith(f"{self._prefix}/") or not tail or name == REPLY or not NAME.fullmatch(name):
            return
        if self._names is not None and name not in self._names:
            return
        try:
            self._apply(name, tail, payload, retained=retained)
        except ValueError as error:
            if self._faults.allows():
                log.debug("a message on %s/%s/%s is ignored: %s", self._prefix, name, tail[:40], error)

    def _apply(self, name: str, tail: str, payload: bytes, *, retained: bool) -> None:
        record = self.records.get(name)
        if record is None:
            if not payload or (record := self._admit(name, tail, payload)) is None:
                return
        elif tail == "event":
            self._apply_event(record, payload, retained=retained)
            return
        fields = record.apply_retained(tail, payload)
        if tail == "availability":
            self._unconfirmed.discard(name)
        if name not in self.records:
            self._add(record)
            self._tell("device", name, record.snapshot())
        elif fields:
            self._tell("device", name, fields)
        if tail == "telemetry" and payload and record.telemetry is not None:
            if not retained:
                self._tell("telemetry", name, record.series.add(record.telemetry))
            for on_telemetry in self._on_telemetry:
                on_telemetry(name, record.telemetry, retained)
        if not payload and self._names is None and _is_empty(record):
            self._remove(name)

    def _apply_event(self, record: ApplianceRecord, payload: bytes, *, retained: bool) -> None:
        if retained or not payload:
            return
        event = parse_object(payload, MAX_EVENT_BYTES)
        if record.lines.is_repetition(event):
            return
        line = record.lines.apply(event)
        if line is not None:
            self.tell_lines(record.name, [line])
        self._tell("event", record.name, event)
        for on_event in self._on_event:
            on_event(record.name, event)

    def _admit(self, name: str, tail: str, payload: bytes) -> ApplianceRecord | None:
        """A new record for a name that appeared; `None` if there is no room for it.

        Only a value that an appliance retains makes one. It is kept if the value is valid.
        """
        if tail == "event":
            return None
        if len(self.records) >= MAX_DEVICES and not self._make_room(tail, payload):
            if not self._full:
                log.warning(
                    "more than %d appliances are under %s: others are not shown; name those to show in gateway.devices",
                    MAX_DEVICES,
                    self._prefix,
                )
            self._full = True
            return None
        return ApplianceRecord(name, f"{self._prefix}/{name}")

    def _make_room(self, tail: str, payload: bytes) -> bool:
        """Remove an appliance that is away for one that is online."""
        if tail != "availability" or payload != ONLINE.encode():
            return False
        away = next((record.name for record in self.records.values() if not record.online), None)
        if away is not None:
            self._remove(away)
        return away is not None

    def _add(self, record: ApplianceRecord) -> None:
        self.records[record.name] = record
        self._share_lines()

    def _remove(self, name: str) -> None:
        del self.records[name]
        self._share_lines()
        self._tell("gone", name, {})

    def _share_lines(self) -> None:
        """Bound the lines of all appliances together."""
        count = max(1, len(self.records))
        for record in self.records.values():
            record.lines.limit(_MAX_ENDED // count, _MAX_WAITING // count, _MAX_CHARS // count)

    def _tell(self, kind: Kind, device: str | None, data: dict[str, Any]) -> None:
        self._feed.publish(ApplianceChange(kind, device, data))


def _is_empty(record: ApplianceRecord) -> bool:
    """Whether nothing retained is known of an appliance: its topics were cleared at the broker."""
    values = (record.availability, record.state, record.info, record.telemetry, record.volume, record.muted)
    return all(value is None for value in (*values, record.voice)) and not record.alerts
