"""The training loop: log, state, and every way to end."""

import json
import os
import signal

import pytest
import torch

from voice_training.errors import TrainingError
from voice_training.trainer import state_file
from voice_training.trainer.loop import run


class Counter:
    """A trainer that only counts, and returns a loss in every third step."""

    def __init__(self, at=None):
        self.step = 0
        self.at = at or {}

    def train_step(self):
        self.step += 1
        self.at.get(self.step, lambda: None)()
        return {"loss": 1.0 / self.step} if self.step % 3 == 0 else {}

    def state(self):
        return {"step": torch.tensor(self.step)}

    def resume(self, tensors):
        if "step" not in tensors:
            raise ValueError("it lacks the step")
        self.step = int(tensors["step"])


def steps_of(path):
    return int(state_file.load(path)["step"])


def test_it_runs_to_the_last_step_logs_and_saves(tmp_path):
    path, reported = tmp_path / "out" / "count.safetensors", []
    run(Counter(), path, 7, None, reported.append)
    assert steps_of(path) == 7
    lines = [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(3, 1 / 3), (6, 1 / 6)]
    assert all(line["step_s"] >= 0 for line in lines)
    assert "step 7 of 7 is saved" in reported[-1]


def test_it_continues_its_state_and_its_log(tmp_path):
    path, reported = tmp_path / "count.safetensors", []
    run(Counter(), path, 4, None, reported.append)
    run(Counter(), path, 9, None, reported.append)
    assert "continues at step 4 of 9" in reported
    assert [json.loads(line)["step"] for line in path.with_suffix(".jsonl").read_text().splitlines()] == [3, 6, 9]


def test_it_ends_at_the_time_limit(tmp_path):
    path = tmp_path / "count.safetensors"
    run(Counter(), path, 10**9, 0.0, lambda _: None)
    assert steps_of(path) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_it_saves_and_restores_the_handlers(tmp_path, number):
    path, before = tmp_path / "count.safetensors", signal.getsignal(number)
    run(Counter({5: lambda: os.kill(os.getpid(), number)}), path, 10**9, None, lambda _: None)
    assert steps_of(path) in {5, 6}
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("content", [b"no tensors", None])
def test_the_error_for_a_broken_or_foreign_state_names_it(tmp_path, content):
    path = tmp_path / "count.safetensors"
    if content is None:
        state_file.save(path, {"other": torch.zeros(1)})
    else:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"count\.safetensors"):
        run(Counter(), path, 3, None, lambda _: None)


def test_a_failed_save_leaves_the_old_state(tmp_path):
    path = tmp_path / "count.safetensors"
    state_file.save(path, {"step": torch.tensor(1)})
    shared = torch.zeros(4)
    with pytest.raises(RuntimeError, match="share memory"):
        state_file.save(path, {"a": shared, "b": shared})
    assert steps_of(path) == 1
