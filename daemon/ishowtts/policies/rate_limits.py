"""Rate limits: lines, lines of one author, and work within a sliding minute."""

from __future__ import annotations

import math
from collections import OrderedDict, deque

from ishowtts import config
from ishowtts.policies.authors import author_key

WINDOW_S = 60.0
_MAX_AUTHORS = 4096


class RateLimits:
    """The three `…_per_min` of the configuration.

    Only accepted lines count against a limit, so rejected floods do not lock others out.
    """

    def __init__(self, policies: config.PolicySection) -> None:
        self._lines = _window(None, policies.lines_per_min)
        self._work = _window(None, policies.work_per_min)
        self._author_limit = policies.author_lines_per_min
        self._authors = None if policies.author_lines_per_min is None else AuthorWindows(policies.author_lines_per_min)

    def change(self, policies: config.PolicySection) -> None:
        """Take other limits. What was accepted in the last minute counts against them too, if it was counted."""
        self._lines = _window(self._lines, policies.lines_per_min)
        self._work = _window(self._work, policies.work_per_min)
        self._author_limit = limit = policies.author_lines_per_min
        if limit is None:
            self._authors = None
        elif self._authors is None:
            self._authors = AuthorWindows(limit)
        else:
            self._authors.set_limit(limit)

    def try_acquire(self, author: str | None, work: int, now_s: float) -> str | None:
        """Count a line if it is within every limit.

        Args:
            author: The author's name; a line without one counts for no author.
            work: Characters times NFE.

        Returns:
            `None` if the line was counted; else a sentence that says which limit rejects it.
        """
        key = None if author is None else author_key(author)
        sentence = self._author_excess(key, now_s) or self._line_excess(now_s) or self._work_excess(work, now_s)
        if sentence is None:
            self._add(key, work, now_s)
        return sentence

    def _author_excess(self, key: str | None, now_s: float) -> str | None:
        if self._authors is None or key is None or not (wait_s := self._authors.wait_s(key, now_s)):
            return None
        return (
            f"this author has had {_lines(self._author_limit)} within a minute "
            f"(policies.author_lines_per_min); {_send_again(wait_s)}"
        )

    def _line_excess(self, now_s: float) -> str | None:
        if self._lines is None or not (wait_s := self._lines.wait_s(1, now_s)):
            return None
        return f"{_lines(self._lines.limit)} came within a minute (policies.lines_per_min); {_send_again(wait_s)}"

    def _work_excess(self, work: int, now_s: float) -> str | None:
        if self._work is None or not (wait_s := self._work.wait_s(work, now_s)):
            return None
        takes = f"the line takes {work} of work (characters times NFE)"
        if math.isinf(wait_s):
            return f"{takes}, more than policies.work_per_min, {self._work.limit}; send less text or a lower nfe_step"
        left = self._work.limit - self._work.total
        return f"{takes}, and {left} are left of policies.work_per_min; {_send_again(wait_s)}"

    def _add(self, key: str | None, work: int, now_s: float) -> None:
        if self._lines is not None:
            self._lines.add(1, now_s)
        if self._work is not None:
            self._work.add(work, now_s)
        if self._authors is not None and key is not None:
            self._authors.add(key, now_s)


class SlidingWindow:
    """Sum of what was accepted within the last minute.

    It keeps one entry for each accepted amount, and so at most `limit` entries.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._accepted: deque[tuple[float, int]] = deque()

    def wait_s(self, amount: int, now_s: float) -> float:
        """Seconds until `amount` fits: 0 if it fits now, infinite if it is more than the limit."""
        self._expire(now_s)
        if amount > self.limit:
            return math.inf
        total = self.total
        for accepted_s, accepted in self._accepted:
            if total + amount <= self.limit:
                break
            total -= accepted
            wait_s = WINDOW_S - (now_s - accepted_s)
        return 0.0 if total == self.total else wait_s

    def add(self, amount: int, now_s: float) -> None:
        """Count an accepted amount."""
        self._accepted.append((now_s, amount))
        self.total += amount

    def _expire(self, now_s: float) -> None:
        while self._accepted and now_s - self._accepted[0][0] >= WINDOW_S:
            self.total -= self._accepted.popleft()[1]


class AuthorWindows:
    """A sliding window for each author of the last minute.

    In a flood of invented names only the latest 4096 authors are remembered.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._latest: OrderedDict[str, tuple[SlidingWindow, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._latest)

    def wait_s(self, author: str, now_s: float) -> float:
        """Seconds until this author may have one more line; 0 if it may now."""
        found = self._latest.get(author)
        return 0.0 if found is None else found[0].wait_s(1, now_s)

    def set_limit(self, limit: int) -> None:
        """Take another limit, for all authors."""
        self._limit = limit
        for window, _ in self._latest.values():
            window.limit = limit

    def add(self, author: str, now_s: float) -> None:
        """Count one line."""
        window = self._latest[author][0] if author in self._latest else SlidingWindow(self._limit)
        window.add(1, now_s)
        self._latest[author] = (window, now_s)
        self._latest.move_to_end(author)
        while len(self._latest) > _MAX_AUTHORS or now_s - next(iter(self._latest.values()))[1] >= WINDOW_S:
            self._latest.popitem(last=False)


def _window(former: SlidingWindow | None, limit: int | None) -> SlidingWindow | None:
    """A window with this limit, which keeps what the former one has counted; `None`: there is no limit."""
    if limit is None:
        return None
    window = former or SlidingWindow(limit)
    window.limit = limit
    return window


def _lines(count: int | None) -> str:
    return "1 line" if count == 1 else f"{count} lines"


def _send_again(wait_s: float) -> str:
    return f"send it again in {math.ceil(wait_s)} s"
