"""What boards publish is kept and summed up, and nothing that anybody publishes raises or grows without a bound."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ishowtts.mqtt.renders import board_watch
from ishowtts.mqtt.renders.board_watch import BoardWatch

INFO = {
    "engine": "f5",
    "engines": ["f5", "hibari", "espeak"],
    "voices": ["anna", "default"],
    "voice_languages": {"anna": "de-AT", "default": None},
    "engine_languages": {"f5": ["de", "en-US"], "hibari": ["en"], "espeak": None},
    "limits": {"renders": 32},
}
MORE = json.dumps({**INFO, "voices": ["another"]}).encode()
STATE = {"state": "ready", "engines": ["f5", "hibari", "espeak"], "queue_depth": 0, "speaking": None}


def watch_of(*names: str) -> BoardWatch:
    return BoardWatch("home", "hall", names or None)


def publish(watch: BoardWatch, name: str, **values: Any) -> bool:
    """What one appliance publishes; whether the last of it has changed the summary."""
    changed = False
    for kind, value in {"availability": "online", "info": INFO, "state": STATE, **values}.items():
        changed = watch.take(f"home/{name}/{kind}", (value if isinstance(value, str) else json.dumps(value)).encode())
    return changed


def test_the_summary_has_boards_voices_and_languages() -> None:
    watch = watch_of()
    assert watch.renderer_topics == ()
    assert publish(watch, "kitchen")
    assert not publish(watch, "kitchen"), "it is no news"
    assert watch.renderer_topics == ("home/kitchen/state", "home/kitchen/telemetry")
    assert [board.name for board in watch.summary.ready] == ["kitchen"]
    assert watch.summary.problem is None
    assert watch.summary.voices == {"anna": "de-AT", "default": None}
    assert watch.summary.languages == {"de", "en"}
    watch.forget_states()
    assert watch.summary.problem == (
        "no board renders now: kitchen has not said that it is online; look at their state"
    )
    assert watch.summary.voices == {"anna": "de-AT", "default": None}
    assert watch.obstacles() == {"kitchen": "has not said that it is online"}


def test_a_board_of_which_only_espeak_works_is_not_ready_unless_it_has_nothing_else() -> None:
    watch = watch_of()
    publish(watch, "kitchen", state={**STATE, "engines": ["espeak"]})
    assert watch.summary.problem is not None
    publish(watch, "cellar", info={**INFO, "engines": ["espeak"]}, state={**STATE, "engines": ["espeak"]})
    assert [board.name for board in watch.summary.ready] == ["cellar"]
    assert watch.summary.languages is None, "every language"


def test_the_boards_of_the_configuration_are_told_one_by_one() -> None:
    watch = watch_of("kitchen", "attic", "hall")
    assert watch.first_topics == (
        "home/kitchen/availability",
        "home/kitchen/info",
        "home/attic/availability",
        "home/attic/info",
    )
    publish(watch, "kitchen", info={**INFO, "limits": {"renders": 0}})
    assert watch.obstacles() == {
        "attic": "has published nothing here",
        "kitchen": "renders nothing for others (limits.renders)",
    }
    assert "none of the boards of engine.remote.boards (attic, kitchen)" in (watch.summary.problem or "")
    assert "names this appliance only" in (watch_of("hall").summary.problem or "")


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("home/hall/info", MORE),
        ("home/reply/info", MORE),
        ("home/group/info", MORE),
        ("home/Kitchen/info", MORE),
        ("home/kitchen/event", MORE),
        ("home/kitchen/info/more", MORE),
        ("elsewhere/kitchen/info", MORE),
        ("home/kitchen/info", b"[]"),
        ("home/kitchen/info", b'"text"'),
        ("home/kitchen/info", b"\xff"),
        ("home/kitchen/info", b"{"),
        ("home/kitchen/info", b"[" * 100_000),
        ("home/kitchen/info", b'{"engines": ' + b"9" * 10_000 + b"}"),
        ("home/kitchen/info", b"{" + b" " * 262_144 + b"}"),
        ("home/kitchen/state", b"{" + b" " * 65_536 + b"}"),
        ("home/kitchen/availability", b"o" * 17),
    ],
)
def test_what_cannot_be_used_leaves_everything_as_it_was(topic: str, payload: bytes) -> None:
    watch = watch_of()
    publish(watch, "kitchen")
    before = watch.summary
    assert not watch.take(topic, payload)
    assert watch.summary == before


@pytest.mark.parametrize(
    "value", [None, True, 0, -1, 1e300, "text", [], {}, [None], {"renders": True}, {"renders": "1"}]
)
@pytest.mark.parametrize("field", ["engines", "voices", "voice_languages", "engine_languages", "limits", "engine"])
def test_any_value_in_any_field_is_harmless(field: str, value: object) -> None:
    watch = watch_of()
    publish(watch, "kitchen", info={**INFO, field: value}, state={**STATE, field: value}, telemetry={field: value})
    watch.ranked("anna", "de", {})
    watch.obstacles()
    assert set(watch.summary.voices) <= {"anna", "default"}


def test_boards_and_voices_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_watch, "_MOST_BOARDS", 3)
    monkeypatch.setattr(board_watch, "_MOST_VOICES", 5)
    watch = watch_of()
    for number in range(9):
        publish(watch, f"board-{number}", info={**INFO, "voices": [f"voice-{number}", "UPPER", "", *"abc"]})
    assert len(watch.summary.ready) == 3
    assert len(watch.summary.voices) == 5
