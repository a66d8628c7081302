"""Generates sentences from templates: fills slots from word lists and chooses alternatives."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "words"
_EXTRA_SPACES = re.compile(r" (?=[ .,!?;:])")  # left over by an empty alternative
_ALTERNATIVES = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{(\w+)(?:\|(\w+))?\}")
_MAX_STEPS = 200

Generator = Callable[[random.Random], str]


class Grammar:
    """Fills templates such as `The {room} is (cold/warm/) today.` The content of a slot may have slots itself.

    Args:
        lists: the word lists by name. An entry is a word with its forms, or a template.
        generators: functions by name that generate content, such as numbers.
        forms: functions by name that inflect an entry, such as `plural` in `{noun|plural}`.
        plain: converts an entry in a slot without a form.
    """

    def __init__(
        self,
        lists: Mapping[str, Sequence[str]],
        generators: Mapping[str, Generator],
        forms: Mapping[str, Callable[[str], str]],
        plain: Callable[[str], str],
    ) -> None:
        self._lists = lists
        self._generators = generators
        self._forms = forms
        self._plain = plain

    def fill(self, rng: random.Random, template: str) -> str:
        """Fill a template with random content.

        Raises:
            KeyError: a slot has an unknown name.
            ValueError: slots contain themselves endlessly.
        """
        for _ in range(_MAX_STEPS):
            if choice := _ALTERNATIVES.search(template):
                made = rng.choice(choice[1].split("/"))
            elif choice := _SLOT.search(template):
                made = self._slot(rng, choice[1], choice[2])
            else:
                return _EXTRA_SPACES.sub("", template)
            template = template[: choice.start()] + made + template[choice.end() :]
        raise ValueError(f"the template has no end: {template[:80]}")

    def _slot(self, rng: random.Random, name: str, form: str | None) -> str:
        if name in self._generators:
            return self._generators[name](rng)
        entry = rng.choice(self._lists[name])
        return self._forms[form](entry) if form else self._plain(entry)


@lru_cache
def words(language: str, name: str) -> tuple[str, ...]:
    """The entries of the list `words/<language>/<name>.txt`, separated by spaces or line ends."""
    return tuple((FOLDER / language / f"{name}.txt").read_text(encoding="utf-8").split())


@lru_cache
def lines(language: str, name: str) -> tuple[str, ...]:
    """The entries of a file with one entry on each line."""
    text = (FOLDER / language / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())
