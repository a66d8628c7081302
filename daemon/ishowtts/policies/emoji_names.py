"""Names emoji, drops them, or leaves one of a run of the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import emoji

from ishowtts.limits import HAN, KANA
from ishowtts.policies.text_edits import TextEdit

_SKIN_TONES = re.compile("[\U0001f3fb-\U0001f3ff]")
_FIRST_EMOJI = "\u2190"  # ©, ® and ™ are signs of writing, unless an emoji is asked for
_KEYCAP = "\u20e3"
_HAN = re.compile(f"[{HAN}]")
_KANA = re.compile(f"[{KANA}]")


def emoji_edits(text: str, action: str, language: str, *, collapse_runs: bool) -> Iterator[TextEdit]:
    """An edit for each emoji that does not stay as it is.

    Args:
        action: `keep`, `drop` or `name`.
        language: Language of the names. `auto` is Chinese if the text has Chinese characters, else English.
        collapse_runs: Leave one of a run of the same emoji.
    """
    if text.isascii():
        return
    if language == "auto":
        language = "zh" if _HAN.search(text) and not _KANA.search(text) else "en"
    last, last_end = "", 0
    for start, end, found in _find_emoji(text):
        repeated = collapse_runs and found == last and not text[last_end:start].strip()
        last, last_end = found, end
        if found[-1] == _KEYCAP and action != "keep":
            yield TextEdit(start, end, found[0])  # a digit is never dropped: 1 in a box is 1
        elif action == "drop" or (repeated and found[-1] != _KEYCAP):
            yield TextEdit(start, end, "")
        elif action == "name":
            yield TextEdit(start, end, _name(found, language))


def _find_emoji(text: str) -> Iterator[tuple[int, int, str]]:
    for match in emoji.emoji_list(text):
        found = str(match["emoji"])
        if len(found) > 1 or found >= _FIRST_EMOJI:
            yield int(match["match_start"]), int(match["match_end"]), found


@lru_cache(maxsize=4096)
def _name(found: str, language: str) -> str:
    """The name of an emoji, without its skin tone; in English if the language has no name for it."""
    untoned = _SKIN_TONES.sub("", found) or found
    for chosen in (language, "en"):
        emoji.config.load_language(chosen)
        name = emoji.demojize(untoned, delimiters=("", ""), language=chosen)
        if name != untoned:
            return name.replace("_", " ")
    return ""
