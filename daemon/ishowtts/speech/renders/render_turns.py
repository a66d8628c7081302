"""The renders that are open: how many there may be, and which of them has the next turn."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from ishowtts.speech.renders.open_render import OpenRender
from ishowtts.speech.synthesis_thread import RenderJob

_MAX_UNSENT_S = 2.0  # the next segment of a render is made once no more of its sound than this is unsent
_FEWER = 2


@dataclass(frozen=True)
class Admission:
    """Whether a render was taken.

    Attributes:
        before: How many renders were open before it; `None` if it was not taken.
        gave_way: Another render that had to leave for it; `None` if none had to.
    """

    before: int | None
    gave_way: OpenRender | None = None


class RenderTurns:
    """The open renders by client. Any thread may call any method; none of them waits.

    Clients take turns: one segment each. Of a client, the render that came first goes on as long as it can.

    Args:
        limit: The most renders that may be open.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._clients: OrderedDict[str, list[OpenRender]] = OrderedDict()  # in the order of their next turns
        self._last_turn: str | None = None  # the client whose segment was begun last

    def add(self, render: OpenRender) -> Admission:
        """Take a render. If too many are open, the newest that waits of the client with the most gives way to it.

        It does so only if the client of the new one has at least two fewer: so one client cannot fill all places.
        """
        with self._lock:
            before, gave_way = sum(map(len, self._clients.values())), None
            if before >= self._limit:
                gave_way = self._giving_way(len(self._clients.get(render.client, ())))
                if gave_way is None:
                    return Admission(None)
                self._remove(gave_way)
                before -= 1
            self._clients.setdefault(render.client, []).append(render)
            return Admission(before, gave_way)

    def remove(self, render: OpenRender) -> None:
        """Forget a render that has ended."""
        with self._lock:
            self._remove(render)

    def all(self) -> list[OpenRender]:
        """The open renders, those first whose client has the next turn."""
        with self._lock:
            return [render for renders in self._clients.values() for render in renders]

    def next_job(self, spare_s: float) -> RenderJob | None:
        """The job of the render whose turn it is, if it should take at most so many seconds.

        Called on the thread `synthesis`, with its lock held.
        """
        now_s = time.monotonic()
        with self._lock:
            # Not when its job began: a client that came during that goes before it.
            if self._last_turn is not None and self._last_turn in self._clients:
                self._clients.move_to_end(self._last_turn)
            self._last_turn = None
            for client, renders in self._clients.items():
                ready = next((each for each in renders if each.wants_engine(now_s, _MAX_UNSENT_S)), None)
                if ready is None:
                    continue
                if ready.task.expected_s > spare_s:
                    return None
                if ready.task.planned:  # reading a text is no turn
                    self._last_turn = client
                return ready.task.run
        return None

    def _giving_way(self, own: int) -> OpenRender | None:
        for renders in sorted(self._clients.values(), key=len, reverse=True):
            if len(renders) < own + _FEWER:
                break
            if waiting := [each for each in renders if each.waiting]:
                return waiting[-1]
        return None

    def _remove(self, render: OpenRender) -> None:
        renders = self._clients.get(render.client, [])
        if render in renders:
            renders.remove(render)
            if not renders:
                del self._clients[render.client]
