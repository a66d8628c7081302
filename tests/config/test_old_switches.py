"""The old map `engine.f5.optimisations` keeps its meaning for one version, with one warning."""

from __future__ import annotations

from typing import Any

import pytest

from ishowtts import config
from ishowtts.errors import ConfigError
from ishowtts.f5_switches import Switches

OLD = "engine: {f5: {optimisations: {%s}}}"


@pytest.mark.parametrize(
    ("given", "values", "advice"),
    [
        ("folds: true", {}, "remove it"),
        ("streaming: false", {"streaming": False}, "write engine.f5.disable: [streaming] instead"),
        ("int8: true", {"int8": True}, "write engine.f5.precision: int8 instead"),
        ("fp8: true", {"fp8": True}, "write engine.f5.precision: fp8 instead"),
        ("guidance_skip: plain", {"guidance_skip": "plain"}, "write engine.f5.quality: fast instead"),
        ("guidance_skip: reuse", {"guidance_skip": "reuse"}, "remove it; nothing replaces guidance_skip"),
        ("nfe_policy: true", {"nfe_policy": True}, "remove it; nothing replaces nfe_policy"),
        ("compile: max-autotune", {"compile": "max-autotune"}, "write engine.f5.compile: max-autotune instead"),
        ("tensorrt_vocoder: true", {}, "remove it"),
        (
            "folds: false, int8: true, nfe_policy: true",
            {"folds": False, "graphs": False, "int8": True, "nfe_policy": True},
            "write engine.f5.disable: [folds, graphs] and engine.f5.precision: int8 instead; "
            "nothing replaces nfe_policy",
        ),
        (
            "exact_padding: true, graphs: true",
            {"exact_padding": True, "graphs": True},
            "nothing replaces exact_padding and graphs",
        ),
    ],
)
def test_the_old_keys_keep_their_meaning_and_name_the_new_ones(given: str, values: dict[str, Any], advice: str) -> None:
    parsed = config.parse(OLD % given, "c.yaml")
    assert parsed.engine.f5.switches == Switches(**values)
    [warning] = parsed.warnings
    assert warning.startswith("c.yaml:1: engine.f5.optimisations is an old key")
    assert warning.endswith(advice)


def test_the_old_key_is_not_shown_among_those_in_force() -> None:
    assert "optimisations" not in config.parse(OLD % "int8: true", "c.yaml").engine.f5.model_dump()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OLD % "foldz: true", "engine.f5.optimisations.foldz: unknown key; did you mean 'folds'?"),
        (OLD % "graphs: maybe", "engine.f5.optimisations.graphs: must be true or false"),
        (OLD % "int8: true, fp8: true", "int8 and fp8 exclude each other"),
        (OLD % "graphs: true, folds: false", "graphs needs folds, which is off; switch graphs off too"),
        (
            "engine: {f5: {quality: fast, optimisations: {int8: true}}}",
            "use either optimisations, the old key, or quality",
        ),
    ],
)
def test_a_fault_in_the_old_map_is_named(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.parse(text, "c.yaml")
    assert any(says in problem for problem in refused.value.problems), refused.value.problems
