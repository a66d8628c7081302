"""The keys of the order of the engines."""

from __future__ import annotations

import pytest

from ishowtts.config import Config, parse
from ishowtts.errors import ConfigError

FALLBACK = "engine.fallback: must be true, false, or a list of hibari and espeak, each once and in this order"


@pytest.mark.parametrize(
    ("fallback", "kinds"),
    [("true", ("hibari", "espeak")), ("false", ()), ("[]", ()), ("[espeak]", ("espeak",)), ("[hibari]", ("hibari",))],
)
def test_the_fallback_is_a_switch_or_a_list_of_engines(fallback: str, kinds: tuple[str, ...]) -> None:
    assert parse(f"engine: {{fallback: {fallback}}}", "f").engine.fallbacks == kinds


@pytest.mark.parametrize(
    ("engine", "sentence"),
    [
        ("fallback: [espeak, hibari]", f"{FALLBACK} (got ['espeak', 'hibari'])"),
        ("fallback: [espeak, espeak]", f"{FALLBACK} (got ['espeak', 'espeak'])"),
        ("fallback: [f5]", f"{FALLBACK} (got ['f5'])"),
        ("fallback: hibari", f"{FALLBACK} (got 'hibari')"),
        ("fallback: null", f"{FALLBACK} (got null)"),
        ("kind: natural", "engine.kind: must be 'auto', 'f5', 'hibari', 'espeak' or 'remote' (got 'natural')"),
        ("f5: {max_rtf: 0}", "engine.f5.max_rtf: must be greater than 0 (got 0)"),
        (
            "f5: {languages: []}",
            "engine.f5.languages: must name at least one language; null means: as the weights say (got [])",
        ),
        (
            "f5: {languages: [English]}",
            "engine.f5.languages.0: must be a language tag such as en, de or pt-BR (got 'English')",
        ),
    ],
)
def test_a_wrong_value_gets_one_sentence(engine: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"engine: {{{engine}}}", "f")
    assert caught.value.problems == [f"f:1: {sentence}"]


@pytest.mark.parametrize(
    ("sections", "renders"),
    [
        ({}, 32),
        ({"limits": {"renders": 0}}, 0),
        ({"engine": {"kind": "remote"}}, 0),
        ({"mqtt": {"protocol": "3.1.1"}}, 0),
    ],
)
def test_nothing_is_rendered_for_others_over_mqtt_3_nor_by_a_stage(sections: dict[str, object], renders: int) -> None:
    assert Config.model_validate(sections).renders == renders
