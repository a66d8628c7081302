"""CUDA graphs: what one step launches, recorded once and launched as one thing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch

_AHEAD = 2


class GraphRecorder:
    """Records on one stream into one pool of memory. One thread makes, uses and drops it: graphs are bound to it.

    What is recorded first should be the longest: later graphs then fit into the memory of the earlier ones, since
    never two of them run at once.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """What replays `run` on the current stream.

        Raises:
            RuntimeError: something in it cannot be recorded, or there is not enough memory.
        """
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            run()  # libraries set themselves up and kernels are compiled here: neither can be recorded
            graph = torch.cuda.CUDAGraph()
            torch.cuda.synchronize()
            # Not `torch.cuda.graph`: that collects garbage and empties the allocator's cache for each one.
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                run()
            finally:
                graph.capture_end()
        torch.cuda.current_stream().wait_stream(self._stream)
        return graph.replay


class Pace:
    """Keeps the processor at most two evaluations ahead of the GPU, so that a cancel takes hold between evaluations."""

    def __init__(self) -> None:
        self._events: deque[torch.cuda.Event] = deque()

    def tick(self) -> None:
        """An evaluation was launched; waits, asleep, for the one before the last."""
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        self._events.append(event)
        if len(self._events) >= _AHEAD:
            self._events.popleft().synchronize()
