"""The parts that make sound, as they are configured."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ishowtts.config.audio_section import AudioSection
from ishowtts.playback.choose import Chosen
from ishowtts.playback.finish import Finish
from ishowtts.playback.outlet import Habits
from ishowtts.playback.player import Player, SoundStatus
from ishowtts.service.mixing import Mixing

log = logging.getLogger(__name__)


def player(audio: AudioSection, choose: Callable[[str], Chosen], *, on_change: Callable[[], None]) -> Player:
    """A player on the device that is configured, with another in its place where one is named; not started."""
    chosen = choose(audio.device)
    log.info("sound: %s (%s)", chosen.speaker.name, chosen.why)
    return Player(
        chosen.speaker,
        spare=None if audio.when_lost in ("wait", "drop") else choose(audio.when_lost).speaker,
        habits=lambda name: habits(audio, name),
        on_change=on_change,
    )


def finish(audio: AudioSection, rate_hz: int) -> Finish:
    """What is made of what an engine gave, at the player's rate."""
    return Finish(rate_hz=rate_hz, loudness_lufs=audio.loudness_lufs, peak_dbtp=audio.peak_dbtp)


def mixing(audio: AudioSection, player: Player) -> Mixing | None:
    """What has cards set the volume; `None` where no device is to. Not started."""
    if audio.mixer is None and not any(other.mixer for other in audio.devices.values()):
        return None
    # ALSA's library is loaded only where there is a card.
    from ishowtts.playback.mixer import CardMixer

    return Mixing(audio, player, CardMixer)


def habits(audio: AudioSection, device: str) -> Habits:
    """What a device needs, by its name."""
    own = audio.of(device)
    return Habits(own.wake_s, own.idle_s, own.release_s)


def trouble(status: SoundStatus) -> str | None:
    """What is wrong with the sound, for the state."""
    return status.lost or status.trouble
