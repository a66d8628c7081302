"""Runs of a model: its sounds on the host, and its errors as ours."""

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
    """This segment did not fit into memory; a shorter one may."""


class Runner:
    """Asks a model for sounds.

    Args:
        device: where the model is.
    """

    def __init__(self, model: F5Model, device: torch.device) -> None:
        self.model = model
        self._device = device
        self._host = Host(device)

    def samples(self, jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[Samples]:
        """S16 mono of jobs in one run, clipped where it is too loud. Raises as `floats` does."""
        return self._run(jobs, cancelled, self._host.samples)

    def floats(self, jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[NDArray[np.float32]]:
        """fp32 [samples] of jobs in one run, not clipped.

        Raises:
            OutOfMemory: they do not fit into memory together.
            SynthesisError: one of them came out as no sound.
            EngineError: the device failed.
            Cancelled: `cancelled()` turned true.
        """
        return self._run(jobs, cancelled, self._host.floats)

    def time_s(self, jobs: Sequence[SegmentJob]) -> float:
        """How long a run takes that nobody hears. Raises EngineError where it makes no sound."""
        started = time.monotonic()
        sounds = self.model.render(jobs, lambda: False)
        if not all(bool(torch.isfinite(sound).all()) for sound in sounds):
            raise EngineError(
                "the model makes no finite sound; fetch the weights again, or set engine.f5.precision to fp32"
            )
        return time.monotonic() - started

    def _run(
        self, jobs: Sequence[SegmentJob], cancelled: IsCancelled, bring: Callable[[Tensor], RunResult]
    ) -> list[RunResult]:
        try:
            with _torch_errors(self._device), torch.inference_mode():
                sounds = self.model.render(jobs, cancelled)
                finite = [torch.isfinite(sound).all() for sound in sounds]
                brought = [bring(sound) for sound in sounds]  # here it is waited for, asleep
                whole = [bool(one) for one in finite]
        except OutOfMemory:
            if self._device.type == "cuda":
                torch.cuda.empty_cache()  # what is kept for other shapes may be what is missing
            raise
        for job, good in zip(jobs, whole, strict=True):
            if not good:
                said = job.text.removeprefix(job.reference.text)
                # Not its words: this comes into the log, which may be private.
                raise SynthesisError(
                    f"the model made no finite sound of {len(said)} characters; try engine.f5.precision fp32"
                )
        return brought


@contextmanager
def as_engine_error(task: str) -> Iterator[None]:
    """What torch cannot do before there is a line to blame for it, as EngineError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise EngineError(f"there is not enough memory to {task}; end other programs, or give it more") from error
        raise EngineError(f"torch cannot {task}: {first_line(error)}") from error


@contextmanager
def _torch_errors(device: torch.device) -> Iterator[None]:
    """Torch's errors as ours: memory ends a segment; anything else on CUDA may have poisoned the context."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            # Else the error holds what the run had taken, for as long as parts of the segment are tried.
            traceback.clear_frames(error.__traceback__)
            raise OutOfMemory("there is not enough memory for this segment") from error
        problem = first_line(error)
        if device.type == "cuda":
            raise EngineError(f"CUDA failed: {problem}") from error
        raise SynthesisError(f"torch failed on this segment: {problem}") from error
