"""Blocked words: those of the configuration and those of a file, which is taken up as it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ishowtts.config.policy_section import BlockedSection
from ishowtts.policies.text_edits import spliced
from ishowtts.policies.wordfile import read_words
from ishowtts.policies.wordlist import Hit, WordList
from ishowtts.util.live_file import LiveFile

_LOOK_S = 2.0


class BlockedWords:
    """Looks at its file at most every 2 s, while lines come. A faulty file leaves the last good list in force."""

    def __init__(self, section: BlockedSection, clock: Callable[[], float]) -> None:
        self._mask = section.mask
        self._own = WordList(section.words)
        self._file = None
        if section.file is not None:

            def read(path: Path) -> WordList:
                return WordList([*section.words, *read_words(path)])

            key = "policies.blocked.file"
            self._file = LiveFile(section.file, read, self._own, key=key, clock=clock, check_every_s=_LOOK_S)

    @property
    def fault(self) -> str | None:
        """What is wrong with the file now, in a sentence; `None`: nothing."""
        return None if self._file is None else self._file.fault

    def first(self, text: str) -> str | None:
        """An entry of the list that stands in the text."""
        hit = next(self._current().find(text), None)
        return None if hit is None else hit.entry

    def masked(self, text: str) -> str:
        """The text with the mask for each blocked word."""
        hits = self._current().find(text)
        return spliced(text, ((start, end, self._mask) for start, end in _joined(hits)))

    def _current(self) -> WordList:
        return self._own if self._file is None else self._file.current()


def _joined(hits: Iterable[Hit]) -> list[tuple[int, int]]:
    """The places of the hits in order, those that overlap as one."""
    places: list[tuple[int, int]] = []
    for start, end, _ in sorted(hits):
        if places and start < places[-1][1]:
            places[-1] = (places[-1][0], max(end, places[-1][1]))
        else:
            places.append((start, end))
    return places
