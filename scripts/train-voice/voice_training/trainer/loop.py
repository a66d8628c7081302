"""Runs a trainer: resumes its state, logs, saves, and stops at the last step, at a time limit or on a signal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from ishowtts.util.stop_signals import stop_asked
from voice_training.errors import TrainingError
from voice_training.trainer import state_file

_SAVE_EVERY_S = 300.0


class Trainer(Protocol):
    """The trainer of a model. `step` is the number of steps done."""

    step: int

    def train_step(self) -> Mapping[str, float]:
        """Do one step. Once in a number of steps, return the mean losses since the last time, otherwise nothing."""

    def state(self) -> dict[str, Tensor]:
        """What `resume` needs."""

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state. Raises ValueError."""


def run(
    trainer: Trainer,
    path: Path,
    steps: int,
    minutes: float | None,
    report: Callable[[str], None],
) -> None:
    """Train until step `steps`. SIGTERM and Ctrl-C stop the training after the current step and save it.

    Args:
        path: file of the state, written every five minutes and at the end. The log is written beside it.
        minutes: time limit.

    Raises:
        TrainingError: the state at `path` is broken or belongs to another recipe.
    """
    if path.exists():
        try:
            trainer.resume(state_file.load(path))
        except ValueError as error:
            raise TrainingError(f"{path}: {error}") from error
        report(f"continues at step {trainer.step} of {steps}")
    started = saved = time.monotonic()
    with _Log(path.with_suffix(".jsonl"), trainer) as log, stop_asked() as stop_requested:
        while trainer.step < steps and not stop_requested.is_set() and not _time_is_up(started, minutes):
            losses = trainer.train_step()
            if losses:
                report(log.write(losses))
            if time.monotonic() - saved > _SAVE_EVERY_S:
                state_file.save(path, trainer.state())
                saved = time.monotonic()
        state_file.save(path, trainer.state())
    report(f"step {trainer.step} of {steps} is saved in {path} ({path.stat().st_size / 1e6:.1f} MB)")


class _Log:
    """Appends one line of JSON for each set of losses."""

    def __init__(self, path: Path, trainer: Trainer) -> None:
        self._trainer = trainer
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._last_time, self._last_step = time.monotonic(), trainer.step

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, figures: Mapping[str, float]) -> str:
        """Write a line. Returns it in a form for people."""
        now, step = time.monotonic(), self._trainer.step
        line: dict[str, float] = {"step": step, **figures}
        if step > self._last_step:
            line["step_s"] = (now - self._last_time) / (step - self._last_step)
        self._last_time, self._last_step = now, step
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return "  ".join(f"{name} {value:.4g}" for name, value in line.items())


def _time_is_up(started: float, minutes: float | None) -> bool:
    return minutes is not None and time.monotonic() - started >= 60 * minutes
