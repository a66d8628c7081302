"""Exponential backoff: the pause before the next attempt doubles with each failure, up to a limit."""

from __future__ import annotations


class Backoff:
    """Computes the pauses between attempts. It does not sleep and is not thread-safe.

    Args:
        first_s: The pause after the first failure.
        longest_s: The limit of every pause.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._last_s = 0.0

    @property
    def last_s(self) -> float:
        """The pause that `next_s` returned last; 0 after `reset`."""
        return self._last_s

    def next_s(self, longest_s: float | None = None) -> float:
        """Returns the pause after one more failure.

        Args:
            longest_s: The limit of this pause; `None` means the limit of the constructor.
        """
        limit_s = self._longest_s if longest_s is None else longest_s
        self._last_s = min(max(2 * self._last_s, self._first_s), limit_s)
        return self._last_s

    def reset(self) -> None:
        """Begins again with the first pause. Call this after a success."""
        self._last_s = 0.0
