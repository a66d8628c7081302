"""The registry of engines translates what importing one raises: only an installation heals it."""

from __future__ import annotations

import builtins
from typing import Any, NoReturn

import pytest

from ishowtts.engines.worker import registry
from ishowtts.errors import PackageError

_IMPORT = builtins.__import__


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            ModuleNotFoundError("No module named 'torch'"),
            "No module named 'torch'); run install.sh again, with --with-f5",
        ),
        (
            OSError("libcudss.so.0: cannot open shared object file: No such file or directory"),
            "the library libcudss.so.0 is missing); sudo apt-get install cudss, and run install.sh again",
        ),
    ],
)
def test_a_torch_that_is_missing_or_does_not_load_is_one_sentence_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def without_torch(name: str, *args: Any, **keywords: Any) -> Any:
        if name == "ishowtts.engines.f5.engine":
            raise error
        return _IMPORT(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(PackageError) as caught:
        registry.make("f5", {})
    assert str(caught.value) == f"F5 cannot be imported ({sentence}"


def test_a_package_of_another_engine_that_is_missing_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_package(_: dict[str, Any]) -> NoReturn:
        raise ModuleNotFoundError("No module named 'onnxruntime'")

    monkeypatch.setitem(registry.ENGINES, "hibari", registry.RegisteredEngine(without_package, 24_000))
    with pytest.raises(PackageError) as caught:
        registry.make("hibari", {})
    problem = "the engine hibari cannot be imported (No module named 'onnxruntime')"
    assert str(caught.value) == f"{problem}; run install.sh again"
