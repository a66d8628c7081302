"""A fake appliance: publishes what an appliance would publish, and answers messages in a thread."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from support.broker import Broker
from support.client import Client

ROOT = "ishowtts/test"


class FakeAppliance:
    """Publishes retained topics, and answers the first message on a topic with events.

    Args:
        stack: Ends its threads and its connection.
    """

    def __init__(self, broker: Broker, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.client = stack.enter_context(Client(broker.host, broker.port))
        self.config = folder / "config.yaml"
        mqtt = {"host": broker.host, "port": broker.port}
        self.config.write_text(json.dumps({"state_dir": str(folder), "device": {"name": "test"}, "mqtt": mqtt}))

    def publish_state(self, availability: str, **state: Any) -> None:
        """Publish `availability`, and a state with these fields."""
        known = {"state": "ready", "paused": False, "muted": False, "volume": 80, "queue_depth": 0, "speaking": None}
        self.retain("state", {**known, "detail": None, **state})
        self.client.publish(f"{ROOT}/availability", availability, retain=True)

    def retain(self, name: str, payload: dict[str, Any]) -> None:
        """Publish a retained object."""
        self.client.publish(f"{ROOT}/{name}", payload, retain=True)

    def answers(self, topic: str, *events: dict[str, Any], then: Callable[[], None] = lambda: None) -> None:
        """Answer the next message on a topic with events that carry its `id` and `transaction`."""
        self.client.subscribe(f"{ROOT}/{topic}")

        def answer() -> None:
            message = self.client.wait_for(f"{ROOT}/{topic}")
            asked = message.json if message.payload.startswith(b"{") else {}
            for event in events:
                known = {"id": asked.get("id", ""), "transaction": asked.get("transaction")}
                self.client.publish(f"{ROOT}/event", {**known, **event})
            then()

        thread = threading.Thread(target=answer, name="fake-appliance")
        thread.start()
        self._stack.callback(thread.join, 30)
