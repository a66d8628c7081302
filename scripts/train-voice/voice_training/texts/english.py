"""Generates English sentences."""

from __future__ import annotations

import random

from voice_training.texts import english_numbers as numbers
from voice_training.texts.grammar import Grammar, lines, words

_CONCRETE = ("things", "foods", "animals", "people", "nature", "places")
_LISTS = (
    *("names", "surnames", "cities", "countries", "rooms", "devices", "foods", "drinks", "animals", "nature", "people"),
    *("things", "places", "ideas", "body", "colours", "adjectives", "adverbs", "verbs", "actions", "interjections"),
    "others",
)
_TOPICS = {"home": 3, "announcements": 3, "chat": 3, "talk": 4, "stories": 4, "numbers": 3, "short": 2, "long": 3}
_SHARE_OF_WORD_LISTS = 0.12
_ING, _PAST = 2, 3
_VOWELS = "aeiou"
_LIKE_YOU = ("uni", "ura", "use", "usu", "ute", "uto", "uku", "eu", "one")


def sentence(rng: random.Random) -> str:
    """Generate one sentence."""
    if rng.random() < _SHARE_OF_WORD_LISTS:
        return _capitalized(_word_list(rng))
    topic = rng.choices(tuple(_TOPICS), tuple(_TOPICS.values()))[0]
    return _capitalized(_GRAMMAR.fill(rng, rng.choice(lines("en", f"sentences/{topic}"))))


def _word_list(rng: random.Random) -> str:
    """Random words in any order, for sequences of sounds that no template has."""
    chosen = []
    for _ in range(rng.randint(1, 9)):
        entry = rng.choice(_EVERY_WORD)
        chosen.append(rng.choice(entry.split("/")) + rng.choice(("", "", "", ",")))
    return " ".join(chosen).rstrip(",") + "."


def _capitalized(text: str) -> str:
    """Use single spaces, and capitalize each sentence."""
    text = " ".join(text.split()).replace(" ,", ",")
    ends = [0, *(i + 2 for i, mark in enumerate(text[:-2]) if mark in ".!?" and text[i + 1] == " ")]
    return "".join(letter.upper() if i in ends else letter for i, letter in enumerate(text))


def _form(entry: str, index: int) -> str:
    forms = entry.split("/")
    return forms[index] if len(forms) == _PAST + 1 else ""


def _third(entry: str) -> str:
    """The third person, such as `goes`."""
    return _form(entry, 1) or _with_s(entry)


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")) or word in ("go", "do"):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") and word[-2] not in _VOWELS else f"{word}s"


def _ing(entry: str) -> str:
    """The present participle, such as `going`."""
    if entry.endswith("ie"):
        return f"{entry[:-2]}ying"
    stem = entry[:-1] if entry.endswith("e") and not entry.endswith(("ee", "ye", "oe")) else entry
    return _form(entry, _ING) or f"{stem}ing"


def _past(entry: str) -> str:
    """The past tense, such as `went`."""
    if found := _form(entry, _PAST):
        return found
    if entry.endswith("e"):
        return f"{entry}d"
    return f"{entry[:-1]}ied" if entry.endswith("y") and entry[-2] not in _VOWELS else f"{entry}ed"


def _plural(entry: str) -> str:
    """The plural, such as `mice`."""
    one, _, more = entry.partition("/")
    return more or _with_s(one)


def _plain(entry: str) -> str:
    return entry.partition("/")[0].replace("-", " ")


def _with_article(entry: str) -> str:
    """The word with its indefinite article, such as `an apple`."""
    word = _plain(entry)
    sounds_open = word[0] in _VOWELS and not word.startswith(_LIKE_YOU)
    return f"{'an' if sounds_open or word.startswith(('hour', 'honest', 'honor')) else 'a'} {word}"


def _spoken(entry: str) -> str:
    return entry.replace("-", " ")


_WORDS = {name: words("en", name) for name in _LISTS}
_WORDS |= {
    "noun": tuple(word for name in _CONCRETE for word in _WORDS[name]),
    "days": numbers.DAYS,
    "months": numbers.MONTHS,
}
_EVERY_WORD = tuple(_spoken(word) for name in _LISTS for word in _WORDS[name])
_GRAMMAR = Grammar(
    _WORDS,
    generators={
        "number": numbers.any_number,
        "several": numbers.several,
        "percent": numbers.below_hundred,
        "digit": numbers.digit,
        "digits": numbers.digits,
        "decimal": numbers.decimal,
        "clock": numbers.clock,
        "date": numbers.date,
        "year": numbers.year,
        "money": numbers.money,
        "nth": numbers.ordinal_number,
        "letter": numbers.letter,
        "letters": numbers.letters,
    },
    forms={
        "third": lambda entry: _spoken(_third(entry)),
        "ing": _ing,
        "past": _past,
        "plural": lambda entry: _spoken(_plural(entry)),
        "a": _with_article,
    },
    plain=_plain,
)
