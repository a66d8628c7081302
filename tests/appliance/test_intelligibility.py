"""Published text is understood: from MQTT to the sink, and through speech recognition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import soundfile

from ishowtts_bench.metrics.asr import Asr, compare
from ishowtts_bench.metrics.spelling import tokens
from support.appliance import Appliance
from support.client import Client

pytestmark = pytest.mark.xdist_group("metrics")

_LINES = {
    "en": (
        "The library on the corner opens at nine in the morning, and it closes at half past five. "
        "Please bring your books back before Friday, because on Saturday we paint the walls. "
        "There is a box at the front door, where books can be left at night. "
        "If you have lost your card, ask the lady at the desk for another one; it costs two dollars. "
        "Children are welcome in the garden behind the house, but please do not feed the birds.",
        "Yes.",
        "The next train to London leaves from platform 12 in 20 minutes.",
    ),
    "zh": (
        "图书馆早上九点开门，下午五点半关门。请在星期五以前把书还回来，因为星期六我们要刷墙。",
        "好的。",
        "下一班火车二十分钟以后开。",
    ),
}


@dataclass(frozen=True)
class Voice:
    """An engine that must be understood.

    Args:
        engine: the configuration's section.
        most: errors a word, or a character of Mandarin.
    """

    engine: dict[str, Any]
    language: str
    most: float


VOICES = {
    # Its Mandarin is no reference: half of the characters are misheard.
    "espeak": Voice({"kind": "espeak"}, "en", 0.1),
}


@pytest.mark.parametrize("name", VOICES)
def test_what_is_published_is_understood(
    name: str, make_appliance: Callable[..., Appliance], mqtt_client: Client, asr: Asr
) -> None:
    voice = VOICES[name]
    lines = _LINES[voice.language]
    appliance = make_appliance(settings={"engine": voice.engine, "audio": {"pause_s": 1}})
    appliance.wait_ready(mqtt_client)
    finals = [appliance.final(mqtt_client, appliance.say(mqtt_client, text), timeout_s=120) for text in lines]
    assert [final["event"] for final in finals] == ["finished"] * len(lines)
    appliance.stop()
    sound, rate_hz = soundfile.read(appliance.sound, dtype="float32")
    heard = asr.transcribe(sound, rate_hz, voice.language)
    result = compare(tokens(" ".join(lines), voice.language), tokens(heard, voice.language))
    assert result.edits / result.total < voice.most, heard
