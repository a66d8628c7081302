"""What `info` tells requesters of sound: languages, formats, limits and groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ishowtts.board import BoardIdentity
from ishowtts.config import Config
from ishowtts.engines.build import build_engines, choose_engine
from ishowtts.status.payloads import info_payload
from support.payload_check import validator


def compose(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The payload of a daemon with these settings and two voices, `anna` in German and `bob` in no language."""
    for name, about in (("anna", "language: de"), ("bob", "speed: 1.1")):
        voice = folder / "voices" / name
        voice.mkdir(parents=True)
        (voice / "reference.wav").write_bytes(b"RIFF")
        (voice / "reference.txt").write_text("Words.")
        (voice / "voice.yaml").write_text(about)
    parsed = Config.model_validate({"data_dir": folder, **settings})
    engines = build_engines(parsed, choose_engine(parsed), lambda: None)
    info = info_payload(
        parsed,
        instance="0" * 32,
        identity=BoardIdentity(),
        sources={},
        engines=engines,
        voices=engines.voice_library,
    )
    engines.close()
    assert not list(validator("info").iter_errors(info))
    return info


def test_a_requester_learns_which_voices_languages_and_formats_there_are(tmp_path: Path) -> None:
    engine = {"kind": "f5", "fallback": ["espeak"], "espeak_voice": "fr"}
    info = compose(tmp_path, {"engine": engine, "mqtt": {"groups": ["all", "hall"]}})
    assert info["voice_languages"] == {name: "de" if name == "anna" else "fr" for name in info["voices"]}
    assert {"anna", "bob"} < set(info["voices"])
    assert info["engine_languages"] == {"f5": ["de", "en", "zh"], "espeak": None}
    assert info["limits"]["renders"] == 32
    assert info["render_formats"] == ["pcm", "wav", "flac", "opus", "mp3"]
    assert info["groups"] == ["all", "hall"]


@pytest.mark.parametrize("settings", [{"mqtt": {"protocol": "3.1.1"}}, {"limits": {"renders": 0}}])
def test_an_appliance_that_renders_nothing_says_so(tmp_path: Path, settings: dict[str, Any]) -> None:
    info = compose(tmp_path, settings)
    assert (info["limits"]["renders"], info["render_formats"], info["groups"]) == (0, [], [])
