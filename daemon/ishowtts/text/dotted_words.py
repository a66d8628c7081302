"""Reads a dot inside of words: as the end of a sentence after which a blank is missing, or as part of a name."""

from __future__ import annotations

import re

from ishowtts.limits import TOP_LEVEL, TOP_LEVEL_WORDS
from ishowtts.text.reading_rules import only_with, rule

# No part is unbounded, and a match begins only at the start of a word, since the text may be hostile.
_JOINED = re.compile(
    r"(?<![^\s\"'“‘„«(\[])"
    r"(?P<left>(?:[^\W\d_]{1,30}['’-]){0,3}(?P<word>[^\W\d_]{1,30})"
    r"|(?P<number>\d{1,4}(?:[.:,]\d{1,4}){0,3}(?:[%€]|°[CF]?|[A-Za-z]{1,3})?))"
    r"(?P<end>[.!?…]{1,3}[\"'”’»)\]]?)"
    r"(?=(?P<right>[^\W\d_]{1,30})(?:['’][a-z]{1,3})?(?![\w(/\\@:=]|\.[a-z0-9]))"
)
_ENDINGS = (*TOP_LEVEL, "js", "md", "py", "pdf", "jpg", "png", "txt", "doc", "exe", "zip")
"""After a dot, these are part of an address or of the name of a file: `Report.Pdf`."""
_MAX_JOINTS = 4
"""Sentences in one row without a blank. Each pass finds the first one of each row."""
_SHORTEST_AFTER_NUMBER = 3  # letters: 2.B is not the end of a sentence


def separate_sentences(text: str) -> str:
    """The text with a blank where it was forgotten between two sentences, as in `Dinner is ready.De kids eat.`

    Addresses, names of files and the like stay: after the mark there must be a word with a capital letter in front.
    """
    for _ in range(_MAX_JOINTS):
        separated = _JOINED.sub(lambda joint: f"{joint[0]} " if _ends_sentence(joint) else joint[0], text)
        if separated == text:
            break
        text = separated
    return text


def _ends_sentence(joint: re.Match[str]) -> bool:
    word, right = joint["word"], joint["right"]
    if not right.istitle() or (len(right) == 1 and right not in "AI"):
        return False
    if joint["number"]:
        return len(right) >= _SHORTEST_AFTER_NUMBER
    if len(joint["left"]) == 1:
        return False  # an initial
    if not joint["end"].startswith("."):
        return True
    if right.lower() in _ENDINGS:
        return word.islower() and right.lower() in TOP_LEVEL_WORDS
    return word.lower() != "www" and (word.islower() or word.istitle() or word.isupper())


DOT_NET = only_with(
    ".",
    rule(r"(?<![A-Za-z0-9])([A-Z]{2,3})\.N(?:ET|et)(?!\w)", lambda name, _: f"{' '.join(name[1])} dot net"),
    rule(r"(?<![A-Za-z0-9.])([A-Za-z]{1,20})\.NET(?!\w)", r"\1 dot net"),
    rule(r"(?<![A-Za-z0-9.])\.(?:NET|net)(?!\w)", "dot net"),
)
"""Rules of English for `ASP.NET` and its relatives."""
