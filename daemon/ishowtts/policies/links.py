"""Addresses of the web, as people write them."""

from __future__ import annotations

import re

from ishowtts.limits import WEB_START
from ishowtts.policies.text_edits import TextEdit

# Ends that stand for an address alone, and those that do only before a slash: `look.at` may be a forgotten blank.
_ENDS = "com|net|org|edu|gov|io|tv|gg|dev|info|biz|xyz|eu|de|fr|uk|nl|pl|ch|ru|cn|jp|kr|br"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\."
_REST = r"[!-~]*[0-9a-z/=&#_~%+$-]"
LINK = re.compile(
    rf"(?<![a-z0-9])(?:{WEB_START}|ftp://){_REST}"
    rf"|(?<![a-z0-9_@.-])(?:{_LABEL})+"
    rf"(?:[a-z]{{2,18}}(?::[0-9]{{1,5}})?/{_REST}|(?:{_ENDS})(?![a-z0-9_@-]|\.[a-z0-9])(?::[0-9]{{1,5}})?(?:/(?:{_REST})?)?)",
    re.IGNORECASE | re.ASCII,
)


def link_cuts(text: str, word: str) -> list[TextEdit]:
    """A cut for each address; one of mail is none."""
    return [(*match.span(), word) for match in LINK.finditer(text)]
