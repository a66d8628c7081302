"""The lines of a long run: most have two words, and each has two words of its own by which it is known again."""

from __future__ import annotations

import json
import random
import re
from typing import Any

# fmt: off
_WORDS = (  # noqa: SIM905  a list of words would take 100 lines
    "apple arrow bacon badge baker bamboo banana basket beach beaver bench berry blanket blossom bottle branch "
    "bridge bucket butter button cabin camel candle carpet carrot castle cattle cellar cherry circle cliff cloud "
    "clover coffee collar copper cotton cousin cradle crayon cricket curtain dagger daisy desert dinner doctor "
    "dolphin donkey dragon eagle engine fabric falcon feather fence ferry finger flower forest fossil garden garlic "
    "ginger glove goblet hammer harbour helmet honey island jacket jungle kettle kitten ladder lantern lemon lizard "
    "marble meadow melon mirror monkey mountain needle orchard oyster paddle pepper pillow planet pocket puzzle "
    "rabbit ribbon river saddle window sailor "
).split()
# fmt: on
_NUMBER_OF = {word: number for number, word in enumerate(_WORDS)}
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b")
MOST = len(_WORDS) ** 2

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


def words_of(number: int) -> str:
    """The two words by which a line is known."""
    return f"{_WORDS[number // len(_WORDS)]} {_WORDS[number % len(_WORDS)]}"


def number_of(text: str) -> int | None:
    """The number of the line that a text or a payload belongs to; `None` if it has no such words."""
    found = _WORD.findall(text)
    return _NUMBER_OF[found[0]] * len(_WORDS) + _NUMBER_OF[found[1]] if len(found) >= 2 else None


def payload_of(number: int, kind: str, chance: random.Random) -> bytes:
    """The payload of a line."""
    words = words_of(number)
    line: dict[str, Any] = {"text": f"{words}.", "speed": 2.0}
    if kind == "urgent":
        line["priority"] = "urgent"
    elif kind == "short_lived":
        line["ttl_s"] = round(chance.uniform(0.1, 5), 2)
    elif kind == "german":
        line["language"] = "de"
    elif kind == "long":
        line["text"] = f"{words}. {_REST}"
    elif kind == "hostile":
        return _hostile(words, chance)
    return json.dumps(line).encode()


def _hostile(words: str, chance: random.Random) -> bytes:
    """Some of these are spoken, and others rejected."""
    return chance.choice(
        [
            json.dumps({"text": words, "speed": "fast"}).encode(),
            json.dumps({"text": words, "voice": "../../etc/passwd"}).encode(),
            json.dumps({"text": words, "unknown": [[[[1]]]]}).encode(),
            f'{{"text": "{words}", "text": 7'.encode(),
            f"{words} \x07\x1b[2J \u202e \ud83d\ude00".encode("utf-8", "surrogatepass"),
            f"[[{words}]] <speak>&amp;</speak> $(reboot) ; --help".encode(),
            words.encode() + b" \xff\xfe\xc3",
        ]
    )
