"""The profile includes replayed graphs, which no longer call the functions of the model."""

from __future__ import annotations

import pytest

from ishowtts.engines.f5 import duration, fast_model
from ishowtts.f5_switches import Switches
from ishowtts_bench import profiling
from ishowtts_bench.bench_env import BenchEnv
from support.fake_cuda_graph import TapeRecorder

pytestmark = [pytest.mark.f5, pytest.mark.slow]


def test_replayed_evaluations_are_counted(env: BenchEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = TapeRecorder()
    monkeypatch.setattr(fast_model, "make_capturer", lambda _: tape)
    monkeypatch.setattr(duration, "BUCKETS", (192, 256, 320))
    monkeypatch.setattr(profiling, "Switches", lambda: Switches(graphs=True, exact_padding=True))
    found = profiling.run(env, 0.5, 4)
    assert tape.replayed == 3 * (4 + 2)  # with text and vocoder; once to record the run, once by stage, once by kernel
    stages = {stage.name: stage for stage in found.stages}
    assert stages["evaluations"].calls == 4
    assert max(found.stages, key=lambda stage: stage.share).name == "evaluations"
    assert found.run.padded in duration.BUCKETS
    assert found.run.frames[0] < found.run.padded
