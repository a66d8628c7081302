"""Faults of the worker, and how the daemon handles them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile

from ishowtts.engines.candidates import EngineCandidate, worker_problem
from ishowtts.engines.worker.restart_policy import RestartBackoff
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.engines.worker.worker_process import WorkerProcess
from ishowtts.errors import (
    Cancelled,
    EngineError,
    EngineLate,
    EngineUnavailable,
    PackageError,
    SynthesisError,
    VoiceError,
    WeightsError,
    WorkerDied,
)
from ishowtts.model import Segment
from support.waiting import eventually

MakeWorker = Callable[..., WorkerEngine]
Say = Callable[..., Segment]

pytestmark = pytest.mark.usefixtures("faulty")


TWO_DEATHS = RestartBackoff(first_s=0.01, longest_s=0.01, park_deaths=2)


def never() -> bool:
    return False


def load(engine: WorkerEngine) -> WorkerEngine:
    engine.load(lambda _: None)
    return engine


def await_state(engine: WorkerEngine, state: EngineState, after_restarts: int = 0, timeout_s: float = 60) -> None:
    def reached() -> bool:
        status = engine.status()
        return status.state is state and status.restarts >= after_restarts

    eventually(reached, f"the state {state.value}", timeout_s)


def speaks(engine: WorkerEngine, say: Say) -> bool:
    return engine.synthesize(say("It speaks again."), never).audio_s > 0.3


# The same faults strike F5 in tests/appliance/test_worker_faults.py, through the whole appliance.
@pytest.mark.parametrize(
    ("fault", "reason"), [("hang", "made no progress in time"), ("kill", "ended"), ("stop", "did not answer for 3 s")]
)
def test_a_fault_while_speaking_fails_the_segment_and_the_next_worker_speaks(
    fault: str, reason: str, make_worker: MakeWorker, say: Say
) -> None:
    # The socket must show a death, the deadline an engine that hangs while its worker answers, and pings a stop.
    engine = load(make_worker(segment_s=4.0 if fault == "hang" else 3600.0, answer_s=3.0))
    with pytest.raises(WorkerDied, match=reason):
        engine.synthesize(say(fault), never)
    assert engine.status().state is not EngineState.READY
    await_state(engine, EngineState.READY, after_restarts=1)
    assert speaks(engine, say)
    assert engine.status().last_death


@pytest.mark.parametrize("fault", ["refuse", "raise"])
def test_an_error_of_one_text_fails_the_segment_and_not_the_worker(
    fault: str, faulty_engine: WorkerEngine, say: Say
) -> None:
    with pytest.raises(SynthesisError, match=r"raised in the middle|this text cannot be spoken"):
        faulty_engine.synthesize(say(fault), never)
    assert speaks(faulty_engine, say)
    assert faulty_engine.status().restarts == 0


def test_a_second_unexpected_error_in_a_row_replaces_the_worker(make_worker: MakeWorker, say: Say) -> None:
    engine = load(make_worker())
    with pytest.raises(SynthesisError):
        engine.synthesize(say("raise"), never)
    with pytest.raises(WorkerDied, match="raised in the middle"):
        engine.synthesize(say("raise"), never)
    await_state(engine, EngineState.READY, after_restarts=1)
    assert speaks(engine, say)


def test_unexpected_errors_with_speech_between_them_do_not_replace_the_worker(
    faulty_engine: WorkerEngine, say: Say
) -> None:
    for _ in range(2):
        with pytest.raises(SynthesisError):
            faulty_engine.synthesize(say("raise"), never)
        assert speaks(faulty_engine, say)
    assert faulty_engine.status().restarts == 0


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("garbage", "broke the protocol"),
        ("other rate", "not asked for"),
        ("poisoned", "the device is lost"),
    ],
)
def test_a_worker_that_breaks_the_protocol_or_lost_its_device_is_replaced(
    fault: str, sentence: str, make_worker: MakeWorker, say: Say
) -> None:
    engine = load(make_worker(segment_s=3600))
    with pytest.raises(WorkerDied, match=sentence):
        engine.synthesize(say(fault), never)
    await_state(engine, EngineState.READY, after_restarts=1)
    assert speaks(engine, say)


def test_a_voice_whose_sound_is_too_long_for_its_text_is_quarantined_and_the_worker_lives(
    make_worker: MakeWorker, say: Say
) -> None:
    """Its words do not fit its clip. Five deaths by it would park the engine for an hour."""
    changes: list[list[str]] = []
    engine = make_worker(on_change=lambda: changes.append(engine.quarantined_voices()))
    load(engine)
    for _ in range(6):
        with pytest.raises(VoiceError, match="60 s of sound; 17 s is plausible"):
            engine.synthesize(say("endless", voice="misfit"), never)
    assert (engine.status().state, engine.status().restarts) == (EngineState.READY, 0)
    assert "the voice 'misfit' is quarantined" in changes[-1][0], "the listener is called"
    assert speaks(engine, say), "other voices are still used"
    engine.forget("misfit")
    assert engine.quarantined_voices() == []
    assert engine.synthesize(say("Its words are right now.", voice="misfit"), never).audio_s > 0.3


def test_the_death_of_an_idle_worker_is_noticed_at_once(make_worker: MakeWorker, say: Say) -> None:
    engine = load(make_worker())
    pid = engine.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await_state(engine, EngineState.READY, after_restarts=1)
    assert engine.status().pid != pid
    assert "killed by SIGKILL, perhaps because memory ran out" in str(engine.status().last_death)
    assert speaks(engine, say)


@pytest.mark.parametrize(
    ("fault", "deadline", "sentence"),
    [("silent", "hello_s", "while starting"), ("hangs", "load_s", "while loading or warming")],
)
def test_a_worker_that_does_not_start_is_killed_and_the_engine_is_parked_in_the_end(
    fault: str,
    deadline: str,
    sentence: str,
    *,
    make_worker: MakeWorker,
    say: Say,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORKER_FAULT", fault)
    engine = make_worker(backoff=TWO_DEATHS, **{deadline: 0.4})
    with pytest.raises(EngineUnavailable, match="the worker ended 2 times recently"):
        load(engine)
    assert engine.status().state is EngineState.PARKED
    assert sentence in str(engine.status().detail)
    with pytest.raises(EngineUnavailable, match="is parked"):
        engine.synthesize(say("hello"), never)
    engine.close()


def test_a_parked_engine_starts_again_on_request(
    make_worker: MakeWorker, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_FAULT", "dies")
    engine = make_worker(backoff=TWO_DEATHS)
    with pytest.raises(EngineUnavailable):
        load(engine)
    assert engine.status().restarts == 1
    monkeypatch.delenv("WORKER_FAULT")
    engine.retry_now()
    await_state(engine, EngineState.READY)
    assert speaks(engine, say)


def test_deaths_before_the_window_do_not_park_the_engine(
    make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_FAULT", "dies")
    seen: list[EngineState] = []
    engine = make_worker(
        backoff=RestartBackoff(first_s=0.01, longest_s=0.02, park_deaths=2, park_window_s=0.0),
        on_change=lambda: seen.append(engine.status().state),
    )
    engine.start()
    eventually(lambda: engine.status().restarts >= 2, "two restarts")
    assert EngineState.PARKED not in seen


def test_a_parked_engine_starts_again_by_itself_and_speech_ends_its_probation(
    make_worker: MakeWorker, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_FAULT", "no-weights")
    waits: list[EngineState] = []

    def note() -> None:
        status = engine.status()
        if status.state in (EngineState.RESTARTING, EngineState.PARKED) and status.pid is None:
            waits.append(status.state)

    engine = make_worker(backoff=RestartBackoff(park_deaths=100, park_s=0.3), on_change=note)
    with pytest.raises(WeightsError):
        load(engine)
    assert set(waits) == {EngineState.PARKED}
    monkeypatch.delenv("WORKER_FAULT")
    await_state(engine, EngineState.READY)
    assert speaks(engine, say)
    waits.clear()
    status = engine.status()
    assert status.pid is not None
    os.kill(status.pid, signal.SIGKILL)
    await_state(engine, EngineState.READY, after_restarts=status.restarts + 1)
    assert set(waits) == {EngineState.RESTARTING}, "the spoken segment ended the probation"


@pytest.mark.parametrize(
    "error", [WeightsError("there are no weights; fetch them"), PackageError("vocos is not installed; install it")]
)
def test_what_no_retry_heals_parks_the_engine_at_once_with_its_message(
    make_worker: MakeWorker, say: Say, monkeypatch: pytest.MonkeyPatch, error: EngineError
) -> None:
    monkeypatch.setenv("WORKER_FAULT", "no-weights" if isinstance(error, WeightsError) else "no-package")
    message = str(error)
    engine = make_worker()
    with pytest.raises(type(error), match=message):
        load(engine)
    assert engine.status().state is EngineState.PARKED
    assert engine.status().restarts == 0
    assert message in str(engine.status().detail)
    monkeypatch.delenv("WORKER_FAULT")
    engine.retry_now()
    await_state(engine, EngineState.READY)
    assert speaks(engine, say)


def test_a_voice_whose_preparation_ends_the_worker_is_quarantined_by_name(make_worker: MakeWorker, say: Say) -> None:
    engine = load(make_worker())
    with pytest.raises(WorkerDied, match="while preparing a voice"):
        engine.synthesize(say("hello", voice="deadly"), never)
    await_state(engine, EngineState.READY, after_restarts=1)
    for _ in range(2):
        with pytest.raises(VoiceError, match="'deadly' is quarantined: preparing it ended the worker"):
            engine.synthesize(say("hello", voice="deadly"), never)
    assert speaks(engine, say)
    assert engine.synthesize(say("hello", voice="another"), never).audio_s > 0.1
    assert engine.status().restarts == 1


def test_voices_whose_preparation_ends_workers_do_not_park_the_engine(make_worker: MakeWorker, say: Say) -> None:
    """Each one is quarantined, so each costs one worker. A folder full of such voices must not stop the engine."""
    engine = load(make_worker(backoff=TWO_DEATHS))
    for i in range(2):
        with pytest.raises(WorkerDied):
            engine.prepare(f"deadly-{i}")
        await_state(engine, EngineState.READY, after_restarts=i + 1, timeout_s=20)
    assert speaks(engine, say)
    assert len(engine.quarantined_voices()) == 2


def test_a_changed_voice_is_prepared_again_and_leaves_the_quarantine(make_worker: MakeWorker, say: Say) -> None:
    engine = load(make_worker())
    with pytest.raises(WorkerDied):
        engine.prepare("deadly")
    await_state(engine, EngineState.READY, after_restarts=1)
    engine.forget("another")
    with pytest.raises(VoiceError, match="quarantined"):
        engine.prepare("deadly")
    engine.forget("deadly")
    with pytest.raises(WorkerDied):
        engine.prepare("deadly")


@pytest.mark.f5
@pytest.mark.slow
def test_a_voice_that_is_not_waited_for_is_ready_later(faulty_engine: WorkerEngine, say: Say) -> None:
    with pytest.raises(Cancelled):
        faulty_engine.prepare("slow", lambda: True)
    assert speaks(faulty_engine, say)
    assert faulty_engine.prepare("slow", lambda: True).max_segment_bytes > 0, "it is not asked for again"


def test_a_forgotten_voice_is_prepared_again(make_worker: MakeWorker, f5_tiny: dict[str, Any], tmp_path: Path) -> None:
    def write_voice(seconds: int) -> None:
        (tmp_path / "default").mkdir(exist_ok=True)
        samples = np.random.default_rng(3).normal(0, 0.12, seconds * 24_000)
        soundfile.write(tmp_path / "default" / "reference.wav", samples, 24_000)
        (tmp_path / "default" / "reference.txt").write_text("These are the words of the clip.")

    write_voice(3)
    engine = load(make_worker("f5", {**f5_tiny, "voices_dir": str(tmp_path)}))
    for seconds, name in ((6, "default"), (9, None)):
        before = engine.prepare(name)
        write_voice(seconds)
        assert engine.prepare(name) == before
        engine.forget("default")
        assert engine.prepare(name).max_segment_bytes < before.max_segment_bytes


def test_a_text_that_ends_the_worker_quarantines_no_voice(make_worker: MakeWorker, say: Say) -> None:
    engine = load(make_worker())
    with pytest.raises(WorkerDied, match="while speaking"):
        engine.synthesize(say("kill", voice="another"), never)
    await_state(engine, EngineState.READY, after_restarts=1)
    assert engine.synthesize(say("hello", voice="another"), never).audio_s > 0.1


def test_a_voice_that_cannot_be_read_raises_and_the_worker_lives(faulty_engine: WorkerEngine, say: Say) -> None:
    with pytest.raises(VoiceError, match="cannot be read"):
        faulty_engine.prepare("unreadable")
    assert speaks(faulty_engine, say)
    assert faulty_engine.status().restarts == 0


@pytest.mark.parametrize("word", ["await cancel", "ignore cancel"])
def test_a_cancelled_segment_returns_at_once_and_its_sound_is_discarded(
    word: str, faulty_engine: WorkerEngine, say: Say
) -> None:
    polls = iter(range(20))
    with pytest.raises(Cancelled):
        faulty_engine.synthesize(say(word), lambda: next(polls, None) is None)
    text = "What comes now is the next segment and no other."
    after = faulty_engine.synthesize(say(text), never)
    assert after.samples.tolist() == faulty_engine.synthesize(say(text), never).samples.tolist()
    assert faulty_engine.status().restarts == 0


@pytest.mark.parametrize("fault", ["hang", "kill"])
def test_a_fault_in_a_batch_fails_all_of_it_and_the_next_worker_speaks(
    fault: str, make_worker: MakeWorker, say: Say
) -> None:
    engine = load(make_worker(segment_s=3600.0 if fault == "kill" else 2.0))
    with pytest.raises(WorkerDied, match="while speaking"):
        engine.synthesize_batch([say("first"), say(fault), say("last")], never)
    await_state(engine, EngineState.READY, after_restarts=1)
    assert len(engine.synthesize_batch([say("first"), say("last")], never)) == 2


def test_an_unexpected_error_in_a_batch_does_not_count_against_the_worker(
    faulty_engine: WorkerEngine, say: Say
) -> None:
    for _ in range(2):
        with pytest.raises(SynthesisError, match="raised in the middle"):
            faulty_engine.synthesize_batch([say("raise"), say("last")], never)
    with pytest.raises(SynthesisError, match="raised in the middle"):
        faulty_engine.synthesize(say("raise"), never)
    assert speaks(faulty_engine, say)
    assert faulty_engine.status().restarts == 0


@pytest.mark.parametrize("word", ["await cancel", "ignore cancel"])
def test_a_cancelled_batch_returns_at_once_and_its_sound_is_discarded(
    word: str, faulty_engine: WorkerEngine, say: Say
) -> None:
    polls = iter(range(20))
    with pytest.raises(Cancelled):
        faulty_engine.synthesize_batch([say("first"), say(word), say("last")], lambda: next(polls, None) is None)
    after = faulty_engine.synthesize_batch([say("What comes now."), say("And no other.")], never)
    alone = [faulty_engine.synthesize(say(text), never) for text in ("What comes now.", "And no other.")]
    assert [one.samples.tolist() for one in after] == [one.samples.tolist() for one in alone]
    assert faulty_engine.status().restarts == 0


def test_a_batch_that_is_too_long_to_send_is_refused_as_a_whole(faulty_engine: WorkerEngine, say: Say) -> None:
    with pytest.raises(SynthesisError, match="the sound of one segment is 200 s; send shorter ones"):
        faulty_engine.synthesize_batch([say("first"), say("beyond the frame")], never)
    assert speaks(faulty_engine, say)
    assert faulty_engine.status().restarts == 0


def test_deaths_leave_no_zombie_no_descriptor_and_no_thread(make_worker: MakeWorker, say: Say) -> None:
    engine = load(make_worker(backoff=RestartBackoff(first_s=0.01, longest_s=0.01, park_deaths=100)))
    me = psutil.Process()
    before = (me.num_fds(), threading.active_count(), len(me.children()))
    for death in range(3):
        with pytest.raises(WorkerDied):
            engine.synthesize(say("kill"), never)
        await_state(engine, EngineState.READY, after_restarts=death + 1)
    assert (me.num_fds(), threading.active_count(), len(me.children())) == before


def test_no_second_worker_is_started_while_the_first_cannot_be_killed(
    make_worker: MakeWorker, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(make_worker(segment_s=0.5))
    pid = engine.status().pid
    assert pid is not None
    children = psutil.Process().children()
    with monkeypatch.context() as patch:
        # A process in an uninterruptible sleep does not react to signals.
        patch.setattr(WorkerProcess, "_signal", lambda *_: None)
        with pytest.raises(WorkerDied):
            engine.synthesize(say("hang"), never)
        await_state(engine, EngineState.PARKED)
        assert f"espeak worker {pid} cannot be killed, so no new worker is started" in str(engine.status().detail)
        assert psutil.Process().children() == children
    os.kill(pid, signal.SIGKILL)
    await_state(engine, EngineState.READY)
    assert speaks(engine, say)


def test_a_stopped_worker_is_not_waited_for_and_leads_again_once_it_answers(make_worker: MakeWorker, say: Say) -> None:
    engine = load(make_worker(late_s=0.6, segment_s=3600, answer_s=3600))
    worker = psutil.Process(engine.status().pid)
    with pytest.raises(EngineLate, match="espeak does not answer"):
        engine.synthesize(say("stop"), never)
    assert worker_problem(engine) == "the engine espeak does not answer", "the next lines do not wait for it at all"
    assert engine.status().state is EngineState.READY
    assert EngineCandidate(engine, "espeak", worker=engine).state() == "unresponsive", "as telemetry shows it"
    worker.resume()
    eventually(lambda: worker_problem(engine) is None, "an answer", 60)
    assert speaks(engine, say)
    assert engine.status().pid == worker.pid


def test_closing_fails_a_segment_that_is_being_spoken(make_worker: MakeWorker, say: Say) -> None:
    engine = load(make_worker(segment_s=3600))
    raised: list[BaseException] = []

    def speak() -> None:
        try:
            engine.synthesize(say("hang"), never)
        except (WorkerDied, EngineUnavailable) as error:
            raised.append(error)

    speaker = threading.Thread(target=speak)
    speaker.start()
    engine.close()
    speaker.join(30)
    assert len(raised) == 1
    with pytest.raises(EngineUnavailable, match="is stopped"):
        engine.synthesize(say("hello"), never)


def test_every_change_of_the_status_is_reported(make_worker: MakeWorker, say: Say, tmp_path: Path) -> None:
    seen: list[EngineStatus] = []
    engine = make_worker(on_change=lambda: seen.append(engine.status()))
    load(engine)
    with pytest.raises(WorkerDied):
        engine.synthesize(say("kill"), never)
    await_state(engine, EngineState.READY, after_restarts=1)
    engine.close()
    order = [EngineState.STARTING, EngineState.LOADING, EngineState.WARMING, EngineState.READY, EngineState.RESTARTING]
    firsts = list(dict.fromkeys(status.state for status in seen))
    assert firsts == [*order, EngineState.STOPPED]
    warm = next(status for status in seen if status.state is EngineState.READY)
    assert warm.warm_s is not None
    assert warm.pid is not None
