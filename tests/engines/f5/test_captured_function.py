"""A function through graphs gives what the function gives, whatever was captured and whatever failed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ishowtts.engines.f5.captured_function import CapturedFunction
from support.fake_cuda_graph import TapeRecorder

pytestmark = pytest.mark.f5

LARGEST = 8


class Mean:
    """Computes the mean of the rows that count, and notes how often Python ran."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor, count: Tensor) -> Tensor:
        self.calls += 1
        rows = torch.arange(len(x)).unsqueeze(1) < count
        return torch.where(rows, x, 0.0).sum(0) / count


def run(function: Callable[..., Tensor], rows: int, count: int) -> Tensor:
    return function(torch.arange(2.0 * rows).view(rows, 2), torch.full((), count))


def captured(mean: Mean, tape: TapeRecorder | None) -> CapturedFunction:
    number = torch.zeros((), dtype=torch.int64)
    return CapturedFunction("the mean", mean, (torch.ones(LARGEST, 2), number), torch.ones(2), tape)


def test_one_graph_serves_all_values_of_its_shapes() -> None:
    mean, tape = Mean(), TapeRecorder()
    function = captured(mean, tape)
    first = run(function, 4, 3)
    assert tape.captured == 0
    assert function.capture_next()
    assert not function.capture_next()
    calls = mean.calls
    for count in (3, 2, 4):
        assert torch.equal(run(function, 4, count), run(Mean(), 4, count))
    assert torch.equal(run(function, 4, 3), first)
    assert (mean.calls, tape.replayed) == (calls, 4)


def test_a_result_outlives_the_next_call() -> None:
    function = captured(Mean(), TapeRecorder())
    for rows in (4, 8):
        function.enqueue_capture(((rows, 2), ()))
    while function.capture_next():
        pass
    first = run(function, 4, 4)
    kept = first.clone()
    run(function, 4, 2)
    run(function, 8, 8)
    assert torch.equal(first, kept)


def test_inputs_that_are_too_large_are_computed_without_a_graph() -> None:
    tape = TapeRecorder()
    function = captured(Mean(), tape)
    assert torch.equal(run(function, LARGEST + 1, 5), run(Mean(), LARGEST + 1, 5))
    assert not function.capture_next()
    assert tape.captured == 0


def test_without_a_capturer_it_is_the_function() -> None:
    function = captured(Mean(), None)
    assert torch.equal(run(function, 4, 3), run(Mean(), 4, 3))
    assert not function.capture_next()


class Failing(TapeRecorder):
    """Fails at its first capture."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reasons = [reason]

    def capture(self, run: Callable[[], None]) -> Callable[[], None]:
        if self.reasons:
            raise RuntimeError(self.reasons.pop())
        return super().capture(run)


@pytest.mark.parametrize(
    ("reason", "captures", "words"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB.", 1, "no memory to capture the mean for 4 x 2 values"),
        ("CUDA error: operation not permitted", 0, "cannot capture the mean for 4 x 2 values"),
    ],
)
def test_a_shape_that_cannot_be_captured_is_computed_and_tried_once(
    caplog: pytest.LogCaptureFixture, reason: str, captures: int, words: str
) -> None:
    """Without memory, other shapes may still fit. Other failures would repeat for every shape."""
    tape = Failing(reason)
    function = captured(Mean(), tape)
    for _ in range(2):
        for rows in (4, 2):
            assert torch.equal(run(function, rows, 2), run(Mean(), rows, 2))
        while function.capture_next():
            pass
    assert tape.captured == captures
    assert [record.getMessage().startswith(words) for record in caplog.records] == [True]
