"""Finds web addresses in a text, and leaves words with a dot in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ishowtts.limits import TOP_LEVEL, TOP_LEVEL_WORDS, WEB_START
from ishowtts.policies.text_edits import TextEdit

_TOP_LEVEL = "|".join(TOP_LEVEL)
_PRIVATE = "local|lan|home|internal|localdomain|box"  # hosts of a home network: links if a port follows
_DOT = r"(?:\.|\[\.\]|\(\.\))"  # example[.]com
_LABEL = rf"[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?{_DOT}"
_PATH = r"[!-~]*[0-9a-z/=&#_~%+$-]"
_START = re.compile(rf"{WEB_START}|(?:ftp|hxxps?)://", re.IGNORECASE)
_ADDRESS = re.compile(
    rf"(?<![a-z0-9])(?:{_START.pattern}){_PATH}"
    rf"|(?<![a-z0-9_@.-])(?:{_LABEL})+"
    rf"(?:[a-z]{{2,18}}(?::[0-9]{{1,5}})?/{_PATH}"
    rf"|(?:{_PRIVATE}):[0-9]{{2,5}}(?![0-9])"
    rf"|(?:{_TOP_LEVEL})(?![a-z0-9_@-]|\.[a-z0-9])(?::[0-9]{{1,5}})?(?:/(?:{_PATH})?)?)",
    re.IGNORECASE | re.ASCII,
)
_HOST_END = re.compile("[/:]")
_BRACKETS = re.compile(r"[\[\]()]")
_FILE_ENDINGS = frozenset(
    ("js", "ts", "css", "html", "htm", "txt", "json", "yaml", "yml", "xml", "csv", "log", "pdf", "png", "jpg", "jpeg",
     "php", "exe", "gcode")
)  # fmt: skip
_AROUND = ".,;:!?…\"'()[]<>“”„‘’ "


def link_edits(text: str, replacement: str, *, capitalised: bool = False) -> list[TextEdit]:
    """An edit for each link of a text, in order. A mail address is not a link.

    Args:
        capitalised: Whether a host with a capital letter, such as `Amazon.de`, is a link too. Without a path or a port
            it is more often the name of a company.
    """
    return [TextEdit(*link.span(), replacement) for link in find_links(text, capitalised=capitalised)]


def find_links(text: str, *, capitalised: bool) -> Iterator[re.Match[str]]:
    """The links of a text, in order; `capitalised` as for `link_edits`."""
    for address in _ADDRESS.finditer(text):
        if _START.match(address[0]) or _is_link(address[0], text, capitalised):
            yield address


def _is_link(address: str, text: str, capitalised: bool) -> bool:
    """Whether an address without a scheme is a link, and not words with a dot between them."""
    host = _HOST_END.split(address, maxsplit=1)[0]
    *labels, top_level = _BRACKETS.sub("", host).split(".")
    joined = top_level.istitle() and labels[-1].islower()
    if len(host) < len(address):  # a path or a port follows
        if top_level.lower() in _FILE_ENDINGS:
            return False  # Node.js/Express
        return capitalised or not top_level.istitle() or (top_level.lower() in TOP_LEVEL and not joined)
    if top_level == "NET" or (joined and top_level.lower() in TOP_LEVEL_WORDS):
        return False  # ASP.NET; Dinner is ready.De kids eat
    return capitalised or host == host.lower() or text.strip(_AROUND) == address
