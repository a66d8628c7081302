"""Which sound device, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ishowtts.playback import Speaker
from ishowtts.playback.alsa.auto_speaker import AutoSpeaker
from ishowtts.playback.alsa.sound_cards import ASOUND
from ishowtts.playback.silent_speaker import SilentSpeaker
from ishowtts.playback.wav_speaker import WavSpeaker


@dataclass(frozen=True)
class ChosenSpeaker:
    """A speaker, not opened yet, and one sentence why it was chosen."""

    speaker: Speaker
    why: str


def choose_speaker(device: str, asound: Path = ASOUND) -> ChosenSpeaker:
    """The speaker for `audio.device`: auto, silent, wav:PATH, or any ALSA PCM.

    `auto` looks for a card at each opening; here it tells what it would take now.

    Args:
        asound: ALSA's folder in /proc.
    """
    if device == "silent":
        return ChosenSpeaker(SilentSpeaker(), "the configuration says so")
    if device.startswith("wav:"):
        return ChosenSpeaker(WavSpeaker(Path(device.removeprefix("wav:"))), "the configuration says so")
    if device == "auto":
        auto = AutoSpeaker(asound)
        return ChosenSpeaker(auto, auto.why)
    # The library is loaded only where there is a card to play on.
    from ishowtts.playback.alsa.alsa_speaker import AlsaSpeaker

    return ChosenSpeaker(AlsaSpeaker(device), "the configuration says so")
