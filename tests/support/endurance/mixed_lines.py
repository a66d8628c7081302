"""The lines of a long run: most are one made-up word, by which each is known again."""

from __future__ import annotations

import json
import random
import re
from typing import Any

# Two syllables at twice the speed last about half a second: 10,000 lines can be spoken in an hour and a half.
_SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnprstvwxyz" for vowel in "aeiou"]
_WORD = re.compile(r"\b([bcdfghj-npr-tv-z][aeiou])([bcdfghj-npr-tv-z][aeiou])\b")
MOST = len(_SYLLABLES) ** 2

_REST = (
    "The old clock on the wall was slow again, so nobody noticed how late it had become. Later the rain stopped, and "
    "people came out of their houses to look at the sky."
)
KINDS = {
    "short": 0.85,
    "urgent": 0.05,
    "short_lived": 0.03,
    "german": 0.03,
    "hostile": 0.03,
    "long": 0.01,
}
"""The share of each kind of line."""


def word_of(number: int) -> str:
    """The word by which a line is known."""
    return _SYLLABLES[number // len(_SYLLABLES)] + _SYLLABLES[number % len(_SYLLABLES)]


def number_of(text: str) -> int | None:
    """The number of the line that a text or a payload belongs to; `None` if it has no such word."""
    found = _WORD.search(text)
    return None if found is None else _SYLLABLES.index(found[1]) * len(_SYLLABLES) + _SYLLABLES.index(found[2])


def payload_of(number: int, kind: str, chance: random.Random) -> bytes:
    """The payload of a line. Urgent ones are so by their topic."""
    word = word_of(number)
    line: dict[str, Any] = {"text": f"{word}.", "speed": 2.0}
    if kind == "short_lived":
        line["ttl_s"] = round(chance.uniform(0.1, 5), 2)
    elif kind == "german":
        line["language"] = "de"
    elif kind == "long":
        line["text"] = f"{word}. {_REST}"
    elif kind == "hostile":
        return _hostile(word, chance)
    return json.dumps(line).encode()


def _hostile(word: str, chance: random.Random) -> bytes:
    """Some of these are spoken, and others rejected."""
    return chance.choice(
        [
            json.dumps({"text": word, "speed": "fast"}).encode(),
            json.dumps({"text": word, "voice": "../../etc/passwd"}).encode(),
            json.dumps({"text": word, "unknown": [[[[1]]]]}).encode(),
            f'{{"text": "{word}", "text": 7'.encode(),
            f"{word} \x07\x1b[2J \u202e \ud83d\ude00".encode("utf-8", "surrogatepass"),
            f"[[{word}]] <speak>&amp;</speak> $(reboot) ; --help".encode(),
            word.encode() + b" \xff\xfe\xc3",
        ]
    )
