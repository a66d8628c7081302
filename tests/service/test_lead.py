"""What the configuration says reaches the engine, and both mean the same when nothing is said."""

from __future__ import annotations

from dataclasses import asdict

from ishowtts.config import Config
from ishowtts.engines.f5.options import Optimisations


def test_the_switches_of_configuration_and_engine_are_one_set_with_one_default() -> None:
    """`streaming` and `batching` are the pipeline's; the engine knows all the others."""
    configured = Config().engine.f5.optimisations.model_dump()
    assert configured.pop("streaming") is True
    assert configured.pop("batching") is True
    assert configured == asdict(Optimisations())
