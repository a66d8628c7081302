"""The table of switches: what is derived from it, and which combinations it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from ishowtts import config
from ishowtts.engines.f5.f5_options import F5Options
from ishowtts.errors import ConfigError, EngineError
from ishowtts.f5_switches import TABLE, Switch, Switches, _switch

ROOT = Path(__file__).resolve().parents[1]


def parsed(text: str) -> Switches:
    return config.parse(f"engine: {{f5: {{{text}}}}}", "c.yaml").engine.f5.switches


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parsed(text)
    return refused.value.problems


def test_the_table_has_a_row_for_each_field_with_its_default() -> None:
    assert {switch.name: switch.default for switch in TABLE} == asdict(Switches())
    assert config.Config().engine.f5.switches == Switches()


@pytest.mark.parametrize("switch", TABLE, ids=lambda switch: switch.name)
def test_each_row_is_consistent(switch: Switch) -> None:
    names = {other.name for other in TABLE}
    assert switch.default in switch.choices
    assert switch.fast is None or switch.fast in switch.choices
    assert {*switch.needs, *switch.excludes} <= names - {switch.name}
    assert not switch.costs_fidelity or switch.changes_sound, "what costs fidelity changes the sound"
    assert switch.fast is None or switch.costs_fidelity, "`quality` is about fidelity alone"


def test_a_switch_that_nobody_classified_is_in_the_cache_key() -> None:
    assert _switch(False, "new").metadata["changes_sound"] is True  # type: ignore[attr-defined]
    assert set(Switches().heard) == {"short_text", "int8", "fp8", "guidance_skip", "nfe_policy"}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("disable: []", {}),
        ("disable: [graphs]", {"graphs": False}),
        ("disable: [folds, graphs]", {"folds": False, "graphs": False}),
        ("disable: [streaming, batching]", {"streaming": False, "batching": False}),
        ("precision: int8", {"int8": True}),
        ("precision: fp8", {"fp8": True}),
        ("precision: fp16", {}),
        ("quality: fast", {"guidance_skip": "plain"}),
        ("quality: fast, precision: int8", {"guidance_skip": "plain", "int8": True}),
        ("quality: fast, disable: [guidance_skip]", {}),
        ("compile: max-autotune", {"compile": "max-autotune"}),
    ],
)
def test_each_key_of_the_configuration_sets_its_switches(text: str, changes: dict[str, Any]) -> None:
    assert parsed(text) == replace(Switches(), **changes)


def test_every_switch_that_is_on_by_itself_can_be_disabled() -> None:
    for switch in TABLE:
        if switch.default is not False:
            names = [switch.name, *(other.name for other in TABLE if switch.name in other.needs)]
            assert vars(parsed(f"disable: {names}"))[switch.name] is False


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("disable: [folds]", "engine.f5.disable: graphs needs folds, which is off; switch graphs off too"),
        ("disable: [exact_padding]", "engine.f5.disable: graphs needs exact_padding, which is off"),
        ("disable: [grafs]", "engine.f5.disable.0: is not a switch that can be disabled; did you mean 'graphs'?"),
        ("disable: [nfe_policy]", "engine.f5.disable.0: is not a switch that can be disabled; known here: batching,"),
        ("disable: folds", "engine.f5.disable: must be a list"),
        ("quality: fast, compile: max-autotune", "compile and guidance_skip exclude each other"),
        ("precision: int8, compile: max-autotune", "compile and int8 exclude each other"),
        ("precision: fp8, device: cpu", "fp8 needs CUDA, but engine.f5.device is cpu"),
    ],
)
def test_the_configuration_refuses_what_cannot_work(text: str, says: str) -> None:
    assert any(says in problem for problem in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("switches", "says"),
    [
        ({"graphs": True, "exact_padding": True, "folds": False}, "graphs needs folds"),
        ({"graphs": True, "exact_padding": False}, "graphs needs exact_padding"),
        ({"graphs": None, "exact_padding": False}, "graphs needs exact_padding"),
        ({"int8": True, "fp8": True}, "int8 and fp8 exclude each other"),
        ({"compile": "max-autotune", "graphs": True}, "compile and graphs exclude each other"),
        ({"fp8": True}, "fp8 needs CUDA"),
        ({"guidance_skip": "often"}, "guidance_skip cannot be 'often'; it may be False, 'plain', 'reuse'"),
        ({"folds": 1}, "folds cannot be 1"),
    ],
)
def test_the_options_refuse_what_cannot_work(switches: dict[str, Any], says: str) -> None:
    with pytest.raises(EngineError, match=says):
        F5Options.from_dict({"weights": "/weights", "device": "cpu", "switches": switches})


def test_the_options_cross_as_json() -> None:
    options = F5Options("/weights", nfe_step=9, switches=Switches(int8=True, guidance_skip="reuse"))
    assert F5Options.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    with pytest.raises(EngineError, match="no option 'nfe'"):
        F5Options.from_dict({"weights": "/weights", "nfe": 9})
    with pytest.raises(EngineError, match="no switch 'turbo'"):
        F5Options.from_dict({"weights": "/weights", "switches": {"turbo": True}})


def test_everything_off_leaves_nothing_for_the_fast_model() -> None:
    off = Switches.off()
    assert not off.need_fast_model
    assert set(asdict(off).values()) == {False}
    assert Switches.off(folds=True).need_fast_model
    assert not Switches(compile="max-autotune").need_fast_model


@pytest.mark.parametrize(
    ("given", "device", "decided"),
    [
        ({}, "cpu", {"exact_padding": False, "graphs": False}),
        ({}, "cuda", {"exact_padding": True, "graphs": True}),
        ({"graphs": False}, "cuda", {"exact_padding": True, "graphs": False}),
        ({"graphs": True}, "cpu", {"exact_padding": True, "graphs": True}),
        (
            {"compile": "max-autotune"},
            "cuda",
            {"compile": "max-autotune", "exact_padding": False, "graphs": False},
        ),
        ({"exact_padding": True}, "cpu", {"exact_padding": True, "graphs": False}),
    ],
)
def test_the_device_decides_what_nobody_decided(given: dict[str, Any], device: str, decided: dict[str, Any]) -> None:
    assert Switches(**given).on_device(device) == replace(Switches(), **decided)


def test_the_table_imports_no_torch() -> None:
    program = "import sys; import ishowtts.f5_switches; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def _row(switch: Switch) -> str:
    default = {True: "on", False: "off", None: "on CUDA"}[switch.default]
    if switch.default is True and switch.device is not None:
        default = {"cpu": "on, for CPUs", "cuda": "on, for CUDA"}[switch.device]
    sound = "less faithful" if switch.costs_fidelity else "different" if switch.changes_sound else "the same"
    needs = ", ".join(f"`{name}`" for name in switch.needs)
    return f"| `{switch.name}` | {default} | {switch.help} | {sound} | {needs} |"


def test_the_page_has_this_table() -> None:
    page = (ROOT / "docs/f5.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| `\w+` \| on|\| `\w+` \| off", line)]
    assert rows == [_row(switch) for switch in TABLE]


def test_the_example_configuration_names_every_switch_that_can_be_disabled() -> None:
    text = (ROOT / "config/ishowtts.yaml").read_text(encoding="utf-8")
    comment = text[text.index("disable: []") : text.index("compile: false")]
    assert all(name in comment for name in (switch.name for switch in TABLE if switch.can_be_disabled))
    assert len(fields(Switches)) == len(TABLE)
