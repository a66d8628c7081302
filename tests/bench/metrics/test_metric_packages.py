from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest

from ishowtts.errors import EngineError
from ishowtts_bench.metrics import metric_packages
from ishowtts_bench.metrics.asr import Asr
from ishowtts_bench.metrics.dnsmos import Dnsmos
from ishowtts_bench.metrics.speaker_encoder import SpeakerEncoder


@pytest.mark.parametrize(
    ("metric", "package"),
    [(Asr, "faster_whisper"), (SpeakerEncoder, "resemblyzer"), (Dnsmos, "speechmos")],
)
def test_each_metric_names_its_missing_package_and_the_fix(
    metric: Callable[[], object], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    assert package in metric_packages.missing()
    with pytest.raises(EngineError, match=rf"the package {package}, which is not installed; run scripts/setup test"):
        metric()


def test_a_package_without_its_file_is_named() -> None:
    with pytest.raises(EngineError, match=r"the package rich has no weights\.bin"):
        metric_packages.read("rich", "weights.bin")
