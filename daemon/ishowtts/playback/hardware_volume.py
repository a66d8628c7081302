"""Volume and mute through the card's own mixer, where the configuration names one of its controls."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ishowtts.config.audio_section import AudioSection
from ishowtts.errors import SpeakerError
from ishowtts.playback.player import SoundStatus
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_LOOK_S = 5.0  # a mixer that could not be set is tried again


class Sounds(Protocol):
    """What is needed of the player."""

    @property
    def volume(self) -> int:
        """0 to 100."""

    @property
    def muted(self) -> bool:
        """Whether nothing is to be heard."""

    def status(self) -> SoundStatus:
        """How the sound is."""

    def leave_volume_to_card(self, card: bool) -> None:
        """Play at full level, for the card sets the volume, or set it in software."""


class Mixer(Protocol):
    """A card's mixer."""

    def apply(self, volume: int, *, muted: bool) -> None:
        """Set both. Raises SpeakerError."""


@dataclass(frozen=True)
class _Wanted:
    device: str
    losses: int
    volume: int
    muted: bool


class HardwareVolume(LoopThread):
    """The thread `mixer`. Until the card has taken a volume it is set in software: nobody is ever deafened.

    Args:
        make: the mixer of a device, by its name and that of a control.
    """

    def __init__(self, audio: AudioSection, player: Sounds, make: Callable[[str, str], Mixer]) -> None:
        super().__init__("mixer")
        self.trouble: str | None = None
        self._audio = audio
        self._player = player
        self._make = make
        self._set: _Wanted | None = None

    def run_once(self, last: bool) -> float:
        """Set what has changed since the last look."""
        if last:
            return _LOOK_S
        status = self._player.status()
        wanted = _Wanted(status.device, status.device_losses, self._player.volume, self._player.muted)
        control = self._audio.of(status.device).mixer
        if control is None or status.lost is not None:
            self._leave()
        elif wanted != self._set:
            self._apply(control, wanted)
        return _LOOK_S

    def _leave(self) -> None:
        self._player.leave_volume_to_card(False)
        self._set = self.trouble = None

    def _apply(self, control: str, wanted: _Wanted) -> None:
        if self._set is None or (self._set.device, self._set.losses) != (wanted.device, wanted.losses):
            self._player.leave_volume_to_card(False)
        try:
            self._make(wanted.device, control).apply(wanted.volume, muted=wanted.muted)
        except SpeakerError as error:
            self._player.leave_volume_to_card(False)
            self._set = None
            if str(error) != self.trouble:
                log.error("%s; the volume is set in software meanwhile", error)
            self.trouble = str(error)
        else:
            self._set, self.trouble = wanted, None
            self._player.leave_volume_to_card(True)
