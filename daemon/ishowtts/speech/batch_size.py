"""How many segments of a line are made in one run of the engine. Arithmetic and policy alone.

A run of several keeps a large GPU busier than one segment can. But nothing of it is heard before all of it is made, and
whatever is made may have to be thrown away: so it is made only while the sound that is there lasts, and only so much.
"""

from __future__ import annotations

from collections.abc import Sequence

from ishowtts.engines import VoiceInfo
from ishowtts.speech import segment_planner

MOST = 8
_MOST_WAITING_S = 120.0  # of sound that is made and not heard: with what the player makes of it 240 KB a second


def together(lengths_s: Sequence[float], card: VoiceInfo, cost: float | None, waiting_s: float) -> int:
    """How many of the next segments go into one run: 1 to `MOST`.

    Where nothing is heard there is nothing to cover a run of several: the first of a line is made alone.

    Args:
        lengths_s: how long each of the next segments sounds, in order, in seconds.
        cost: synthesis seconds per second of reference and sound of a segment that is made alone, which one in a run of
            several does not exceed; `None`: not known, so each is made alone.
        waiting_s: of sound that is made and not yet heard.
    """
    if cost is None or card.reference_s is None:
        return 1
    count = 1
    for n in range(2, min(MOST, len(lengths_s)) + 1):
        run_s = n * (card.reference_s + max(lengths_s[:n]))
        fits = run_s <= card.batch_s and waiting_s + sum(lengths_s[:n]) <= _MOST_WAITING_S
        if not fits or not segment_planner.covers(waiting_s, cost * run_s, card, n):
            break
        count = n
    return count
