"""Names of authors: as they are spoken, and as they are compared."""

from __future__ import annotations

import re
import unicodedata

from ishowtts.policies.links import link_edits
from ishowtts.policies.repeats import shorten_repeats
from ishowtts.policies.text_edits import INVISIBLE, apply_edits, fold_blanks, visible_text
from ishowtts.text import is_speakable

_MAX_SPOKEN_CHARS = 40
_MAX_KEY_CHARS = 256
_KEPT_REPEATS = 3
_SENTENCE_END = re.compile(r"\.(?=\s|$)")
_INVISIBLE_IN_NAME = re.compile(f"[{INVISIBLE}\u200c\u200d\ufe0f]+")


def spoken_author(name: str, *, drop_links: bool) -> str | None:
    """An author's name as it is spoken; `None` if nothing is left of it.

    Every chatter may choose a name, so it is cleaned: letters, digits and what is between them stay, 40 characters
    at most.
    """
    text = visible_text(unicodedata.normalize("NFKC", visible_text(name)))
    if drop_links:
        text = apply_edits(text, link_edits(text, "", all_hosts=True))
    text = "".join(char if unicodedata.category(char)[0] in "LMN" or char in "'’.&-" else " " for char in text)
    text = shorten_repeats(fold_blanks(_SENTENCE_END.sub(" ", text)), _KEPT_REPEATS)[:_MAX_SPOKEN_CHARS].strip()
    return text if is_speakable(text) else None


def author_key(name: str) -> str:
    """A key that is the same for spellings that a reader takes for one name, such as `Bob` and `ｂｏｂ`."""
    folded = unicodedata.normalize("NFKC", _INVISIBLE_IN_NAME.sub("", name)).casefold()
    return " ".join(folded.split())[:_MAX_KEY_CHARS]
