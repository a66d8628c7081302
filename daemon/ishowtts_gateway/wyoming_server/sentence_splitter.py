"""Splits a text that comes in pieces into sentences, each of a bounded length."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentence_stream import SentenceBoundaryDetector

MAX_SENTENCE_CHARS = 1000
"""A longer sentence is split at a space. For so much of the worst text, the rules of sentence-stream take 7 ms."""
_PIECE_CHARS = 250
_LAST_GAP = re.compile(r".*[\s,;:，；：、](?=\S)", re.DOTALL)


class SentenceSplitter:
    """`for sentence in splitter.add(piece): …`, and at the end `for sentence in splitter.finish(): …`."""

    def __init__(self) -> None:
        self._detector = SentenceBoundaryDetector()

    def add(self, text: str) -> Iterator[str]:
        """Add a piece of the text. Yields the sentences that are complete now.

        A sentence is complete as soon as the next one has begun.
        """
        for start in range(0, len(text), _PIECE_CHARS):
            yield from self._detector.add_chunk(text[start : start + _PIECE_CHARS])
            yield from self._split_long()

    def finish(self) -> Iterator[str]:
        """Yield what is left."""
        if rest := self._detector.finish():
            yield rest

    def _split_long(self) -> Iterator[str]:
        waiting = self._detector.current_sentence + self._detector.remaining_text
        while len(waiting) > MAX_SENTENCE_CHARS:
            gap = _LAST_GAP.match(waiting, 0, MAX_SENTENCE_CHARS)
            end = gap.end() if gap else MAX_SENTENCE_CHARS
            if head := waiting[:end].strip():
                yield head
            waiting = waiting[end:]
            self._detector = SentenceBoundaryDetector()
            yield from self._detector.add_chunk(waiting)
            waiting = self._detector.current_sentence + self._detector.remaining_text
