"""Whether the natural voice is installed, and its options: without importing anything of it."""

from __future__ import annotations

from importlib import util

import pytest

from ishowtts.engines.hibari.hibari_package import HibariOptions, missing_package
from ishowtts.errors import EngineError


def test_nothing_is_missing_here():
    assert missing_package() is None


@pytest.mark.parametrize(
    ("absent", "sentence"),
    [
        (["hibari"], "the natural voice needs hibari-tts, which is not installed; run install.sh again"),
        (["onnxruntime"], "the natural voice needs onnxruntime, which is not installed; run install.sh again"),
        (
            ["hibari", "onnxruntime"],
            "the natural voice needs hibari-tts and onnxruntime, which are not installed; run install.sh again",
        ),
    ],
)
def test_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, absent: list[str], sentence: str):
    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name in absent else real(name))

    assert missing_package() == sentence


def test_options_cross_to_the_worker():
    options = HibariOptions(cache_dir="/var/cache/ishowtts")

    assert HibariOptions.from_dict(options.to_dict()) == options


def test_refuses_an_option_that_does_not_exist():
    with pytest.raises(EngineError, match="no option 'voice'; it has cache_dir"):
        HibariOptions.from_dict({"voice": "emma"})
