"""Collects what a listener could miss of one line: silence, another engine, another device, a chime that failed."""

from __future__ import annotations

from dataclasses import dataclass, field

from ishowtts.playback.audibility import Silence, SilentCause, ordered
from ishowtts.playback.playback_buffer import Playing


@dataclass(frozen=True)
class Substitution:
    """Another engine spoke than the one that the voice needs.

    Attributes:
        engine: The engine that should have spoken.
        reason: Why it did not.
    """

    engine: str
    reason: str


@dataclass
class LineNotes:
    """What is known about how a line was played, over all of its parts.

    Attributes:
        silences: Why it, or a part of it, made no sound.
        devices: The sound devices to which it went, in order.
        engines: The engines that spoke, in order.
        substitution: Which engine should have spoken; `None` if the right one did.
        substitute: The engine that spoke in its place.
        remarks: Sentences about anything else, in order.
    """

    silences: set[Silence] = field(default_factory=set)
    devices: list[str] = field(default_factory=list)
    engines: list[str] = field(default_factory=list)
    substitution: Substitution | None = None
    substitute: str | None = None
    remarks: list[str] = field(default_factory=list)

    def played(self, playing: Playing) -> None:
        """A clip went to a device."""
        self.silences |= playing.silences
        _add(self.devices, *playing.devices)

    def spoken_by(self, engine: str, substitution: Substitution | None) -> None:
        """A segment was given to the player."""
        _add(self.engines, engine)
        if self.substitution is None and substitution is not None:
            self.substitution, self.substitute = substitution, engine

    def remark(self, sentence: str | None) -> None:
        """Add a sentence, once; `None` adds nothing."""
        _add(self.remarks, *((sentence,) if sentence else ()))

    def add_earlier(self, earlier: LineNotes) -> None:
        """Put the notes of the parts that were played before an interruption before these."""
        self.silences |= earlier.silences
        self.devices = list(dict.fromkeys((*earlier.devices, *self.devices)))
        self.engines = list(dict.fromkeys((*earlier.engines, *self.engines)))
        if earlier.substitution is not None:
            self.substitution, self.substitute = earlier.substitution, earlier.substitute
        self.remarks = list(dict.fromkeys((*earlier.remarks, *self.remarks)))

    def event_data(self, volume: int) -> dict[str, object]:
        """The fields of `finished` that docs/mqtt.md lists under "Can it be heard?".

        Args:
            volume: Volume at which the line was played, if it was not silent.
        """
        silences = ordered(self.silences)
        causes = [silence.cause for silence in silences]
        data: dict[str, object] = {
            "audible": not causes,
            "silent": causes[0].value if causes else None,
            "muted": SilentCause.MUTED in causes,
            "volume": 0 if SilentCause.VOLUME_0 in causes else volume,
            "device": self.devices[-1] if self.devices else None,
            "substituted_for": self.substitution.engine if self.substitution else None,
            "substitute_reason": self.substitution.reason if self.substitution else None,
            "note": "; ".join(self._sentences(silences)) or None,
        }
        if len(self.engines) > 1:
            data["engines"] = self.engines
        return data

    def _sentences(self, silences: list[Silence]) -> list[str]:
        sentences = [silence.sentence for silence in silences]
        if self.substitution is not None:
            in_place = f"{self.substitute} spoke in place of {self.substitution.engine}"
            sentences.append(f"{in_place}: {self.substitution.reason}")
        if len(self.devices) > 1:
            sentences.append(f"the sound device changed: {', then '.join(self.devices)}")
        return [*sentences, *self.remarks]


def _add(known: list[str], *names: str) -> None:
    known.extend(name for name in names if name not in known)
