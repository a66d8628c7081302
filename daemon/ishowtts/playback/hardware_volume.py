"""Applies volume and mute through the card's mixer, if `audio.mixer` names one of its controls."""

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

_RETRY_S = 5.0  # after this time a mixer that could not be set is tried again


class VolumeSource(Protocol):
    """The part of the player that this module uses."""

    @property
    def volume(self) -> int:
        """Volume of the appliance, 0 to 100."""

    @property
    def muted(self) -> bool:
        """Whether clips are played silently."""

    def status(self) -> SoundStatus:
        """Returns the present state of the sound output."""

    def set_hardware_volume(self, active: bool) -> None:
        """Tells whether the card's mixer applies the volume."""


class Mixer(Protocol):
    """A control of a card's mixer."""

    def apply(self, volume: int, *, muted: bool) -> None:
        """Sets volume and mute. Raises SpeakerError."""


@dataclass(frozen=True)
class _MixerState:
    device: str
    losses: int
    volume: int
    muted: bool


class HardwareVolume(LoopThread):
    """The thread `hardware-volume`.

    Software applies the volume until the card has taken it, so that nothing is ever too loud.

    Args:
        audio: The configuration.
        player: The player, whose volume is applied.
        make: Returns the mixer control of a device. Takes the names of the device and of the control.
    """

    def __init__(self, audio: AudioSection, player: VolumeSource, make: Callable[[str, str], Mixer]) -> None:
        super().__init__("hardware-volume")
        self.problem: str | None = None
        self._audio = audio
        self._player = player
        self._make = make
        self._applied: _MixerState | None = None

    def run_once(self, last: bool) -> float:
        """Set what has changed since the last call."""
        if last:
            return _RETRY_S
        status = self._player.status()
        wanted = _MixerState(status.device, status.device_losses, self._player.volume, self._player.muted)
        control = self._audio.of(status.device).mixer
        if control is None or status.lost is not None:
            self._use_software()
        elif wanted != self._applied:
            self._apply(control, wanted)
        return _RETRY_S

    def _use_software(self) -> None:
        self._player.set_hardware_volume(False)
        self._applied = self.problem = None

    def _apply(self, control: str, wanted: _MixerState) -> None:
        if self._applied is None or (self._applied.device, self._applied.losses) != (wanted.device, wanted.losses):
            self._player.set_hardware_volume(False)
        try:
            self._make(wanted.device, control).apply(wanted.volume, muted=wanted.muted)
        except SpeakerError as error:
            self._player.set_hardware_volume(False)
            self._applied = None
            if str(error) != self.problem:
                log.error("%s; software applies the volume for now", error)
            self.problem = str(error)
        else:
            self._applied, self.problem = wanted, None
            self._player.set_hardware_volume(True)
