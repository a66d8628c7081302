"""Before a worker starts, it is known that upstream's modules are needed and that their packages are missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ishowtts.config import Config
from ishowtts.engines import build
from ishowtts.engines.f5 import upstream_packages
from ishowtts.engines.f5.architecture import BASE, vocoder_of
from ishowtts.engines.weights import examine
from ishowtts.f5_switches import Switches

FIX = "run install.sh again, with --bench (a checkout: scripts/setup)"
WITHOUT = "upstream's modules, but vocos and x-transformers are not installed; "


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages of an appliance: upstream's are not among them."""
    packages = {"no_such_vocos": "vocos", "no_such_transformers": "x-transformers", "yaml": "PyYAML"}
    monkeypatch.setattr(upstream_packages, "_PACKAGES", packages)


@pytest.fixture
def weights(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of weights of this description. The tensors are not read here."""

    def make(**arch: Any) -> Path:
        folder = tmp_path / "weights"
        (folder / "vocos").mkdir(parents=True)
        described = {**BASE.arch.model_dump(), **arch}
        (folder / "model.yaml").write_text(yaml.safe_dump({"name": "odd", "arch": described}))
        (folder / "vocab.txt").write_text("a\n")
        entry = b'{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
        for path in (folder / "model.safetensors", folder / "vocos/model.safetensors"):
            path.write_bytes(len(entry).to_bytes(8, "little") + entry + b"\0\0\0\0")
        vocoder = vocoder_of(512, 1536, 8).model_dump()
        (folder / "vocos/config.yaml").write_text(yaml.safe_dump(vocoder))
        return folder

    return make


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize(
    ("arch", "switches", "device", "problem"),
    [
        ({}, Switches(), "auto", None),
        ({"qk_norm": "rms_norm"}, Switches(), "auto", "{folder} (qk_norm) needs " + WITHOUT + FIX),
        ({}, Switches(compile="max-autotune"), "auto",
         "engine.f5.compile needs " + WITHOUT + "remove engine.f5.compile, or " + FIX),
        ({}, Switches.off(exact_padding=None), "cuda", None),
        ({}, Switches.off(), "cpu",
         "engine.f5.disable with these switches needs " + WITHOUT + "disable fewer of them, or " + FIX),
    ],
)  # fmt: skip
def test_the_sentence_names_who_needs_them_and_the_fix(
    weights: Callable[..., Path], arch: dict[str, Any], switches: Switches, device: Any, problem: str | None
) -> None:
    folder = weights(**arch)
    found = upstream_packages.missing_packages_problem(examine(folder), switches, device)
    assert found == (problem and problem.replace("{folder}", str(folder)))


@pytest.mark.parametrize(("arch", "switches"), [({"qk_norm": "rms_norm"}, {}), ({}, {"compile": "max-autotune"})])
def test_nothing_is_told_if_they_are_installed(
    weights: Callable[..., Path], arch: dict[str, Any], switches: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_packages, "_PACKAGES", {"yaml": "PyYAML"})
    found = examine(weights(**arch))
    assert upstream_packages.missing_packages_problem(found, Switches(**switches), "auto") is None


@pytest.mark.usefixtures("missing")
def test_a_description_that_cannot_be_read_is_left_to_the_load(weights: Callable[..., Path]) -> None:
    folder = weights()
    (folder / "vocos/config.yaml").write_text("head: [\n")
    assert upstream_packages.missing_packages_problem(examine(folder), Switches(), "auto") is None


@pytest.mark.usefixtures("missing")
def test_the_daemon_starts_no_worker_and_the_fallback_speaks(weights: Callable[..., Path], tmp_path: Path) -> None:
    f5 = {"weights": str(weights()), "compile": "max-autotune"}
    config = Config.model_validate({"data_dir": tmp_path, "engine": {"f5": f5, "fallback": ["espeak"]}})
    choice = build.choose_engine(config)
    engines = build.build_engines(config, choice, lambda: None)
    assert [(each.name, each.state()) for each in engines.order] == [("f5", "absent"), ("espeak", "ready")]
    assert engines.workers == ()
    assert choice.problem is not None
    assert choice.problem.startswith("engine.f5.compile needs upstream's modules")
    assert engines.cloned_voice_problem("default") == choice.problem
    engines.close()
