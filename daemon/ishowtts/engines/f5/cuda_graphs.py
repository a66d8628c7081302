"""CUDA graphs: one evaluation and its step are captured once for each shape of a run, and replayed for every segment.

`GraphRunner` keeps the tensors of all shapes in one block of memory at fixed addresses, so that one graph serves every
segment, every number of evaluations and every guidance. `CudaCapture` captures graphs; `LaunchLimiter` keeps the
processor near the GPU. What is not captured yet runs step by step on the same tensors.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import MELS
from ishowtts.engines.f5.dit import Condition, Dit, Modulation, rotary_angles
from ishowtts.engines.f5.graph_store import GraphStore, StepCapture
from ishowtts.engines.f5.lengths import Lengths
from ishowtts.engines.f5.sampler import StaticBuffers, start, step
from ishowtts.engines.f5.schedule import Guidance
from ishowtts.errors import first_line

_MOST_AHEAD = 2


@dataclass(frozen=True)
class RunShape:
    """The shape of a run: the number of segments, and the number of frames that each is padded to."""

    segments: int
    frames: int


@dataclass(frozen=True)
class _Memory:
    """The tensors that all shapes share. One run at a time uses them.

    Attributes:
        rows, first_conv: both branches, [2 * rows * D].
        y, difference: fp32 [rows * 100].
        keep: bool [2 * rows].
    """

    y: Tensor
    difference: Tensor
    rows: Tensor
    first_conv: Tensor
    keep: Tensor
    angles: Tensor
    at: Modulation
    dt: Tensor


class GraphRunner:
    """Runs evaluations on static buffers: replays a captured graph if there is one, else runs step by step.

    Args:
        most_rows: segments times frames of the largest run. A larger run does not fit into the buffers.
        max_segments: segments of the largest run.
        kinds: every kind of guidance that a segment's plan can contain.
        capturer: captures steps; `None`: nothing is ever captured.
    """

    def __init__(
        self,
        model: Dit,
        *,
        most_rows: int,
        max_segments: int,
        cfg_strength: float,
        kinds: Sequence[Guidance],
        capturer: StepCapture | None,
    ) -> None:
        self._model = model
        self._cfg_strength = cfg_strength
        self._most_rows, self._max_segments = most_rows, max_segments
        self._kinds = kinds
        self._memory = _allocate(model, most_rows)
        self._buffers: dict[RunShape, StaticBuffers] = {}
        self._graphs: GraphStore[tuple[RunShape, Guidance]] = GraphStore(
            capturer, lambda key: f"evaluations of {key[0].segments} times {key[0].frames} frames"
        )

    def load(self, condition: Condition, noise: Sequence[Tensor]) -> RunShape | None:
        """Copy a run into its buffers; `None` if it is too large for them.

        Args:
            condition: the condition of its segments, padded.
            noise: the noise of each segment, fp32 [its frames, 100].
        """
        shape = RunShape(len(noise), condition.rows.shape[1])
        if not self._fits(shape):
            return None
        buffers = self._buffers_of(shape)
        buffers.condition.rows.copy_(condition.rows)
        buffers.condition.first_conv.copy_(condition.first_conv)
        lengths = buffers.condition.lengths
        if lengths is not None:
            frames = [len(drawn) for drawn in noise]
            exact = condition.lengths or Lengths.of((*frames, *frames), shape.frames, buffers.y.device)
            lengths.copy_(exact)
        start(buffers.y, noise)
        return shape

    def advance(self, shape: RunShape, at: Modulation, dt: Tensor, guidance: Guidance) -> None:
        """Do one evaluation and one step of the run that was loaded last."""
        buffers = self._buffers[shape]
        buffers.at.blocks.copy_(at.blocks)
        buffers.at.final.copy_(at.final)
        buffers.dt.copy_(dt)
        replay = self._graphs.get((shape, guidance))
        if replay is not None:
            replay()
            return
        self._step(buffers, guidance)
        self.enqueue_capture(shape)

    def state(self, shape: RunShape) -> Tensor:
        """The state of the run, fp32 [segments, frames, 100]. It is valid until the next run is loaded."""
        return self._buffers[shape].y

    def capture(self, shape: RunShape) -> None:
        """Capture every kind of evaluation of this shape, unless it is too large for the buffers.

        The contents of the buffers are overwritten.
        """
        for key, run in self._runs(shape).items():
            self._graphs.capture(key, run)

    def enqueue_capture(self, shape: RunShape) -> None:
        """Have every kind of evaluation of this shape captured by later calls of `capture_next`."""
        for key, run in self._runs(shape).items():
            self._graphs.enqueue(key, run)

    def capture_next(self) -> bool:
        """Capture one kind of evaluation of one queued shape. Returns whether there may be more to capture."""
        return self._graphs.capture_next()

    def _runs(self, shape: RunShape) -> dict[tuple[RunShape, Guidance], Callable[[], None]]:
        """Every kind of evaluation of this shape; none if it is too large for the buffers."""
        if not self._fits(shape):
            return {}
        buffers = self._buffers_of(shape)
        return {(shape, kind): partial(self._step, buffers, kind) for kind in self._kinds}

    def _fits(self, shape: RunShape) -> bool:
        return shape.segments <= self._max_segments and shape.segments * shape.frames <= self._most_rows

    def _step(self, buffers: StaticBuffers, guidance: Guidance) -> None:
        step(self._model, buffers, guidance, self._cfg_strength)

    def _buffers_of(self, shape: RunShape) -> StaticBuffers:
        buffers = self._buffers.get(shape)
        if buffers is None:
            buffers = self._buffers[shape] = _lay_out(self._memory, shape)
        return buffers


def _allocate(model: Dit, most_rows: int) -> _Memory:
    width, device = len(model.bias), model.bias.device

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(shape, dtype=dtype, device=device)

    return _Memory(
        y=zeros(most_rows * MELS),
        difference=zeros(most_rows * MELS),
        rows=zeros(2 * most_rows * width, dtype=model.dtype),
        first_conv=zeros(2 * most_rows * width, dtype=model.dtype),
        keep=zeros(2 * most_rows, dtype=torch.bool),
        angles=rotary_angles(most_rows, device),
        at=Modulation(zeros(len(model.blocks), 6, width, dtype=model.dtype), zeros(2, width, dtype=model.dtype)),
        dt=zeros(),
    )


def _lay_out(memory: _Memory, shape: RunShape) -> StaticBuffers:
    """Views of the shared memory for a run of this shape."""
    segments, frames = shape.segments, shape.frames

    def view(block: Tensor, branches: int, *rest: int) -> Tensor:
        size = branches * frames * (rest[0] if rest else 1)
        return block[:size].view(branches, frames, *rest)

    width, device = memory.at.final.shape[1], memory.y.device
    starts = torch.arange(0, (2 * segments + 1) * frames, frames, dtype=torch.int32, device=device)
    # Each shape has its own counts: those of a longer one would let attention read beyond its inputs in a capture.
    counts = torch.full((2 * segments,), frames, dtype=torch.int32, device=device)
    lengths = Lengths.on_device(None, view(memory.keep, 2 * segments), counts, starts)
    condition = Condition(
        view(memory.rows, 2 * segments, width),
        view(memory.first_conv, 2 * segments, width),
        memory.angles[:frames],
        lengths,
    )
    y, difference = view(memory.y, segments, MELS), view(memory.difference, segments, MELS)
    return StaticBuffers(y, difference, condition, memory.at, memory.dt)


def make_capturer(device: torch.device) -> StepCapture | None:
    """What captures steps on this device; `None`: the device cannot."""
    return CudaCapture() if device.type == "cuda" else None


@cache
def capture_stream() -> torch.cuda.Stream:
    """The stream of every capture of this process.

    cuBLAS keeps a workspace for each stream that it ran on and never frees it: 32 MiB on a Hopper, 8 MiB on others.
    """
    stream: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    return stream


class CudaCapture:
    """Captures on one stream into one pool of memory. One thread makes, uses and drops it: graphs are bound to it.

    The longest run should be captured first. The later graphs then fit into the memory of the earlier ones, since
    two of them never run at once.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = capture_stream()

    def capture(self, run: Callable[[], None]) -> Callable[[], None]:
        """Return a function that replays `run` on the current stream.

        Raises:
            RuntimeError: something in it cannot be captured, or there is not enough memory.
        """
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                run()  # libraries initialise themselves and kernels are compiled here: neither can be captured
                torch.cuda.synchronize()
                graph = self._captured(run)
        except RuntimeError:
            raise
        except Exception as error:  # Triton's errors have no common parent, nor has a full disk
            raise RuntimeError(first_line(error)) from error
        finally:
            current.wait_stream(self._stream)
        return graph.replay

    def _captured(self, run: Callable[[], None]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        with _no_garbage_collection():
            try:
                # Not `torch.cuda.graph`: that collects garbage and empties the allocator's cache for each graph.
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
                run()
                graph.capture_end()
            except BaseException:
                self._abandon(graph)
                raise
        return graph

    def _abandon(self, graph: torch.cuda.CUDAGraph) -> None:
        """Leave the stream and the allocator as they were before.

        If CUDA has invalidated a capture, torch's `capture_end` raises before it tells the allocator. The allocator
        would then believe that the capture goes on: it would never again free memory to make room, nor let anything
        else be captured into this pool.
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


class LaunchLimiter:
    """Keeps the processor at most two evaluations ahead of the GPU, so that a cancel acts between evaluations."""

    def __init__(self) -> None:
        self._events: deque[torch.cuda.Event] = deque()

    def launched(self) -> None:
        """Note that an evaluation was launched, and wait, asleep, for the one before the last."""
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        self._events.append(event)
        if len(self._events) >= _MOST_AHEAD:
            self._events.popleft().synchronize()


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Garbage may hold GPU memory, and the calls that free it are forbidden during a capture."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _end_of_pool() -> Callable[[int, tuple[int, int]], None]:
    """The torch function that ends a pool; it has another name before torch 2.8."""
    found = getattr(torch._C, "_cuda_endAllocateToPool", None)
    old: Callable[[int, tuple[int, int]], None] = found or torch._C._cuda_endAllocateCurrentStreamToPool  # type: ignore[attr-defined]
    return old
