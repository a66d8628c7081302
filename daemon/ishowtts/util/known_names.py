"""Names in sentences: the known ones, and the one that is probably meant. The time does not grow with the similarity.

Every publisher can ask for a name that does not exist, again and again, and there may be 500 voices.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Collection

_MOST_LISTED = 20
_MOST_COMPARED = 20  # two names of 64 characters take up to 0.25 ms


def listed(names: Collection[str]) -> str:
    """The first names in alphabetical order, and how many more there are."""
    ordered = sorted(names)
    more = len(ordered) - _MOST_LISTED
    return ", ".join(ordered[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def closest(wanted: str, known: Collection[str], cutoff: float) -> str | None:
    """The known name that is probably meant; `None` if none is close.

    Args:
        cutoff: Similarity that is needed, 0 to 1, as in `difflib`.
    """
    near = known
    if len(known) > _MOST_COMPARED:
        alike = [name for name in known if name[:2] == wanted[:2] or name[-2:] == wanted[-2:]]
        near = heapq.nlargest(_MOST_COMPARED, alike, key=lambda name: _shared_ends(name, wanted))
    return next(iter(difflib.get_close_matches(wanted, near, n=1, cutoff=cutoff)), None)


def _shared_ends(name: str, wanted: str) -> int:
    """How many characters are the same at the beginning and at the end."""
    return _shared_start(name, wanted) + _shared_start(name[::-1], wanted[::-1])


def _shared_start(name: str, wanted: str) -> int:
    different = (at for at, (one, other) in enumerate(zip(name, wanted, strict=False)) if one != other)
    return next(different, min(len(name), len(wanted)))
