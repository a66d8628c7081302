"""How far what was heard is from what was to be said: edits between two sequences of words or characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

Step = tuple[int | None, int | None]
"""One step of an alignment: a place in the reference, in what was heard, or in both."""


def count(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest substitutions, deletions and insertions; none where only the blanks lie elsewhere (`note book`)."""
    edits = 0
    for wrong, steps in groupby(align(reference, heard), key=lambda step: not _same(step, reference, heard)):
        run = list(steps)
        said = "".join(reference[i] for i, _ in run if i is not None)
        if wrong and said != "".join(heard[j] for _, j in run if j is not None):
            edits += len(run)
    return edits


def split(references: Sequence[Sequence[str]], heard: Sequence[str]) -> list[list[str]]:
    """What was heard of each of several references that were said one behind the other.

    A word too many between two of them goes to the one that is wrong beside it, else to the one before.
    """
    joined = [word for one in references for word in one]
    owners = [number for number, one in enumerate(references) for _ in one]
    parts: list[list[str]] = [[] for _ in references]
    steps = align(joined, heard)
    for at, (i, j) in enumerate(steps):
        if j is not None:
            owner = owners[i] if i is not None else _owner(at, steps, joined, heard, owners)
            parts[owner].append(heard[j])
    return parts


def align(reference: Sequence[str], heard: Sequence[str]) -> list[Step]:
    """The steps of one cheapest way from `reference` to `heard`, in order."""
    costs = _costs(reference, heard)
    i, j = len(reference), len(heard)
    steps: list[Step] = []
    while i or j:
        if i and j and costs[i][j] == costs[i - 1][j - 1] + (reference[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
            steps.append((i, j))
        elif i and costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
            steps.append((i, None))
        else:
            j -= 1
            steps.append((None, j))
    return steps[::-1]


def _costs(reference: Sequence[str], heard: Sequence[str]) -> list[list[int]]:
    costs = [list(range(len(heard) + 1))]
    for i, word in enumerate(reference, 1):
        above, row = costs[-1], [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
        costs.append(row)
    return costs


def _same(step: Step, reference: Sequence[str], heard: Sequence[str]) -> bool:
    i, j = step
    return i is not None and j is not None and reference[i] == heard[j]


def _owner(
    at: int, steps: Sequence[Step], reference: Sequence[str], heard: Sequence[str], owners: Sequence[int]
) -> int:
    """Whose an insertion is."""
    before = next(_said(steps[:at][::-1]), None)
    after = next(_said(steps[at:]), None)
    if before is None or after is None:
        near = before or after
        return owners[near[0]] if near else 0
    if _same(before, reference, heard) and not _same(after, reference, heard):
        return owners[after[0]]
    return owners[before[0]]


def _said(steps: Sequence[Step]) -> Iterator[tuple[int, int | None]]:
    return ((i, j) for i, j in steps if i is not None)
