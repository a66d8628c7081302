"""A file of words, one a line."""

from __future__ import annotations

from pathlib import Path

from ishowtts.errors import OperatorFileError
from ishowtts.util.live_file import read_text

_MOST_BYTES = 1 << 18
_MOST_WORDS = 10_000
_MOST_CHARS = 64


def read_words(path: Path) -> list[str]:
    """The words of a file in UTF-8; empty lines and those that start with `#` are none.

    Raises:
        OperatorFileError: with one sentence.
    """
    text = read_text(path, _MOST_BYTES)
    words: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        if len(word) > _MOST_CHARS:
            raise OperatorFileError(
                f"{path}:{number}: has {len(word)} characters; write one word a line, {_MOST_CHARS} at most"
            )
        words.append(word)
    if len(words) > _MOST_WORDS:
        raise OperatorFileError(f"{path}: holds {len(words)} words; {_MOST_WORDS} at most are looked for")
    return words
