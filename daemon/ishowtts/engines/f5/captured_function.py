"""Calls a function of tensors through CUDA graphs: one for each combination of the shapes of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ishowtts.engines.f5.graph_store import GraphStore, StepCapture

Shapes = tuple[tuple[int, ...], ...]


class CapturedFunction:
    """Replays a graph if these shapes were captured, else calls the function and queues them for idle time.

    All shapes share the memory of the largest ones, so that they take no more memory than one of them.

    Args:
        name: the part of the model, for the log.
        function: from tensors to one tensor. It must not read a value on the host.
        inputs: examples of the largest inputs, of any shape. Larger ones are never captured.
        output: an example of the output for them.
        capturer: captures; `None`: the function is always called.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Tensor],
        inputs: Sequence[Tensor],
        output: Tensor,
        capturer: StepCapture | None,
    ) -> None:
        self._function = function
        self._inputs = [torch.zeros_like(each).flatten() for each in inputs]
        self._output = torch.zeros_like(output).flatten()
        self._outputs: dict[Shapes, Tensor] = {}
        self._graphs: GraphStore[Shapes] = GraphStore(
            capturer, lambda shapes: f"{name} for {' x '.join(map(str, shapes[0]))} values"
        )

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Compute the function. The result is not overwritten by the next call."""
        shapes = tuple(tuple(each.shape) for each in inputs)
        replay = self._graphs.get(shapes)
        if replay is None:
            self.enqueue_capture(shapes)
            return self._function(*inputs)
        for static, given in zip(self._views(shapes), inputs, strict=True):
            static.copy_(given)
        replay()
        return self._outputs[shapes].clone()

    def enqueue_capture(self, shapes: Shapes) -> None:
        """Have inputs of these shapes captured by a later `capture_next`, unless they are too large."""
        if all(torch.Size(shape).numel() <= len(block) for shape, block in zip(shapes, self._inputs, strict=True)):
            self._graphs.enqueue(shapes, lambda: self._run(shapes))

    def capture_next(self) -> bool:
        """Capture one of the queued shapes. Returns whether there was one, so that there may be more."""
        return self._graphs.capture_next()

    def _views(self, shapes: Shapes) -> list[Tensor]:
        return [
            block[: torch.Size(shape).numel()].view(shape)
            for block, shape in zip(self._inputs, shapes, strict=True)
        ]  # fmt: skip

    def _run(self, shapes: Shapes) -> None:
        y = self._function(*self._views(shapes))
        # Copied out of the graph's own memory: a result that stayed there would take this memory from all other graphs.
        static = self._output[: y.numel()].view(y.shape)
        static.copy_(y)
        self._outputs[shapes] = static
