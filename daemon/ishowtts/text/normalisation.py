"""Numbers, units, times, money and signs in words: by the tables of a language, and the library behind them."""

from __future__ import annotations

import re
from functools import partial

from ishowtts.text import number_library
from ishowtts.text.chinese import chinese
from ishowtts.text.english import english
from ishowtts.text.pieces import MOST_CHARS, pieces

_MOST_CHARS = 20_000  # a quarter of an hour of speech; what comes behind is spoken as it is written
_LANGUAGES = {
    "en": partial(english, read=lambda token: number_library.read(token, "en")),
    "zh": partial(chinese, read=lambda token: number_library.read(token, "zh")),
}
_EDGES = re.compile(r"^(\s*)(.*?)(\s*)$", re.DOTALL)


def normalise(text: str, language: str) -> str:
    """Text with every written form that is known in words.

    Args:
        text: clean text, all of it in one language.
        language: `en` or `zh`; any other gives the text back.

    Returns:
        What is to be said. A form that is not known stays as it is, and so does what stands behind the first 20,000
        characters or in a single word longer than 400. Never raises.
    """
    say = _LANGUAGES.get(language)
    if say is None:
        return text
    said = []
    for start, end in pieces(text[:_MOST_CHARS]):
        piece = text[start:end]
        edges = _EDGES.match(piece)
        if len(piece) > MOST_CHARS or edges is None or not edges[2]:
            said.append(piece)
        else:
            said.append(edges[1] + say(edges[2]).strip() + edges[3])
    return "".join(said) + text[_MOST_CHARS:]
