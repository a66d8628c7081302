"""The files that a call leaves: `figures.json`, `log.txt`, `goals.txt`, and `samples.tar` if there are samples.

Each is written anew and replaced at once, so that it is complete whenever the call is killed. A file that is written
at that moment is called `.part`.
"""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ishowtts_bench.gpu_suite.forked_step import signals_blocked
from ishowtts_bench.json_files import read_json

FIGURES, LOG, GOALS, SAMPLES = "figures.json", "log.txt", "goals.txt", "samples.tar"

_PART = ".part"
_MAX_STEP_BYTES = 512 << 10
_MAX_EARLIER_BYTES = 2 << 20
_MAX_FIGURES_BYTES = 16 << 20
_MAX_SAMPLES_BYTES = 15 << 20
_LIVE_S = 5.0
"""Least time between two writes while a step runs."""

Figures = dict[str, Any]
"""The figures of each step, by its name."""


@dataclass(frozen=True)
class RunningStep:
    """A step that runs.

    Args:
        output: what it has printed until now.
        figures_file: where it writes its figures, whole each time.
    """

    name: str
    output: Callable[[], str]
    figures_file: Path

    @property
    def figures(self) -> Any:
        """The figures that it has until now."""
        return read_json(self.figures_file, _MAX_STEP_BYTES)


class StepReport:
    """What is known of the steps, in memory and in the folder.

    Args:
        folder: an earlier report of the same settings there is continued: its steps are kept until they run again.
        settings: what the figures depend on, such as the model.
        judge: the lines of `goals.txt`, of the figures of every step.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object], judge: Callable[[Figures], list[str]]) -> None:
        self._folder, self._settings, self._judge = folder, dict(settings), judge
        self._steps: dict[str, dict[str, Any]] = {}
        self._log: list[str] = []
        self._running: RunningStep | None = None
        self._written_s = 0.0
        self.fault: str | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _PART).unlink(missing_ok=True)
        self._continue_earlier()

    def say(self, line: str) -> None:
        """Print a line, and keep it in the log."""
        with suppress(OSError):  # whoever read the output has gone
            print(line, flush=True)
        self._log.append(line)

    def start(self, step: RunningStep) -> None:
        """A step starts."""
        self._steps[step.name] = {"status": "running", "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self._running = step
        self.write()

    def refresh(self) -> None:
        """Write what the running step has until now, unless that was done a moment ago."""
        if time.monotonic() - self._written_s >= _LIVE_S:
            self.write()

    def end(self, status: str, spent_s: float, why: str | None = None) -> None:
        """The running step has ended. Raises ValueError if none runs."""
        step, self._running = self._running, None
        if step is None:
            raise ValueError("no step runs")
        self._steps[step.name] |= {"status": status, "spent_s": round(spent_s, 1), "figures": step.figures}
        if why is not None:
            self._steps[step.name]["why"] = why
        self._log.append(f"== {step.name}\n{step.output().rstrip()}\n==")
        self.say(f"{step.name}: {status}, {spent_s:.1f} s" + (f": {why}" if why else ""))
        self.write()

    def skip(self, name: str, why: str) -> None:
        """A step does not run. Figures of an earlier call are kept."""
        if self._steps.get(name, {}).get("figures") is None:
            self._steps[name] = {"status": "not run", "why": why}
        self.say(f"{name}: not run: {why}")
        self.write()

    def write(self) -> None:
        """Write all files. If the disk is full, the files stay as they were, and `fault` says so."""
        self.fault = None
        steps, log = dict(self._steps), list(self._log)
        if self._running is not None:
            name = self._running.name
            steps[name] = steps[name] | {"figures": self._running.figures}
            log.append(f"== {name}, still running\n{self._running.output().rstrip()}\n==")
        found = {name: step["figures"] for name, step in steps.items() if step.get("figures") is not None}
        self._replace(FIGURES, json.dumps({**self._settings, "steps": steps}, indent=1).encode())
        self._replace(LOG, ("\n".join(log) + "\n").encode("utf-8", "replace"))
        self._replace(GOALS, ("\n".join([*self._judge(found), *_remarks(steps)]) + "\n").encode())
        self._written_s = time.monotonic()

    def keep_samples(self, samples: Path) -> None:
        """Pack the samples of a folder, as many as fit into one file."""
        packed, size = io.BytesIO(), 0
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path in sorted(samples.rglob("*")):
                size += path.stat().st_size + tarfile.RECORDSIZE
                if path.is_file() and size < _MAX_SAMPLES_BYTES:
                    tar.add(path, path.relative_to(samples))
        if size:
            self._replace(SAMPLES, packed.getvalue())

    def _replace(self, name: str, content: bytes) -> None:
        part = self._folder / _PART
        with signals_blocked():
            try:
                part.write_bytes(content)
                part.replace(self._folder / name)
            except OSError as error:
                with suppress(OSError):
                    part.unlink()
                self.fault = f"{self._folder / name} cannot be written: {error.strerror}"

    def _continue_earlier(self) -> None:
        earlier = read_json(self._folder / FIGURES, _MAX_FIGURES_BYTES)
        if not isinstance(earlier, dict) or {name: earlier.get(name) for name in self._settings} != self._settings:
            return
        steps = earlier.get("steps")
        self._steps = {
            name: step | {"earlier": True}
            for name, step in (steps.items() if isinstance(steps, dict) else ())
            if isinstance(step, dict)
        }
        with suppress(OSError):
            log = (self._folder / LOG).read_bytes()[-_MAX_EARLIER_BYTES:]
            self._log = [log.decode("utf-8", "replace").rstrip(), "== the next call"]


def _remarks(steps: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What a reader of the goals must know about the steps."""
    for name, step in steps.items():
        if step["status"] != "ok":
            yield f"{name}: {step['status']}" + (f": {step['why']}" if "why" in step else "")
    if earlier := [name for name, step in steps.items() if step.get("earlier") and step.get("figures") is not None]:
        yield f"measured in an earlier call: {', '.join(earlier)}"
