"""The voices whose lines wait in the queue while lines in other voices are spoken."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST_REST_S = 0.5
_LONGEST_REST_S = 8.0
_OLD_S = 1.0  # by then the queue counts a line that was put back


class HeldVoices:
    """Holds a voice that the leading engine cannot use while nobody else can speak its lines.

    One voice at a time is let go for one more try, the one that was held first. After each failed try the next one
    comes later, up to 8 s: so the tries never keep the other lines waiting, however many voices are held. Kept in
    memory only: after a restart each voice is tried at once. One thread calls, the conductor's.

    Args:
        fallback_works: whether the fallback voice is thought to work. It must not block.
    """

    def __init__(self, fallback_works: Callable[[], bool]) -> None:
        self._fallback_works = fallback_works
        self._fallback_worked = True
        self._held: dict[str | None, None] = {}  # in the order in which they were held
        self._tried: dict[str | None, None] = {}  # the one that was let go; it counts as held for `why`
        self._rest_s = _FIRST_REST_S
        self._next_try_s = self._held_at_s = 0.0
        self._why: str | None = None

    @property
    def why(self) -> str | None:
        """Why lines wait; `None` if no voice is held."""
        return self._why if self._held or self._tried else None

    def hold(self, voice: str | None, why: str) -> bool:
        """Have the lines of a voice wait (`None`: lines that name none); whether that is news."""
        news = voice not in self._held and voice not in self._tried
        self._tried.pop(voice, None)
        self._held[voice] = None
        self._why = why
        self._fallback_worked = self._fallback_works()
        self._held_at_s = time.monotonic()
        self._next_try_s = self._held_at_s + self._rest_s
        self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S)
        return news

    def spoke(self, voice: str | None) -> None:
        """A line in this voice is heard: its other lines may follow."""
        if voice in self._held or voice in self._tried:
            self.release()

    def release(self) -> None:
        """Try all of them again now, since voices changed or the fallback voice works again."""
        self._held.clear()
        self._tried.clear()
        self._rest_s = _FIRST_REST_S

    def forget_if_old(self) -> None:
        """No line waits: forget the voices, except one that has only just been held."""
        if time.monotonic() > self._held_at_s + _OLD_S:
            self.release()

    def now(self) -> frozenset[str | None]:
        """The voices whose lines wait now."""
        works = self._fallback_works()
        if works and not self._fallback_worked:
            self.release()
        self._fallback_worked = works
        return frozenset(self._held)

    def try_next(self) -> None:
        """Let a voice go for one more try, if it is time; to be called when a line can be taken."""
        if (self._held or self._tried) and time.monotonic() >= self._next_try_s:
            self._tried.clear()
            self._next_try_s = time.monotonic() + self._rest_s
            if self._held:
                voice = next(iter(self._held))
                del self._held[voice]
                self._tried[voice] = None
