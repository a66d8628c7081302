"""Whose turn it is: the order that stands with the inbox, and the rehearsal of the line that goes next."""

from __future__ import annotations

from collections.abc import Callable

from ishowtts.inbox import DequeuedLine, Inbox, PendingTake, settled
from ishowtts.model import Priority
from ishowtts.speech.speech_task import SpeechTask


class Prefetcher:
    """One order stands at a time: for the next line, or for a look at it. One thread calls, the conductor's.

    A line that is rehearsed waits in the queue as if nobody had looked: it may expire, be cancelled, or be overtaken.
    Then what was made ready is dropped.

    Args:
        minimum: the lowest priority that is spoken now.
        held: the voices whose lines wait now and let others pass.
        make: a performance of a line, not begun.
        ring: wakes the caller.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        minimum: Callable[[], Priority],
        held: Callable[[], frozenset[str | None]],
        make: Callable[[DequeuedLine], SpeechTask],
        ring: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._minimum = minimum
        self._held = held
        self._make = make
        self._ring = ring
        self._order: PendingTake[DequeuedLine] | None = None
        self._looks = False  # whether the order is for a look
        self._ordered = self._wanted()
        self._rehearsal: SpeechTask | None = None

    def next(self, wanted: bool) -> SpeechTask | None:
        """The next line, begun, once it is ours; it is on order as long as one is wanted."""
        if self._order is not None and (self._looks or not wanted or self._ordered != self._wanted()):
            self._order.withdraw()
        given = self._given()
        if given is None and self._order is None and wanted:
            self._place(self._inbox.take, looks=False)
        self._rehearse()
        return given

    def look_ahead(self, wanted: bool) -> None:
        """While a line is on the air: have the next one made ready."""
        if self._order is not None and (not wanted or self._ordered != self._wanted()):
            self._order.withdraw()
        self._given()
        if self._order is None and wanted and self._rehearsal is None:
            self._place(self._inbox.prefetch, looks=True)
        self._rehearse()

    def recall(self) -> SpeechTask | None:
        """Order nothing any more; a line that was ours already, begun."""
        if self._order is not None:
            self._order.withdraw()
        return self._given()

    @property
    def recalled(self) -> bool:
        """Whether no line is between the queue and the air."""
        return self._order is None

    def leave(self) -> DequeuedLine | None:
        """The end: drop the rehearsal, and wait for an order that is being carried out; its line is the caller's.

        Raises:
            InboxError: the disk does not answer; the line stays where it is.
        """
        self.drop_rehearsal()
        order, self._order = self._order, None
        if order is None:
            return None
        order.withdraw()
        taken = settled(order.future)
        return None if self._looks else taken

    def drop_rehearsal(self) -> None:
        """Nobody waits for an engine that makes ready what is not wanted now."""
        if self._rehearsal is not None:
            self._rehearsal.stop()
            self._rehearsal = None

    def _wanted(self) -> tuple[Priority, frozenset[str | None]]:
        return self._minimum(), self._held()

    def _place(
        self, ask: Callable[[Priority, frozenset[str | None]], PendingTake[DequeuedLine]], *, looks: bool
    ) -> None:
        self._looks, self._ordered = looks, self._wanted()
        self._order = ask(*self._ordered)
        self._order.future.add_done_callback(lambda _: self._ring())

    def _given(self) -> SpeechTask | None:
        """What the order gave, if it was for a line; a look begins its rehearsal."""
        if self._order is None or not self._order.future.done():
            return None
        order, self._order = self._order, None
        taken = settled(order.future)
        if taken is None:
            return None
        if self._looks:
            self._rehearsal = self._make(taken)
            return None
        return self._begun(taken)

    def _begun(self, taken: DequeuedLine) -> SpeechTask:
        rehearsed, self._rehearsal = self._rehearsal, None
        if rehearsed is not None and rehearsed.suits(taken):
            rehearsed.begin(taken)
            return rehearsed
        if rehearsed is not None:
            rehearsed.stop()
        performance = self._make(taken)
        performance.begin(taken)
        return performance

    def _rehearse(self) -> None:
        if self._rehearsal is not None:
            self._rehearsal.rehearse()
