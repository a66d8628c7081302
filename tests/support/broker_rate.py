"""Measures how many parts of sound a second brokers pass on, and the CPU time of that. Part of scripts/bench-scale."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ishowtts.limits import RENDER_PART_BYTES
from support.broker_sets import BrokerNode
from support.scale_fleet import MachineLoad

_WINDOW = 8  # parts that a board has unconfirmed, as docs/mqtt.md says
_RAMP_S = 1.0
_SUBSCRIBED_S = 20.0
_BYTES = bytes(RENDER_PART_BYTES)


class _Pair:
    """A client that publishes parts at one broker, and one that receives them at another one, both at QoS 1."""

    def __init__(self, source: BrokerNode, sink: BrokerNode) -> None:
        self.received = 0
        self._topic = f"ishowtts/reply/{uuid.uuid4().hex}"
        self._stopping = threading.Event()
        self._subscribed = threading.Event()
        self._window = threading.Semaphore(_WINDOW)
        self._sender, self._receiver = self._client(), self._client()
        self._sender.on_publish = lambda *_: self._window.release()
        self._receiver.on_message = self._take
        self._receiver.on_connect = lambda client, *_: client.subscribe(self._topic, 1)
        self._receiver.on_subscribe = lambda *_: self._subscribed.set()
        self._addresses = ((self._receiver, sink), (self._sender, source))
        self._thread = threading.Thread(target=self._send, name="parts", daemon=True)

    def __enter__(self) -> _Pair:
        for client, node in self._addresses:
            client.connect(node.host, node.port)
            client.loop_start()
        if not self._subscribed.wait(_SUBSCRIBED_S):
            raise RuntimeError(f"the broker did not answer a subscription within {_SUBSCRIBED_S:.0f} s")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._window.release()
        self._thread.join()
        for client, _ in self._addresses:
            client.disconnect()
            client.loop_stop()
            client.on_connect = client.on_subscribe = client.on_message = client.on_publish = None

    def _client(self) -> paho.Client:
        return paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)

    def _take(self, *_: Any) -> None:
        self.received += 1

    def _send(self) -> None:
        while not self._stopping.is_set():
            self._window.acquire()
            self._sender.publish(self._topic, _BYTES, 1)


def part_rates(nodes: Sequence[BrokerNode], pairs: int, seconds: float) -> dict[str, float]:
    """Publishes parts as fast as they are confirmed. Each pair is at two neighbouring brokers, if there are several."""
    with ExitStack() as stack:
        running = [
            stack.enter_context(_Pair(nodes[number % len(nodes)], nodes[(number + 1) % len(nodes)]))
            for number in range(pairs)
        ]
        time.sleep(_RAMP_S)
        load = MachineLoad([node.pid for node in nodes])
        before, began_s = sum(pair.received for pair in running), time.monotonic()
        time.sleep(seconds)
        parts = sum(pair.received for pair in running) - before
        passed_s, share = time.monotonic() - began_s, load.share()
    megabytes = parts * RENDER_PART_BYTES / 1e6
    return {
        "parts_per_s": round(parts / passed_s),
        "mb_per_s": round(megabytes / passed_s, 1),
        "brokers_cpu_pct": round(100 * share, 1),
        "cpu_ms_per_mb": round(1000 * share * passed_s / max(megabytes, 0.001), 2),
    }
