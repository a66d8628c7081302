"""The registry of engines translates what building one raises."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from ishowtts.engines.worker import registry
from ishowtts.errors import PackageError


def without_torch(_: dict[str, Any]) -> NoReturn:
    raise ModuleNotFoundError("No module named 'torch'")


def test_a_missing_package_of_an_engine_is_one_sentence_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENGINES, "f5", registry.RegisteredEngine(without_torch, 24_000))
    with pytest.raises(PackageError) as caught:
        registry.make("f5", {})
    assert str(caught.value) == "the engine f5 cannot be imported (No module named 'torch'); run install.sh again"
