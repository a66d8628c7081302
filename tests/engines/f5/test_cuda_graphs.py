"""Runs at fixed addresses sound as runs anywhere, recorded or not, whatever was spoken before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ishowtts.engines import Progress
from ishowtts.engines.f5 import cuda_graphs, dit, duration, fast_model
from ishowtts.engines.f5.cuda_graphs import RunShape
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.model import Segment
from ishowtts_bench.fidelity import distance
from ishowtts_bench.parity import TOLERANCE
from support.tape import TapeRecorder

pytestmark = [pytest.mark.f5, pytest.mark.slow]

Make = Callable[..., F5Engine]
STAGED = {"graphs": True, "exact_padding": True}


def never() -> bool:
    return False


def segment(text: str, **fields: Any) -> Segment:
    return Segment("line", 0, 1, text, **{"seed": 1, "nfe_step": 5, **fields})


LINES = [
    segment("A first line, longer than the second."),
    segment("A short one, 你好."),
    segment("Another number of evaluations.", nfe_step=8),
    segment("A third line.", seed=4, speed=1.3),
]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> TapeRecorder:
    """In place of CUDA graphs; few and short buckets, for the sake of time."""
    monkeypatch.setattr(duration, "BUCKETS", (544, 576, 640, 704, 832, 960, 1088, 1216, 2112))
    tape = TapeRecorder()
    monkeypatch.setattr(fast_model, "make_capturer", lambda _: tape)
    return tape


@pytest.mark.parametrize("switches", [{}, {"guidance_skip": "reuse"}])
def test_a_recorded_step_serves_every_line_and_every_number_of_evaluations(
    make_engine: Make, recorder: TapeRecorder, switches: dict[str, Any]
) -> None:
    plain = make_engine(switches={"exact_padding": False, "graphs": False, **switches})
    ours = make_engine(switches={**STAGED, **switches})
    for line in LINES:
        exact = plain.render(line, never)
        assert distance(ours.render(line, never), exact) <= TOLERANCE
        while ours.idle():
            pass
        before = recorder.replayed
        assert distance(ours.render(line, never), exact) <= TOLERANCE
        assert recorder.replayed - before == line.nfe_step
    before = recorder.replayed
    assert np.isfinite(ours.render(replace(LINES[0], seed=7, nfe_step=4), never)).all()
    assert recorder.replayed - before == 4


def test_a_shape_that_was_not_recorded_runs_step_by_step_and_is_recorded_in_idle_time(
    make_engine: Make, recorder: TapeRecorder
) -> None:
    ours = make_engine(switches=STAGED)
    first = ours.render(LINES[0], never)
    assert recorder.captured == recorder.replayed == 0
    assert ours.idle()
    assert recorder.captured == 1
    assert distance(ours.render(LINES[0], never), first) <= TOLERANCE
    assert recorder.replayed == 5
    assert not ours.idle()


def test_a_line_waits_for_one_recording_at_most(make_engine: Make, recorder: TapeRecorder) -> None:
    """Where guidance is left out on some evaluations, a shape is two recordings."""
    ours = make_engine(switches={**STAGED, "guidance_skip": "reuse"})
    ours.render(LINES[0], never)
    for done in (1, 2):
        assert ours.idle()
        assert recorder.captured == done
    assert not ours.idle()


def test_a_batch_on_a_stage_sounds_as_its_lines_alone(make_engine: Make, recorder: TapeRecorder) -> None:
    ours = make_engine(switches=STAGED)
    lines = [LINES[1], LINES[3], segment("And a third.", seed=9)]
    for turn in range(2):
        together = ours.render_batch(lines, never)
        for sound, line in zip(together, lines, strict=True):
            assert distance(sound, ours.render(line, never)) <= TOLERANCE
        while turn == 0 and ours.idle():
            pass
    assert recorder.replayed >= 5 * 4


def test_a_run_too_large_for_a_stage_runs_without_one(
    make_engine: Make, recorder: TapeRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duration, "BUCKETS", (544, 576))
    ours, plain = (make_engine(switches=switches) for switches in (STAGED, {"exact_padding": False, "graphs": False}))
    assert distance(ours.render(LINES[0], never), plain.render(LINES[0], never)) <= TOLERANCE
    assert ours._runner.model.unbucketed == 1
    assert not ours.idle()


def test_what_has_no_stage_is_not_recorded_and_does_no_harm(make_engine: Make, recorder: TapeRecorder) -> None:
    """Two lines of a long reference are such a run, and warm-up asks for two of each."""
    model = make_engine(switches=STAGED)._runner.model
    with torch.inference_mode():
        model.capture(1216, 2)
        model.capture(64, duration.MOST_LINES + 1)
        assert recorder.captured == 0
        model.capture(544, 2)
    assert recorder.captured == 1


def _poison(engine: F5Engine) -> None:
    memory = engine._runner.model._graphs._memory
    with torch.inference_mode():
        for block in (memory.y, memory.difference, memory.rows, memory.first_conv):
            block.fill_(float("nan"))


def test_numbers_that_are_none_leave_nothing_behind(make_engine: Make, recorder: TapeRecorder) -> None:
    """A line that overflowed must not be heard in the next one."""
    ours = make_engine(switches=STAGED)
    right = ours.render(LINES[1], never)
    _poison(ours)
    assert distance(ours.render(LINES[1], never), right) <= TOLERANCE
    while ours.idle():
        pass
    _poison(ours)
    assert distance(ours.render(LINES[1], never), right) <= TOLERANCE


def test_what_cannot_be_recorded_runs_step_by_step(
    make_engine: Make, recorder: TapeRecorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours = make_engine(switches=STAGED)
    right = ours.render(LINES[1], never)
    velocity = dit.velocity

    def waiting(*given: Any) -> torch.Tensor:
        flow = velocity(*given)
        float(flow.sum())  # waits for the device
        return flow

    monkeypatch.setattr(dit, "velocity", waiting)
    ours.warm(lambda _: None)
    assert "cannot be captured" in caplog.text
    assert recorder.captured == 0
    assert distance(ours.render(LINES[1], never), right) <= TOLERANCE
    assert not ours.idle()


def test_a_length_without_memory_is_left_and_shorter_ones_are_recorded(
    make_engine: Make, recorder: TapeRecorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours = make_engine(switches=STAGED)
    record = recorder.capture

    def short_of_memory(run: Callable[[], None]) -> Callable[[], None]:
        if not caplog.records:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return record(run)

    monkeypatch.setattr(recorder, "capture", short_of_memory)
    with torch.inference_mode():
        ours._runner.model.capture(1216)
        assert recorder.captured == 0
        assert "no memory to capture 1 times 1216 frames" in caplog.text
        for frames in (544, 1216):
            ours._runner.model.capture(frames)
    assert recorder.captured == 1


def test_warm_up_records_what_most_lines_take_and_idle_time_the_rest(make_engine: Make, recorder: TapeRecorder) -> None:
    ours = make_engine(switches=STAGED)
    told: list[Progress] = []
    ours.warm(told.append)
    assert [progress.i for progress in told] == list(range(told[-1].n + 1))
    reference = ours._reference(ours._find(None)).frames
    usual, later = duration.usual(reference, duration.BUCKETS)
    assert recorder.captured == len(usual)
    assert usual[0] == duration.BUCKETS[-1]
    while ours.idle():
        pass
    assert recorder.captured == len(usual) + len(later)
    assert {shape.frames for shape, _ in ours._runner.model._graphs._graphs} == {
        frames for frames in duration.BUCKETS if frames > reference + 1
    }


def test_a_stage_is_laid_out_within_what_was_allocated(make_engine: Make) -> None:
    ours = make_engine(switches=STAGED)
    held: cuda_graphs.GraphRunner = ours._runner.model._graphs
    for lines in range(1, duration.MOST_LINES + 1):
        frames = max(frames for frames in duration.BUCKETS if lines * frames <= duration.BUCKETS[-1])
        stage = held._buffers_of(RunShape(lines, frames))
        assert stage.y.shape == (lines, frames, 100)
        assert stage.condition.rows.shape == (2 * lines, frames, 128)
        assert stage.condition.lengths is not None
        assert stage.condition.lengths.starts.tolist() == [i * frames for i in range(2 * lines + 1)]


def test_the_device_knows_how_long_each_line_of_this_run_is(make_engine: Make) -> None:
    """Flash attention reads it there; on the CPU nothing does."""
    ours = make_engine(switches=STAGED)
    held: cuda_graphs.GraphRunner = ours._runner.model._graphs
    for lines in ([LINES[0]], [LINES[1], LINES[3]], [LINES[1]]):
        frames = [ours._job(line).frames for line in lines]
        ours.render_batch([replace(line, nfe_step=4) for line in lines], never)
        shape = next(shape for shape in reversed(held._queued) if shape.lines == len(lines))
        lengths = held._buffers[shape].condition.lengths
        assert lengths is not None
        assert lengths.counts.tolist() == frames * 2
        assert lengths.keep.sum(1).tolist() == frames * 2
