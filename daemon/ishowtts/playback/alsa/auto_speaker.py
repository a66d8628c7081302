"""`audio.device: auto`: the best card that is there, looked for whenever the device is opened."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ishowtts.errors import SpeakerError
from ishowtts.model import Samples
from ishowtts.playback import Speaker
from ishowtts.playback.alsa.sound_cards import ASOUND, DeviceRank, SoundDevice, list_devices

log = logging.getLogger(__name__)

NO_CARD = "there is no sound card with something attached; plug one in, or set audio.device"


@dataclass(frozen=True)
class BestCard:
    """A card, and why it was taken."""

    device: SoundDevice
    why: str


class AutoSpeaker:
    """Stands for the card that it opened last; `auto` by name until there was one."""

    def __init__(self, asound: Path = ASOUND) -> None:
        self._asound = asound
        self._speaker: Speaker | None = None
        self._former_underruns = 0
        self._was_lost = False
        self._picked: SoundDevice | None = None
        pick = best(list_devices(asound))
        self.why = pick.why if pick else NO_CARD
        self._named = pick.device.pcm if pick else "auto"

    @property
    def name(self) -> str:
        """Of the card; one that would be taken now, before any was."""
        return self._picked.pcm if self._picked else self._named

    @property
    def underruns(self) -> int:
        """Of all cards that were taken."""
        return self._former_underruns + (self._speaker.underruns if self._speaker else 0)

    def open(self, rate_hz: int) -> None:
        """Look for the best card, and open it. Raises SpeakerError where there is none."""
        pick = best(list_devices(self._asound), self._picked, self._was_lost)
        if pick is None:
            raise SpeakerError(self._none_there())
        self._take(pick).open(rate_hz)
        self._was_lost = False

    def write(self, block: Samples) -> None:
        """As the card does."""
        with self._watched() as card:
            card.write(block)

    def flush(self) -> None:
        """As the card does."""
        with self._watched() as card:
            card.flush()

    def delay_s(self) -> float:
        """As the card says."""
        if self._speaker is None:
            return 0.0
        with self._watched() as card:
            return card.delay_s()

    def drain(self) -> None:
        """As the card does."""
        with self._watched() as card:
            card.drain()

    def drop(self) -> None:
        """As the card does."""
        with self._watched() as card:
            card.drop()

    def close(self) -> None:
        """Let go of the card."""
        if self._speaker is not None:
            self._speaker.close()

    def away(self) -> str | None:
        """A sentence where the card has gone and none may take its place: also one that was unplugged in quiet."""
        if self._speaker is not None and (away := self._speaker.away()) is not None:
            self._was_lost = True
            return away
        devices = list_devices(self._asound)
        self._was_lost |= self._picked is not None and self._picked.pcm not in {found.pcm for found in devices}
        return None if best(devices, self._picked, self._was_lost) else self._none_there()

    def _take(self, pick: BestCard) -> Speaker:
        if self._speaker is not None and self._speaker.name == pick.device.pcm:
            return self._speaker
        # The library is loaded only where there is a card to play on.
        from ishowtts.playback.alsa.alsa_speaker import AlsaSpeaker

        if pick.why != self.why:
            log.info("sound: %s (%s)", pick.device.pcm, pick.why)
        self._former_underruns = self.underruns
        self._speaker, self._picked, self.why = AlsaSpeaker(pick.device.pcm), pick.device, pick.why
        return self._speaker

    @contextmanager
    def _watched(self) -> Iterator[Speaker]:
        if self._speaker is None:
            raise SpeakerError(NO_CARD)
        try:
            yield self._speaker
        except SpeakerError:
            self._was_lost = True
            raise

    def _none_there(self) -> str:
        return NO_CARD if self._picked is None else f"the sound device {self._picked.pcm} is away"


def best(devices: list[SoundDevice], former: SoundDevice | None = None, was_lost: bool = False) -> BestCard | None:
    """The card to take.

    Args:
        devices: the best first, as `list_devices` gives them.
        former: the card that was taken last; it comes before its equals.
        was_lost: `former` was lost while it played: then it comes before all, and no worse one is taken in its place,
            since what was heard on a loudspeaker shall not go on where nobody listens.
    """
    usable = [found for found in devices if found.rank != DeviceRank.NEVER]
    if former is not None:
        if was_lost:
            usable = [found for found in usable if found.rank <= former.rank]
        usable.sort(key=lambda found: (found.pcm != former.pcm if was_lost else found.rank, found.pcm != former.pcm))
    if not usable:
        return None
    first, others = usable[0], usable[1:]
    rest = f", before {', '.join(found.pcm for found in others)}" if others else ""
    return BestCard(first, f"audio.device is auto: {first.description}{rest}")
