"""Which sound device, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ishowtts.playback import Speaker
from ishowtts.playback.auto import AutoSpeaker
from ishowtts.playback.cards import ASOUND
from ishowtts.playback.silent import SilentSpeaker
from ishowtts.playback.wavfile import WavSpeaker


@dataclass(frozen=True)
class Chosen:
    """A speaker, not opened yet, and one sentence why it was chosen."""

    speaker: Speaker
    why: str


def choose(device: str, asound: Path = ASOUND) -> Chosen:
    """The speaker for `audio.device`: auto, silent, wav:PATH, or any ALSA PCM.

    `auto` looks for a card at each opening; here it tells what it would take now.

    Args:
        asound: ALSA's folder in /proc.
    """
    if device == "silent":
        return Chosen(SilentSpeaker(), "the configuration says so")
    if device.startswith("wav:"):
        return Chosen(WavSpeaker(Path(device.removeprefix("wav:"))), "the configuration says so")
    if device == "auto":
        auto = AutoSpeaker(asound)
        return Chosen(auto, auto.why)
    # The library is loaded only where there is a card to play on.
    from ishowtts.playback.alsa import AlsaSpeaker

    return Chosen(AlsaSpeaker(device), "the configuration says so")
