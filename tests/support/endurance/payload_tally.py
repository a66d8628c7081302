"""Counts what a daemon says of the payloads that it is given."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from support import mqtt_packets as mqtt
from support.appliance import FINAL

_COUNTED = re.compile(r"of more such commands within 10 s, (.*);")


class PayloadTally:
    """What the daemon has said.

    Attributes:
        probes: Probes without an answer, and when they were published. `latencies`: of those with one.
        events: How many lines each event told of.
        balance: Accepted lines minus final events by id, without those that are even.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self.ready = False
        self.probes: dict[str, float] = {}
        self.latencies: dict[str, float] = {}
        self.events: Counter[str] = Counter()
        self.balance: dict[str, int] = {}
        self.replayed = 0
        self.commands_unread = 0
        self.renders: set[bytes] = set()
        self.renders_ended: Counter[bytes] = Counter()

    def hear(self, topic: str, payload: bytes, properties: Mapping[int, list[Any]]) -> None:
        """Counts one message."""
        if topic == f"{self._root}/event":
            self._event(json.loads(payload))
        elif topic == f"{self._root}/state":
            self.ready = self.ready or json.loads(payload)["state"] == "ready"
        elif dict(properties.get(mqtt.USER_PROPERTY, ())).get("part") in ("end", "error"):
            correlation = properties[mqtt.CORRELATION][0]
            if correlation in self.renders:  # an `error` to a cancel of another one counts for nothing
                self.renders_ended[correlation] += 1

    def _event(self, event: dict[str, Any]) -> None:
        name, line_id = event["event"], event["id"]
        if name == "command":
            self._command(event)
            return
        self.events[name] += event.get("count", 1)
        if name == "accepted":
            self._change(line_id, 1)
            if line_id in self.probes:
                self.latencies[line_id] = time.monotonic() - self.probes.pop(line_id)
        elif name in FINAL and name != "rejected":
            self._change(line_id, -1)

    def _command(self, event: dict[str, Any]) -> None:
        counted = _COUNTED.match(event["detail"])
        told = dict.fromkeys(("executed", "refused"), 0)
        if counted is None:
            told["executed" if event["ok"] else "refused"] = 1
        else:
            told |= {what: int(count) for count, what in re.findall(r"(\d+) (executed|refused)", counted[1])}
        if event["command"] == "replay":
            self.replayed += told["executed"]
        elif event["command"] == "":
            self.commands_unread += told["refused"]

    def _change(self, line_id: str, by: int) -> None:
        balance = self.balance.get(line_id, 0) + by
        if balance:
            self.balance[line_id] = balance
        else:
            del self.balance[line_id]
