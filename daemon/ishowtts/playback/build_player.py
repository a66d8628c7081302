"""Builds the parts that make sound from the configuration: speakers, player, post-processing and hardware volume."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ishowtts.config.audio_section import AudioSection
from ishowtts.playback import Speaker
from ishowtts.playback.alsa.alsa_speaker import AlsaSpeaker
from ishowtts.playback.alsa.auto_speaker import AutoSpeaker
from ishowtts.playback.alsa.card_mixer import CardMixer
from ishowtts.playback.alsa.card_silence import card_silence
from ishowtts.playback.alsa.sound_cards import ASOUND, is_hdmi
from ishowtts.playback.card_watcher import CardWatcher
from ishowtts.playback.hardware_volume import HardwareVolume
from ishowtts.playback.output_device import DeviceTiming
from ishowtts.playback.pipe_speaker import PipeSpeaker
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.playback.silent_speaker import SilentSpeaker
from ishowtts.playback.wav_speaker import WavSpeaker

log = logging.getLogger(__name__)

# Screens and Bluetooth loudspeakers swallow the first 1.0 to 1.5 s after quiet, as their users report.
_SLOW_WAKE_S = 1.5


@dataclass(frozen=True)
class ChosenSpeaker:
    """A speaker that is not open yet, and one sentence that says why it was chosen."""

    speaker: Speaker
    why: str


def choose_speaker(device: str, asound: Path = ASOUND) -> ChosenSpeaker:
    """Returns the speaker for `audio.device`: auto, silent, wav:PATH, pipe:PATH, or the name of an ALSA PCM.

    `auto` looks for a card each time it is opened; `why` says which card it would take now.

    Args:
        device: The value of `audio.device`.
        asound: ALSA's folder in /proc.
    """
    if device == "silent":
        return ChosenSpeaker(SilentSpeaker(), "the configuration says so")
    if device.startswith("wav:"):
        return ChosenSpeaker(WavSpeaker(Path(device.removeprefix("wav:"))), "the configuration says so")
    if device.startswith("pipe:"):
        return ChosenSpeaker(PipeSpeaker(Path(device.removeprefix("pipe:"))), "the configuration says so")
    if device == "auto":
        auto = AutoSpeaker(asound)
        return ChosenSpeaker(auto, auto.why)
    return ChosenSpeaker(AlsaSpeaker(device), "the configuration says so")


def build_player(
    audio: AudioSection, choose: Callable[[str], ChosenSpeaker], *, on_change: Callable[[], None]
) -> Player:
    """Builds the player for the configured device, with the substitute device of `when_lost`. Does not start it."""
    chosen = choose(audio.device)
    log.info("sound: %s (%s)", chosen.speaker.name, chosen.why)
    return Player(
        chosen.speaker,
        substitute=substitute_speaker(audio, choose),
        timing_of=lambda name: device_timing(audio, name),
        on_change=on_change,
    )


def substitute_speaker(audio: AudioSection, choose: Callable[[str], ChosenSpeaker]) -> Speaker | None:
    """Returns the substitute device of `when_lost`; `None` if it names none."""
    return None if audio.when_lost in ("wait", "drop") else choose(audio.when_lost).speaker


def build_post_processor(audio: AudioSection, rate_hz: int, gain_db: Callable[[str, str], float]) -> PostProcessor:
    """Builds the post-processing of engine output.

    Args:
        audio: The configuration.
        rate_hz: Sample rate of the player.
        gain_db: Returns the gain of a voice, from the names of its engine and of itself.
    """
    return PostProcessor(
        rate_hz=rate_hz, loudness_lufs=audio.loudness_lufs, peak_dbtp=audio.peak_dbtp, voice_gain_db=gain_db
    )


def build_mixer_threads(audio: AudioSection, player: Player) -> list[HardwareVolume | CardWatcher]:
    """Builds the threads that use the mixers of cards, in the order in which they start. Does not start them."""
    volume = _hardware_volume(audio, player)
    return [*([volume] if volume is not None else []), _card_watcher(audio, player)]


def _hardware_volume(audio: AudioSection, player: Player) -> HardwareVolume | None:
    """Builds the thread that sets the volume in a card's mixer; `None` if no device has one."""
    if audio.mixer is None and not any(other.mixer for other in audio.devices.values()):
        return None
    return HardwareVolume(audio, player, CardMixer)


def _card_watcher(audio: AudioSection, player: Player) -> CardWatcher:
    """Builds the thread that looks whether the card's own mixer is muted."""
    return CardWatcher(audio, player, card_silence)


def device_timing(audio: AudioSection, device: str, asound: Path = ASOUND) -> DeviceTiming:
    """Returns the timing of a device: as it is configured, and `wake_s` by the kind of the device if it is not.

    A pipe is never closed for being idle.

    Args:
        audio: The configuration.
        device: Name of the device.
        asound: ALSA's folder in /proc.
    """
    own = audio.of(device)
    wake_s = own.wake_s
    if wake_s is None:
        wake_s = _SLOW_WAKE_S if "bluealsa" in device or is_hdmi(device, asound) else 0.0
    # No other program waits for a pipe to be closed, and many readers end when it is.
    release_s = None if device.startswith("pipe:") else own.release_s
    return DeviceTiming(wake_s, own.idle_s, release_s)
