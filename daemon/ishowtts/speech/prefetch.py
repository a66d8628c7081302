"""Takes the next line from the queue and, while one is playing, prepares the following one."""

from __future__ import annotations

import math
from collections.abc import Callable

from ishowtts.inbox import DequeuedLine, HeldKey, Inbox, PendingTake, wait_for
from ishowtts.model import Priority
from ishowtts.speech.speech_task import SpeechTask


class Prefetcher:
    """Has at most one take pending with the inbox: of the next line, or only a look at it, to prefetch it.

    A prefetched line waits in the queue as before: it may expire, be cancelled or be overtaken. Then what was prepared
    is dropped. Only the scheduler thread may call.

    Args:
        min_priority: Returns the lowest priority that is spoken now.
        held_lines: Returns which lines wait now and let others pass.
        make_task: Makes the task of a line, not begun.
        wake: Called when a pending take is done.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        min_priority: Callable[[], Priority],
        held_lines: Callable[[], frozenset[HeldKey]],
        make_task: Callable[[DequeuedLine], SpeechTask],
        wake: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._min_priority = min_priority
        self._held_lines = held_lines
        self._make_task = make_task
        self._wake = wake
        self._pending: PendingTake[DequeuedLine] | None = None
        self._is_prefetch = False  # whether the pending take is only a look
        self._pending_filter = self._filter()
        self._prefetched: SpeechTask | None = None

    @property
    def take_pending(self) -> bool:
        """Whether a line may be on its way from the queue to the scheduler."""
        return self._pending is not None

    def engine_free_until_s(self, begins_s: float) -> float:
        """Until when the prefetched line lets the engine do something else, as from SpeechTask."""
        return math.inf if self._prefetched is None else self._prefetched.engine_free_until_s(begins_s)

    def next(self, wanted: bool) -> SpeechTask | None:
        """The task of the next line, begun, once the inbox gives the line; else `None`.

        Args:
            wanted: Whether a line can be spoken now. The take stays pending only as long as this is true.
        """
        if self._pending is not None and (self._is_prefetch or not wanted or self._pending_filter != self._filter()):
            self._pending.withdraw()
        task = self._receive()
        if task is None and self._pending is None and wanted:
            self._request(self._inbox.take, is_prefetch=False)
        self._continue_prefetch()
        return task

    def prefetch(self, wanted: bool) -> None:
        """While a line is being spoken: prepare the next one.

        Args:
            wanted: Whether the engine has time for it.
        """
        if self._pending is not None and (not wanted or self._pending_filter != self._filter()):
            self._pending.withdraw()
        self._receive()
        if self._pending is None and wanted and self._prefetched is None:
            self._request(self._inbox.peek_for_prefetch, is_prefetch=True)
        self._continue_prefetch()

    def withdraw(self) -> SpeechTask | None:
        """Withdraw the pending take. If a line was taken already, return its task, begun."""
        if self._pending is not None:
            self._pending.withdraw()
        return self._receive()

    def drop(self) -> None:
        """Drop the prefetched line, so that it does not keep the engine from what is wanted now."""
        if self._prefetched is not None:
            self._prefetched.stop()
            self._prefetched = None

    def close(self) -> DequeuedLine | None:
        """Drop the prefetched line and wait for the pending take; return the line if one was taken.

        Raises:
            InboxError: The disk does not answer; the line stays where it is.
        """
        self.drop()
        pending, self._pending = self._pending, None
        if pending is None:
            return None
        pending.withdraw()
        dequeued = wait_for(pending.future)
        return None if self._is_prefetch else dequeued

    def _filter(self) -> tuple[Priority, frozenset[HeldKey]]:
        """The lines that may be taken now."""
        return self._min_priority(), self._held_lines()

    def _request(
        self, take: Callable[[Priority, frozenset[HeldKey]], PendingTake[DequeuedLine]], *, is_prefetch: bool
    ) -> None:
        self._is_prefetch, self._pending_filter = is_prefetch, self._filter()
        self._pending = take(*self._pending_filter)
        self._pending.future.add_done_callback(lambda _: self._wake())

    def _receive(self) -> SpeechTask | None:
        """Handle a take that is done: return the task of a line that was taken, or begin to prefetch."""
        if self._pending is None or not self._pending.future.done():
            return None
        pending, self._pending = self._pending, None
        dequeued = wait_for(pending.future)
        if dequeued is None:
            return None
        if self._is_prefetch:
            self._prefetched = self._make_task(dequeued)
            return None
        return self._begin(dequeued)

    def _begin(self, dequeued: DequeuedLine) -> SpeechTask:
        """Begin the prefetched task if it is still valid, else a new one."""
        prefetched, self._prefetched = self._prefetched, None
        if prefetched is not None and prefetched.is_valid_for(dequeued):
            prefetched.begin(dequeued)
            return prefetched
        if prefetched is not None:
            prefetched.stop()
        task = self._make_task(dequeued)
        task.begin(dequeued)
        return task

    def _continue_prefetch(self) -> None:
        if self._prefetched is not None:
            self._prefetched.prefetch()
