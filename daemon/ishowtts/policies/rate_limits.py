"""Whether one more line is within the limits of a minute, and the sentence where it is not."""

from __future__ import annotations

import math

from ishowtts import config
from ishowtts.policies.windows import AuthorWindows, Window


class RateLimits:
    """What was taken is counted, what was refused is not: a flood that is refused takes nobody's turn."""

    def __init__(self, policies: config.PolicySection) -> None:
        self._lines = None if policies.lines_per_min is None else Window(policies.lines_per_min)
        self._work = None if policies.work_per_min is None else Window(policies.work_per_min)
        self._author_limit = policies.author_lines_per_min
        self._authors = None if policies.author_lines_per_min is None else AuthorWindows(policies.author_lines_per_min)

    def refusal(self, author: str | None, work: int, now_s: float) -> str | None:
        """Why a line is not taken; `None`: it is, and is counted.

        Args:
            author: its key; a line without an author counts for none.
            work: characters times NFE.
        """
        sentence = self._of_author(author, now_s) or self._of_all(now_s) or self._of_work(work, now_s)
        if sentence is None:
            self._take(author, work, now_s)
        return sentence

    def _of_author(self, author: str | None, now_s: float) -> str | None:
        if self._authors is None or author is None or not (wait_s := self._authors.wait_s(author, now_s)):
            return None
        return (
            f"this author has had {_lines(self._author_limit)} within a minute "
            f"(policies.author_lines_per_min); {_again(wait_s)}"
        )

    def _of_all(self, now_s: float) -> str | None:
        if self._lines is None or not (wait_s := self._lines.wait_s(1, now_s)):
            return None
        return f"{_lines(self._lines.limit)} came within a minute (policies.lines_per_min); {_again(wait_s)}"

    def _of_work(self, work: int, now_s: float) -> str | None:
        if self._work is None or not (wait_s := self._work.wait_s(work, now_s)):
            return None
        takes = f"the line takes {work} of work (characters times NFE)"
        if math.isinf(wait_s):
            return f"{takes}, more than policies.work_per_min, {self._work.limit}; send less text or a lower nfe_step"
        left = self._work.limit - self._work.total
        return f"{takes}, and {left} are left of policies.work_per_min; {_again(wait_s)}"

    def _take(self, author: str | None, work: int, now_s: float) -> None:
        if self._lines is not None:
            self._lines.take(1, now_s)
        if self._work is not None:
            self._work.take(work, now_s)
        if self._authors is not None and author is not None:
            self._authors.take(author, now_s)


def _lines(count: int | None) -> str:
    return "1 line" if count == 1 else f"{count} lines"


def _again(wait_s: float) -> str:
    return f"send it again in {math.ceil(wait_s)} s"
