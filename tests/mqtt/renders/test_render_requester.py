"""Segments are requested from boards over a real broker, and only a complete sound is a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import pytest

from ishowtts.engines.remote.board_link import FailureKind, RenderedSound, RenderFailure
from ishowtts.engines.remote.remote_engine import RemoteEngine
from ishowtts.errors import Cancelled, EngineUnavailable
from ishowtts.model import Segment, Utterance
from ishowtts.mqtt.connection import Connection
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.renders import render_requester, requested_render
from ishowtts.mqtt.renders.board_watch import BoardWatch
from ishowtts.mqtt.renders.render_requester import RenderRequester
from support.broker import Broker
from support.scripted_board import RATE_HZ, Fault, Script, ScriptedBoard, tone
from support.waiting import eventually

SEGMENT = Segment("line", 0, 1, "one two", voice="anna", language="en", speed=1.5, seed=7, nfe_step=16)
SHORT = Script(segments=1, segment_s=0.1)


@dataclass
class Stage:
    """A requester and its connection."""

    requester: RenderRequester
    connection: Connection
    prefix: str
    changes: list[str | None]
    board: Callable[..., ScriptedBoard]

    def render(self, board: str = "kitchen", timeout_s: float = 20.0) -> RenderedSound | RenderFailure | None:
        return self.requester.render(board, SEGMENT, timeout_s).wait(timeout_s)

    def engine(self, segment_s: float = 20.0) -> RemoteEngine:
        engine = RemoteEngine(segment_s, "default")
        engine.attach(self.requester)
        return engine

    def names(self) -> list[str]:
        return sorted(board.name for board in self.requester.any_ready())


@pytest.fixture
def stage(broker: Broker, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A stage that watches every appliance under a prefix of its own, or the names of `request.param`."""
    prefix = f"stage-{abs(hash(request.node.nodeid)):x}"
    changes: list[str | None] = []
    watch = BoardWatch(prefix, "unit", getattr(request, "param", None))
    requester = RenderRequester(watch, lambda: changes.append(requester.problem()))
    options = MqttOptions(
        host=broker.host, port=broker.port, root=f"{prefix}/unit", prefix=prefix, retry_min_s=0.05, retry_max_s=0.2
    )
    connection = requester.connection(options, lambda: 0.0)
    with ExitStack() as stack:

        def board(name: str = "kitchen", **further: object) -> ScriptedBoard:
            made = stack.enter_context(
                ScriptedBoard(broker.host, broker.port, name, prefix=prefix, **{"script": SHORT, **further})
            )
            eventually(lambda: name in names() or "state" in further, f"the board {name}")
            return made

        def names() -> list[str]:
            return [each.name for each in requester.any_ready()]

        connection.start()
        eventually(lambda: connection.session is not None, "the connection")
        yield Stage(requester, connection, prefix, changes, board)
        connection.stop()
        assert connection.join(20.0)


def test_a_board_renders_a_segment(stage: Stage) -> None:
    assert stage.requester.problem() == (
        f"no appliance under {stage.prefix}/ renders for others; start one on this broker whose limits.renders is not 0"
    )
    board = stage.board(script=Script(segments=3, segment_s=1.0), voices={"anna": "en", "ben": None})
    assert stage.requester.problem() is None
    assert stage.changes[-1] is None
    assert stage.requester.voices() == {"anna": "en", "ben": None}
    assert stage.requester.languages() == frozenset({"en", "de"}), "those of a natural voice"
    found = stage.render()
    assert isinstance(found, RenderedSound)
    assert (found.rate_hz, found.voice, found.engine, found.cached) == (RATE_HZ, "anna", "quick", False)
    np.testing.assert_array_equal(found.samples, np.frombuffer(tone("pcm", 1.0) * 3, "<i2"))
    [asked] = board.asked
    assert asked.fields == {
        "text": "one two",
        "format": "pcm",
        "as": "segment",
        "voice": "anna",
        "language": "en",
        "speed": 1.5,
        "nfe_step": 16,
        "seed": 7,
        "ttl_s": 20.0,
    }
    assert asked.key[0].startswith(f"{stage.prefix}/reply/unit/")
    assert not board.cancelled


@pytest.mark.parametrize(
    ("script", "kind", "told"),
    [
        (Script(fault="error", reason="busy", detail="it has 32"), FailureKind.BUSY, "it answers busy"),
        (Script(fault="error", reason="unknown_voice"), FailureKind.VOICE, "it answers unknown_voice"),
        (Script(fault="error", reason="failed"), FailureKind.TEXT, "it answers failed"),
        (Script(fault="error", reason="later_word"), FailureKind.REFUSED, "it answers later_word"),
        (Script(fault="gap", after_parts=1), FailureKind.REFUSED, "its reply has a gap, or breaks the protocol"),
        (Script(fault="dies", after_parts=1), FailureKind.GONE, "it went offline"),
    ],
)
def test_a_board_that_fails_is_told_from_one_that_is_busy(
    stage: Stage, script: Script, kind: FailureKind, told: str
) -> None:
    board = stage.board(script=script)
    said = script.detail if script.fault == "error" else None
    assert stage.render() == RenderFailure(kind, told, said)
    if script.fault == "gap":
        eventually(lambda: board.cancelled, "the cancel of a reply that is of no use")


@pytest.mark.parametrize("fault", ["garbage", "twice"])
def test_parts_that_nobody_needs_are_ignored(stage: Stage, fault: Fault) -> None:
    stage.board(script=Script(segments=2, segment_s=0.1, fault=fault, after_parts=9))
    found = stage.render()
    assert isinstance(found, RenderedSound)
    np.testing.assert_array_equal(found.samples, np.frombuffer(tone("pcm", 0.1) * 2, "<i2"))


def test_more_sound_than_any_segment_has_is_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requested_render, "_MAX_SOUND_BYTES", 50_000)
    board = stage.board(script=Script(segments=3, segment_s=1.0))
    assert stage.render() == RenderFailure(FailureKind.REFUSED, "its reply has a gap, or breaks the protocol")
    eventually(lambda: board.cancelled, "the cancel")


def test_a_board_that_takes_no_requests_is_known_at_once(stage: Stage) -> None:
    board = stage.board()
    board.die()
    eventually(lambda: not stage.names(), "the will")
    board.close()
    board.connect()
    eventually(lambda: stage.names() == ["kitchen"], "the board, back again")
    assert isinstance(stage.render(), RenderedSound)
    assert board._client is not None
    board._client.unsubscribe(f"{stage.prefix}/kitchen/render")
    eventually(
        lambda: (
            stage.render()
            == RenderFailure(
                FailureKind.GONE, "nothing takes its requests: it has died, or it has just lost its connection"
            )
        ),
        "the answer of the broker",
    )


def test_a_board_that_dies_in_mid_segment_is_known_before_its_will_and_its_deadline(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requested_render, "_PROBE_INTERVAL_S", 0.05)
    board = stage.board(script=Script(segments=1, late_s=20))
    render = stage.requester.render("kitchen", SEGMENT, 20.0)
    eventually(lambda: board.asked, "the request")
    assert render.wait(0.2) is None
    assert board._client is not None
    board._client.unsubscribe([f"{stage.prefix}/kitchen/render", f"{stage.prefix}/kitchen/render/cancel"])
    eventually(lambda: render.wait(0.05) is not None, "the answer of the broker to a probe")
    assert render.wait(0.0) == RenderFailure(
        FailureKind.GONE, "nothing takes its requests: it has died, or it has just lost its connection"
    )
    assert len(board.asked) == 1, "a probe is no request"


@pytest.mark.parametrize("answers", [True, False])
def test_a_board_that_falls_silent_is_given_up_before_its_deadline_if_it_answered_before(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    monkeypatch.setattr(requested_render, "_PROBE_INTERVAL_S", 0.05)
    monkeypatch.setattr(render_requester, "_SILENT_S", 0.3)
    board = stage.board(script=Script(segments=1, late_s=20) if answers else Script(fault="silent"))
    render = stage.requester.render("kitchen", SEGMENT, 20.0)
    eventually(lambda: board.asked, "the request")
    until_s = time.monotonic() + 0.6
    while time.monotonic() < until_s:
        assert render.wait(0.02) is None, "it answers, or never did"
    board.script = Script(fault="silent")
    if answers:
        eventually(lambda: render.wait(0.02) is not None, "the end of the wait")
        assert render.wait(0.0) == RenderFailure(FailureKind.GONE, "it has answered nothing for 0.3 s")
    else:
        render.cancel()
        eventually(lambda: board.cancelled, "the cancel")


def test_a_late_board_is_told_and_what_it_still_sends_is_dropped(stage: Stage) -> None:
    slow = stage.board(script=Script(segments=1, late_s=20))
    with pytest.raises(EngineUnavailable, match=r"kitchen: it has not (answered|sent the sound) within 0\.2 s"):
        stage.engine(0.2).synthesize(SEGMENT, lambda: False)
    eventually(lambda: slow.cancelled, "the cancel")
    assert slow.cancelled == [slow.asked[0].key]
    assert not stage.requester._renders
    slow.script = SHORT
    assert isinstance(stage.render(), RenderedSound)


def test_another_board_renders_what_a_dying_one_has_begun(stage: Stage) -> None:
    dying = [stage.board(name, script=Script(segments=3, segment_s=1.0, fault="dies", after_parts=2)) for name in "ab"]
    stage.board("c", script=Script(segments=1, segment_s=0.5))
    engine = stage.engine()
    utterances: list[Utterance] = []
    while not all(board.asked for board in dying):
        segment = replace(SEGMENT, line_id=str(len(utterances)))  # a line stays with its board
        utterances.append(engine.synthesize(segment, lambda: False))
        for board in dying:
            if board.asked and board.name not in stage.names():
                board.close()
    assert {utterance.audio_s for utterance in utterances} == {0.5}


def test_a_cancelled_segment_is_cancelled_at_its_board(stage: Stage) -> None:
    board = stage.board(script=Script(segments=1, late_s=20))
    with pytest.raises(Cancelled):
        stage.engine().synthesize(SEGMENT, lambda: bool(board.asked))
    eventually(lambda: board.cancelled, "the cancel")


def test_a_board_that_cannot_render_says_why_and_comes_back(stage: Stage) -> None:
    board = stage.board(state={"state": "degraded", "engines": []})
    problem = "no board renders now: kitchen has no engine that can speak now; look at their state"
    eventually(lambda: stage.requester.problem() == problem, problem)
    board.change(engines=["quick"])
    eventually(lambda: stage.requester.problem() is None, "the board, ready again")
    board.close()
    board.connect()
    board.publish("availability", "offline")
    offline = "no board renders now: kitchen is offline; look at their state"
    eventually(lambda: stage.requester.problem() == offline, offline)
    assert stage.requester.voices() == {"anna": "en"}, "an offline board keeps its voices"
    board.publish("availability", "online")
    eventually(lambda: stage.names() == ["kitchen"], "the board, online again")


def test_only_the_boards_that_have_a_voice_or_a_language_are_ready_for_it(stage: Stage) -> None:
    stage.board("a", voices={"anna": "en"}, info={"engine_languages": {"quick": ["en"]}, "engines": ["quick"]})
    stage.board("b", voices={"ben": "de"}, info={"engine_languages": {"quick": ["de"]}, "engines": ["quick"]})

    def ready(voice: str | None, language: str | None) -> set[str]:
        return {board.name for board in stage.requester.ready_boards(voice, language)}

    assert ready("anna", None) == ready(None, "en") == {"a"}
    assert ready("ben", None) == ready(None, "de-AT") == {"b"}
    assert ready(None, None) == {"a", "b"}
    assert ready("nobody", None) == ready("anna", "de") == set()


def test_neither_stages_nor_this_appliance_nor_one_that_renders_nothing_is_a_board(stage: Stage) -> None:
    stage.board("unit", state={})
    stage.board("other-stage", state={}, info={"engines": ["remote", "espeak"]})
    stage.board("closed", state={}, info={"limits": {"renders": 0}})
    stage.board("kitchen")
    assert stage.names() == ["kitchen"]
    assert stage.requester.voices() == {"anna": "en"}


@pytest.mark.parametrize("stage", [["kitchen", "unit"]], indirect=True)
def test_only_the_boards_of_the_configuration_are_asked(stage: Stage) -> None:
    assert stage.requester.problem() == (
        "none of the boards of engine.remote.boards (kitchen) renders for others; "
        "check the names, and limits.renders there"
    )
    stage.board("cellar", state={})
    stage.board("kitchen")
    assert stage.names() == ["kitchen"]


def test_a_lost_connection_ends_what_was_asked_and_everything_is_known_again(stage: Stage) -> None:
    board = stage.board(script=Script(segments=1, late_s=20))
    render = stage.requester.render("kitchen", SEGMENT, 20.0)
    eventually(lambda: board.asked, "the request")
    stage.connection.disconnect()
    found = render.wait(20.0)
    assert isinstance(found, RenderFailure)
    assert found.kind is FailureKind.DISCONNECTED
    assert found.detail.startswith("the connection to the broker at")
    board.script = SHORT
    eventually(lambda: stage.names() == ["kitchen"], "the board, known again")
    assert isinstance(stage.render(), RenderedSound)


def test_without_a_connection_nothing_waits(broker: Broker) -> None:
    requester = RenderRequester(BoardWatch("ishowtts", "unit", None), lambda: None)
    problem = "the boards are not known, because the broker has not answered yet; see that it runs"
    assert requester.problem() == problem
    assert requester.any_ready() == requester.ready_boards(None, None) == []
    assert requester.render("kitchen", SEGMENT, 20.0).wait(0.0) == RenderFailure(FailureKind.DISCONNECTED, problem)
