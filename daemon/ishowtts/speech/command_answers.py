"""Answers commands: one event and one log line each; of a flood, the rest is summed up in one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ishowtts.inbox import Inbox
from ishowtts.model import Event, timestamp
from ishowtts.util.logs import Untrusted
from ishowtts.util.rate_limit import FLOOD_S, RateLimit

log = logging.getLogger(__name__)

_MOST_OF_A_COMMAND = 100
_MOST_UNREADABLE = 10


class CommandAnswers:
    """Any thread may call any method; none blocks.

    In 10 s the first 100 answers to each command are told one by one, and 10 to what is not a command at all. The
    others are counted, and told in one event once the 10 s are over.

    Args:
        now_s: the time, in seconds that never jump.
    """

    def __init__(self, inbox: Inbox, now_s: Callable[[], float] = time.monotonic) -> None:
        self._inbox = inbox
        self._now_s = now_s
        self._lock = threading.Lock()
        self._limits: dict[str, RateLimit] = {}

    def tell(self, word: str, line_id: str | None, ok: bool, detail: str, transaction: str | None) -> None:
        """Answer one command.

        Args:
            word: the command; empty if it could not be read.
        """
        if self._limit(word).allows("obeyed" if ok else "refused"):
            self._record(word, line_id, ok, detail, transaction)

    def sum_up(self, *, last: bool = False) -> None:
        """Tell of the answers that were only counted, once their 10 s are over. To be called every few seconds.

        Args:
            last: tell now.
        """
        with self._lock:
            limits = list(self._limits.items())
        for word, limit in limits:
            if counts := limit.held_back(last=last):
                each = " and ".join(f"{count} {what}" for what, count in sorted(counts.items()))
                detail = f"of more such commands within {FLOOD_S:.0f} s, {each}; send fewer"
                self._record(word, None, "refused" not in counts, detail, None)

    def _limit(self, word: str) -> RateLimit:
        with self._lock:
            if word not in self._limits:
                self._limits[word] = RateLimit(_MOST_OF_A_COMMAND if word else _MOST_UNREADABLE, self._now_s)
            return self._limits[word]

    def _record(self, word: str, line_id: str | None, ok: bool, detail: str, transaction: str | None) -> None:
        log.info("command %s %s: %s", word or "?", "obeyed" if ok else "refused", Untrusted(detail))
        data = {"command": word, "ok": ok, "detail": detail, "transaction": transaction}
        self._inbox.record(Event(timestamp(time.time()), line_id or "", "command", data))
