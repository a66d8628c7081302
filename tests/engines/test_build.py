"""The engines are built as the configuration says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.config import Config
from ishowtts.engines import build
from ishowtts.speech import FallbackSynthesizer


@pytest.mark.f5
@pytest.mark.parametrize(("streaming", "batching"), [(True, False), (False, True)])
def test_the_switches_of_the_scheduler_reach_it(tiny_checkpoint: Path, streaming: bool, batching: bool) -> None:
    disabled = [name for name, on in (("streaming", streaming), ("batching", batching)) if not on]
    config = Config.model_validate({"engine": {"f5": {"weights": tiny_checkpoint, "disable": disabled}}})
    engines = build.build_engines(config, build.choose_engine(config), lambda: None)
    switches = config.engine.f5.switches
    synthesizer = FallbackSynthesizer.from_engines(engines, streaming=switches.streaming, batching=switches.batching)
    assert (synthesizer.streaming, synthesizer.batching) == (streaming, batching)
    engines.close()
