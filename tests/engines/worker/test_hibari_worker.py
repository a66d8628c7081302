"""The natural voice in a worker of its own, next to F5's: without torch, without a network, and after each death."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from ishowtts.engines.hibari.hibari_package import HibariOptions, missing_package
from ishowtts.engines.worker.restart_policy import RestartBackoff
from ishowtts.engines.worker.supervisor import EngineState
from ishowtts.engines.worker.worker_connection import Deadlines
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.engines.worker.worker_process import ShutdownTimeouts
from ishowtts.errors import Cancelled, EngineUnavailable, SynthesisError, WorkerDied
from ishowtts.model import Segment
from support.waiting import eventually

pytestmark = [
    pytest.mark.xdist_group("hibari-worker"),
    pytest.mark.skipif(missing_package() is not None, reason=str(missing_package())),
]

TEXT = "The quick brown fox jumps over the lazy dog."
LONG = ("the train is late again, " * 20)[:400]
DEADLINE_S = 4.0

# Python runs this first in the worker: every use of a network is noted and fails.
NO_NETWORK = """
import socket, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        open(NOTES, "a").write(f"{event} {arguments}\\n")
        raise OSError("there is no network")

sys.addaudithook(refuse)
"""

Say = Callable[..., Segment]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hibari")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[WorkerEngine]:
    """One engine for the module. After the death of its worker the next test gets the new one."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(f"NOTES = {str(folder / 'network')!r}\n{NO_NETWORK}")
    engine = WorkerEngine(
        "hibari",
        HibariOptions(str(folder / "cache")).to_dict(),
        Deadlines(segment_s=DEADLINE_S),
        backoff=RestartBackoff(first_s=0.01, longest_s=0.05, park_deaths=100),
        shutdown_timeouts=ShutdownTimeouts(leave_s=1.0, abort_s=0.5, reap_s=2.0),
    )
    daemon = Path(__file__).parents[3] / "daemon"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(daemon)]))
            for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
                patch.delenv(name, raising=False)
            engine.load(lambda _: None)
            yield engine
    finally:
        engine.close()


@pytest.fixture(name="ready")
def _ready(engine: WorkerEngine) -> WorkerEngine:
    eventually(lambda: engine.status().state is EngineState.READY, "a warm worker", 60)
    return engine


def never() -> bool:
    return False


def process(engine: WorkerEngine) -> psutil.Process:
    pid = engine.status().pid
    assert pid is not None
    return psutil.Process(pid)


def test_its_process_holds_onnxruntime_and_neither_torch_nor_scipy(ready: WorkerEngine) -> None:
    mapped = " ".join(mapping.path for mapping in process(ready).memory_maps())
    assert "onnxruntime" in mapped
    assert "libtorch" not in mapped
    assert "/scipy/" not in mapped
    assert process(ready).num_threads() <= 2, "the engine and the reader of the socket"
    assert int(Path(f"/proc/{process(ready).pid}/oom_score_adj").read_text()) >= 500


def test_memory_that_it_needed_to_speak_is_given_back(ready: WorkerEngine, say: Say) -> None:
    ready.synthesize(say(LONG), never)
    eventually(lambda: process(ready).memory_info().rss < 220e6, "170 MB of memory", 10)


def test_every_name_is_spoken_as_heart_and_nothing_is_downloaded(ready: WorkerEngine, folder: Path, say: Say) -> None:
    for voice in (None, "emma", "fenrir", "anna", "../hibari/bf_emma.int8.onnx"):
        spoken = ready.synthesize(say(TEXT, voice=voice, seed=1), never)
        assert (spoken.engine, spoken.voice, spoken.rate_hz) == ("hibari", "heart", 24_000)
    assert not (folder / "network").exists()
    assert list((folder / "cache/hibari").iterdir()) == []


def test_text_that_it_cannot_speak_ends_nothing(ready: WorkerEngine, say: Say) -> None:
    pid = process(ready).pid
    for text in ("你好", "", "9" * 50, "[" * 400, "²" * 50, "\x00"):
        with suppress(SynthesisError):
            ready.synthesize(say(text), never)
    assert ready.synthesize(say(TEXT), never).audio_s > 2
    assert process(ready).pid == pid
    assert ready.quarantined_voices() == []


def test_after_a_cancel_the_next_line_is_spoken(ready: WorkerEngine, say: Say) -> None:
    with pytest.raises(Cancelled):
        ready.synthesize(say(LONG), iter([False, True]).__next__)
    assert ready.synthesize(say(TEXT), never).audio_s > 2


def interrupted(engine: WorkerEngine, say: Say, number: signal.Signals) -> str:
    """Sends a signal to the worker while it speaks a long segment. Returns why no sound came."""
    worker = process(engine)
    asked = 0

    def strike() -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:
            worker.send_signal(number)
        return False

    with pytest.raises(WorkerDied) as raised:
        engine.synthesize(say(LONG), strike)
    return str(raised.value)


@pytest.mark.parametrize(
    ("number", "reason", "cause"),
    [
        (
            signal.SIGKILL,
            "the hibari worker ended (while speaking a segment)",
            "killed by SIGKILL, perhaps because memory ran out",
        ),
        (
            signal.SIGSTOP,
            "the hibari worker made no progress in time while speaking a segment",
            "it did not end in time, and the daemon killed it",
        ),
    ],
)
def test_a_worker_that_dies_or_stops_in_mid_line_is_replaced_and_the_line_can_be_spoken_again(
    ready: WorkerEngine, say: Say, number: signal.Signals, reason: str, cause: str
) -> None:
    before = process(ready).pid
    assert interrupted(ready, say, number) == reason
    with suppress(EngineUnavailable):
        assert ready.synthesize(say(TEXT), never).audio_s > 2
    eventually(lambda: ready.status().state is EngineState.READY, "the next worker", 60)
    assert process(ready).pid != before
    assert str(ready.status().last_death).endswith(f"({cause})")
    assert ready.synthesize(say(TEXT), never).audio_s > 2


def test_a_starved_worker_is_slow_and_not_dead(ready: WorkerEngine, say: Say) -> None:
    worker = process(ready)
    alone = ready.synthesize(say(TEXT, seed=5), never)
    worker.nice(19)
    stops = iter(range(1000))

    def starve() -> bool:
        (worker.suspend if next(stops) % 2 == 0 else worker.resume)()
        return False

    try:
        starved = ready.synthesize(say(TEXT, seed=5), starve)
    finally:
        worker.resume()
    assert np.array_equal(starved.samples, alone.samples)
    assert process(ready).pid == worker.pid
