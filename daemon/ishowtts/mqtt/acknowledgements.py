"""The acknowledgements (PUBACK) of one connection: sent in order, and known to be processed by the broker."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ishowtts.model import Delivery

Ack = Callable[[], None]


@dataclass
class _Pending:
    delivery: Delivery
    ready: bool = False


class Acknowledgements:
    """MQTT asks for acknowledgements in the order of arrival, whenever each becomes possible. Any thread may call.

    A broker reads our packets in order. Its answer to what we sent after an acknowledgement shows that it has processed
    that one too, and some seconds later it has saved that: from then on the packet id means another message, also one
    with the DUP flag and the same content. Before that, a broker that is killed delivers the message again.

    Args:
        send: sends the acknowledgement of a packet id.
        saved_s: a broker has saved within this time what it has processed.
        clock: monotonic seconds.
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
        self.counts_up = False  # whether the broker gave a new packet id though a lower one was free

    @property
    def count(self) -> int:
        """How many acknowledgements were sent so far."""
        return self._count

    @property
    def owed(self) -> bool:
        """Whether a message waits for its acknowledgement."""
        return bool(self._pending)

    def expect(self, delivery: Delivery) -> Ack:
        """A message arrived; what is returned acknowledges it, in its turn. After `close` it does nothing."""
        pending = _Pending(delivery)
        with self._lock:
            free = next(iter(self._processed), None)
            self.counts_up = self.counts_up or (free is not None and free < delivery.packet_id)
            # The broker has given the packet id to another message.
            self._sent.pop(delivery.packet_id, None)
            self._processed.pop(delivery.packet_id, None)
            self._pending.append(pending)

        def ack() -> None:
            with self._lock:
                pending.ready = True
                self._send_ready()

        return ack

    def processed(self, count: int) -> None:
        """The broker has processed the first `count` acknowledgements."""
        with self._lock:
            while self._sent:
                number, delivery = next(iter(self._sent.values()))
                if number > count:
                    break
                del self._sent[delivery.packet_id]
                self._processed[delivery.packet_id] = (self._clock(), delivery)

    def settled(self) -> list[Delivery]:
        """The deliveries that the broker will not repeat, whatever happens to it; each is given once."""
        settled = []
        with self._lock:
            while self._processed:
                processed_s, delivery = next(iter(self._processed.values()))
                if processed_s + self._saved_s > self._clock():
                    break
                settled.append(delivery)
                del self._processed[delivery.packet_id]
        return settled

    def close(self) -> None:
        """The connection has ended: nothing is sent any more."""
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
