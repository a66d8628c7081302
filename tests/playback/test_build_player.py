"""The speaker for each value of `audio.device`."""

from __future__ import annotations

from pathlib import Path

from ishowtts.playback.build_player import choose_speaker
from support.alsa import Alsa


def test_a_named_device_is_used(tmp_path: Path) -> None:
    for device in ("silent", f"wav:{tmp_path}/a.wav", "plughw:CARD=Mine,DEV=1"):
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
    assert "UAC2 Audio, before plughw:CARD=Codec,DEV=0" in chosen.why
    assert "CARD=APE" not in chosen.why
