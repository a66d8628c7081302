"""A failed capture leaves the allocator as it was. A fake takes the place of CUDA."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from ishowtts.engines.f5.cuda_graphs import CudaCapture, capture_stream

pytestmark = pytest.mark.f5

Pool = tuple[int, int]


class Allocator:
    """Counts pools like torch's allocator, `CUDACachingAllocator.cpp`."""

    def __init__(self) -> None:
        self.underway: list[Pool] = []
        self.used: dict[Pool, int] = {}
        self.handed_out = 0

    def handle(self) -> Pool:
        self.handed_out += 1
        return 0, self.handed_out

    def begin(self, pool: Pool) -> None:
        if pool in self.underway:
            raise RuntimeError("beginAllocateToPool: already recording to mempool_id")
        assert self.used.get(pool) != 0, "a pool that nobody uses any more"
        self.used[pool] = self.used.get(pool, 0) + 1
        self.underway.append(pool)

    def end(self, device: int, pool: Pool) -> None:
        if pool not in self.underway:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.underway.remove(pool)

    def release(self, device: int, pool: Pool) -> None:
        self.used[pool] -= 1


class Stream:
    def wait_stream(self, other: Stream) -> None:
        """In order."""


@pytest.fixture(autouse=True)
def _another_stream() -> Iterator[None]:
    """The stream of this process must not stay a fake."""
    capture_stream.cache_clear()
    yield
    capture_stream.cache_clear()


@pytest.fixture
def allocator(monkeypatch: pytest.MonkeyPatch) -> Allocator:
    made, stream = Allocator(), Stream()

    class Graph:
        """Like `CUDAGraph.cpp`: `capture_end` asks CUDA first, and tells the allocator only if that succeeded."""

        broken, capturing, ended = False, False, False
        now: Graph | None = None

        def capture_begin(self, pool: Pool, capture_error_mode: str) -> None:
            self.pool = pool
            made.begin(pool)
            self.capturing, Graph.now = True, self

        def capture_end(self) -> None:
            capturing, self.capturing, Graph.now = self.capturing, False, None
            if self.broken or not capturing:
                raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
            made.end(0, self.pool)
            self.ended = True

        def replay(self) -> None:
            """Nothing was launched."""

        def __del__(self) -> None:
            if self.ended:
                made.release(0, self.pool)

    stand_in: dict[str, Callable[..., Any]] = {
        "CUDAGraph": Graph, "Stream": Stream, "current_stream": lambda: stream,
        "stream": lambda _: contextlib.nullcontext(), "synchronize": lambda: None,
        "graph_pool_handle": made.handle, "current_device": lambda: 0,
    }  # fmt: skip
    for name, value in stand_in.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", made.end)
    monkeypatch.setattr(torch._C, "_cuda_releasePool", made.release)
    return made


def breaking() -> None:
    """Waits for the device, which invalidates a capture."""
    graph: Any = torch.cuda.CUDAGraph.now  # type: ignore[attr-defined]
    if graph is not None:
        graph.broken = True
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")


def failing() -> None:
    """Fails, but leaves the capture valid, like an allocation."""
    if torch.cuda.CUDAGraph.now is not None:  # type: ignore[attr-defined]
        raise torch.OutOfMemoryError("CUDA out of memory")


def full() -> None:
    """Fails before the capture, with an error that is not torch's."""
    raise OSError("No space left on device")


@pytest.mark.parametrize(
    ("run", "reason"), [(breaking, "not permitted"), (failing, "out of memory"), (full, "No space left")]
)
def test_a_failed_capture_gives_its_reason_and_leaves_the_allocator_as_it_was(
    allocator: Allocator, run: Callable[[], None], reason: str
) -> None:
    capturer = CudaCapture()
    with pytest.raises(RuntimeError, match=reason):
        capturer.capture(run)
    gc.collect()
    assert allocator.underway == []
    assert set(allocator.used.values()) <= {0}
    kept = capturer.capture(lambda: None)  # another one can still be captured
    assert allocator.underway == []
    assert sum(allocator.used.values()) == 1
    del kept


def test_no_garbage_is_collected_during_a_capture(allocator: Allocator) -> None:
    collecting: list[bool] = []
    CudaCapture().capture(lambda: collecting.append(gc.isenabled()))
    assert collecting == [True, False]
    assert gc.isenabled()


def test_all_captures_share_one_stream(allocator: Allocator, monkeypatch: pytest.MonkeyPatch) -> None:
    """cuBLAS keeps a workspace for each stream, and what is captured on one of them cannot be freed."""
    used: list[Any] = []

    def use(stream: Any) -> Any:
        used.append(stream)
        return contextlib.nullcontext()

    monkeypatch.setattr(torch.cuda, "stream", use)
    for _ in range(3):
        CudaCapture().capture(lambda: None)
    assert len(used) == 3
    assert len(set(map(id, used))) == 1
