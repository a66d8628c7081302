"""Decides when lines are tried again that no engine could speak: all lines, or those in one voice."""

from __future__ import annotations

import time
from collections.abc import Callable

from ishowtts.util.backoff import Backoff

_MIN_DELAY_S = 0.5
_MAX_DELAY_S = 8.0
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


class HeldVoices:
    """Voices that F5 cannot use while nobody else can speak. Their lines wait and let others pass.

    One voice at a time is released for one more try, the one that was held first. After each failed try the next one
    comes later, up to 8 s: so the tries never delay the other lines much, however many voices are held. The voices are
    kept in memory only: after a restart each voice is tried at once. Only the scheduler thread may call.

    Args:
        fallback_works: Whether an engine that needs no voice is believed to work. It must not block.
    """

    def __init__(self, fallback_works: Callable[[], bool]) -> None:
        self._fallback_works = fallback_works
        self._fallback_worked = True
        self._held: dict[str | None, None] = {}  # in the order in which they were held
        self._on_trial: dict[str | None, None] = {}  # the voice that was released; it counts as held for `reason`
        # Not a `Backoff`: `release_next` waits for the same delay again, without one more failure.
        self._delay_s = _MIN_DELAY_S
        self._next_try_s = self._held_at_s = 0.0
        self._reason: str | None = None

    @property
    def reason(self) -> str | None:
        """Why lines wait; `None` if no voice is held."""
        return self._reason if self._held or self._on_trial else None

    def hold(self, voice: str | None, reason: str) -> bool:
        """Hold the lines of a voice; return whether the voice was not held before.

        Args:
            voice: `None` stands for lines that name no voice.
        """
        is_new = voice not in self._held and voice not in self._on_trial
        self._on_trial.pop(voice, None)
        self._held[voice] = None
        self._reason = reason
        self._fallback_worked = self._fallback_works()
        self._held_at_s = time.monotonic()
        self._next_try_s = self._held_at_s + self._delay_s
        self._delay_s = min(2 * self._delay_s, _MAX_DELAY_S)
        return is_new

    def spoke(self, voice: str | None) -> None:
        """A line in this voice is heard: its other lines may follow."""
        if voice in self._held or voice in self._on_trial:
            self.release()

    def release(self) -> None:
        """Release all voices now, because voices changed or another engine works again."""
        self._held.clear()
        self._on_trial.clear()
        self._delay_s = _MIN_DELAY_S

    def release_if_old(self) -> None:
        """No line waits: release all voices, except shortly after one was held."""
        if time.monotonic() > self._held_at_s + _SETTLE_S:
            self.release()

    def now(self) -> frozenset[str | None]:
        """The voices whose lines wait now."""
        works = self._fallback_works()
        if works and not self._fallback_worked:
            self.release()
        self._fallback_worked = works
        return frozenset(self._held)

    def release_next(self) -> None:
        """Release one voice for one more try, if it is time. Call it whenever a line can be taken."""
        if (self._held or self._on_trial) and time.monotonic() >= self._next_try_s:
            self._on_trial.clear()
            self._next_try_s = time.monotonic() + self._delay_s
            if self._held:
                voice = next(iter(self._held))
                del self._held[voice]
                self._on_trial[voice] = None
