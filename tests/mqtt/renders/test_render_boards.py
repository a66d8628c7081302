"""Requesters choose the appliance that renders a text from what the appliances publish, whatever that is."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.mqtt.renders.render_boards import BoardFacts, rank_boards, why_not

INFO: dict[str, Any] = {
    "engine": "f5",
    "engines": ["f5", "hibari", "espeak"],
    "voices": ["default", "anna"],
    "voice_languages": {"default": "en-US", "anna": "de"},
    "engine_languages": {"f5": ["en", "zh", "de"], "hibari": ["en"], "espeak": None},
    "limits": {"renders": 32},
}
STATE: dict[str, Any] = {"state": "ready", "engines": ["f5", "hibari", "espeak"], "queue_depth": 0, "speaking": None}


def board(
    name: str,
    *,
    rtf: float | None = 0.2,
    renders: int = 0,
    own: int = 0,
    availability: str | None = "online",
    info: dict[str, Any] | None = None,
    **state: Any,
) -> BoardFacts:
    telemetry = {"speech": {"rtf_p50": rtf}, "renders": {"active": min(1, renders), "waiting": max(0, renders - 1)}}
    return BoardFacts(name, availability, {**STATE, **state}, telemetry, {**INFO, **(info or {})}, own)


def order(*boards: BoardFacts, **wanted: str) -> list[str]:
    return [each.name for each in rank_boards(boards, **wanted, chance=lambda: 0.5)]


def test_the_shortest_queue_is_best_and_then_the_fastest_board() -> None:
    assert order(board("a", queue_depth=3), board("b", renders=1), board("c")) == ["c", "b", "a"]
    assert order(board("a", speaking={"id": "1"}), board("b")) == ["b", "a"]
    assert order(board("a", rtf=0.9), board("b", rtf=0.3), board("c", rtf=0.05)) == ["c", "b", "a"]
    assert order(board("slow", rtf=3.0), board("fast", rtf=0.05, renders=2)) == ["fast", "slow"]
    assert order(board("a", own=4), board("b", renders=2)) == ["b", "a"], "renders that telemetry does not show yet"
    only_renders = BoardFacts("r", "online", STATE, {"renders": {"rtf_p50": 0.1}, "speech": {"rtf_p50": 0.9}}, INFO)
    assert order(board("a", rtf=0.3), only_renders) == ["r", "a"]
    assert order(board("a", rtf=10**400), board("b", rtf=0.9)) == ["b", "a"], "no float is as large"
    assert order(board("a", rtf=None), board("b", rtf=0.9), board("c", rtf=0.1)) == ["c", "a", "b"]


def test_a_full_board_and_one_whose_engine_is_down_are_last() -> None:
    full = board("full", info={"limits": {"renders": 2}}, renders=2)
    fallback = board("fallback", engines=["espeak"])
    assert order(fallback, full, board("busy", queue_depth=50)) == ["busy", "full", "fallback"]
    assert order(
        board("f5", engines=["hibari"]), board("hibari", info={"engines": ["hibari"]}, engines=["hibari"])
    ) == [
        "hibari",
        "f5",
    ]
    only_f5_has_voices = board("no-f5", info={"engines": ["hibari", "espeak"]}, engines=["hibari", "espeak"])
    assert order(only_f5_has_voices, board("f5", renders=3), voice="anna") == ["f5", "no-f5"]


def first_shares(*boards: BoardFacts, draws: int = 1500) -> dict[str, float]:
    """How often each board is the first."""
    chance = random.Random(1).random
    found = Counter(rank_boards(boards, chance=chance)[0].name for _ in range(draws))
    return {board.name: found[board.name] / draws for board in boards}


def test_what_telemetry_shows_late_sends_not_all_requesters_to_one_board() -> None:
    assert first_shares(board("a"), board("b")) == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.05)
    assert first_shares(board("a", renders=5), board("b")) == pytest.approx({"a": 0.33, "b": 0.67}, abs=0.05)
    assert first_shares(board("a", rtf=0.1), board("b", rtf=0.2)) == pytest.approx({"a": 0.67, "b": 0.33}, abs=0.05)


def test_what_is_known_at_once_decides() -> None:
    assert first_shares(board("speaks", speaking={"id": "1"}), board("idle"))["idle"] > 0.98
    assert first_shares(board("ours", own=1, renders=1), board("idle"))["idle"] > 0.98
    assert first_shares(board("slow", rtf=2.0), board("fast", rtf=0.1))["fast"] == 1.0
    assert first_shares(board("slow", rtf=0.8), board("fast", rtf=0.1, renders=6))["slow"] > 0.1, "it has much to do"


@pytest.mark.parametrize(
    ("facts", "wanted", "told"),
    [
        (board("a", availability="offline"), {}, "is offline"),
        (board("a", availability=None), {}, "has not said that it is online"),
        (BoardFacts("a", "online"), {}, "has not published info and state"),
        (board("a", info={"limits": {"max_chars": 5}}), {}, "renders nothing for others"),
        (board("a", info={"limits": {"renders": 0}}), {}, "renders nothing for others"),
        (board("a", info={"engines": ["remote", "espeak"]}), {}, "has other boards render its own lines"),
        (board("a", engines=[]), {}, "has no engine that can speak now"),
        (board("a", state="dreaming"), {}, "has no engine that can speak now"),
        (board("a"), {"voice": "eve"}, "has no voice eve"),
        (board("a", engines=["f5"]), {"language": "fr"}, "has no engine that speaks the language fr now"),
        (board("a", engines=["hibari"]), {"voice": "anna"}, "has no engine that speaks the language de now"),
        (board("a"), {"language": "fr-CA"}, None),
        (board("a", engines=["f5"]), {"language": "cmn"}, None),
        (board("a", engines=["f5"]), {"voice": "anna"}, None),
        (board("a", state="paused"), {}, None),
        (board("a", state="degraded", engines=["espeak"]), {}, None),
    ],
)
def test_a_board_that_cannot_render_a_text_is_left_out(facts: BoardFacts, wanted: Any, told: str | None) -> None:
    assert (why_not(facts, **wanted) or "").startswith(told or "")
    assert (why_not(facts, **wanted) is None) == (told is None)
    assert order(facts, **wanted) == ([] if told else ["a"])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@given(st.data())
def test_nothing_that_a_board_publishes_raises(data: st.DataObject) -> None:
    changed = {name: dict(found) for name, found in (("info", INFO), ("state", STATE))}
    for found in changed.values():
        found[data.draw(st.sampled_from(sorted(found)))] = data.draw(VALUES)
    telemetry = {"speech": {"rtf_p50": data.draw(VALUES)}, "renders": data.draw(VALUES)}
    facts = BoardFacts("a", "online", changed["state"], telemetry, changed["info"])
    assert len(rank_boards([facts, board("b")], voice="anna", language="de-AT")) in (1, 2)
