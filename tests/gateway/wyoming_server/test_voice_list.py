"""What `describe` answers, from what appliances publish."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from wyoming.info import Info, TtsVoice

from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.wyoming_server import voice_list
from ishowtts_gateway.wyoming_server.voice_list import VoiceList

F5 = {
    "engines": ["f5", "hibari", "espeak"],
    "engine_languages": {"f5": ["en", "zh"], "hibari": ["en"], "espeak": ["de", "en", "fr", "pt"]},
    "voices": ["anna", "hans", "unknown"],
    "voice_languages": {"anna": "en", "hans": "de", "unknown": None},
    "limits": {"renders": 32},
}
ESPEAK = {"engines": ["espeak"], "engine_languages": {"espeak": None}, "voices": [], "limits": {"renders": 1}}


def voices_of(*boards: object) -> dict[str, TtsVoice]:
    """The voices that are offered if appliances have published these objects as `info`."""

    async def describe() -> bytes:
        directory = ApplianceDirectory("ishowtts", None)
        for number, info in enumerate(boards):
            directory.apply(f"ishowtts/board-{number}/info", json.dumps(info).encode(), retained=True)
        return VoiceList(directory).described()

    return parsed(asyncio.run(describe()))


def parsed(event: bytes) -> dict[str, TtsVoice]:
    header, _, data = event.partition(b"\n")
    assert json.loads(header)["type"] == "info"
    (program,) = Info.from_event(_Data(json.loads(data))).tts  # type: ignore[arg-type]
    assert program.name == "ishowtts"
    assert all(voice.installed and voice.languages for voice in program.voices)
    return {voice.name: voice for voice in program.voices}


class _Data:
    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data


def test_voices_and_languages_of_all_appliances() -> None:
    voices = voices_of(F5, {**F5, "voices": ["anna", "eva"], "voice_languages": {"anna": "pt-BR", "eva": "fr"}})
    assert {name: voice.languages for name, voice in voices.items()} == {
        "auto": ["de", "en", "fr", "pt", "zh"],
        **{f"auto:{tag}": [tag] for tag in ("de", "en", "fr", "pt", "zh")},
        "anna": ["en", "pt-BR", "zh"],
        "eva": ["en", "fr", "zh"],
        "hans": ["de", "en", "zh"],
        "unknown": ["en", "zh"],
    }
    assert voices["anna"].description == "anna"
    assert voices["auto"].description == "Default voice"


@pytest.mark.parametrize(
    "boards",
    [
        [],
        [ESPEAK],  # null: every language
        [{**F5, "limits": {"renders": 0}}],  # renders nothing for others
        [{**F5, "limits": {}}],
        [{**F5, "engines": ["remote"]}],  # a stage
        [{"limits": {"renders": True}}],
        [{"limits": {"renders": 9}, "engines": 1, "engine_languages": [], "voices": "anna", "voice_languages": 3}],
        [{"limits": {"renders": 9}, "engines": ["x"], "engine_languages": {"x": [1, "", "../x", "a" * 99]}}],
        [{"limits": {"renders": 9}, "voices": ["../anna", "A", "", 1, None, {"a": 1}]}],
    ],
    ids=lambda value: str(value)[:60],
)
def test_something_is_always_offered(boards: list[object]) -> None:
    voices = voices_of(*boards)
    assert {name.partition(":")[0] for name in voices} == {"auto"}
    assert {"en", "de", "zh"} <= set(voices["auto"].languages)


def test_a_cloned_voice_may_be_called_as_the_default_one() -> None:
    voices = voices_of({**F5, "voices": ["auto"], "voice_languages": {"auto": "en"}})
    assert voices["auto"].languages == ["en", "zh"]
    assert voices["auto:de"].description == "Default voice, always in de"


def test_the_list_is_bounded() -> None:
    boards = [
        {**F5, "voices": [f"voice-{number}-{index}" for index in range(300)], "engine_languages": {}}
        for number in range(4)
    ]
    assert len(voices_of(*boards)) == voice_list._MAX_VOICES + 1 + len(voice_list._EVERY_LANGUAGE)
    many = [f"{first}{second}" for first in "abcdefghijklmnopqrstuvwxyz" for second in "abcdefghijklmnopqrstuvwxyz"]
    assert len(voices_of({**F5, "voices": [], "engine_languages": {"f5": many}})) == 1 + voice_list._MAX_LANGUAGES


def test_the_list_is_made_again_only_if_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    original = voice_list._info
    monkeypatch.setattr(voice_list, "_info", lambda boards: made.append(1) or original(boards))

    async def describe() -> None:
        directory = ApplianceDirectory("ishowtts", None)
        voices = VoiceList(directory)
        monkeypatch.setattr(voice_list, "_REFRESH_S", 60.0)
        for _ in range(3):
            assert "anna" not in parsed(voices.described())
        assert len(made) == 1
        directory.apply("ishowtts/kitchen/info", json.dumps(F5).encode(), retained=True)
        voices.described()
        assert len(made) == 1  # at most once a second
        monkeypatch.setattr(voice_list, "_REFRESH_S", 0.0)
        assert "anna" in parsed(voices.described())
        directory.apply("ishowtts/kitchen/state", b"{}", retained=True)
        voices.described()
        assert len(made) == 2

    asyncio.run(describe())
