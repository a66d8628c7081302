"""Acknowledges the messages of one connection (PUBACK), in order, and knows which the broker has processed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ishowtts.model import Acknowledge, Delivery


@dataclass
class _Pending:
    delivery: Delivery
    ready: bool = False


class Acknowledgements:
    """Acknowledges messages in the order of arrival, as MQTT requires. Any thread may call any method.

    The owner of a message calls the function that `expect` returned as soon as the message is safe. An acknowledgement
    waits here until all earlier ones are sent.

    A broker reads our packets in order. Its answer to a later packet of ours shows that it has processed the
    acknowledgements before it. Some seconds later it has saved that. Then the delivery is completed: from then on the
    packet id means another message, even with the DUP flag and the same content. Before that, a broker that is killed
    delivers the message again.

    Args:
        send: Sends the acknowledgement of a packet id.
        saved_s: A broker saves within this time what it has processed.
        clock: Monotonic seconds.
    """

    def __init__(
        self, send: Callable[[int], None], saved_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._send: Callable[[int], None] | None = send
        self._saved_s = saved_s
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: deque[_Pending] = deque()
        self._sent: dict[int, tuple[int, Delivery]] = {}  # by packet id, in the order of their numbers
        self._processed: dict[int, tuple[float, Delivery]] = {}  # by packet id, in the order of their times
        self._count = 0
        self.ascending_ids = False  # whether the broker gave a new packet id although a lower one was free

    @property
    def count(self) -> int:
        """How many acknowledgements we have sent."""
        return self._count

    @property
    def owed(self) -> bool:
        """Whether a message waits for its acknowledgement."""
        return bool(self._pending)

    def expect(self, delivery: Delivery) -> Acknowledge:
        """Register a message that arrived. Returns the function that acknowledges it; after `close` it does nothing."""
        pending = _Pending(delivery)
        with self._lock:
            free = next(iter(self._processed), None)
            self.ascending_ids = self.ascending_ids or (free is not None and free < delivery.packet_id)
            # The broker has given this packet id to another message.
            self._sent.pop(delivery.packet_id, None)
            self._processed.pop(delivery.packet_id, None)
            self._pending.append(pending)

        def acknowledge() -> None:
            with self._lock:
                pending.ready = True
                self._send_ready()

        return acknowledge

    def processed(self, count: int) -> None:
        """Note that the broker has processed the first `count` acknowledgements."""
        with self._lock:
            while self._sent:
                number, delivery = next(iter(self._sent.values()))
                if number > count:
                    break
                del self._sent[delivery.packet_id]
                self._processed[delivery.packet_id] = (self._clock(), delivery)

    def take_completed(self) -> list[Delivery]:
        """Returns deliveries that the broker will not repeat, whatever happens to it. Returns each once."""
        completed = []
        with self._lock:
            while self._processed:
                processed_s, delivery = next(iter(self._processed.values()))
                if processed_s + self._saved_s > self._clock():
                    break
                completed.append(delivery)
                del self._processed[delivery.packet_id]
        return completed

    def close(self) -> None:
        """The connection has ended: send nothing any more."""
        with self._lock:
            self._send = None
            self._pending.clear()
            self._sent.clear()
            self._processed.clear()

    def _send_ready(self) -> None:
        while self._send is not None and self._pending and self._pending[0].ready:
            delivery = self._pending.popleft().delivery
            self._send(delivery.packet_id)
            self._count += 1
            self._sent[delivery.packet_id] = (self._count, delivery)
