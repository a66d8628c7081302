"""Looks from time to time whether the card's own mixer lets the sound through, and tells the player."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from ishowtts.config.audio_section import AudioSection
from ishowtts.playback.audibility import Silence
from ishowtts.playback.player import SoundStatus
from ishowtts.util.loop_thread import LoopThread

_INTERVAL_S = 10.0
_SHORTEST_S = 1.0  # between two looks if something changed, as at the start of each line

ReadSilence = Callable[[str, "str | None"], "Silence | None"]
"""Reads a card's mixer. Takes the name of the device, and of the control that the appliance sets itself."""


class CardUser(Protocol):
    """The part of the player that this module uses."""

    @property
    def volume(self) -> int:
        """Volume of the appliance, 0 to 100."""

    @property
    def muted(self) -> bool:
        """Whether clips are played silently."""

    def status(self) -> SoundStatus:
        """Returns the present state of the sound output."""

    def set_card_silence(self, silence: Silence | None) -> None:
        """Tells why the card's own mixer lets no sound through."""


class CardWatcher(LoopThread):
    """The thread `card-watcher`. It holds no mixer open: one that stays open never reports that its card is gone.

    Args:
        audio: The configuration.
        player: The player, whose device is looked at.
        read: Reads a card's mixer.
    """

    def __init__(self, audio: AudioSection, player: CardUser, read: ReadSilence) -> None:
        super().__init__("card-watcher")
        self._thread.daemon = True  # a call into a mixer that hangs must not block the exit
        self.problem: str | None = None  # what it finds is in the player's status
        self._audio = audio
        self._player = player
        self._read = read
        self._read_at_s: float | None = None
        self._read_device = ""
        self._unconfirmed: Silence | None = None

    def overdue_s(self) -> float:
        """0: a mixer that does not answer, as one behind a sound server may not, is no reason to restart the daemon."""
        return 0.0

    def run_once(self, last: bool) -> float:
        """Read the mixer if that is due."""
        status = self._player.status()
        if last or status.lost is not None:
            self._player.set_card_silence(None)
            self._read_at_s = self._unconfirmed = None
            return _INTERVAL_S
        now_s = time.monotonic()
        if self._read_at_s is not None and status.device == self._read_device:
            wait_s = self._read_at_s + _SHORTEST_S - now_s
            if wait_s > 0:
                return wait_s
        self._read_at_s, self._read_device = now_s, status.device
        control = self._audio.of(status.device).mixer
        if control is None:
            self._player.set_card_silence(self._read(status.device, None))
        elif self._player.muted or self._player.volume <= 0:
            self._player.set_card_silence(None)  # the appliance itself has silenced the card
        else:
            return self._confirm(self._read(status.device, control))
        return _INTERVAL_S

    def _confirm(self, silence: Silence | None) -> float:
        """Tell of a silence only if it is read twice: `hardware-volume` may be about to end a mute."""
        before, self._unconfirmed = self._unconfirmed, silence
        if silence is None or silence == before:
            self._player.set_card_silence(silence)
            return _INTERVAL_S
        return _SHORTEST_S
