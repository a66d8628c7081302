"""The parts that make sound, as they are configured."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ishowtts.config.audio_section import AudioSection
from ishowtts.playback.choose_speaker import ChosenSpeaker
from ishowtts.playback.hardware_volume import HardwareVolume
from ishowtts.playback.output_device import DeviceTiming
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor

log = logging.getLogger(__name__)


def build_player(
    audio: AudioSection, choose: Callable[[str], ChosenSpeaker], *, on_change: Callable[[], None]
) -> Player:
    """A player on the device that is configured, with another in its place where one is named; not started."""
    chosen = choose(audio.device)
    log.info("sound: %s (%s)", chosen.speaker.name, chosen.why)
    return Player(
        chosen.speaker,
        spare=None if audio.when_lost in ("wait", "drop") else choose(audio.when_lost).speaker,
        habits=lambda name: _device_timing(audio, name),
        on_change=on_change,
    )


def post_processor(audio: AudioSection, rate_hz: int) -> PostProcessor:
    """What is made of what an engine gave, at the player's rate."""
    return PostProcessor(rate_hz=rate_hz, loudness_lufs=audio.loudness_lufs, peak_dbtp=audio.peak_dbtp)


def hardware_volume(audio: AudioSection, player: Player) -> HardwareVolume | None:
    """What has cards set the volume; `None` where no device is to. Not started."""
    if audio.mixer is None and not any(other.mixer for other in audio.devices.values()):
        return None
    # ALSA's library is loaded only where there is a card.
    from ishowtts.playback.alsa.card_mixer import CardMixer

    return HardwareVolume(audio, player, CardMixer)


def _device_timing(audio: AudioSection, device: str) -> DeviceTiming:
    """What a device needs, by its name."""
    own = audio.of(device)
    return DeviceTiming(own.wake_s, own.idle_s, own.release_s)
