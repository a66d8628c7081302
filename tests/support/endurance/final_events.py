"""Hears which outcomes an appliance tells."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from support.appliance import FINAL
from support.broker import Broker
from support.endurance.queue_file import rows_of
from support.waiting import eventually


class FinalEvents:
    """Hears the final events on a persistent session, over every end of the broker."""

    def __init__(self, broker: Broker, root: str) -> None:
        self.finals: dict[str, Counter[str]] = {}
        self._broker, self._topic = broker, f"{root}/event"
        self._subscribed = threading.Event()
        self._paho = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="final-events", clean_session=False, protocol=paho.MQTTv311
        )
        self._paho.reconnect_delay_set(1, 1)
        self._paho.on_connect = lambda *_: self._paho.subscribe(self._topic, 1)
        self._paho.on_subscribe = lambda *_: self._subscribed.set()
        self._paho.on_message = self._heard

    def __enter__(self) -> FinalEvents:
        self._paho.connect(self._broker.host, self._broker.port)
        self._paho.loop_start()
        assert self._subscribed.wait(20), "the subscription to the events"
        return self

    def __exit__(self, *_: object) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()
        self._paho.on_connect = self._paho.on_subscribe = self._paho.on_message = None

    def _heard(self, _client: Any, _data: Any, message: Any) -> None:
        event = json.loads(message.payload)
        if event["event"] in FINAL:
            self.finals.setdefault(event["id"], Counter())[event["event"]] += 1

    def settle(self, folder: Path, timeout_s: float = 5) -> None:
        """Until every row's final event has come; one that the broker lost is found missing by the audit."""
        rows = rows_of(folder)
        try:
            eventually(lambda: all(row["id"] in self.finals for row in rows), "the final events", timeout_s)
        except AssertionError:
            return
