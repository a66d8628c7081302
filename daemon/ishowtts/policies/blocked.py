"""Blocked words: those of the configuration and those of a file, which is taken up as it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from ishowtts.config.policies import Blocked
from ishowtts.errors import ConfigError
from ishowtts.policies import wordfile
from ishowtts.policies.splice import spliced
from ishowtts.policies.wordlist import Hit, WordList

log = logging.getLogger(__name__)

_LOOK_S = 2.0


class BlockedWords:
    """Looks at its file at most every 2 s, while lines come. A faulty file leaves the last good list in force.

    Attributes:
        fault: what is wrong with the file now, in a sentence; `None`: nothing.
    """

    def __init__(self, section: Blocked, clock: Callable[[], float]) -> None:
        self.fault: str | None = None
        self._section = section
        self._clock = clock
        self._list = WordList(section.words)
        self._version: str | None = None
        self._looked_s = clock()
        self._look()

    def first(self, text: str) -> str | None:
        """An entry of the list that stands in the text."""
        hit = next(self._current().find(text), None)
        return None if hit is None else hit.entry

    def masked(self, text: str) -> str:
        """The text with the mask for each blocked word."""
        hits = self._current().find(text)
        return spliced(text, ((start, end, self._section.mask) for start, end in _joined(hits)))

    def _current(self) -> WordList:
        now_s = self._clock()
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            self._look()
        return self._list

    def _look(self) -> None:
        path = self._section.file
        if path is None or (version := wordfile.version(path)) == self._version:
            return
        self._version = version
        try:
            words = wordfile.read_words(path)
        except ConfigError as error:
            self.fault = f"policies.blocked.file: {error}"
            log.warning("%s; the words that were read last stay blocked", self.fault)
            return
        self.fault = None
        self._list = WordList([*self._section.words, *words])
        log.info("%d words of %s are blocked", len(words), path)


def _joined(hits: Iterable[Hit]) -> list[tuple[int, int]]:
    """The places of the hits in order, those that overlap as one."""
    places: list[tuple[int, int]] = []
    for start, end, _ in sorted(hits):
        if places and start < places[-1][1]:
            places[-1] = (places[-1][0], max(end, places[-1][1]))
        else:
            places.append((start, end))
    return places
