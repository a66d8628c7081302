"""Texts with places to fill. What is filled in is never looked into: a chatter may write `{author}` too."""

from __future__ import annotations

import re

_PLACE = re.compile(r"\{([a-z]+)\}")
_ENDS = ".,;:!?…。，、；：！？ "


def filled(template: str, values: dict[str, str]) -> str:
    """The template with its places filled; the configuration has checked their names."""
    return _PLACE.sub(lambda place: values[place[1]], template)


def merged_text(template: str, text: str, count: int) -> str:
    """What is said for the same text `count` times, as in `Hello, 4 times`.

    The text's own full stop goes where the template goes on behind it.
    """
    goes_on = not template.rstrip().endswith("{text}")
    bare = text.rstrip(_ENDS) if goes_on else text
    return filled(template, {"text": bare or text, "count": str(count)})
