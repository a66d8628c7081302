"""The device in use: opened, lost, found again, with another in its place meanwhile. The player's thread owns it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from ishowtts.errors import SpeakerError
from ishowtts.model import Samples
from ishowtts.playback import Speaker
from ishowtts.util.backoff import Backoff

log = logging.getLogger(__name__)

_LOOK_S = 2.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.25, 1.0
# The limit for a device that opens and then plays nothing: it is tried less and less often.
_LONGEST_RETRY_BROKEN_S = 30.0
# It works if it took more than its buffer holds, or stayed for so long.
_WORKS_S, _STAYS_S = 0.1, 5.0


@dataclass(frozen=True)
class DeviceTiming:
    """What a device needs.

    Args:
        wake_s: silence before the first sound after quiet, for an amplifier that takes time to switch on.
        idle_s: how long nothing is written until that holds.
        release_s: how long nothing is written until the device is let go of; `None`: never.
    """

    wake_s: float = 0.0
    idle_s: float = 5.0
    release_s: float | None = None


def plain(_name: str) -> DeviceTiming:
    """No device needs anything."""
    return DeviceTiming()


class OutputDevice:
    """One speaker, or the spare while that one is away.

    Args:
        spare: speaks while `main` is away; `None`: nobody does.
        habits: of a device, by its name.
    """

    def __init__(
        self, main: Speaker, spare: Speaker | None = None, habits: Callable[[str], DeviceTiming] = plain
    ) -> None:
        self.losses = 0
        self._main, self._spare = main, spare
        self._habits_of = habits
        self._speaker = main
        self._is_open = False
        self._rate_hz = 0
        self._lost: str | None = None
        self._came_once = False
        self._trouble: str | None = None
        self._retry = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        self._in_vain: Speaker | None = None  # what was opened last and did not work
        self._look_at = 0.0
        self._opened_at = self._written_s = 0.0
        self._quiet_since = 0.0
        self._awake = self._undrained = False
        self._wake_left = 0

    @property
    def name(self) -> str:
        """Of the device that speaks, or would."""
        return self._speaker.name

    @property
    def underruns(self) -> int:
        """Of both speakers."""
        return self._main.underruns + (self._spare.underruns if self._spare else 0)

    @property
    def lost(self) -> str | None:
        """Why nothing can be heard."""
        return self._lost

    @property
    def trouble(self) -> str | None:
        """Why the spare speaks."""
        return self._trouble

    @property
    def released(self) -> bool:
        """Whether the device was let go of, and is opened for the next sound."""
        return not self._is_open

    def open(self, rate_hz: int) -> None:
        """Open the speaker, else the spare. Raises SpeakerError, of both, where neither can be opened.

        Where the speaker was opened in vain the spare comes first; `tend` looks for the speaker.
        """
        self._rate_hz = rate_hz
        try:
            if self._in_vain is self._main and self._spare is not None:
                raise SpeakerError(self._lost or f"the sound device {self._main.name} does not work")
            self._main.open(rate_hz)
        except SpeakerError as error:
            self._main.close()
            if self._spare is None:
                raise
            self._open_spare(self._spare, error)
        else:
            self._use_main()
        self._opened()

    def lose(self, why: str) -> float:
        """It failed, and is to be let go of until it can be opened again.

        Returns:
            Seconds until that is to be tried.
        """
        again = self._in_vain is self._speaker
        self._in_vain = self._speaker if self._is_open and not self._works() else None
        if self._lost is None:
            log.log(logging.DEBUG if again and self._in_vain else logging.ERROR, "%s", why)
            self.losses += self._came_once
        if not self._in_vain and self._lost is None:
            self._retry.reset()
        retry_s = self._retry.next_s(_LONGEST_RETRY_BROKEN_S if self._in_vain else None)
        self._lost, self._trouble = why, None
        return _FIRST_RETRY_S if self._in_vain and self._spare else retry_s

    def release(self) -> None:
        """Let go of the device."""
        self._is_open = self._undrained = False
        self._speaker.close()

    def tend(self) -> bool:
        """What is to be done while nothing is under way; whether the speaker was taken back from the spare.

        Raises:
            SpeakerError: the device is seen to be away.
        """
        if self._undrained:
            self._speaker.drain()
            self._undrained = False
        if self._speaker is not self._main and time.monotonic() >= self._look_at:
            return self._look_for_main()
        if (away := self._speaker.away()) is not None:
            raise SpeakerError(away)
        release_s = self._habits.release_s
        if self._is_open and release_s is not None and self._quiet_s() >= release_s:
            log.debug("the sound device %s is released", self.name)
            self.release()
        return False

    def waking(self) -> bool:
        """Whether silence is to be written before a sound, and more of it than was written so far."""
        if not self._awake or self._quiet_s() >= self._habits.idle_s:
            self._wake_left = int(self._habits.wake_s * self._rate_hz)
            self._awake = True
            self._quiet_since = time.monotonic()
        return self._wake_left > 0

    def write(self, block: Samples) -> None:
        """Hand over one block. Raises SpeakerError."""
        self._speaker.write(block)
        self._wake_left = max(0, self._wake_left - len(block))
        self._written_s += len(block) / self._rate_hz
        self._undrained = True
        self._quiet_since = time.monotonic()

    def flush(self) -> None:
        """Hand over what a converter holds. Raises SpeakerError."""
        self._speaker.flush()

    def delay_s(self) -> float:
        """Seconds of sound that are not yet heard."""
        return self._speaker.delay_s()

    @property
    def _habits(self) -> DeviceTiming:
        return self._habits_of(self.name)

    def _quiet_s(self) -> float:
        return time.monotonic() - self._quiet_since

    def _works(self) -> bool:
        return self._written_s >= _WORKS_S or time.monotonic() - self._opened_at >= _STAYS_S

    def _opened(self) -> None:
        self._is_open = self._came_once = True
        self._lost = None
        self._awake = False
        self._written_s = 0.0
        self._opened_at = self._quiet_since = time.monotonic()

    def _use_main(self) -> None:
        if self._speaker is not self._main or self._lost is not None:
            level = logging.DEBUG if self._in_vain is self._main else logging.INFO
            log.log(level, "the sound device %s is %s", self._main.name, "back" if self.losses else "there")
        self._speaker, self._trouble = self._main, None

    def _open_spare(self, spare: Speaker, error: SpeakerError) -> None:
        try:
            spare.open(self._rate_hz)
        except SpeakerError as other:
            spare.close()
            self._speaker, self._trouble = self._main, None
            raise SpeakerError(f"{error}; {other}") from other
        self._trouble = f"{error}; {spare.name} speaks meanwhile"
        if self._speaker is not spare:
            log.warning("%s", self._trouble)
        self._speaker = spare
        self._look_at = time.monotonic() + max(_LOOK_S, self._retry.last_s)

    def _look_for_main(self) -> bool:
        self._look_at = time.monotonic() + _LOOK_S
        try:
            self._main.open(self._rate_hz)
        except SpeakerError:
            self._main.close()
            return False
        self._speaker.close()
        self._use_main()
        self._opened()
        return True
