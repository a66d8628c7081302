"""Who wrote a line. A name is foreign text, and the one thing that every chatter may choose."""

from __future__ import annotations

import re
import unicodedata

from ishowtts.policies.links import link_cuts
from ishowtts.policies.repeats import without_repeats
from ishowtts.policies.text_edits import INVISIBLE, spliced, visible
from ishowtts.text import is_speakable

MOST_SPOKEN_CHARS = 40
_UNSEEN = re.compile(f"[{INVISIBLE}\u200c\u200d\ufe0f]+")
_END_OF_SENTENCE = re.compile(r"\.(?=\s|$)")


def author_key(name: str) -> str:
    """The same for two spellings that a reader takes for one name, such as `Bob` and `ｂｏｂ`."""
    folded = unicodedata.normalize("NFKC", _UNSEEN.sub("", name)).casefold()
    return " ".join(folded.split())[:256]


def spoken_author(name: str, links_go: bool) -> str | None:
    """A name as it is said: letters, digits and what stands between them, 40 characters; `None`: nothing is left."""
    text = visible(unicodedata.normalize("NFKC", visible(name)))
    if links_go:
        text = spliced(text, link_cuts(text, ""))
    text = "".join(char if unicodedata.category(char)[0] in "LMN" or char in "'’.&-" else " " for char in text)
    text = " ".join(_END_OF_SENTENCE.sub(" ", text).split())
    text = without_repeats(text, 3)[:MOST_SPOKEN_CHARS].strip()
    return text if is_speakable(text) else None
