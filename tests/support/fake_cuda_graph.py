"""Imitates a CUDA graph on the CPU: a replay runs the recorded operations again, on the same addresses.

A replay does not run Python again, so Python values are those of the recording. Operations that would wait for the
device, or copy from the host, cannot be recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

_FORBIDDEN = {"aten::item", "aten::_local_scalar_dense", "aten::lift_fresh", "aten::nonzero", "aten::is_nonzero"}


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.entries: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name().split(".")[0] in _FORBIDDEN:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({func.name()})")
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self.entries.append((func, args, kwargs, out))
        return out


class TapeRecorder:
    """Records; `captured` counts.

    Attributes:
        operators: how many operators all tapes have replayed: a clock that the load of the machine does not disturb.
    """

    operators: ClassVar[int] = 0

    def __init__(self) -> None:
        self.captured = 0
        self.replayed = 0

    def capture(self, run: Callable[[], None]) -> Callable[[], None]:
        """As `Recorder` says."""
        run()
        with _Tape() as tape:
            run()
        self.captured += 1

        def replay() -> None:
            self.replayed += 1
            TapeRecorder.operators += len(tape.entries)
            now: dict[int, Any] = {}

            def current(value: Any) -> Any:
                return now.get(id(value), value) if isinstance(value, torch.Tensor) else value

            for func, args, kwargs, out in tape.entries:
                made = func(*tree_map(current, args), **tree_map(current, kwargs))
                for old, new in zip(tree_flatten(out)[0], tree_flatten(made)[0], strict=True):
                    if isinstance(old, torch.Tensor):
                        now[id(old)] = new

        return replay
