"""CUDA graphs: what one step launches, recorded once and launched as one thing."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import torch

from ishowtts.errors import first_line

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
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                run()  # libraries set themselves up and kernels are compiled here: neither can be recorded
                torch.cuda.synchronize()
                graph = self._captured(run)
        except RuntimeError:
            raise
        except Exception as error:  # Triton's errors have no common parent, nor has a disk that is full
            raise RuntimeError(first_line(error)) from error
        finally:
            current.wait_stream(self._stream)
        return graph.replay

    def _captured(self, run: Callable[[], None]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        with _no_collection():
            try:
                # Not `torch.cuda.graph`: that collects garbage and empties the allocator's cache for each one.
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
                run()
                graph.capture_end()
            except BaseException:
                self._abandon(graph)
                raise
        return graph

    def _abandon(self, graph: torch.cuda.CUDAGraph) -> None:
        """Leave the stream and the allocator as they were before.

        Where CUDA has broken a capture off, torch's `capture_end` raises before it tells the allocator, which then
        would take the capture for one that goes on: it would never again free memory to make room, nor let anything
        else be recorded into this pool.
        """
        with suppress(RuntimeError):
            graph.capture_end()
        pool, self._pool = self._pool, torch.cuda.graph_pool_handle()
        device = torch.cuda.current_device()
        try:
            _end_of_pool()(device, pool)
        except (RuntimeError, AttributeError):
            return  # the allocator was told, and the graph gives the pool back
        torch._C._cuda_releasePool(device, pool)


class RecordingPace:
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


@contextmanager
def _no_collection() -> Iterator[None]:
    """What garbage holds on the GPU may be let go of by calls that a capture forbids."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            gc.enable()


def _end_of_pool() -> Callable[[int, tuple[int, int]], None]:
    """Torch has it under another name before 2.8."""
    found = getattr(torch._C, "_cuda_endAllocateToPool", None)
    old: Callable[[int, tuple[int, int]], None] = found or torch._C._cuda_endAllocateCurrentStreamToPool  # type: ignore[attr-defined]
    return old
