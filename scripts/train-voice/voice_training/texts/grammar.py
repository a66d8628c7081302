"""Sentences out of templates: slots are filled from lists, alternatives are chosen."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "words"
_BLANKS = re.compile(r" (?=[ .,!?;:])")  # where an alternative was nothing
_ALTERNATIVES = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{(\w+)(?:\|(\w+))?\}")
_MOST_STEPS = 200

Maker = Callable[[random.Random], str]


class Grammar:
    """Fills templates such as `The {room} is (cold/warm/) today.`; what fills a slot may hold slots itself.

    Args:
        lists: by name; each entry is a word with its forms or a template.
        makers: by name, what is made rather than drawn, such as numbers.
        forms: by the name behind the bar of `{noun|plural}`, what it does to an entry.
        plain: what an entry is without a bar.
    """

    def __init__(
        self,
        lists: Mapping[str, Sequence[str]],
        makers: Mapping[str, Maker],
        forms: Mapping[str, Callable[[str], str]],
        plain: Callable[[str], str],
    ) -> None:
        self._lists = lists
        self._makers = makers
        self._forms = forms
        self._plain = plain

    def fill(self, rng: random.Random, template: str) -> str:
        """One sentence of a template.

        Raises:
            KeyError: a slot that nothing fills.
            ValueError: slots that fill themselves without end.
        """
        for _ in range(_MOST_STEPS):
            if choice := _ALTERNATIVES.search(template):
                made = rng.choice(choice[1].split("/"))
            elif choice := _SLOT.search(template):
                made = self._slot(rng, choice[1], choice[2])
            else:
                return _BLANKS.sub("", template)
            template = template[: choice.start()] + made + template[choice.end() :]
        raise ValueError(f"the template has no end: {template[:80]}")

    def _slot(self, rng: random.Random, name: str, form: str | None) -> str:
        if name in self._makers:
            return self._makers[name](rng)
        entry = rng.choice(self._lists[name])
        return self._forms[form](entry) if form else self._plain(entry)


@lru_cache
def words(language: str, name: str) -> tuple[str, ...]:
    """The entries of a list, `words/<language>/<name>.txt`, which blanks and line ends part."""
    return tuple((FOLDER / language / f"{name}.txt").read_text(encoding="utf-8").split())


@lru_cache
def lines(language: str, name: str) -> tuple[str, ...]:
    """The lines of a file in which an entry may hold blanks."""
    text = (FOLDER / language / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())
