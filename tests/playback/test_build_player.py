"""The speaker for each value of `audio.device`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ishowtts.config.audio_section import AudioSection
from ishowtts.playback.build_player import choose_speaker, device_timing
from support.alsa import Alsa


def test_a_named_device_is_used(tmp_path: Path) -> None:
    for device in ("silent", f"wav:{tmp_path}/a.wav", f"pipe:{tmp_path}/p", "plughw:CARD=Mine,DEV=1"):
        assert choose_speaker(device, tmp_path).speaker.name == device


def test_auto_says_which_card_it_chooses_and_why(alsa: Alsa) -> None:
    none = choose_speaker("auto", alsa.asound)
    assert none.speaker.name == "auto"
    assert "no sound card" in none.why
    alsa.plug_in(1, "APE")
    alsa.plug_in(2, "Codec")
    alsa.plug_in(3, "UAC2", usb=True)
    chosen = choose_speaker("auto", alsa.asound)
    assert chosen.speaker.name == "plughw:CARD=UAC2,DEV=0"
    assert "UAC2 Audio, before plughw:CARD=Codec,DEV=0; set audio.device to choose another" in chosen.why
    assert "CARD=APE" not in chosen.why


def test_a_pipe_is_not_closed_when_it_is_idle(tmp_path: Path) -> None:
    audio = AudioSection.model_validate({"release_s": 5})
    assert device_timing(audio, "pipe:/run/p", tmp_path).release_s is None
    assert device_timing(audio, "plughw:CARD=UAC2,DEV=0", tmp_path).release_s == 5


@pytest.mark.parametrize(
    ("audio", "device", "wake_s"),
    [
        ({}, "plughw:CARD=HDA,DEV=3", 1.5),
        ({}, "hdmi:CARD=HDA,DEV=0", 1.5),
        ({}, "bluealsa:DEV=AA:BB:CC:DD:EE:FF,PROFILE=a2dp", 1.5),
        ({}, "plughw:CARD=UAC2,DEV=0", 0.0),
        ({}, "silent", 0.0),
        # What is configured wins, also 0.
        ({"wake_s": 0}, "plughw:CARD=HDA,DEV=3", 0.0),
        ({"wake_s": 0.5}, "plughw:CARD=HDA,DEV=3", 0.5),
        ({"wake_s": 0.5}, "plughw:CARD=UAC2,DEV=0", 0.5),
        ({"devices": {"plughw:CARD=HDA,DEV=3": {"wake_s": 0}}}, "plughw:CARD=HDA,DEV=3", 0.0),
        ({"devices": {"plughw:CARD=HDA,DEV=3": {"idle_s": 9}}}, "plughw:CARD=HDA,DEV=3", 1.5),
        ({"wake_s": 0.5, "devices": {"plughw:CARD=HDA,DEV=3": {"wake_s": None}}}, "plughw:CARD=HDA,DEV=3", 1.5),
    ],
)
def test_a_screen_and_a_bluetooth_loudspeaker_get_time_to_wake_up(
    alsa: Alsa, audio: dict[str, Any], device: str, wake_s: float
) -> None:
    alsa.plug_in(0, "HDA", screen=True)
    alsa.plug_in(3, "UAC2", usb=True)
    assert device_timing(AudioSection.model_validate(audio), device, alsa.asound).wake_s == wake_s
