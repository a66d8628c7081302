"""F5 leads only if it is fast enough here, or if it is forced to. Its speed is what its warm worker has measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ishowtts.config import Config
from ishowtts.engines import VoiceInfo
from ishowtts.engines.build import EngineChoice, Engines
from ishowtts.engines.candidates import EngineCandidate
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.speed_check import F5Speed, real_time_factor
from ishowtts.engines.voices.voice_library import open_voice_library
from ishowtts.engines.worker.supervisor import EngineState, EngineStatus
from ishowtts.errors import EngineUnavailable

WHY = (
    "F5 needs 27 s for a second of speech here (engine.f5.max_rtf is 0.9), so {leader} leads; "
    "a GPU or a smaller engine.f5.nfe_step would help, and engine.kind f5 forces it"
)


class FakeWorker:
    """A worker of F5 that becomes ready when a test says so."""

    def __init__(self, cost: float | None) -> None:
        self.state = EngineState.WARMING
        self.voice = VoiceInfo("default", 130, reference_s=5.0, bytes_per_s=15.0, cost=cost)
        self.prepare_error: Exception | None = None
        self.prepared = 0
        self.closed = False

    def status(self) -> EngineStatus:
        return EngineStatus("f5", self.state, 24_000)

    def lateness(self) -> str | None:
        return None

    def prepare(self, voice: str | None) -> VoiceInfo:
        self.prepared += 1
        if self.prepare_error is not None:
            raise self.prepare_error
        return self.voice

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[Engines, FakeWorker]]:
    def made(
        cost: float | None, *others: str, max_rtf: float = 0.9, forced: bool = False
    ) -> tuple[Engines, FakeWorker]:
        worker, espeak = FakeWorker(cost), EspeakEngine()
        speed = F5Speed(worker, max_rtf, forced=forced)  # type: ignore[arg-type]
        f5 = EngineCandidate(worker, "f5", problem=speed.problem, clones=True, worker=worker)  # type: ignore[arg-type]
        order = [f5, *(EngineCandidate(espeak, name) for name in others)]
        choice = EngineChoice("f5", "weights were found", order=("f5", *others))
        library = open_voice_library(Config.model_validate({"data_dir": tmp_path}))
        engines = Engines(choice, order, espeak=espeak, voice_library=library, default_voice="default", f5_speed=speed)
        return engines, worker

    return made


Make = Callable[..., tuple[Engines, FakeWorker]]


def test_the_real_time_factor_is_that_of_a_line_of_five_seconds() -> None:
    assert real_time_factor(VoiceInfo("a", 100, reference_s=5.0, cost=0.1)) == pytest.approx(0.2)
    assert real_time_factor(VoiceInfo("a", 100, reference_s=5.0)) is None
    assert real_time_factor(VoiceInfo("a", 100, cost=0.1)) is None


@pytest.mark.parametrize(("others", "leader"), [(("hibari", "espeak"), "hibari"), (("espeak",), "espeak")])
def test_an_f5_that_is_too_slow_leaves_the_order_before_any_line_and_its_worker_ends(
    make: Make, others: tuple[str, ...], leader: str
) -> None:
    engines, worker = make(13.5, *others)
    assert not engines.check_speed()
    assert (worker.prepared, engines.choice.kind) == (0, "f5"), "it is not warm yet"
    worker.state = EngineState.READY
    assert engines.order[0].problem() == "the speed of F5 is not known yet"
    assert engines.check_speed(), "another engine leads now"
    assert [each.name for each in engines.order] == list(others)
    assert (engines.choice.kind, engines.choice.order, worker.closed) == (leader, others, True)
    assert engines.choice.why == WHY.format(leader=leader)
    assert engines.notes == (engines.choice.why,)
    assert engines.cloned_voice_problem("default") == engines.choice.why
    assert (engines.f5, engines.workers) == (None, ())


def test_a_fast_f5_leads_once_its_speed_is_known_and_it_is_measured_once(make: Make) -> None:
    engines, worker = make(0.1, "hibari")
    worker.state = EngineState.READY
    assert not engines.check_speed()
    assert not engines.check_speed()
    assert (engines.order[0].name, engines.order[0].problem(), engines.notes) == ("f5", None, ())
    assert (worker.prepared, worker.closed) == (1, False)


@pytest.mark.parametrize("others", [(), ("hibari",)])
def test_a_slow_f5_stays_if_it_is_forced_or_nobody_else_may_speak_and_a_note_says_its_speed(
    make: Make, others: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    engines, worker = make(13.5, *others, forced=bool(others))
    worker.state = EngineState.READY
    assert (engines.order[0].problem() is None) is bool(others), "a forced one does not wait for the measurement"
    engines.check_speed()
    assert (engines.order[0].name, engines.order[0].problem(), worker.closed) == ("f5", None, False)
    note = (
        "F5 needs 27 s for a second of speech here (engine.f5.max_rtf is 0.9), so lines are heard late; "
        "a GPU or a smaller engine.f5.nfe_step would help"
    )
    assert engines.notes == (note,)
    assert note in caplog.messages


def test_a_worker_that_ends_before_it_is_asked_is_asked_again_later(make: Make) -> None:
    engines, worker = make(13.5, "espeak")
    worker.state, worker.prepare_error = EngineState.READY, EngineUnavailable("it is restarting")
    engines.check_speed()
    assert engines.order[0].name == "f5"
    worker.prepare_error = None
    engines.check_speed()
    assert engines.order[0].name == "espeak"


def test_an_unknown_cost_does_not_count_as_slow(make: Make) -> None:
    engines, worker = make(None, "espeak")
    worker.state = EngineState.READY
    engines.check_speed()
    assert (engines.order[0].name, engines.order[0].problem()) == ("f5", None)
