"""The primary engine and those after it follow from the configuration, the weights and the packages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ishowtts.config import Config
from ishowtts.engines import engine_choice
from ishowtts.engines.weights import Weights

MISSING = "the natural voice is not installed"


@pytest.mark.parametrize(
    ("engine", "has_weights", "has_hibari", "order"),
    [
        ({}, True, True, ["f5", "hibari", "espeak"]),
        ({}, True, False, ["f5", "espeak"]),
        ({}, False, True, ["hibari", "espeak"]),
        ({}, False, False, ["espeak"]),
        ({"kind": "hibari"}, True, True, ["hibari", "espeak"]),
        ({"kind": "espeak"}, True, True, ["espeak"]),
        ({"kind": "espeak", "fallback": ["hibari"]}, True, True, ["espeak"]),
        ({"kind": "f5"}, True, True, ["f5", "hibari", "espeak"]),
        ({"kind": "f5", "fallback": False}, True, True, ["f5"]),
        ({"kind": "f5", "fallback": ["hibari"]}, True, True, ["f5", "hibari"]),
        ({"fallback": ["espeak"]}, True, True, ["f5", "espeak"]),
        ({"kind": "remote"}, True, True, ["remote", "hibari", "espeak"]),
        ({"kind": "remote"}, False, False, ["remote", "espeak"]),
        ({"kind": "remote", "fallback": False}, True, True, ["remote"]),
        ({"fallback": ["espeak"]}, False, True, ["hibari", "espeak"]),
    ],
)
def test_the_order_of_the_engines(
    engine: dict[str, Any], has_weights: bool, has_hibari: bool, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Weights(*(Path("/somewhere") for _ in range(5))) if has_weights else None
    monkeypatch.setattr(engine_choice, "locate", lambda *_: files)
    monkeypatch.setattr(engine_choice, "missing_package", lambda: None if has_hibari else MISSING)
    choice = engine_choice.choose_engine(Config.model_validate({"engine": engine}))
    assert list(choice.order) == order
    assert choice.kind == order[0]
    assert choice.problem is None


@pytest.mark.parametrize(
    ("engine", "order", "problem"),
    [
        ({"kind": "hibari"}, ["hibari", "espeak"], MISSING),
        ({"fallback": ["hibari", "espeak"]}, ["espeak"], MISSING),
        ({"kind": "remote", "fallback": ["hibari"]}, ["remote"], MISSING),
        ({}, ["espeak"], None),
        ({"kind": "f5", "fallback": ["hibari", "espeak"]}, ["f5", "espeak"], f"no F5-TTS weights.*; {MISSING}"),
        ({"kind": "f5"}, ["f5", "espeak"], "no F5-TTS weights were found; `ishowtts fetch` gets them"),
    ],
)
def test_an_engine_that_is_configured_and_missing_is_a_problem_in_words(
    engine: dict[str, Any], order: list[str], problem: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine_choice, "missing_package", lambda: MISSING)
    choice = engine_choice.choose_engine(Config.model_validate({"data_dir": tmp_path, "engine": engine}))
    assert list(choice.order) == order
    assert re.fullmatch(problem or "", choice.problem or "")
