"""The device in use: opened, lost and found again, with a substitute in between. Only the player's thread uses it."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass

from ishowtts.errors import SpeakerError
from ishowtts.model import Samples
from ishowtts.playback import Speaker
from ishowtts.util.backoff import Backoff

log = logging.getLogger(__name__)

_CHECK_PRIMARY_S = 2.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.25, 1.0
# The limit for a device that opens and then plays nothing: it is tried less and less often.
_LONGEST_RETRY_BROKEN_S = 30.0
# A device works if it took more than its buffer holds, or stayed open for so long.
_WORKS_AFTER_WRITTEN_S, _WORKS_AFTER_OPEN_S = 0.1, 5.0


@dataclass(frozen=True)
class DeviceTiming:
    """What a device needs before and after sound.

    Args:
        wake_s: Seconds of silence before the first sound after quiet, for an amplifier that takes time to switch on.
        idle_s: Seconds without sound after which the device counts as quiet.
        release_s: Seconds without sound after which the device is closed; `None` keeps it open.
    """

    wake_s: float = 0.0
    idle_s: float = 5.0
    release_s: float | None = None


def default_timing(_name: str) -> DeviceTiming:
    """Returns the timing of a device that needs nothing special."""
    return DeviceTiming()


class OutputDevice:
    """The primary speaker, or the substitute while the primary is away.

    Args:
        primary: The configured device.
        substitute: The device in use while `primary` is away; `None` means that nothing is heard then.
        timing_of: Returns the timing of a device from its name.
    """

    def __init__(
        self,
        primary: Speaker,
        substitute: Speaker | None = None,
        timing_of: Callable[[str], DeviceTiming] = default_timing,
    ) -> None:
        self.losses = 0
        self._former_underruns = 0
        self._changes: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._primary, self._substitute = primary, substitute
        self._timing_of = timing_of
        self._speaker = primary
        self._is_open = False
        self._rate_hz = 0
        self._lost: str | None = None
        self._was_ever_open = False
        self._substitute_reason: str | None = None
        self._retry = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        self._last_failed: Speaker | None = None  # the speaker that was opened last, if it then played nothing
        self._check_primary_at = 0.0
        self._timing = timing_of(self.name)
        self._opened_at = self._written_s = 0.0
        self._quiet_since = 0.0
        self._lead_in_started = self._undrained = False
        self._lead_in_left = 0

    @property
    def name(self) -> str:
        """Name of the device in use, or of the one that is to be opened next."""
        return self._speaker.name

    @property
    def underruns(self) -> int:
        """Underruns of both speakers, and of former substitutes."""
        now = self._primary.underruns + (self._substitute.underruns if self._substitute else 0)
        return self._former_underruns + now

    @property
    def lost(self) -> str | None:
        """Why nothing can be heard; `None` while a device is available."""
        return self._lost

    @property
    def substitute_reason(self) -> str | None:
        """Why the substitute is in use; `None` while it is not."""
        return self._substitute_reason

    @property
    def released(self) -> bool:
        """Whether the device is closed, and must be opened for the next sound."""
        return not self._is_open

    def open(self, rate_hz: int) -> None:
        """Opens the primary speaker, or else the substitute.

        If the primary opened last time and then played nothing, only the substitute is tried; `maintain` checks the
        primary.

        Raises:
            SpeakerError: Neither can be opened. The text names both.
        """
        self._apply_changes()
        self._rate_hz = rate_hz
        try:
            if self._last_failed is self._primary and self._substitute is not None:
                raise SpeakerError(self._lost or f"the sound device {self._primary.name} does not work")
            self._primary.open(rate_hz)
        except SpeakerError as error:
            self._primary.close()
            if self._substitute is None:
                raise
            self._open_substitute(self._substitute, error)
        else:
            self._use_primary()
        self._mark_open()

    def set_timing(self, timing_of: Callable[[str], DeviceTiming]) -> None:
        """Takes the timing of the devices from another function, once nothing is playing. Any thread may call."""

        def change() -> None:
            self._timing_of = timing_of
            self._timing = timing_of(self.name)

        self._changes.put(change)

    def set_substitute(self, substitute: Speaker | None) -> None:
        """Takes another substitute, once nothing is playing. Any thread may call.

        If the former one is in use, it is closed. The next `open` tries the primary speaker first.
        """

        def change() -> None:
            if self._substitute is not None:
                self._former_underruns += self._substitute.underruns
            if self._speaker is not self._primary:
                self.release()
                self._speaker, self._substitute_reason = self._primary, None
            self._substitute = substitute

        self._changes.put(change)

    def mark_failed(self, why: str) -> float:
        """Records that the device failed. Call `release` next; the device stays closed until `open` succeeds.

        Returns:
            Seconds to wait before the next `open`.
        """
        failed_before = self._last_failed is self._speaker
        self._last_failed = self._speaker if self._is_open and not self._works() else None
        if self._lost is None:
            log.log(logging.DEBUG if failed_before and self._last_failed else logging.ERROR, "%s", why)
            self.losses += self._was_ever_open
            if self._last_failed is None:
                self._retry.reset()
        retry_s = self._retry.next_s(_LONGEST_RETRY_BROKEN_S if self._last_failed else None)
        self._lost, self._substitute_reason = why, None
        return _FIRST_RETRY_S if self._last_failed and self._substitute else retry_s

    def release(self) -> None:
        """Closes the device."""
        self._is_open = self._undrained = False
        self._speaker.close()

    def maintain(self) -> bool:
        """Does what is due while nothing is playing: drain, check the devices, release an idle device.

        Returns:
            Whether another speaker is in use now.

        Raises:
            SpeakerError: The device is known to be gone.
        """
        before = self._speaker
        self._apply_changes()
        if self._undrained:
            # Once per quiet period: without it, ALSA would count an underrun for each line.
            self._speaker.drain()
            self._undrained = False
        if self._speaker is not self._primary and time.monotonic() >= self._check_primary_at:
            return self._try_primary()
        if (away := self._speaker.away()) is not None:
            raise SpeakerError(away)
        release_s = self._timing.release_s
        if self._is_open and release_s is not None and self._quiet_s() >= release_s:
            log.debug("the sound device %s is released", self.name)
            self.release()
        return self._speaker is not before

    def needs_lead_in(self) -> bool:
        """Whether more silence is to be written before the sound, for a device that must wake up."""
        if not self._lead_in_started or self._quiet_s() >= self._timing.idle_s:
            self._lead_in_left = int(self._timing.wake_s * self._rate_hz)
            self._lead_in_started = True
            self._quiet_since = time.monotonic()
        return self._lead_in_left > 0

    def write(self, block: Samples) -> None:
        """Writes one block. Raises SpeakerError."""
        self._speaker.write(block)
        self._lead_in_left = max(0, self._lead_in_left - len(block))
        self._written_s += len(block) / self._rate_hz
        self._undrained = True
        self._quiet_since = time.monotonic()

    def flush(self) -> None:
        """Writes what a converter holds. Raises SpeakerError."""
        self._speaker.flush()

    def delay_s(self) -> float:
        """Seconds of sound that were written and not heard yet."""
        return self._speaker.delay_s()

    def _apply_changes(self) -> None:
        while not self._changes.empty():
            self._changes.get()()

    def _quiet_s(self) -> float:
        return time.monotonic() - self._quiet_since

    def _works(self) -> bool:
        open_s = time.monotonic() - self._opened_at
        return self._written_s >= _WORKS_AFTER_WRITTEN_S or open_s >= _WORKS_AFTER_OPEN_S

    def _mark_open(self) -> None:
        self._is_open = self._was_ever_open = True
        self._timing = self._timing_of(self.name)  # only now, since it may read /proc
        self._lost = None
        self._lead_in_started = False
        self._written_s = 0.0
        self._opened_at = self._quiet_since = time.monotonic()

    def _use_primary(self) -> None:
        if self._speaker is not self._primary or self._lost is not None:
            level = logging.DEBUG if self._last_failed is self._primary else logging.INFO
            log.log(level, "the sound device %s is %s", self._primary.name, "back" if self.losses else "there")
        self._speaker, self._substitute_reason = self._primary, None

    def _open_substitute(self, substitute: Speaker, error: SpeakerError) -> None:
        try:
            substitute.open(self._rate_hz)
        except SpeakerError as other:
            substitute.close()
            self._speaker, self._substitute_reason = self._primary, None
            raise SpeakerError(f"{error}; {other}") from other
        self._substitute_reason = f"{error}; {substitute.name} is used until it is back"
        if self._speaker is not substitute:
            log.warning("%s", self._substitute_reason)
        self._speaker = substitute
        self._check_primary_at = time.monotonic() + max(_CHECK_PRIMARY_S, self._retry.last_s)

    def _try_primary(self) -> bool:
        """Opens the primary speaker and closes the substitute. Returns whether that worked."""
        self._check_primary_at = time.monotonic() + _CHECK_PRIMARY_S
        try:
            self._primary.open(self._rate_hz)
        except SpeakerError:
            self._primary.close()
            return False
        self._speaker.close()
        self._use_primary()
        self._mark_open()
        return True
