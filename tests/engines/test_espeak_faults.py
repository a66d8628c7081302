"""espeak-ng fails in many ways: the engine tells a faulty text from a faulty program, and leaves no process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ishowtts.engines import espeak as espeak_module
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.errors import Cancelled, EngineUnavailable, SynthesisError
from ishowtts.model import Segment, Utterance
from support.fake_espeak import FakeEspeak
from support.waiting import eventually

Say = Callable[..., Segment]


def never() -> bool:
    return False


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEspeak:
    fake = FakeEspeak(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.path)
    return fake


def speak_once(say: Say, text: str = "hello there") -> Utterance:
    return EspeakEngine().synthesize(say(text), never)


@pytest.mark.parametrize("mode", ["real", "wrapper", "slow", "leaves-child"])
def test_a_slow_or_wrapped_program_is_heard_in_full(mode: str, fake: FakeEspeak, say: Say) -> None:
    expected = speak_once(say).samples
    fake.behave(mode)
    assert speak_once(say).samples.tolist() == expected.tolist()
    eventually(lambda: not fake.children(), "the end of its children")


@pytest.mark.parametrize(
    ("mode", "argument", "sentence"),
    [
        ("exit", 1, "exit status 1: the fake refuses"),
        ("exit", 127, "exit status 127"),
        ("signal", "SEGV", "exit status -11"),
        ("silent", "", "made no sound"),
        ("garbage", "", "made no sound"),
        ("garbage-first", "", "made no sound"),
        ("endless", "", "bytes of sound"),
        ("endless-messages", "", "bytes of messages"),
    ],
)
def test_if_the_program_cannot_speak_the_test_word_the_fault_is_in_the_program(
    mode: str, argument: object, sentence: str, fake: FakeEspeak, say: Say
) -> None:
    changes: list[str | None] = []
    engine = EspeakEngine(on_change=lambda: changes.append(engine.problem))
    fake.behave(mode, argument)
    for _ in range(2):
        with pytest.raises(EngineUnavailable, match=f"espeak-ng does not work .*{sentence}"):
            engine.synthesize(say("hello there"), never)
    assert sentence in str(engine.problem)
    fake.behave("real")
    assert engine.synthesize(say("hello there"), never).audio_s > 0.3
    assert engine.problem is None
    assert [change is None for change in changes] == [False, True], "each change is reported once"


@pytest.mark.parametrize(
    "form", [{"rate_hz": 0}, {"rate_hz": 1}, {"rate_hz": 7999}, {"rate_hz": 192_001}, {"channels": 2}, {"bits": 8}]
)
def test_sound_in_an_unexpected_format_is_refused(form: dict[str, int], fake: FakeEspeak, say: Say) -> None:
    fake.give_wav(**form)
    with pytest.raises(EngineUnavailable, match="unexpected format"):
        speak_once(say)


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 48_000])
def test_every_plausible_rate_is_accepted(rate_hz: int, fake: FakeEspeak, say: Say) -> None:
    fake.give_wav(rate_hz=rate_hz)
    assert speak_once(say).rate_hz == rate_hz


def test_sound_that_is_implausibly_long_for_its_text_is_refused(fake: FakeEspeak, say: Say) -> None:
    fake.give_wav(rate_hz=8000, samples=8000 * 60)
    with pytest.raises(EngineUnavailable, match="60 s of sound from 5 bytes; 15 s is plausible"):
        speak_once(say)


def test_endless_output_takes_little_memory(fake: FakeEspeak, say: Say) -> None:
    fake.behave("endless")
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(EngineUnavailable):
        speak_once(say)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 20_000


@pytest.mark.parametrize("mode", ["refuse", "hang-on"])
def test_a_text_that_the_program_cannot_speak_fails_alone(
    mode: str, fake: FakeEspeak, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak_module, "_DEADLINE_S", 0.5)
    engine = EspeakEngine()
    fake.behave(mode, "badger")
    with pytest.raises(SynthesisError, match=r"the fake refuses|within 0\.5 s"):
        engine.synthesize(say("a badger"), never)
    tries = 2 if mode == "hang-on" else 1
    assert fake.starts() == 1 + 2 * tries, "the text, the test word, and the text again"
    assert engine.problem is None
    assert engine.synthesize(say("a stoat"), never).audio_s > 0.3


def test_a_process_that_hangs_is_soon_replaced(fake: FakeEspeak, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_module, "_STUCK_S", 0.2)
    fake.behave("hang-first")
    assert speak_once(say).audio_s > 0.3
    assert fake.starts() == 2


def test_a_program_that_is_repaired_right_after_a_failure_speaks_the_text(
    fake: FakeEspeak, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.behave("exit", 1)
    speak = espeak_module._speak

    def repaired_after_the_first(*args: object) -> object:
        try:
            return speak(*args)
        finally:
            fake.behave("real")

    monkeypatch.setattr(espeak_module, "_speak", repaired_after_the_first)
    assert speak_once(say).audio_s > 0.3


def test_a_missing_program_raises_until_it_is_installed(
    fake: FakeEspeak, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(fake.folder))
    fake.program.unlink()
    engine = EspeakEngine()
    with pytest.raises(EngineUnavailable, match="not installed"):
        engine.load(lambda _: None)
    monkeypatch.setenv("PATH", fake.path)
    fake.install()
    engine.check(never)
    assert engine.problem is None


def test_a_program_that_cannot_be_executed_is_at_fault(fake: FakeEspeak, say: Say) -> None:
    fake.program.write_text("#!/nowhere/interpreter\n")
    with pytest.raises(EngineUnavailable, match="No such file"):
        speak_once(say)


def test_an_unknown_voice_is_distinguished_from_a_program_that_does_not_work(fake: FakeEspeak) -> None:
    fake.behave("exit", 1)
    with pytest.raises(EngineUnavailable):
        EspeakEngine("klingon9").load(lambda _: None)
    fake.behave("real")
    engine, german = EspeakEngine("klingon9"), EspeakEngine("de")
    for each in (engine, german):
        each.load(lambda _: None)
    assert (engine.problem, engine.voice) == (None, "en-us")
    assert engine.voice_problem is not None
    assert "no voice 'klingon9'" in engine.voice_problem
    assert "set engine.espeak_voice to en-us" in engine.voice_problem
    assert (german.voice_problem, german.voice) == (None, "de")


def test_the_nearest_voice_speaks_in_place_of_a_missing_one(fake: FakeEspeak, say: Say) -> None:
    changes: list[str | None] = []
    engine = EspeakEngine("german-shepherd", on_change=lambda: changes.append(engine.voice_problem))
    engine.load(lambda _: None)
    spoken = engine.synthesize(say("guten Tag"), never)
    assert spoken.voice == "de"
    assert spoken.samples.tolist() == EspeakEngine("de").synthesize(say("guten Tag"), never).samples.tolist()
    engine.check(never)
    assert changes == [engine.voice_problem]
    assert changes != [None]


@pytest.mark.parametrize("mode", ["hang", "wrapper-hang"])
def test_a_cancel_kills_the_program_and_its_children(mode: str, fake: FakeEspeak, say: Say) -> None:
    before = set(psutil.Process().children())
    fake.behave(mode)
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(Cancelled):
        EspeakEngine().synthesize(say("hello"), cancel.is_set)
    eventually(lambda: not fake.children(), "the end of its children")
    assert set(psutil.Process().children()) <= before


def test_a_deadline_kills_the_program_and_its_children(
    fake: FakeEspeak, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(psutil.Process().children())
    monkeypatch.setattr(espeak_module, "_DEADLINE_S", 0.2)
    fake.behave("wrapper-hang")
    with pytest.raises(EngineUnavailable, match=r"within 0\.2 s"):
        speak_once(say)
    eventually(lambda: not fake.children(), "the end of its children")
    assert set(psutil.Process().children()) <= before


SPEAKS = """
import sys
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.model import Segment
EspeakEngine().synthesize(Segment("line", 0, 1, "hello"), lambda: False)
"""


def test_the_program_dies_with_a_daemon_that_is_killed(fake: FakeEspeak) -> None:
    fake.behave("hang")
    daemon = subprocess.Popen([sys.executable, "-c", SPEAKS], env={**os.environ, "PATH": fake.path})
    try:
        eventually(lambda: _hangs(fake), "the program's start")
        program = psutil.Process(fake._pids("starts")[0])
    finally:
        daemon.kill()
        daemon.wait()
    assert program.wait(5) is None or not program.is_running()


def _hangs(fake: FakeEspeak) -> bool:
    pids = fake._pids("starts")
    return bool(pids) and "sleep" in Path(f"/proc/{pids[0]}/cmdline").read_text()


def test_a_program_that_does_not_read_its_text_does_not_block(fake: FakeEspeak, say: Say) -> None:
    fake.behave("deaf")
    started = time.monotonic()
    assert speak_once(say, "word " * 20_000).audio_s > 0.3
    assert time.monotonic() - started < 5
