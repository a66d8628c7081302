"""The engine `remote` asks one board after another, and never uses a late sound."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from ishowtts.engines.remote.board_link import FailureKind, ReadyBoard, RenderedSound, RenderFailure
from ishowtts.engines.remote.board_trust import BoardCounts
from ishowtts.engines.remote.remote_engine import RemoteEngine
from ishowtts.errors import Cancelled, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.model import Segment

SOUND = RenderedSound(np.ones(2400, np.int16), 24_000, "anna", "f5")
BUSY = RenderFailure(FailureKind.BUSY, "busy: it has 32 renders")
GONE = RenderFailure(FailureKind.GONE, "it went offline")
DISCONNECTED = RenderFailure(FailureKind.DISCONNECTED, "the connection to the broker ended")
TEXT = RenderFailure(FailureKind.TEXT, "failed: nothing to speak")
VOICE = RenderFailure(FailureKind.VOICE, "unknown_voice: there is no voice anna")
GAP = RenderFailure(FailureKind.REFUSED, "its reply has a gap")
ESPEAK = RenderedSound(np.ones(2400, np.int16), 22_050, "en-us", "espeak")
LONG = RenderedSound(np.ones(24_000 * 60, np.int16), 24_000, "anna", "f5")
Answer = RenderedSound | RenderFailure | None
SEGMENT = Segment("line", 0, 1, "one", language="en")


class Clock:
    """Seconds that pass only while somebody waits for a board."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Render:
    answer: Answer
    clock: Clock
    waiting: int | None = None
    cancelled: bool = False

    def wait(self, timeout_s: float) -> Answer:
        if self.answer is None:
            self.clock.now_s += timeout_s
        return self.answer

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Boards:
    """A link to boards, each of which gives one answer to all. `None`: it never answers."""

    answers: dict[str, Answer]
    clock: Clock = field(default_factory=Clock)
    known_voices: dict[str, str | None] = field(default_factory=lambda: {"anna": "en", "default": None})
    engine: str = "f5"
    why: str | None = None
    asked: list[str] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    renders: list[Render] = field(default_factory=list)
    starts: int = 0
    waiting: dict[str, int] = field(default_factory=dict)

    def ready_boards(self, voice: str | None, language: str | None) -> Sequence[ReadyBoard]:
        able = (voice is None or voice in self.known_voices) and language in (None, "en")
        return [ReadyBoard(name, self.engine, 0.2) for name in self.answers] if able else []

    def any_ready(self) -> Sequence[ReadyBoard]:
        return self.ready_boards(None, None)

    def problem(self) -> str | None:
        return self.why

    def languages(self) -> frozenset[str] | None:
        return frozenset({"en"})

    def voices(self) -> dict[str, str | None]:
        return self.known_voices

    def voices_known(self) -> bool:
        return True

    def starting(self) -> bool:
        self.starts -= 1
        return self.starts >= 0

    def settled(self) -> bool:
        return self.clock.now_s >= 3.0

    def render(self, board: str, segment: Segment, timeout_s: float) -> Render:
        self.asked.append(board)
        self.segments.append(segment)
        self.renders.append(Render(self.answers[board], self.clock, self.waiting.get(board)))
        return self.renders[-1]


def engine_of(boards: Boards, default_voice: str = "default") -> RemoteEngine:
    engine = RemoteEngine(8.0, default_voice, boards.clock)
    engine.attach(boards)
    return engine


@pytest.mark.parametrize("first", [BUSY, GONE, TEXT, VOICE, GAP, LONG, ESPEAK, None])
def test_a_board_that_does_not_render_a_segment_leaves_it_to_another_one(first: Answer) -> None:
    boards = Boards({"one": first, "two": SOUND})
    utterance = engine_of(boards).synthesize(SEGMENT, lambda: False)
    assert boards.asked == ["one", "two"]
    assert (utterance.engine, utterance.voice, utterance.rate_hz) == ("remote", "anna", 24_000)
    np.testing.assert_array_equal(utterance.samples, SOUND.samples)
    assert boards.renders[0].cancelled == (first is None)
    assert not boards.renders[1].cancelled


@pytest.mark.parametrize(
    ("waiting", "asked", "kept"),
    [
        ({"one": 0}, ["one"], "one"),
        ({"one": 2, "two": 0}, ["one", "two"], "two"),
        ({"one": 2, "two": 1, "three": 0, "four": 0}, ["one", "two", "three"], "three"),
        ({"one": 1, "two": 3, "three": 1, "four": 0}, ["one", "two", "three"], "one"),
        ({"one": 1}, ["one", "two", "three"], "one"),
    ],
)
def test_a_busy_board_is_compared_with_others(waiting: dict[str, int], asked: list[str], kept: str) -> None:
    boards = Boards(dict.fromkeys(["one", "two", "three", "four"]), waiting=waiting)
    engine = engine_of(boards)
    rendered = iter(range(30))

    def answer() -> bool:  # after half a second, the boards that still work on it have it
        if next(rendered) == 25:
            for render in boards.renders:
                render.answer = None if render.cancelled else SOUND
        return False

    assert engine.synthesize(SEGMENT, answer).engine == "remote"
    assert boards.asked == asked
    assert [name for name, render in zip(asked, boards.renders, strict=True) if not render.cancelled] == [kept]
    assert engine.counts() == {kept: BoardCounts(rendered=1)}


def test_a_line_that_has_begun_stays_at_its_board() -> None:
    boards = Boards({"one": SOUND, "two": SOUND})
    engine = engine_of(boards)
    engine.synthesize(SEGMENT, lambda: False)
    boards.waiting["one"] = 5
    boards.answers["one"] = None
    engine.synthesize(SEGMENT, lambda: False)
    assert boards.asked == ["one", "one", "two"]
    assert boards.clock.now_s == pytest.approx(8.0)


def test_each_board_is_asked_once_and_then_the_engine_is_unavailable() -> None:
    boards = Boards({"one": BUSY, "two": GONE, "three": None}, waiting={"three": 0})
    with pytest.raises(
        EngineUnavailable, match=r"one: busy.*two: it went offline; three: it has not sent the sound within 8 s"
    ):
        engine_of(boards).synthesize(SEGMENT, lambda: False)
    assert boards.asked == ["one", "two", "three"]
    assert boards.clock.now_s == pytest.approx(8.0)


@pytest.mark.parametrize(("accepts", "took_s"), [(False, 3 * 0.6), (True, 3 * 8.0)])
def test_late_boards_end_the_search_before_the_listener_waits_for_all_of_them(accepts: bool, took_s: float) -> None:
    names = [str(number) for number in range(20)]
    boards = Boards(dict.fromkeys(names), waiting=dict.fromkeys(names, 0) if accepts else {})
    with pytest.raises(EngineUnavailable):
        engine_of(boards).synthesize(SEGMENT, lambda: False)
    assert len(boards.asked) == 3
    assert boards.clock.now_s == pytest.approx(took_s)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(TEXT, SynthesisError), (VOICE, VoiceError), (BUSY, EngineUnavailable), (GAP, EngineUnavailable)],
)
def test_the_error_says_whether_the_line_or_the_boards_are_at_fault(answer: Answer, error: type[Exception]) -> None:
    with pytest.raises(error):
        engine_of(Boards({"one": answer, "two": answer})).synthesize(SEGMENT, lambda: False)


def test_a_board_that_was_late_is_left_out_for_a_time_that_grows() -> None:
    boards = Boards({"one": None})
    engine = engine_of(boards)
    pauses = []
    for _ in range(6):
        assert engine.problem() is None
        with pytest.raises(EngineUnavailable):
            engine.synthesize(SEGMENT, lambda: False)
        late_at_s = boards.clock.now_s
        assert "one did not answer in time" in (engine.problem() or "")
        with pytest.raises(EngineUnavailable, match="did not answer in time"):
            engine.prepare(None)
        while engine.problem() is not None:
            boards.clock.now_s += 0.5
        pauses.append(boards.clock.now_s - late_at_s)
    assert pauses == pytest.approx([5, 10, 20, 40, 60, 60], abs=0.5)
    boards.answers["one"] = SOUND
    engine.synthesize(SEGMENT, lambda: False)
    boards.answers["one"] = None
    with pytest.raises(EngineUnavailable):
        engine.synthesize(SEGMENT, lambda: False)
    boards.clock.now_s += 5.0
    assert engine.problem() is None
    assert engine.counts() == {"one": BoardCounts(rendered=1, late=7)}


@pytest.mark.parametrize("answer", [BUSY, DISCONNECTED])
def test_a_board_that_is_not_at_fault_is_asked_again_for_the_next_segment(answer: Answer) -> None:
    boards = Boards({"one": answer})
    engine = engine_of(boards)
    for _ in range(2):
        with pytest.raises(EngineUnavailable):
            engine.synthesize(SEGMENT, lambda: False)
    assert boards.asked == ["one", "one"]
    assert engine.counts() == {"one": BoardCounts(failed=2)}


def test_the_segments_of_a_line_go_to_the_same_board() -> None:
    boards = Boards({"one": BUSY, "two": SOUND})
    engine = engine_of(boards)
    engine.synthesize(SEGMENT, lambda: False)
    boards.answers["one"] = SOUND
    engine.synthesize(SEGMENT, lambda: False)
    engine.synthesize(Segment("another line", 0, 1, "two", language="en"), lambda: False)
    assert boards.asked == ["one", "two", "two", "one"]


def test_a_cancelled_segment_is_cancelled_at_the_board() -> None:
    boards = Boards({"one": None, "two": SOUND})
    cancelled = threading.Event()
    engine = engine_of(boards)
    boards.clock.now_s = 5.0
    with pytest.raises(Cancelled):
        engine.synthesize(SEGMENT, lambda: bool(boards.asked) or cancelled.is_set())
    assert boards.asked == ["one"]
    assert boards.renders[0].cancelled
    assert engine.counts() == {}
    assert engine.problem() is None


@pytest.mark.parametrize(("waiting", "counts"), [(0, BoardCounts(late=1)), (1, BoardCounts(failed=1))])
def test_a_board_that_is_given_up_for_a_listener_is_left_out_unless_it_is_busy(
    waiting: int, counts: BoardCounts
) -> None:
    boards = Boards({"one": None}, waiting={"one": waiting})
    engine = engine_of(boards)
    with pytest.raises(Cancelled):
        engine.synthesize(SEGMENT, lambda: boards.clock.now_s >= 1.2)
    engine.candidate().given_up()
    assert engine.counts() == {"one": counts}
    assert (engine.problem() is None) == (waiting > 0)


def test_the_voice_is_that_of_the_segment_else_the_configured_one_else_that_of_the_board() -> None:
    boards = Boards({"one": SOUND})
    named = Segment("line", 0, 1, "one", voice="anna", language="en")
    boards.known_voices["ben"] = None
    engine_of(boards).synthesize(named, lambda: False)
    engine_of(boards).synthesize(SEGMENT, lambda: False)
    engine_of(boards, "ben").synthesize(SEGMENT, lambda: False)
    assert [segment.voice for segment in boards.segments] == ["anna", None, "ben"]


def test_a_voice_or_a_language_that_no_board_has_is_told() -> None:
    boards = Boards({"one": SOUND})
    engine = engine_of(boards)
    with pytest.raises(VoiceError, match=r"no board has the voice 'ana'; did you mean 'anna'\?"):
        engine.prepare("ana")
    with pytest.raises(EngineUnavailable, match="no board with the language 'de' is ready"):
        engine.synthesize(Segment("line", 0, 1, "eins", language="de"), lambda: False)
    boards.answers.clear()
    with pytest.raises(EngineUnavailable, match="no board with the voice 'anna' is ready"):
        engine.prepare("anna")
    boards.why = "no board renders now: one is offline"
    with pytest.raises(EngineUnavailable, match="one is offline"):
        engine.prepare("anna")


@pytest.mark.parametrize(("kind", "seam_s", "mixes"), [("f5", 0.15, True), ("hibari", 0.0, False)])
def test_the_voice_of_a_board_is_planned_as_its_engine_speaks(kind: str, seam_s: float, mixes: bool) -> None:
    engine = engine_of(Boards({"one": SOUND}, engine=kind))
    info = engine.prepare("anna")
    assert (info.name, info.seam_s, info.cost, info.batch_s) == ("anna", seam_s, 0.2, 0.0)
    assert engine.mixes_languages() is mixes


def test_sound_from_the_cache_of_a_board_took_no_synthesis() -> None:
    cached = RenderedSound(SOUND.samples, SOUND.rate_hz, "anna", "f5", cached=True)
    utterance = engine_of(Boards({"one": cached})).synthesize(SEGMENT, lambda: False)
    assert (utterance.cached, utterance.synth_s) == (True, 0.0)


def test_the_state_tells_no_problem_before_the_boards_had_time_to_report() -> None:
    boards = Boards({"one": SOUND}, why="no board renders now: one is offline")
    engine = engine_of(boards)
    assert (engine.problem(), engine.lasting_problem()) == (boards.why, None)
    boards.clock.now_s = 3.0
    assert engine.lasting_problem() == boards.why


def test_after_a_start_the_first_line_waits_for_the_boards() -> None:
    boards = Boards({"one": SOUND}, why="no board renders now", starts=3)
    engine = engine_of(boards)
    assert engine.problem() is None
    boards.why = None
    assert engine.prepare("anna").name == "anna"
    assert boards.starts < 0
    boards.why = "no board renders now"
    assert engine.problem() == boards.why


def test_without_a_connection_it_is_unavailable() -> None:
    engine = RemoteEngine(8.0, "default")
    assert engine.candidate().problem() == "the connection to the boards is not built yet"
    assert engine.candidate().state() == "absent"
    with pytest.raises(EngineUnavailable):
        engine.prepare(None)
    assert engine.voices() is None
    assert engine.lasting_problem() is None
