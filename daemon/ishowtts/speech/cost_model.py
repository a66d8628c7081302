"""What synthesis costs on this machine, as the last segments showed it."""

from __future__ import annotations

from collections import deque
from statistics import median_high

from ishowtts.engines import VoiceInfo
from ishowtts.model import Utterance

_LAST = 9


class CostModel:
    """Synthesis seconds per second of reference and sound, for each engine and number of evaluations.

    The middle one of the last few: a segment that hit a cold cache or a busy machine does not count. One thread at a
    time uses it.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int | None], deque[float]] = {}

    def note(self, engine: str, nfe_step: int | None, utterance: Utterance, card: VoiceInfo) -> None:
        """Count a segment that was made whole; `nfe_step` is what the line asked for."""
        if card.reference_s is None:
            return
        seen = self._seen.setdefault((engine, nfe_step), deque(maxlen=_LAST))
        seen.append(utterance.synth_s / (card.reference_s + utterance.audio_s))

    def of(self, engine: str, nfe_step: int | None, card: VoiceInfo) -> float | None:
        """What the next segment will cost; `None` while nothing is known.

        Args:
            nfe_step: as the line asks for it; `None` is the engine's own, which is what the card's cost stands for.
        """
        seen = list(self._seen.get((engine, nfe_step), ()))
        if card.cost is not None and nfe_step is None and len(seen) < _LAST:
            seen.append(card.cost)
        return median_high(seen) if seen else None
