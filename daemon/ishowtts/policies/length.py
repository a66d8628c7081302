"""A text that is too long, ended where a listener would not mind."""

from __future__ import annotations

from ishowtts.text import MIN_SEGMENT_BYTES, segments

_AHEAD = 200
_REST = " and the rest of the line"  # what is behind a cut is long, so no better one is looked for on its account


def cut(text: str, max_chars: int) -> str:
    """The head of a cleaned text, at most `max_chars` characters, ended as a segment is.

    That is at the last end of a sentence, else of a clause, that leaves a third of `max_chars`; else between words.
    """
    if len(text) <= max_chars:
        return text
    limit_bytes = len(text[:max_chars].encode())
    if limit_bytes < MIN_SEGMENT_BYTES:
        head, blank, _ = text[: max_chars + 1].rpartition(" ")
        return head if blank else text[:max_chars]
    parts = segments(text[: max_chars + _AHEAD] + _REST, limit_bytes)
    return parts[0][:max_chars].strip() if parts else ""
