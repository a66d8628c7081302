"""Edit distance between a reference and a transcript, both lists of words or characters.

jiwer and rapidfuzz count edits too, but neither splits one transcript by several references, nor ignores a difference
of blanks alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

Step = tuple[int | None, int | None]
"""One step of an alignment: an index in the reference, in the transcript, or in both."""


def count(reference: Sequence[str], transcript: Sequence[str]) -> int:
    """Count substitutions, deletions and insertions. A difference of blanks alone (`note book`) does not count."""
    edits = 0
    for wrong, steps in groupby(align(reference, transcript), key=lambda step: not _same(step, reference, transcript)):
        run = list(steps)
        expected = "".join(reference[i] for i, _ in run if i is not None)
        if wrong and expected != "".join(transcript[j] for _, j in run if j is not None):
            edits += len(run)
    return edits


def split(references: Sequence[Sequence[str]], transcript: Sequence[str]) -> list[list[str]]:
    """Split the transcript of several references that were spoken one after another.

    An extra word between two of them goes to the one with an error next to it, otherwise to the one before.
    """
    joined = [word for reference in references for word in reference]
    owners = [number for number, reference in enumerate(references) for _ in reference]
    parts: list[list[str]] = [[] for _ in references]
    steps = align(joined, transcript)
    for at, (i, j) in enumerate(steps):
        if j is not None:
            owner = owners[i] if i is not None else _owner(at, steps, joined, transcript, owners)
            parts[owner].append(transcript[j])
    return parts


def align(reference: Sequence[str], transcript: Sequence[str]) -> list[Step]:
    """The steps of one alignment with the fewest edits, in order."""
    costs = _costs(reference, transcript)
    i, j = len(reference), len(transcript)
    steps: list[Step] = []
    while i or j:
        if i and j and costs[i][j] == costs[i - 1][j - 1] + (reference[i - 1] != transcript[j - 1]):
            i, j = i - 1, j - 1
            steps.append((i, j))
        elif i and costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
            steps.append((i, None))
        else:
            j -= 1
            steps.append((None, j))
    return steps[::-1]


def _costs(reference: Sequence[str], transcript: Sequence[str]) -> list[list[int]]:
    costs = [list(range(len(transcript) + 1))]
    for i, word in enumerate(reference, 1):
        above, row = costs[-1], [i]
        for j, other in enumerate(transcript, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
        costs.append(row)
    return costs


def _same(step: Step, reference: Sequence[str], transcript: Sequence[str]) -> bool:
    i, j = step
    return i is not None and j is not None and reference[i] == transcript[j]


def _owner(
    at: int, steps: Sequence[Step], reference: Sequence[str], transcript: Sequence[str], owners: Sequence[int]
) -> int:
    """Find the reference that an inserted word belongs to."""
    before = next(_matched(steps[:at][::-1]), None)
    after = next(_matched(steps[at:]), None)
    if before is None or after is None:
        near = before or after
        return owners[near[0]] if near else 0
    if _same(before, reference, transcript) and not _same(after, reference, transcript):
        return owners[after[0]]
    return owners[before[0]]


def _matched(steps: Sequence[Step]) -> Iterator[tuple[int, int | None]]:
    return ((i, j) for i, j in steps if i is not None)
