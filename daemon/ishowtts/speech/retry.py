"""Decides when lines are tried again that no engine could speak: all lines, those in one voice, or a single one."""

from __future__ import annotations

import time
from collections.abc import Callable

from ishowtts.inbox import HeldKey
from ishowtts.util.backoff import Backoff

_MIN_DELAY_S = 0.5
_MAX_DELAY_S = 8.0
_MOST_HELD = 500  # a statement of SQLite takes 32,766 values at most, and the queue can be longer
_SETTLE_S = 1.0  # by then the queue counts a line that was put back


class EngineBackoff:
    """Delays the next take after no engine could speak a line.

    The delay is 0.5 s. It doubles after each further failure, up to 8 s.

    Attributes:
        reason: Why no engine could speak the last line; `None` if one did since, or none was tried.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._backoff = Backoff(_MIN_DELAY_S, _MAX_DELAY_S)
        self._next_try_s = 0.0

    @property
    def waiting(self) -> bool:
        """Whether it is too early for the next try."""
        return time.monotonic() < self._next_try_s

    def start(self, reason: str) -> None:
        """No engine could speak a line: delay the next try.

        The engine's state may lag behind its end: without the delay the line would be taken again at once.
        """
        self.reason = reason
        self._next_try_s = time.monotonic() + self._backoff.next_s()

    def shorten(self) -> None:
        """Let the next delay be the shortest again."""
        self._backoff.reset()

    def reset(self) -> None:
        """An engine spoke, or is known to be unavailable: earlier failures do not count any more."""
        self.reason = None
        self._backoff.reset()

    def reset_if_old(self) -> None:
        """No line waits: reset, except shortly after a line was put back."""
        if time.monotonic() > self._next_try_s + _MIN_DELAY_S:
            self.reset()


class HeldLines:
    """Lines that nobody can speak now, while others can be spoken: they wait and let those pass.

    They are all lines in a voice that F5 cannot use while nobody else can speak, or one line in a language whose
    engine is away. One key at a time is released for one more try, the one that was held first. After each failed try
    the next one comes later, up to 8 s: so the tries never delay the other lines much, however many are held. They are
    kept in memory only: after a restart each is tried at once. Only the scheduler thread may call.

    Args:
        working_engines: Names of the engines that are believed to work. It must not block.
    """

    def __init__(self, working_engines: Callable[[], frozenset[str]]) -> None:
        self._working_engines = working_engines
        self._worked: frozenset[str] = frozenset()
        self._held: dict[HeldKey, None] = {}  # in the order in which they were held
        self._on_trial: dict[HeldKey, None] = {}  # what was released; it counts as held for `reason`
        # Not a `Backoff`: `release_next` waits for the same delay again, without one more failure.
        self._delay_s = _MIN_DELAY_S
        self._next_try_s = self._held_at_s = 0.0
        self._reason: str | None = None

    @property
    def reason(self) -> str | None:
        """Why lines wait; `None` if none is held."""
        return self._reason if self._held or self._on_trial else None

    @property
    def full(self) -> bool:
        """Whether no single line can be held any more."""
        return len(self._held) >= _MOST_HELD

    def hold(self, key: HeldKey, reason: str) -> bool:
        """Hold the lines of a voice, or one line by its number; return whether they were not held before."""
        is_new = key not in self._held and key not in self._on_trial
        self._on_trial.pop(key, None)
        self._held[key] = None
        self._reason = reason
        self._worked = self._working_engines()
        self._held_at_s = time.monotonic()
        self._next_try_s = self._held_at_s + self._delay_s
        self._delay_s = min(2 * self._delay_s, _MAX_DELAY_S)
        return is_new

    def spoke(self, voice: str | None, number: int) -> None:
        """A line is heard: the others in its voice may follow."""
        if voice in self._held or voice in self._on_trial:
            self.release()
        self._held.pop(number, None)
        self._on_trial.pop(number, None)

    def release(self) -> None:
        """Release all now, because voices changed or another engine works."""
        self._held.clear()
        self._on_trial.clear()
        self._delay_s = _MIN_DELAY_S

    def release_if_old(self) -> None:
        """No line waits: release all, except shortly after one was held."""
        if time.monotonic() > self._held_at_s + _SETTLE_S:
            self.release()

    def now(self) -> frozenset[HeldKey]:
        """Which lines wait now."""
        working = self._working_engines()
        if working - self._worked:
            self.release()
        self._worked = working
        return frozenset(self._held)

    def release_next(self) -> None:
        """Release one key for one more try, if it is time. Call it whenever a line can be taken."""
        if (self._held or self._on_trial) and time.monotonic() >= self._next_try_s:
            self._on_trial.clear()
            self._next_try_s = time.monotonic() + self._delay_s
            if self._held:
                key = next(iter(self._held))
                del self._held[key]
                self._on_trial[key] = None
