"""The worker process: its protocol, its signals, and its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ishowtts.engines import EngineStats
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.worker import worker_main
from ishowtts.engines.worker.frame_headers import read_engine_stats
from ishowtts.engines.worker.wire import VERSION, Channel, Frame, FrameKind
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.errors import EngineError, SynthesisError, WorkerDied
from ishowtts.model import Segment
from ishowtts.util import logs
from support.waiting import eventually

MakeWorker = Callable[..., WorkerEngine]
Say = Callable[..., Segment]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def worker_of(engine: WorkerEngine) -> int:
    pid = engine.status().pid
    assert pid is not None
    return pid


def test_signals_without_a_meaning_do_not_end_the_worker(make_worker: MakeWorker, say: Say) -> None:
    engine = make_worker()
    engine.load(lambda _: None)
    pid = worker_of(engine)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        os.kill(pid, number)
    assert engine.synthesize(say("Still here."), lambda: False).audio_s > 0
    assert worker_of(engine) == pid


def test_the_daemons_side_imports_no_torch() -> None:
    modules = "ishowtts.engines.worker.worker_engine, ishowtts.engines.worker.worker_main"
    code = f"import {modules}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_worker_gets_no_systemd_variables_and_is_the_first_victim_of_the_oom_killer(
    make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/none")
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    engine = make_worker()
    engine.load(lambda _: None)
    process = psutil.Process(worker_of(engine))
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & process.environ().keys()
    assert int(Path(f"/proc/{process.pid}/oom_score_adj").read_text()) >= 500


@pytest.mark.usefixtures("faulty")
def test_the_worker_dies_with_the_daemon_even_while_it_hangs() -> None:
    daemon_code = """
import threading, time
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.model import Segment
from ishowtts.util import logs
engine = WorkerEngine("espeak", {})
engine.load(lambda _: None)
hang = (Segment("a", 0, 1, "hang"), lambda: False)
threading.Thread(target=engine.synthesize, args=hang, daemon=True).start()
time.sleep(0.3)
print(engine.status().pid, flush=True)
time.sleep(3600)
"""
    with subprocess.Popen([sys.executable, "-c", daemon_code], stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        worker_pid = int(daemon.stdout.readline())
        assert not gone(worker_pid)
        daemon.kill()
    eventually(lambda: gone(worker_pid), "the end of the worker")


@pytest.mark.usefixtures("faulty")
def test_a_child_of_the_worker_ends_with_it_and_does_not_hide_its_death(
    make_worker: MakeWorker, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORPHAN", str(tmp_path / "orphan"))
    engine = make_worker(segment_s=3600)
    engine.load(lambda _: None)
    with pytest.raises(WorkerDied):
        engine.synthesize(say("orphan"), lambda: False)
    orphan = int((tmp_path / "orphan").read_text())
    eventually(lambda: gone(orphan), "the end of the worker's child")


@pytest.mark.usefixtures("faulty")
def test_a_worker_that_hangs_writes_its_stacks_to_the_log(
    make_worker: MakeWorker, say: Say, capfd: pytest.CaptureFixture[str]
) -> None:
    # Python reads the stacks of running threads without the GIL, and sometimes crashes (faulthandler). Then the log
    # lacks the stacks, but the worker ends all the same.
    for _ in range(3):
        engine = make_worker(segment_s=0.5)
        engine.load(lambda _: None)
        with pytest.raises(WorkerDied, match="no progress in time while speaking a segment"):
            engine.synthesize(say("hang"), lambda: False)
        eventually(lambda: engine.status().last_death is not None, "the death")  # noqa: B023 - called at once
        engine.close()
        stacks = capfd.readouterr().err
        assert "Fatal Python error: Aborted" in stacks
        if "in synthesize" in stacks:
            break
    assert "in synthesize" in stacks


def test_closing_ends_the_worker_and_the_thread(make_worker: MakeWorker) -> None:
    engine = make_worker()
    engine.load(lambda _: None)
    worker_pid = worker_of(engine)
    engine.close()
    engine.close()
    assert gone(worker_pid)
    assert engine.status().state.value == "stopped"
    assert not any(thread.name.startswith("engine-supervisor") for thread in threading.enumerate())


def test_an_unknown_engine_is_refused_before_a_worker_starts() -> None:
    with pytest.raises(EngineError, match=r"there is no engine 'os\.system'; the engines are espeak, f5"):
        WorkerEngine("os.system", {})


def start_bare_worker() -> tuple[subprocess.Popen[bytes], Channel]:
    """Starts a worker with the test in the daemon's place."""
    daemon_end, worker_end = socket.socketpair()
    with worker_end:
        process = subprocess.Popen(
            [sys.executable, "-m", "ishowtts.engines.worker.worker_main", str(worker_end.fileno()), "espeak"],
            pass_fds=[worker_end.fileno()],
        )
    return process, Channel(daemon_end)


def test_the_worker_sends_hello_and_ends_when_the_connection_closes() -> None:
    process, channel = start_bare_worker()
    with process:
        hello = channel.receive(30)
        assert hello is not None
        assert (hello.kind, hello.integer("version")) == (FrameKind.HELLO, VERSION)
        channel.close()
        assert process.wait(30) == 0


def test_a_name_from_the_wire_is_never_imported() -> None:
    process, channel = start_bare_worker()
    with process:
        assert channel.receive(30)
        channel.send(Frame(FrameKind.CONFIGURE, {"kind": "antigravity:fly", "options": {}}), 5)
        answer = channel.receive(30)
        assert answer is not None
        assert answer.kind is FrameKind.ERROR
        assert answer.header["fatal"] is True
        assert "there is no engine 'antigravity:fly'" in answer.text("message")
        assert process.wait(30) == 0
        channel.close()


@pytest.mark.parametrize("frame", [Frame(FrameKind.RENDER, {"seq": 1}), Frame(FrameKind.HELLO, {})])
def test_a_frame_out_of_turn_ends_the_worker(frame: Frame) -> None:
    process, channel = start_bare_worker()
    with process:
        assert channel.receive(30)
        channel.send(frame, 5)
        assert process.wait(30) == 1
        channel.close()


def test_an_interrupt_from_the_terminal_does_not_end_the_worker(make_worker: MakeWorker, say: Say) -> None:
    engine = make_worker()
    engine.load(lambda _: None)
    os.kill(worker_of(engine), signal.SIGINT)
    assert engine.synthesize(say("still here"), lambda: False).audio_s > 0.3
    assert engine.status().restarts == 0


class Improving(EspeakEngine):
    """Has three idle steps."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 3
        self.improved = threading.Event()

    def idle(self) -> bool:
        self.left -= 1
        if self.left == 0:
            self.improved.set()
        return self.left > 0

    def stats(self) -> EngineStats:
        return EngineStats(100.0, 3 - self.left)


def test_an_idle_engine_tunes_itself_and_then_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Improving()
    monkeypatch.setattr(worker_main, "_IDLE_AFTER_S", 0.02)
    monkeypatch.setattr(worker_main.registry, "make", lambda kind, options: engine)
    daemon_end, worker_end = socket.socketpair()
    daemon, other = Channel(daemon_end), Channel(worker_end)
    thread = threading.Thread(target=worker_main.Worker(other).run, name="worker", daemon=True)
    thread.start()

    def receive(kind: FrameKind) -> Frame:
        while (frame := daemon.receive(20)) is not None and frame.kind is not kind:
            pass
        assert frame is not None
        return frame

    receive(FrameKind.HELLO)
    daemon.send(Frame(FrameKind.CONFIGURE, {"kind": "improving", "options": {}}), 5)
    assert read_engine_stats(receive(FrameKind.READY)) == EngineStats(100.0, 0)
    assert engine.improved.wait(20)
    segment = {"line_id": "line", "index": 0, "count": 1, "text": "one"}
    for seq in (1, 2):
        daemon.send(Frame(FrameKind.RENDER, {"seq": seq, "segments": [segment]}), 5)
        assert receive(FrameKind.AUDIO).payload
        assert read_engine_stats(receive(FrameKind.DONE)).unbucketed >= 3
    daemon.close()
    thread.join(10)
    assert not thread.is_alive()
    other.close()


@pytest.mark.usefixtures("faulty")
def test_a_running_worker_learns_that_its_log_is_private(
    make_worker: MakeWorker, say: Say, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISHOWTTS_LOG_PRIVATE", "0")
    engine = make_worker()
    engine.load(lambda _: None)
    for private in (False, True):
        logs.set_private(private)
        engine.set_log_private(private)
        with pytest.raises(SynthesisError) as error:
            engine.synthesize(say("raise"), lambda: False)
        shown = f"{error.value} {capfd.readouterr().err}"
        assert "ValueError" in shown
        assert ("ValueError: raised in the middle" in shown) is not private, shown
        engine.synthesize(say("hello"), lambda: False)  # after two failures in a row the worker would end
