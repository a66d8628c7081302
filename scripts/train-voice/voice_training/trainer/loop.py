"""Runs a trainer: goes on from its state, logs, saves, and ends at its last step, at a time or when told to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from ishowtts.service.ending import stop_asked
from voice_training.errors import TrainingError
from voice_training.trainer import state_file

_SAVE_EVERY_S = 300.0


class Trainer(Protocol):
    """The flow's and the vocoder's."""

    step: int

    def train_step(self) -> Mapping[str, float]:
        """Do a step; every so many steps tell the mean losses since the last time, otherwise nothing."""

    def state(self) -> dict[str, Tensor]:
        """What `resume` needs."""

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on from there. Raises ValueError."""


def run(
    trainer: Trainer,
    path: Path,
    steps: int,
    minutes: float | None,
    report: Callable[[str], None],
) -> None:
    """Train on until `steps`; state goes to `path` every five minutes and at the end, the log beside it.

    SIGTERM and Ctrl-C end it after the step under way, saved.

    Args:
        minutes: end then, whatever step it is.
    """
    if path.exists():
        try:
            trainer.resume(state_file.load(path))
        except ValueError as error:
            raise TrainingError(f"{path}: {error}") from error
        report(f"goes on at step {trainer.step} of {steps}")
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
    """One line of JSON for each time that there is something to tell."""

    def __init__(self, path: Path, trainer: Trainer) -> None:
        self._trainer = trainer
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._since, self._at = time.monotonic(), trainer.step

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, figures: Mapping[str, float]) -> str:
        """Returns the line for people."""
        now, step = time.monotonic(), self._trainer.step
        line: dict[str, float] = {"step": step, **figures}
        if step > self._at:
            line["step_s"] = (now - self._since) / (step - self._at)
        self._since, self._at = now, step
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return "  ".join(f"{name} {value:.4g}" for name, value in line.items())


def _time_is_up(started: float, minutes: float | None) -> bool:
    return minutes is not None and time.monotonic() - started >= 60 * minutes
