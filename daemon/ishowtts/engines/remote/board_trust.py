"""Which boards are left out for a while, because they did not answer in time, and what each board has done so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ishowtts.util.backoff import Backoff

_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 60.0
_MOST_BOARDS = 500


@dataclass(frozen=True)
class BoardCounts:
    """How many segments a board has rendered, did not render in time, and did not render for another reason."""

    rendered: int = 0
    late: int = 0
    failed: int = 0


class BoardTrust:
    """Leaves a board out after it was late or broke the protocol: 5 s, then longer after each failure, up to 60 s.

    Thread-safe.

    Args:
        now_s: Returns monotonic seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._pauses: dict[str, Backoff] = {}
        self._left_out_until_s: dict[str, float] = {}
        self._counts: dict[str, BoardCounts] = {}

    def rendered(self, board: str) -> None:
        """Notes that a board has rendered a segment."""
        with self._lock:
            self._pauses.pop(board, None)
            self._left_out_until_s.pop(board, None)
            self._count(board, rendered=1)

    def failed(self, board: str, *, late: bool = False, leave_out: bool = True) -> None:
        """Notes that a board has not rendered a segment.

        Args:
            leave_out: Whether the board is at fault, and is left out for a while.
        """
        with self._lock:
            self._count(board, late=int(late), failed=int(not late))
            if leave_out:
                pause = self._pauses.setdefault(board, Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S))
                self._left_out_until_s[board] = self._now_s() + pause.next_s()

    def trusts(self, board: str) -> bool:
        """Returns whether a board is asked now."""
        with self._lock:
            return self._left_out_until_s.get(board, 0.0) <= self._now_s()

    def counts(self) -> dict[str, BoardCounts]:
        """Returns the counts of each board that was asked, by name."""
        with self._lock:
            return dict(self._counts)

    def _count(self, board: str, *, rendered: int = 0, late: int = 0, failed: int = 0) -> None:
        if board not in self._counts and len(self._counts) >= _MOST_BOARDS:
            self._counts.pop(next(iter(self._counts)))
        was = self._counts.get(board, BoardCounts())
        self._counts[board] = replace(
            was, rendered=was.rendered + rendered, late=was.late + late, failed=was.failed + failed
        )
