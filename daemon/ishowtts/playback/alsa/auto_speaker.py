"""The speaker for `audio.device: auto`: it looks for the best card each time it is opened."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ishowtts.errors import SpeakerError
from ishowtts.model import Samples
from ishowtts.playback import Speaker
from ishowtts.playback.alsa.alsa_speaker import AlsaSpeaker
from ishowtts.playback.alsa.sound_cards import ASOUND, DeviceRank, SoundDevice, list_devices

log = logging.getLogger(__name__)

NO_CARD = (
    "there is no sound card with something attached; plug one in, or set audio.device to silent, wav:PATH or a card "
    "from `ishowtts devices`"
)


@dataclass(frozen=True)
class BestCard:
    """A card, and why it was chosen."""

    device: SoundDevice
    why: str


class AutoSpeaker:
    """Delegates to the card that it opened last. Its name is `auto` until a card was found."""

    def __init__(self, asound: Path = ASOUND) -> None:
        self._asound = asound
        self._speaker: Speaker | None = None
        self._former_underruns = 0
        self._was_lost = False
        self._chosen: SoundDevice | None = None
        chosen = best(list_devices(asound))
        self.why = chosen.why if chosen else NO_CARD
        self._initial_name = chosen.device.pcm if chosen else "auto"

    @property
    def name(self) -> str:
        """Name of the card that was opened last, or of the one that would be chosen now."""
        return self._chosen.pcm if self._chosen else self._initial_name

    @property
    def underruns(self) -> int:
        """Underruns of all cards that were opened."""
        return self._former_underruns + (self._speaker.underruns if self._speaker else 0)

    def open(self, rate_hz: int) -> None:
        """Looks for the best card and opens it. Raises SpeakerError if there is none."""
        chosen = best(list_devices(self._asound), self._chosen, self._was_lost)
        if chosen is None:
            raise SpeakerError(self._no_card())
        self._speaker_for(chosen).open(rate_hz)
        self._was_lost = False

    def write(self, block: Samples) -> None:
        """Writes one short block to the card. Raises SpeakerError."""
        with self._noting_loss() as card:
            card.write(block)

    def flush(self) -> None:
        """Plays the samples that the card's rate converter still holds; discards nothing. Raises SpeakerError."""
        with self._noting_loss() as card:
            card.flush()

    def delay_s(self) -> float:
        """Seconds of sound that the card was given and has not played; 0 before a card was opened."""
        if self._speaker is None:
            return 0.0
        with self._noting_loss() as card:
            return card.delay_s()

    def drain(self) -> None:
        """Waits until the card has played everything. Raises SpeakerError."""
        with self._noting_loss() as card:
            card.drain()

    def drop(self) -> None:
        """Discards what the card has not played yet."""
        with self._noting_loss() as card:
            card.drop()

    def close(self) -> None:
        """Closes the card."""
        if self._speaker is not None:
            self._speaker.close()

    def away(self) -> str | None:
        """Returns a sentence if the card is gone and no other may replace it, even if nothing was playing."""
        if self._speaker is not None and (away := self._speaker.away()) is not None:
            self._was_lost = True
            return away
        devices = list_devices(self._asound)
        self._was_lost |= self._chosen is not None and self._chosen.pcm not in {found.pcm for found in devices}
        return None if best(devices, self._chosen, self._was_lost) else self._no_card()

    def _speaker_for(self, chosen: BestCard) -> Speaker:
        if self._speaker is not None and self._speaker.name == chosen.device.pcm:
            return self._speaker
        if chosen.why != self.why:
            log.info("sound: %s (%s)", chosen.device.pcm, chosen.why)
        self._former_underruns = self.underruns
        self._speaker, self._chosen, self.why = AlsaSpeaker(chosen.device.pcm), chosen.device, chosen.why
        return self._speaker

    @contextmanager
    def _noting_loss(self) -> Iterator[Speaker]:
        if self._speaker is None:
            raise SpeakerError(NO_CARD)
        try:
            yield self._speaker
        except SpeakerError:
            self._was_lost = True
            raise

    def _no_card(self) -> str:
        return NO_CARD if self._chosen is None else f"the sound device {self._chosen.pcm} is away"


def best(devices: list[SoundDevice], former: SoundDevice | None = None, was_lost: bool = False) -> BestCard | None:
    """Chooses the card to open.

    Args:
        devices: The devices, best first, from `list_devices`.
        former: The card that was opened last. It is preferred to cards that are as good.
        was_lost: Whether `former` was lost while it played. Then it is preferred to all, and no card of a lower rank
            replaces it: speech must not move from a loudspeaker to an output where nobody listens.
    """
    usable = [found for found in devices if found.rank != DeviceRank.NEVER]
    if former is not None:
        if was_lost:
            usable = [found for found in usable if found.rank <= former.rank]
        usable.sort(key=lambda found: (() if was_lost else found.preference, found.pcm != former.pcm))
    if not usable:
        return None
    first, others = usable[0], usable[1:]
    rest = f", before {', '.join(found.pcm for found in others)}; set audio.device to choose another" if others else ""
    return BestCard(first, f"audio.device is auto: {first.description}{rest}")
