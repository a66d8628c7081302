"""Answers requests for older lines, on a thread and a database connection of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import closing
from pathlib import Path

from ishowtts.errors import InboxError
from ishowtts.inbox import HistoryFilter, Inbox, iterate_history, wait_for
from ishowtts.mqtt.history_payload import HistoryRequest, history_payload, refused_payload
from ishowtts.mqtt.response_topic import Reply
from ishowtts.util.loop_thread import LoopThread
from ishowtts.util.rate_limit import RateLimit

log = logging.getLogger(__name__)

_INTERVAL_S = 0.1  # between two replies with lines: a reply of 100 lines takes some milliseconds of computing
_MOST_WAITING = 20
_OLD_S = 10.0  # a requester that has waited longer is gone
_CONFIRM_S = 2.0
_IDLE_S = 60.0
_MOST_REFUSALS = 100  # in 10 s; the others get no reply
_MOST_WARNINGS = 5  # in 10 s


class HistoryReplies(LoopThread):
    """The thread `history`. It reads the queue's file read-only, so that it never delays a write to it.

    While the queue is in memory because the disk fails, the thread `inbox` reads there: some milliseconds a reply.

    At most ten replies a second are made, one after the other, each after the broker has confirmed the one before. Up
    to 20 requests wait. In a flood the others are refused at once, and of these at most 100 in 10 s get a reply.

    Args:
        path: The queue's file.
        inbox: It has the lines while they are not in the file.
        private: Whether texts and authors are withheld (`log.private`).
    """

    def __init__(self, path: Path, inbox: Inbox, *, private: bool) -> None:
        super().__init__("history", daemon=True)
        self._path = path
        self._inbox = inbox
        self._private = private
        self._lock = threading.Lock()
        self._waiting: deque[tuple[float, HistoryRequest, Reply]] = deque()
        self._next_s = 0.0
        self._refusals = RateLimit(_MOST_REFUSALS)
        self._warnings = RateLimit(_MOST_WARNINGS)

    def set_private(self, private: bool) -> None:
        """Withhold texts and authors from later replies, or not."""
        self._private = private

    def offer(self, request: HistoryRequest, reply: Reply) -> None:
        """Answer a request soon, or refuse it now. Never blocks."""
        if request.fault is not None:
            self._refuse(request, reply, request.fault)
            return
        with self._lock:
            full = len(self._waiting) >= _MOST_WAITING
            if not full:
                self._waiting.append((time.monotonic(), request, reply))
        if full:
            self._refuse(request, reply, f"{_MOST_WAITING} history requests wait already; send fewer at once")
        else:
            self.wake()

    def run_once(self, last: bool) -> float:
        """Answer the oldest request, if it is time for the next reply."""
        if last:
            return 0.0
        if (early_s := self._next_s - time.monotonic()) > 0:
            return early_s
        with self._lock:
            if not self._waiting:
                return _IDLE_S
            asked_s, request, reply = self._waiting.popleft()
        if time.monotonic() - asked_s <= _OLD_S:
            self._answer(request, reply)
            self._next_s = time.monotonic() + _INTERVAL_S
            return _INTERVAL_S
        return 0.0

    def _answer(self, request: HistoryRequest, reply: Reply) -> None:
        try:
            payload = self._read(request, reply.max_bytes)
        except InboxError as error:
            self._failed(request, reply, str(error))
        except Exception as error:
            # One request that cannot be answered must not end the thread.
            self._failed(request, reply, f"{type(error).__name__}: {error}")
        else:
            if not reply.send(payload, _CONFIRM_S):
                log.debug("the broker did not confirm a reply of %d bytes to a history request", len(payload))

    def _read(self, request: HistoryRequest, max_bytes: int) -> bytes:
        count = request.limit + 1  # the last one shows that there are older lines
        if not self._inbox.durable:
            held = wait_for(self._inbox.lines_in_memory(count, request.before_seq))
            return history_payload(held, request, private=self._private, max_bytes=max_bytes)
        wanted = HistoryFilter(before_seq=request.before_seq)
        with closing(iterate_history(self._path, count, wanted)) as entries:
            return history_payload(entries, request, private=self._private, max_bytes=max_bytes)

    def _failed(self, request: HistoryRequest, reply: Reply, why: str) -> None:
        if self._warnings.allows():
            log.warning("a history request was not answered: %s", why)
        self._refuse(request, reply, "the history cannot be read now; look at the log of the appliance")

    def _refuse(self, request: HistoryRequest, reply: Reply, detail: str) -> None:
        if count := self._refusals.held_back().total():
            log.warning("%d history requests were refused without a reply; send fewer", count)
        if self._refusals.allows():
            reply.send(refused_payload(request, detail))
