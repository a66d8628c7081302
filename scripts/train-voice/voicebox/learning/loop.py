"""Runs a training: goes on from its state, logs, saves, and ends at its last step, at a time or when told to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from ishowtts.util.stop_signals import stop_asked
from voicebox.errors import TrainingError
from voicebox.learning import state

_SAVE_EVERY_S = 300.0


class Training(Protocol):
    """The flow's and the vocoder's."""

    step: int

    def advance(self) -> Mapping[str, float]:
        """Do a step; every so many steps tell the mean losses since the last time, otherwise nothing."""

    def state(self) -> dict[str, Tensor]:
        """What `resume` needs."""

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on from there. Raises ValueError."""


def run(
    training: Training,
    path: Path,
    steps: int,
    minutes: float | None,
    say: Callable[[str], None],
) -> None:
    """Train on until `steps`; state goes to `path` every five minutes and at the end, the log beside it.

    SIGTERM and Ctrl-C end it after the step under way, saved.

    Args:
        minutes: end then, whatever step it is.
    """
    if path.exists():
        try:
            training.resume(state.load(path))
        except ValueError as error:
            raise TrainingError(f"{path}: {error}") from error
        say(f"goes on at step {training.step} of {steps}")
    started = saved = time.monotonic()
    with _Log(path.with_suffix(".jsonl"), training) as log, stop_asked() as told:
        while training.step < steps and not told.is_set() and not _over(started, minutes):
            losses = training.advance()
            if losses:
                say(log.write(losses))
            if time.monotonic() - saved > _SAVE_EVERY_S:
                state.save(path, training.state())
                saved = time.monotonic()
        state.save(path, training.state())
    say(f"step {training.step} of {steps} is saved in {path} ({path.stat().st_size / 1e6:.1f} MB)")


class _Log:
    """One line of JSON for each time that there is something to tell."""

    def __init__(self, path: Path, training: Training) -> None:
        self._training = training
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._since, self._at = time.monotonic(), training.step

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, figures: Mapping[str, float]) -> str:
        """Returns the line for people."""
        now, step = time.monotonic(), self._training.step
        line: dict[str, float] = {"step": step, **figures}
        if step > self._at:
            line["step_s"] = (now - self._since) / (step - self._at)
        self._since, self._at = now, step
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return "  ".join(f"{name} {value:.4g}" for name, value in line.items())


def _over(started: float, minutes: float | None) -> bool:
    return minutes is not None and time.monotonic() - started >= 60 * minutes
