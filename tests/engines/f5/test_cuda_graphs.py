"""Runs on static buffers sound like all other runs, captured or not, whatever was spoken before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ishowtts.engines import MAX_BATCH, Progress
from ishowtts.engines.f5 import cuda_graphs, dit, duration, fast_model
from ishowtts.engines.f5.cuda_graphs import RunShape
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.model import Segment
from ishowtts_bench.fidelity import distance
from ishowtts_bench.parity import TOLERANCE
from support.fake_cuda_graph import TapeRecorder

pytestmark = [pytest.mark.f5, pytest.mark.slow]

Make = Callable[..., F5Engine]
# Without the measurement of kernels, which takes up to a second for each engine.
PLAIN = {"exact_padding": False, "graphs": False, "cpu_kernels": False}
GRAPHS = {"exact_padding": True, "graphs": True, "cpu_kernels": False}
BUCKETS = (160, 192, 256, 320, 640)
OTHERS = 2  # the text encoder and the vocoder


def never() -> bool:
    return False


def segment(text: str, **fields: Any) -> Segment:
    return Segment("line", 0, 1, text, **{"seed": 1, "nfe_step": 5, **fields})


LINES = [
    segment("A first line, longer than the second."),
    segment("A short one, 你好."),
    segment("Another number of evaluations.", nfe_step=4),
    segment("A third line.", seed=4, speed=1.3),
]


@pytest.fixture(autouse=True)
def _short_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "BUCKETS", BUCKETS)
    monkeypatch.setattr(duration, "common_speech", list)
    monkeypatch.setattr(fast_model, "_COMMON_TOKENS", ())


@pytest.fixture
def make(make_engine: Make, short_voice: dict[str, str]) -> Make:
    """An engine with a short voice and these switches."""
    return lambda **switches: make_engine(switches=switches, **short_voice)


@pytest.fixture
def tape(monkeypatch: pytest.MonkeyPatch) -> TapeRecorder:
    """Takes the place of CUDA graphs."""
    tape = TapeRecorder()
    monkeypatch.setattr(fast_model, "make_capturer", lambda _: tape)
    return tape


@pytest.mark.parametrize("switches", [{}, {"guidance_skip": "reuse"}])
def test_a_captured_step_serves_every_line_and_every_number_of_evaluations(
    make: Make, tape: TapeRecorder, switches: dict[str, Any]
) -> None:
    plain = make(**{**PLAIN, **switches})
    ours = make(**{**GRAPHS, **switches})
    for line in LINES:
        exact = plain.render(line, never)
        assert distance(ours.render(line, never), exact) <= TOLERANCE
        while ours.idle():
            pass
        before = tape.replayed
        assert distance(ours.render(line, never), exact) <= TOLERANCE
        assert tape.replayed - before == line.nfe_step + OTHERS
    before = tape.replayed
    assert np.isfinite(ours.render(replace(LINES[0], seed=7, nfe_step=4), never)).all()
    assert tape.replayed - before == 4 + OTHERS


def test_a_shape_that_was_not_captured_runs_step_by_step_and_is_captured_in_idle_time(
    make: Make, tape: TapeRecorder
) -> None:
    ours = make(**GRAPHS)
    first = ours.render(LINES[0], never)
    assert tape.captured == tape.replayed == 0
    assert ours.idle()
    assert tape.captured == 1
    assert distance(ours.render(LINES[0], never), first) <= TOLERANCE
    assert tape.replayed == 5
    for done in range(2, 2 + OTHERS):
        assert ours.idle()
        assert tape.captured == done
    assert distance(ours.render(LINES[0], never), first) <= TOLERANCE
    assert tape.replayed == 2 * 5 + OTHERS
    assert not ours.idle()


def test_idle_time_captures_nothing_if_memory_is_short(
    make: Make, tape: TapeRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = make(**GRAPHS)
    ours.render(LINES[0], never)
    monkeypatch.setattr(ours._graph_memory, "has_room", lambda: False)
    assert not ours.idle()
    assert tape.captured == 0
    monkeypatch.undo()
    assert ours.idle()


def test_a_line_waits_for_one_capture_at_most(make: Make, tape: TapeRecorder) -> None:
    """If some evaluations have no guidance, a shape has two graphs."""
    ours = make(**GRAPHS, guidance_skip="reuse")
    ours.render(LINES[0], never)
    for done in range(1, 3 + OTHERS):
        assert ours.idle()
        assert tape.captured == done
    assert not ours.idle()


def test_a_batch_sounds_like_its_lines_alone(make: Make, tape: TapeRecorder) -> None:
    ours = make(**GRAPHS)
    lines = [LINES[1], LINES[3], segment("And a third.", seed=9)]
    for turn in range(2):
        together = ours.render_batch(lines, never)
        for sound, line in zip(together, lines, strict=True):
            assert distance(sound, ours.render(line, never)) <= TOLERANCE
        while turn == 0 and ours.idle():
            pass
    assert tape.replayed >= 5 * 4


def test_a_run_too_large_for_the_buffers_runs_without_them(
    make: Make, tape: TapeRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duration, "BUCKETS", (160, 192))
    ours, plain = (make(**switches) for switches in (GRAPHS, PLAIN))
    assert distance(ours.render(LINES[0], never), plain.render(LINES[0], never)) <= TOLERANCE
    assert ours._runner.model.unbucketed == 1
    while ours.idle():
        pass
    assert tape.captured == OTHERS


def test_a_shape_that_does_not_fit_is_not_captured(make: Make, tape: TapeRecorder) -> None:
    """Two lines with a long reference are such a run, and the warm-up asks for two lines of each length."""
    model = make(**GRAPHS)._runner.model
    with torch.inference_mode():
        model.capture(640, 2)
        model.capture(64, MAX_BATCH + 1)
        assert tape.captured == 0
        model.capture(160, 2)
    assert tape.captured == 1


def _poison(engine: F5Engine) -> None:
    memory = engine._runner.model._graphs._memory
    with torch.inference_mode():
        for block in (memory.y, memory.difference, memory.rows, memory.first_conv):
            block.fill_(float("nan"))


def test_nan_in_one_line_does_not_reach_the_next_one(make: Make, tape: TapeRecorder) -> None:
    """A line that overflowed must not be heard in the next one."""
    ours = make(**GRAPHS)
    right = ours.render(LINES[1], never)
    _poison(ours)
    assert distance(ours.render(LINES[1], never), right) <= TOLERANCE
    while ours.idle():
        pass
    _poison(ours)
    assert distance(ours.render(LINES[1], never), right) <= TOLERANCE


def test_a_step_that_cannot_be_captured_runs_as_it_is(
    make: Make, tape: TapeRecorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours = make(**GRAPHS)
    right = ours.render(LINES[1], never)
    velocity = dit.velocity

    def waiting(*given: Any) -> torch.Tensor:
        flow = velocity(*given)
        float(flow.sum())  # waits for the device
        return flow

    monkeypatch.setattr(dit, "velocity", waiting)
    ours.warm(lambda _: None)
    assert caplog.text.count("cannot capture evaluations") == 1
    before = tape.captured
    assert distance(ours.render(LINES[1], never), right) <= TOLERANCE
    while ours.idle():
        pass
    assert before <= tape.captured <= before + OTHERS, "the other parts of the model are still captured"


def test_a_length_without_memory_is_skipped_and_shorter_ones_are_captured(
    make: Make, tape: TapeRecorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours = make(**GRAPHS)
    record = tape.capture

    def short_of_memory(run: Callable[[], None]) -> Callable[[], None]:
        if not caplog.records:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return record(run)

    monkeypatch.setattr(tape, "capture", short_of_memory)
    with torch.inference_mode():
        ours._runner.model.capture(320)
        assert tape.captured == 0
        assert "no memory to capture evaluations of 1 times 320 frames" in caplog.text
        for frames in (160, 320):
            ours._runner.model.capture(frames)
    assert tape.captured == 1


def test_warm_up_captures_the_common_lengths_and_idle_time_the_others(
    make: Make, tape: TapeRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duration, "_COMMON_SPEECH_S", (0.5, 1.5))
    monkeypatch.setattr(duration, "common_speech", lambda: [160, 128, 96, 64])
    monkeypatch.setattr(fast_model, "_COMMON_TOKENS", (96, 64))
    ours = make(**GRAPHS)
    progress: list[Progress] = []
    ours.warm(progress.append)
    assert [one.i for one in progress] == list(range(progress[-1].n + 1))
    reference = ours._reference(ours._find(None)).frames
    common, later = duration.common_buckets(reference, duration.BUCKETS)
    assert common
    assert later
    model = ours._runner.model
    assert {shape.frames for shape, _ in model._graphs._graphs._replays} == set(common)
    assert common[0] == duration.BUCKETS[-1]
    assert {mel[1] for mel, _ in model._vocoder._captured._graphs._replays} == {160, 128, 96, 64}
    assert {tokens[0] for tokens, *_ in model._text_graphs._graphs._replays} == {96, 64}
    assert tape.replayed > 2 * OTHERS, "the first words are spoken with everything captured"
    while ours.idle():
        pass
    assert {shape.frames for shape, _ in model._graphs._graphs._replays} == {
        frames for frames in duration.BUCKETS if frames > reference + 1
    }


def test_the_buffers_of_every_shape_fit_into_the_memory(make: Make) -> None:
    ours = make(**GRAPHS)
    graphs: cuda_graphs.GraphRunner = ours._runner.model._graphs
    for lines in (1, 2, 4):
        frames = max(frames for frames in duration.BUCKETS if lines * frames <= duration.BUCKETS[-1])
        buffers = graphs._buffers_of(RunShape(lines, frames))
        assert buffers.y.shape == (lines, frames, 100)
        assert buffers.condition.rows.shape == (2 * lines, frames, 128)
        assert buffers.condition.lengths is not None
        assert buffers.condition.lengths.starts.tolist() == [i * frames for i in range(2 * lines + 1)]


def test_the_lengths_of_the_lines_of_this_run_are_on_the_device(make: Make) -> None:
    """Flash attention reads them there; nothing reads them on the CPU."""
    ours = make(**GRAPHS)
    graphs: cuda_graphs.GraphRunner = ours._runner.model._graphs
    for lines in ([LINES[0]], [LINES[1], LINES[3]], [LINES[1]]):
        frames = [ours._job(line).frames for line in lines]
        ours.render_batch([replace(line, nfe_step=4) for line in lines], never)
        shape = next(shape for shape in reversed(graphs._buffers) if shape.segments == len(lines))
        lengths = graphs._buffers[shape].condition.lengths
        assert lengths is not None
        assert lengths.counts.tolist() == frames * 2
        assert lengths.keep.sum(1).tolist() == frames * 2
