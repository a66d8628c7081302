"""Keeps captured CUDA graphs by their keys, and captures those that are missing in idle time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from ishowtts.engines.f5.device import is_out_of_memory
from ishowtts.errors import first_line

log = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)


class StepCapture(Protocol):
    """Captures what a function launches on the device."""

    def capture(self, run: Callable[[], None]) -> Callable[[], None]:
        """Return a function that repeats `run` on the same addresses. `run` is called at least once for that.

        Raises:
            RuntimeError: it cannot be captured.
        """


class GraphStore(Generic[Key]):
    """The graphs of one part of the model. What has no graph runs step by step, which is only slower.

    Args:
        capturer: captures; `None`: nothing is ever captured.
        describe: what is captured under a key, for the log.
    """

    def __init__(self, capturer: StepCapture | None, describe: Callable[[Key], str]) -> None:
        self._capturer = capturer
        self._describe = describe
        self._replays: dict[Key, Callable[[], None]] = {}
        self._queued: dict[Key, Callable[[], None]] = {}
        self._without_memory: set[Key] = set()

    def get(self, key: Key) -> Callable[[], None] | None:
        """The function that replays a graph; `None` if there is none."""
        return self._replays.get(key)

    def enqueue(self, key: Key, run: Callable[[], None]) -> None:
        """Have `run` captured by a later `capture_next`, unless it is captured already or cannot be."""
        if self._is_missing(key):
            self._queued.setdefault(key, run)

    def capture(self, key: Key, run: Callable[[], None]) -> None:
        """Capture `run` now, unless it is captured already or cannot be."""
        self._queued.pop(key, None)
        if self._capturer is None or not self._is_missing(key):
            return
        try:
            self._replays[key] = self._capturer.capture(run)
        except RuntimeError as error:
            if is_out_of_memory(error):
                log.warning("no memory to capture %s: such runs are slower", self._describe(key))
                self._without_memory.add(key)
                return
            # Graphs that were captured before stay good.
            log.warning(
                "cannot capture %s; nothing else of this kind is captured from now on, so such runs are slower: %s",
                self._describe(key), first_line(error),
            )  # fmt: skip
            self._capturer = None
            self._queued.clear()

    def capture_next(self) -> bool:
        """Capture the first of the queue. Returns whether there was one, so that there may be more."""
        if not self._queued:
            return False
        self.capture(*next(iter(self._queued.items())))
        return True

    def _is_missing(self, key: Key) -> bool:
        return self._capturer is not None and key not in self._replays and key not in self._without_memory
