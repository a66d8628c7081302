"""Evaluations at fixed addresses: one stage for each shape of a run, all in one block of memory, so that what was
recorded once (a CUDA graph of one step) serves every line, every number of evaluations and every policy.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import MELS
from ishowtts.engines.f5.attention import Lengths
from ishowtts.engines.f5.device import is_out_of_memory
from ishowtts.engines.f5.dit import Condition, Dit, Modulation, rotary_angles
from ishowtts.engines.f5.sampler import StaticBuffers, start, step
from ishowtts.engines.f5.schedule import Guidance
from ishowtts.errors import first_line

_log = logging.getLogger(__name__)

_MOST_WISHES = 64


class StepRecorder(Protocol):
    """Records what a function does on the device."""

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """What repeats `run` on the same addresses; `run` is called at least once meanwhile.

        Raises:
            RuntimeError: it cannot be recorded.
        """


@dataclass(frozen=True)
class RunShape:
    """Of a run: lines, and the frames that each is padded to."""

    lines: int
    frames: int


@dataclass(frozen=True)
class _Memory:
    """What all stages share; one run at a time uses it.

    Attributes:
        rows, first_conv: of both branches, [2 * rows * D].
        y, difference: fp32 [rows * 100].
        keep: bool [2 * rows].
        counts: int32 [2 * lines].
    """

    y: Tensor
    difference: Tensor
    rows: Tensor
    first_conv: Tensor
    keep: Tensor
    counts: Tensor
    angles: Tensor
    at: Modulation
    dt: Tensor


class GraphRunner:
    """Runs evaluations on stages: by what was recorded where there is something, else step by step.

    Args:
        most_rows: lines times frames of the largest run; a larger one has no stage.
        most_lines: of a run.
        kinds: of guidance, which a line's plan is made of.
        recorder: `None`: nothing is ever recorded.
    """

    def __init__(
        self,
        model: Dit,
        *,
        most_rows: int,
        most_lines: int,
        cfg_strength: float,
        kinds: Sequence[Guidance],
        recorder: StepRecorder | None,
    ) -> None:
        self._model = model
        self._cfg_strength = cfg_strength
        self._most_rows, self._most_lines = most_rows, most_lines
        self._kinds = kinds
        self._recorder = recorder
        self._memory = _allocate(model, most_rows, most_lines)
        self._stages: dict[RunShape, StaticBuffers] = {}
        self._recorded: dict[tuple[RunShape, Guidance], Callable[[], None]] = {}
        self._wishes: deque[RunShape] = deque(maxlen=_MOST_WISHES)
        self._refused: set[RunShape] = set()

    def load(self, given: Condition, noise: Sequence[Tensor]) -> RunShape | None:
        """Put a run on its stage; `None` where it is too large for one.

        Args:
            given: of its lines, padded.
            noise: of each line, fp32 [its frames, 100].
        """
        shape = RunShape(len(noise), given.rows.shape[1])
        if not self._fits(shape):
            return None
        stage = self._stage(shape)
        stage.given.rows.copy_(given.rows)
        stage.given.first_conv.copy_(given.first_conv)
        lengths = stage.given.lengths
        if lengths is not None:
            frames = [len(drawn) for drawn in noise]
            exact = given.lengths or Lengths.of((*frames, *frames), shape.frames, stage.y.device)
            lengths.keep.copy_(exact.keep)
            lengths.counts.copy_(exact.counts)
        start(stage.y, noise)
        return shape

    def advance(self, shape: RunShape, at: Modulation, dt: Tensor, guidance: Guidance) -> None:
        """One evaluation of the run that was loaded last, and its step."""
        stage = self._stages[shape]
        stage.at.blocks.copy_(at.blocks)
        stage.at.final.copy_(at.final)
        stage.dt.copy_(dt)
        replay = self._recorded.get((shape, guidance))
        if replay is not None:
            replay()
            return
        self._step(stage, guidance)
        if shape not in self._wishes:
            self._wishes.append(shape)

    def state(self, shape: RunShape) -> Tensor:
        """Where the run stands, fp32 [lines, frames, 100]; valid until the next one is loaded."""
        return self._stages[shape].y

    def record(self, shape: RunShape) -> None:
        """Record every kind of evaluation of this shape, unless it is too large for a stage.

        What stands on the stages is overwritten.
        """
        for kind in self._lacking(shape):
            self._record(shape, kind)

    def record_a_wish(self) -> bool:
        """Record one kind of evaluation of a shape that a run lacked; whether there may be more of them."""
        while self._recorder is not None and self._wishes:
            shape = self._wishes[0]
            lacking = self._lacking(shape)
            if lacking:
                self._record(shape, lacking[0])
                return True
            self._wishes.popleft()
        return False

    def wish(self, shape: RunShape) -> None:
        """Have a shape recorded some time."""
        self._wishes.append(shape)

    def _lacking(self, shape: RunShape) -> list[Guidance]:
        if shape in self._refused or not self._fits(shape):
            return []
        return [kind for kind in self._kinds if (shape, kind) not in self._recorded]

    def _fits(self, shape: RunShape) -> bool:
        return shape.lines <= self._most_lines and shape.lines * shape.frames <= self._most_rows

    def _record(self, shape: RunShape, kind: Guidance) -> None:
        if self._recorder is None:
            return
        try:
            stage = self._stage(shape)
            self._recorded[shape, kind] = self._recorder.record(lambda: self._step(stage, kind))
        except RuntimeError as error:
            if is_out_of_memory(error):
                _log.warning("no memory to record %d times %d frames: such runs are slower", shape.lines, shape.frames)
                self._refused.add(shape)
                return
            # What was recorded before stays good; the rest runs step by step, which is only slower.
            _log.warning("runs cannot be recorded any more, and are slower: %s", first_line(error))
            self._recorder = None

    def _step(self, stage: StaticBuffers, guidance: Guidance) -> None:
        step(self._model, stage, guidance, self._cfg_strength)

    def _stage(self, shape: RunShape) -> StaticBuffers:
        stage = self._stages.get(shape)
        if stage is None:
            stage = self._stages[shape] = _lay_out(self._memory, shape)
        return stage


def _allocate(model: Dit, most_rows: int, most_lines: int) -> _Memory:
    width, device = len(model.bias), model.bias.device

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(shape, dtype=dtype, device=device)

    return _Memory(
        y=zeros(most_rows * MELS),
        difference=zeros(most_rows * MELS),
        rows=zeros(2 * most_rows * width, dtype=model.dtype),
        first_conv=zeros(2 * most_rows * width, dtype=model.dtype),
        keep=zeros(2 * most_rows, dtype=torch.bool),
        counts=zeros(2 * most_lines, dtype=torch.int32),
        angles=rotary_angles(most_rows, device),
        at=Modulation(zeros(len(model.blocks), 6, width, dtype=model.dtype), zeros(2, width, dtype=model.dtype)),
        dt=zeros(),
    )


def _lay_out(memory: _Memory, shape: RunShape) -> StaticBuffers:
    lines, frames = shape.lines, shape.frames

    def view(block: Tensor, branches: int, *rest: int) -> Tensor:
        size = branches * frames * (rest[0] if rest else 1)
        return block[:size].view(branches, frames, *rest)

    width = memory.at.final.shape[1]
    starts = torch.arange(0, (2 * lines + 1) * frames, frames, dtype=torch.int32, device=memory.y.device)
    lengths = Lengths(None, view(memory.keep, 2 * lines), memory.counts[: 2 * lines], starts)
    given = Condition(
        view(memory.rows, 2 * lines, width), view(memory.first_conv, 2 * lines, width), memory.angles[:frames], lengths
    )
    y, difference = view(memory.y, lines, MELS), view(memory.difference, lines, MELS)
    return StaticBuffers(y, difference, given, memory.at, memory.dt)
