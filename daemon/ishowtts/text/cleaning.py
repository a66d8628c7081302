"""Text made fit for speech: one way of writing each letter, and nothing that a voice could take for a command."""

from __future__ import annotations

import unicodedata

JOINERS = "\u200c\u200d"
"""Invisible, yet part of letters of several scripts and of emoji."""


def clean(text: str) -> str:
    """Text in NFC, without control characters and lone surrogates, white space folded to single blanks."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    kept = "".join(c for c in joined if c.isspace() or c in JOINERS or unicodedata.category(c) not in ("Cc", "Cf"))
    return " ".join(unicodedata.normalize("NFC", kept).split())


def is_speakable(text: str) -> bool:
    """Whether there is at least one letter or digit."""
    return any(c.isalnum() for c in text)
