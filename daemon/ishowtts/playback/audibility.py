"""Names the causes for which sound that is played cannot be heard, as far as the appliance can know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class SilentCause(str, Enum):
    """Why a sound is silent. `silent` in `finished` and `state` is the value of the first one that holds.

    Without a device no line is played: it waits. So `no_device` is in `state` only.
    """

    NO_DEVICE = "no_device"
    MUTED = "muted"
    VOLUME_0 = "volume_0"
    CARD_MUTED = "card_muted"
    CARD_VOLUME_0 = "card_volume_0"
    SILENT_DEVICE = "silent_device"


_ORDER = {cause: place for place, cause in enumerate(SilentCause)}
_SENTENCES = {
    SilentCause.MUTED: "the appliance is muted; the command unmute ends that",
    SilentCause.VOLUME_0: "the volume is 0; set it over volume/set",
    SilentCause.SILENT_DEVICE: "the sound device is silent; set audio.device",
}


@dataclass(frozen=True)
class Silence:
    """A cause, and a sentence about it that names the fix."""

    cause: SilentCause
    sentence: str

    @classmethod
    def by(cls, cause: SilentCause) -> Silence:
        """The cause with its usual sentence. What silences a card depends on the card, and has none."""
        return cls(cause, _SENTENCES[cause])


def ordered(silences: Iterable[Silence]) -> list[Silence]:
    """The silences in the order in which they are named."""
    return sorted(silences, key=lambda silence: _ORDER[silence.cause])
