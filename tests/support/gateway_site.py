"""What the gateway's page stands on in tests: a broker, two appliances, a gateway. Each is a process of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.gateway_process import GatewayProcess
from support.waiting import eventually

SOUND_S = 0.3
"""Duration of each line, except of those that hold the word `endless`."""
_SHOWN = {"devices": ["kitchen", "attic"]}


class Kitchen(Appliance):
    """The first appliance."""

    root = "ishowtts/kitchen"


class Attic(Appliance):
    """The second one. Its voices cannot be changed over MQTT."""

    root = "ishowtts/attic"


@dataclass(frozen=True)
class Site:
    """All of it, and a client of the broker that has subscribed to both appliances."""

    broker: Broker
    kitchen: Appliance
    attic: Appliance
    gateway: GatewayProcess
    client: Client

    def restart_broker(self) -> None:
        """Starts the broker after `broker.stop()`, and subscribes again. Returns when the client is connected."""
        self.broker.start()
        eventually(self.client.is_connected, "the client")
        for board in (self.kitchen, self.attic):
            self.client.subscribe(f"{board.root}/#")

    def silence(self) -> None:
        """Ends all lines of both appliances, and their pauses. Returns when they have done so."""
        for board in (self.kitchen, self.attic):
            stopped = uuid.uuid4().hex
            self.client.publish(f"{board.root}/command", "resume")
            self.client.publish(f"{board.root}/command", {"command": "stop", "transaction": stopped})
            self._wait_for_answer(board, stopped)

    def _wait_for_answer(self, board: Appliance, transaction: str) -> None:
        self.client.wait_for(f"{board.root}/event", lambda event: event.json.get("transaction") == transaction)


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """Starts everything; returns when both appliances are ready."""
    for name in ("broker", "kitchen", "attic", "gateway"):
        (folder / name).mkdir()
    with Broker(folder / "broker", saves_changes=True) as broker, Client(broker.host, broker.port) as client:
        voices = {"engine": {"kind": "espeak", "f5": {"voices_over_mqtt": True}}}
        kitchen = Kitchen(folder / "kitchen", broker, {**_named("kitchen"), **voices}, quick_s=SOUND_S)
        attic = Attic(folder / "attic", broker, _named("attic"), quick_s=SOUND_S)
        with kitchen, attic, GatewayProcess(folder / "gateway", client.address, _SHOWN) as gateway:
            kitchen.wait_ready(client)
            attic.wait_ready(client)
            yield Site(broker, kitchen, attic, gateway, client)


def _named(name: str) -> dict[str, Any]:
    return {"device": {"name": name}, "board": {"source": "simulated"}}
