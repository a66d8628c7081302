"""Whether a worker that has something to do still answers: its reading thread answers pings while the engine works.

A worker that stands still (stopped, without a CPU, in a call that holds Python's lock) does not answer. One that is
only slow does.
"""

from __future__ import annotations

import math

PING_S = 0.25
"""A worker that was not heard for so long is asked for a sign of life. Most segments of hibari are done by then."""


class Liveness:
    """When the worker was heard last. Not thread-safe: its owner holds a lock. All times are monotonic seconds.

    A daemon that stands still itself, as in a machine that is paused, asks late. That is not the worker's silence.
    """

    def __init__(self) -> None:
        self._heard_at_s: float | None = None  # `None` while the worker owes nothing
        self._asked_at_s: float | None = None  # when a ping was sent; `None` once it is answered

    def owes_answers(self, now_s: float) -> None:
        """Notes that the worker has something to do."""
        if self._heard_at_s is None:
            self._heard_at_s = now_s

    def owes_nothing(self) -> None:
        """Notes that the worker has answered all requests. It may still answer a ping."""
        self._heard_at_s = None

    def heard(self, now_s: float) -> None:
        """Notes that a frame came."""
        if self._heard_at_s is not None:
            self._heard_at_s = now_s

    def pong(self) -> bool:
        """Notes the answer to a ping. Returns whether one was due."""
        due, self._asked_at_s = self._asked_at_s is not None, None
        return due

    def ping_due(self, now_s: float) -> bool:
        """Whether a ping must be sent now; the caller sends it. One at a time: so they never fill the socket."""
        due = self._asked_at_s is None and self._heard_at_s is not None and now_s - self._heard_at_s >= PING_S
        if due:
            self._asked_at_s = now_s
        return due

    def quiet_s(self, now_s: float) -> float:
        """Seconds for which a worker that owes answers and was asked was not heard; 0 if it owes none."""
        if self._heard_at_s is None or self._asked_at_s is None:
            return 0.0
        return now_s - max(self._heard_at_s, self._asked_at_s - PING_S)

    def wait_s(self, now_s: float, answer_s: float) -> float:
        """Seconds until a ping is due or the worker was quiet for `answer_s`; infinity if it owes nothing."""
        if self._heard_at_s is None:
            return math.inf
        if self._asked_at_s is None:
            return max(0.0, PING_S - (now_s - self._heard_at_s))
        return max(0.0, answer_s - self.quiet_s(now_s))
