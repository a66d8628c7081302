"""Engines in process and in a worker, and faults that a test can cause inside the worker."""

from __future__ import annotations

import importlib.util
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ishowtts.engines import ReportProgress
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.worker import registry
from ishowtts.engines.worker.restart_policy import RestartBackoff
from ishowtts.engines.worker.supervisor import EngineState
from ishowtts.engines.worker.worker_connection import Deadlines
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.engines.worker.worker_process import ShutdownTimeouts
from ishowtts.model import IsCancelled, Segment, Utterance
from support.small_files import OFFICIAL_FILES
from support.waiting import eventually

# Without torch (the suite on Python 3.10) the folder f5 cannot even be read.
collect_ignore = [] if importlib.util.find_spec("torch") else ["f5"]

DAEMON = str(Path(__file__).parents[2] / "daemon")
QUICK = RestartBackoff(first_s=0.01, longest_s=0.05)
SHORT = ShutdownTimeouts(leave_s=1.0, abort_s=0.5, reap_s=2.0)

# Python runs this first in every worker: espeak needs no torch, and starts in a fraction of a second.
ESPEAK = """
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.worker import registry

registry.ENGINES["espeak"] = registry.RegisteredEngine(lambda options: EspeakEngine(**options), 22_050)
"""

# And this as well, in every worker that a test with `faulty` starts. It wraps a real engine.
FAULTS = """
import os, signal, subprocess, sys, time
import numpy as np
from dataclasses import replace
from ishowtts.errors import Cancelled, EngineError, PackageError, SynthesisError, VoiceError, WeightsError

at_start = os.environ.get("WORKER_FAULT")
if at_start == "silent":
    time.sleep(3600)

class Faulty:
    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def load(self, progress):
        if at_start == "dies":
            os._exit(3)
        if at_start == "hangs":
            time.sleep(3600)
        if at_start == "no-weights":
            raise WeightsError("there are no weights; fetch them")
        if at_start == "no-package":
            raise PackageError("vocos is not installed; install it")
        self._engine.load(progress)

    def prepare(self, voice):
        if voice is not None and voice.startswith("deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
        if voice == "slow":
            time.sleep(0.3)
        if voice == "unreadable":
            raise VoiceError("the voice cannot be read")
        return self._engine.prepare(None)

    def synthesize(self, segment, cancelled):
        segment = replace(segment, voice=None)
        text = segment.text
        if text == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if text == "hang":
            time.sleep(3600)
        if text == "raise":
            raise ValueError("raised in the middle")
        if text == "refuse":
            raise SynthesisError("this text cannot be spoken")
        if text == "poisoned":
            raise EngineError("the device is lost")
        if text == "garbage":
            os.write(int(sys.argv[1]), b"\\xff" * 64)
            time.sleep(3600)
        if text == "await cancel":
            while not cancelled():
                time.sleep(0.01)
            raise Cancelled
        if text == "ignore cancel":
            while not cancelled():
                time.sleep(0.01)
            return self._engine.synthesize(replace(segment, text="ignored"), lambda: False)
        if text == "orphan":
            child = subprocess.Popen(["sleep", "3600"], close_fds=False)
            open(os.environ["ORPHAN"], "w").write(str(child.pid))
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "endless":
            spoken = self._engine.synthesize(segment, cancelled)
            return replace(spoken, samples=np.zeros(60 * spoken.rate_hz, np.int16))
        if text == "beyond the frame":
            spoken = self._engine.synthesize(segment, cancelled)
            return replace(spoken, samples=np.zeros(200 * spoken.rate_hz, np.int16))
        if text == "other rate":
            return replace(self._engine.synthesize(segment, cancelled), rate_hz=8000)
        return self._engine.synthesize(segment, cancelled)

    def synthesize_batch(self, segments, cancelled):
        return [self.synthesize(segment, cancelled) for segment in segments]

make = registry.make
registry.make = lambda kind, options: Faulty(make(kind, options))
"""


class BoundedEngine(WorkerEngine):
    """Fails a test that would wait too long: the time limit of pytest ends the whole run."""

    LOAD_LIMIT_S = 60.0
    SPEAK_LIMIT_S = 30.0

    def load(self, progress: ReportProgress) -> None:
        self.start()
        done = (EngineState.READY, EngineState.PARKED, EngineState.STOPPED)
        eventually(lambda: self.status().state in done, "the end of loading", self.LOAD_LIMIT_S)
        super().load(progress)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        ends_at_s = time.monotonic() + self.SPEAK_LIMIT_S

        def cancelled_in_time() -> bool:
            assert time.monotonic() < ends_at_s, f"no answer within {self.SPEAK_LIMIT_S:g} s"
            return cancelled()

        return super().synthesize_batch(segments, cancelled_in_time)


def say(text: str, **fields: Any) -> Segment:
    """Returns a segment: a line of one segment."""
    return Segment("line", 0, 1, text, **fields)


@pytest.fixture(name="say")
def _say() -> Callable[..., Segment]:
    return say


@pytest.fixture(scope="session")
def espeak_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """PYTHONPATH of workers that import the checkout, as the tests do, and can run espeak."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(ESPEAK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            registry.ENGINES, "espeak", registry.RegisteredEngine(lambda options: EspeakEngine(**options), 22_050)
        )
        yield os.pathsep.join([str(folder), DAEMON])


@pytest.fixture(autouse=True)
def _workers_know_espeak(espeak_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this test workers import the checkout and can run espeak. Other tests start programs without that."""
    monkeypatch.setenv("PYTHONPATH", espeak_path)


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers obey texts such as `kill`, `hang` and `raise`, and the variable WORKER_FAULT at their start."""
    (tmp_path / "sitecustomize.py").write_text(ESPEAK + FAULTS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), DAEMON]))


@pytest.fixture(scope="module")
def faulty_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerEngine]:
    """An engine in a worker as with `faulty`, loaded once, for all tests of a module that do not end the worker."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(ESPEAK + FAULTS)
    engine = BoundedEngine("espeak", {}, Deadlines(), backoff=QUICK, shutdown_timeouts=SHORT)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), DAEMON]))
            engine.load(lambda _: None)
        yield engine
    finally:
        engine.close()


@pytest.fixture
def make_worker() -> Iterator[Callable[..., WorkerEngine]]:
    """`make_worker(segment_s=…)` returns an engine in a worker that restarts quickly; it is closed after the test."""
    with ExitStack() as stack:

        def make(kind: str = "espeak", options: dict[str, Any] | None = None, **changes: Any) -> WorkerEngine:
            backoff = changes.pop("backoff", QUICK)
            on_change, late_s = changes.pop("on_change", lambda: None), changes.pop("late_s", math.inf)
            engine = BoundedEngine(
                kind,
                options or {},
                Deadlines(**changes),
                backoff=backoff,
                shutdown_timeouts=SHORT,
                on_change=on_change,
                late_s=late_s,
            )
            stack.callback(engine.close)
            return engine

        yield make


@pytest.fixture(scope="session")
def f5_tiny(tiny_checkpoint: Path) -> dict[str, Any]:
    """Options of the F5 engine with random weights of the tiny size."""
    return {"weights": str(tiny_checkpoint), "device": "cpu", "precision": "fp32", "nfe_step": 4}


@pytest.fixture(scope="session")
def options_of(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    """Returns the options of an engine of the registry, by kind."""

    def find(kind: str) -> dict[str, Any]:
        return request.getfixturevalue("f5_tiny") if kind == "f5" else {}

    return find


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """Returns a folder with files of the official names, as on a USB stick."""
    for name, content in OFFICIAL_FILES.items():
        path = tmp_path / "stick" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "stick"
