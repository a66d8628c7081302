"""Divides a line into parts, each for one engine, by the language of its sentences and words. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ishowtts.engines.candidates import EngineCandidate
from ishowtts.text.languages import LanguageRun
from ishowtts.text.segmentation import sentences

_NOT_LATIN = re.compile(r"[^\W\d_a-zA-Z\u00aa-\u024f\u1e00-\u1eff]")

ChooseEngine = Callable[[str], EngineCandidate]
"""Returns the engine for a base language. It raises if nobody can speak it."""


@dataclass(frozen=True)
class LinePart:
    """A part of a line for one engine: `start` to `end`, in characters of the line.

    Attributes:
        language: base language of the part, or of most of its first sentence.
    """

    start: int
    end: int
    language: str
    candidate: EngineCandidate


def line_parts(text: str, runs: Sequence[LanguageRun], position: int, choose: ChooseEngine) -> list[LinePart]:
    """Divides a text from a position on. Neighbours of the same engine are one part if it can speak them in one piece.

    Words of another language stay with the engine of their sentence if it can read them: a change of the voice within
    a sentence is heard.

    Args:
        runs: the languages of the whole text, without gaps.
        position: where to begin, in characters.
    """
    parts: list[LinePart] = []
    for start, end in sentences(text):
        if end > position:
            for part in _sentence_parts(text, _clipped(runs, max(start, position), end), choose):
                _append(parts, part)
    return parts


def _clipped(runs: Sequence[LanguageRun], start: int, end: int) -> list[LanguageRun]:
    return [
        LanguageRun(max(run.start, start), min(run.end, end), run.language)
        for run in runs
        if run.start < end and run.end > start
    ]


def _sentence_parts(text: str, runs: Sequence[LanguageRun], choose: ChooseEngine) -> Iterator[LinePart]:
    main = _main_language(text, runs)
    engine = choose(main)
    for run in runs:
        if run.language == main or _reads(engine, run, text):
            yield LinePart(run.start, run.end, main, engine)
        else:
            yield LinePart(run.start, run.end, run.language, choose(run.language))


def _main_language(text: str, runs: Sequence[LanguageRun]) -> str:
    """Returns the language of most bytes, so that a Chinese character counts as much as a short word."""
    sizes: dict[str, int] = {}
    for run in runs:
        sizes[run.language] = sizes.get(run.language, 0) + len(text[run.start : run.end].encode())
    return max(sizes, key=lambda language: sizes[language])


def _reads(engine: EngineCandidate, run: LanguageRun, text: str) -> bool:
    """Returns whether the engine of a sentence can read these words of another language in it."""
    if engine.mixes_languages:
        return engine.speaks(run.language)
    return engine.reads_latin and not _NOT_LATIN.search(text, run.start, run.end)


def _append(parts: list[LinePart], part: LinePart) -> None:
    """Adds a part, or lengthens the last one."""
    last = parts[-1] if parts else None
    if last is None or last.candidate is not part.candidate:
        parts.append(part)
    elif last.language == part.language or part.candidate.mixes_languages:
        parts[-1] = replace(last, end=part.end)
    else:
        parts.append(part)
