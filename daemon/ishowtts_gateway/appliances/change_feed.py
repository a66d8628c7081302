"""Hands changes to those who watch. A watcher that reads slowly gets the newest values only."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Kind = Literal["broker", "device", "line", "telemetry", "event", "gone", "reset"]
ALL_KINDS: frozenset[Kind] = frozenset(get_args(Kind))

_MAX_PENDING = 2000
_MAX_PENDING_EVENTS = 200


@dataclass(frozen=True)
class ApplianceChange:
    """Something changed. `data` can be written as JSON.

    Attributes:
        kind: `broker`: `connected` and `detail`. `device`: the changed fields of its snapshot. `line`: a record, as
            JSON. `telemetry`: a point of the series. `event`: an event of the contract. `gone`: the device is
            forgotten. `reset`: the watcher was too slow, and changes are missing; read everything again.
        device: `None` for `broker` and `reset`.
    """

    kind: Kind
    device: str | None
    data: dict[str, Any]


class Watcher:
    """The changes for one reader: `async for change in watcher`. The iteration ends when the feed closes.

    Args:
        kinds: The kinds of changes that are wanted.
    """

    def __init__(self, kinds: Collection[Kind]) -> None:
        self._kinds = kinds
        self._pending: OrderedDict[Hashable, ApplianceChange] = OrderedDict()
        self._keys: dict[str | None, set[Hashable]] = {}  # of what is pending, by device
        self._events = 0  # how many of them are events, which are not coalesced
        self._number = 0
        self._arrived: asyncio.Future[None] | None = None  # of the reader that waits
        self._closed = False

    def put(self, change: ApplianceChange) -> None:
        """Add a change. It replaces an older one of the same value, or joins it."""
        if change.kind not in self._kinds:
            return
        if change.kind == "event":
            self._number += 1
            self._events += 1
        elif change.kind == "gone":
            # Not a search of all that is pending: 1000 devices a second that come and go would then stop the loop.
            for other in list(self._keys.get(change.device, ())):
                self._take(other)
        key = self._key(change)
        if change.kind == "device" and (earlier := self._pending.get(key)) is not None:
            change = replace(change, data={**earlier.data, **change.data})
        self._pending[key] = change
        self._keys.setdefault(change.device, set()).add(key)
        if len(self._pending) > _MAX_PENDING or self._events > _MAX_PENDING_EVENTS:
            self._overflow()
        self._wake()

    def close(self) -> None:
        """End the iteration."""
        self._closed = True
        self._wake()

    async def get(self, timeout_s: float | None = None) -> ApplianceChange | None:
        """Wait for the next change. Returns `None` if none comes in time.

        Raises:
            StopAsyncIteration: the feed is closed.
        """
        if not self._pending and not self._closed:
            self._arrived = asyncio.get_running_loop().create_future()
            # Not `wait_for`: before Python 3.12 it ignores a cancellation that comes together with a change.
            await asyncio.wait({self._arrived}, timeout=timeout_s)
        if self._pending:
            return self._take(next(iter(self._pending)))
        if self._closed:
            raise StopAsyncIteration
        return None

    def __aiter__(self) -> AsyncIterator[ApplianceChange]:
        return self

    async def __anext__(self) -> ApplianceChange:
        while (change := await self.get()) is None:
            pass
        return change

    def _take(self, key: Hashable) -> ApplianceChange:
        """Remove a change that is pending."""
        change = self._pending.pop(key)
        self._events -= change.kind == "event"
        keys = self._keys[change.device]
        keys.discard(key)
        if not keys:
            del self._keys[change.device]
        return change

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _key(self, change: ApplianceChange) -> Hashable:
        if change.kind == "line":
            return change.kind, change.device, change.data.get("id")
        return change.kind, change.device, self._number if change.kind == "event" else None

    def _overflow(self) -> None:
        self._pending.clear()
        self._keys.clear()
        self._events = 0
        self._pending["reset"] = ApplianceChange("reset", None, {})
        self._keys[None] = {"reset"}


class ChangeFeed:
    """Hands each change to every watcher."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._closed = False

    @contextmanager
    def watch(self, kinds: Collection[Kind] = ALL_KINDS) -> Iterator[Watcher]:
        """Yields a watcher, which gets the changes of these kinds from now on."""
        watcher = Watcher(kinds)
        self._watchers.add(watcher)
        if self._closed:
            watcher.close()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def publish(self, change: ApplianceChange) -> None:
        """Hand a change to all."""
        for watcher in self._watchers:
            watcher.put(change)

    def close(self) -> None:
        """End all iterations."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()
