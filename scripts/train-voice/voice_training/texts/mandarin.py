"""Generates Mandarin sentences."""

from __future__ import annotations

import random
from functools import lru_cache

from pypinyin import Style, lazy_pinyin

from voice_training.texts import mandarin_numbers as numbers
from voice_training.texts.grammar import Grammar, lines, words

_OWN = ("names", "people", "things", "places", "cities", "devices", "rooms", "verbs", "adjectives", "adverbs",
        "measures", "single")  # fmt: skip
_USUAL = {"nouns": "nouns", "idioms": "idioms", "uverbs": "verbs", "uadjectives": "adjectives", "uadverbs": "adverbs",
          "uplaces": "places", "uothers": "others"}  # fmt: skip
_TOPICS = {"home": 3, "announcements": 3, "chat": 3, "talk": 4, "stories": 4, "numbers": 3, "short": 2, "long": 3}
_SHARE_OF_WORD_LISTS = 0.25


def sentence(rng: random.Random) -> str:
    """Generate one sentence."""
    if rng.random() < _SHARE_OF_WORD_LISTS:
        return _word_list(rng)
    topic = rng.choices(tuple(_TOPICS), tuple(_TOPICS.values()))[0]
    return _GRAMMAR.fill(rng, rng.choice(lines("zh", f"sentences/{topic}")))


def _word_list(rng: random.Random) -> str:
    """Random words in any order, chosen by syllable, so that rare syllables come as often as common ones."""
    words_left = [rng.choice(rng.choice(_by_syllable())) for _ in range(rng.randint(1, 6))]
    return "，".join("".join(group) for group in _groups(rng, words_left)) + "。"


def _groups(rng: random.Random, words_left: list[str]) -> list[list[str]]:
    groups = []
    while words_left:
        size = rng.randint(1, 3)
        groups.append(words_left[:size])
        words_left = words_left[size:]
    return groups


@lru_cache
def _by_syllable() -> tuple[tuple[str, ...], ...]:
    """For each syllable with its tone, the words that contain it."""
    found: dict[str, list[str]] = {}
    for word in dict.fromkeys(word for name in (*_OWN, *_USUAL) for word in _WORDS[name]):
        for syllable in lazy_pinyin(word, style=Style.TONE3, tone_sandhi=True, neutral_tone_with_five=True):
            found.setdefault(syllable, []).append(word)
    return tuple(tuple(words_of) for _, words_of in sorted(found.items()))


_WORDS = {name: words("zh", name) for name in _OWN}
_WORDS |= {slot: words("zh", f"usual-{name}") for slot, name in _USUAL.items()}
_GRAMMAR = Grammar(
    _WORDS,
    generators={
        "number": numbers.any_number,
        "several": numbers.several,
        "num": numbers.few,
        "percent": numbers.below_hundred,
        "nth": numbers.below_hundred,
        "digit": numbers.digit,
        "digits": numbers.digits,
        "decimal": numbers.decimal,
        "clock": numbers.clock,
        "date": numbers.date,
        "year": numbers.year,
        "weekday": numbers.weekday,
        "money": numbers.money,
    },
    forms={},
    plain=str,
)
