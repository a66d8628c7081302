"""Runs a model: copies its sounds to the host and converts its errors to ours."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ishowtts.engines.f5.device import Host, is_out_of_memory
from ishowtts.engines.f5.model_job import F5Model, SegmentJob
from ishowtts.errors import EngineError, SynthesisError, first_line
from ishowtts.model import IsCancelled, Samples

RunResult = TypeVar("RunResult")


class OutOfMemory(SynthesisError):
    """This segment did not fit into memory; a shorter one may fit."""


class Runner:
    """Runs a model for the engine.

    Args:
        device: the device of the model.
    """

    def __init__(self, model: F5Model, device: torch.device) -> None:
        self.model = model
        self._device = device
        self._host = Host(device)

    def samples(self, jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[Samples]:
        """Render jobs in one run to int16 mono. Too loud samples are clipped. Raises the same errors as `floats`."""
        return self._run(jobs, cancelled, self._host.samples)

    def floats(self, jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[NDArray[np.float32]]:
        """Render jobs in one run to fp32 [samples] each, not clipped.

        Raises:
            OutOfMemory: they do not fit into memory together.
            SynthesisError: a sound of one of them is not finite.
            EngineError: the device failed.
            Cancelled: `cancelled()` turned true.
        """
        return self._run(jobs, cancelled, self._host.floats)

    def time_s(self, jobs: Sequence[SegmentJob]) -> float:
        """Measure the time of a run. Raises EngineError if its sound is not finite."""
        started = time.monotonic()
        sounds = self.model.render(jobs, lambda: False)
        if not all(bool(torch.isfinite(sound).all()) for sound in sounds):
            raise EngineError(
                "the model makes no finite sound; fetch the weights again, or set engine.f5.precision to fp32"
            )
        return time.monotonic() - started

    def _run(
        self, jobs: Sequence[SegmentJob], cancelled: IsCancelled, copy: Callable[[Tensor], RunResult]
    ) -> list[RunResult]:
        try:
            with _torch_errors(self._device), torch.inference_mode():
                sounds = self.model.render(jobs, cancelled)
                finite = [torch.isfinite(sound).all() for sound in sounds]
                copied = [copy(sound) for sound in sounds]  # waits here for the device, asleep
                are_finite = [bool(value) for value in finite]
        except OutOfMemory:
            if self._device.type == "cuda":
                torch.cuda.empty_cache()  # memory that is cached for other shapes may be enough
            raise
        for job, good in zip(jobs, are_finite, strict=True):
            if not good:
                text = job.text.removeprefix(job.reference.text)
                # The message does not contain the text: it goes into the log, which may be private.
                raise SynthesisError(
                    f"the model made no finite sound of {len(text)} characters; try engine.f5.precision fp32"
                )
        return copied


@contextmanager
def as_engine_error(task: str) -> Iterator[None]:
    """Convert torch's errors outside of a segment to EngineError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise EngineError(f"there is not enough memory to {task}; end other programs, or give it more") from error
        raise EngineError(f"torch cannot {task}: {first_line(error)}") from error


@contextmanager
def _torch_errors(device: torch.device) -> Iterator[None]:
    """Convert torch's errors. Without memory, only the segment fails. Others may have broken the CUDA context."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            # Otherwise the error keeps the memory of the run while parts of the segment are tried.
            traceback.clear_frames(error.__traceback__)
            raise OutOfMemory("there is not enough memory for this segment") from error
        problem = first_line(error)
        if device.type == "cuda":
            raise EngineError(f"CUDA failed: {problem}") from error
        raise SynthesisError(f"torch failed on this segment: {problem}") from error
