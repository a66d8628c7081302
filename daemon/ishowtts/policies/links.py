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
# A host stands alone between the ends of sentences, or after an invitation to go there. Elsewhere it is the name of a
# machine or of a company: `The server web01.example.com is down.`
_BEFORE_ALONE = re.compile(r"[.:;!?…([<\"“„‘–—-]\s*\Z")
_AFTER_ALONE = re.compile(r"[\"”’)\]>]*(?:[.!?…)\]>\"”’;–—]|\Z)")
_INVITATION = re.compile(
    r"\b(?:(?:go|head|over|back|subscribe) to|goto|see|visit|join|watch|click|open|browse|follow|check(?: out)?|look at"
    r"|(?:more|read|found|live|available|shop|buy) (?:at|on)|siehe|besuche?|besuchen Sie|mehr auf) \Z"
    r"|(?:访问|打开|登录|关注|去|看) ?\Z",
    re.IGNORECASE,
)
_BEFORE_CHARS = 20


def link_edits(text: str, replacement: str, *, all_hosts: bool) -> list[TextEdit]:
    """An edit for each link of a text, in order. A mail address is not a link.

    Args:
        all_hosts: Whether every host is a link, such as that in `Your Amazon.de parcel`. Without a path or a port it is
            more often a name.
    """
    return [TextEdit(*link.span(), replacement) for link in find_links(text, all_hosts=all_hosts)]


def find_links(text: str, *, all_hosts: bool) -> Iterator[re.Match[str]]:
    """The links of a text, in order; `all_hosts` as for `link_edits`."""
    for address in _ADDRESS.finditer(text):
        if _START.match(address[0]) or _is_link(address, all_hosts):
            yield address


def _is_link(match: re.Match[str], all_hosts: bool) -> bool:
    """Whether an address without a scheme is a link, and not words with a dot between them."""
    address = match[0]
    if not all_hosts and match.string[max(0, match.start() - 1) : match.start()] in ("/", "\\"):
        return False  # part of the path of a file
    host = _HOST_END.split(address, maxsplit=1)[0]
    *labels, top_level = _BRACKETS.sub("", host).split(".")
    joined = top_level.istitle() and labels[-1].islower()
    if len(host) < len(address):  # a path or a port follows
        if top_level.lower() in _FILE_ENDINGS:
            return False  # Node.js/Express
        return all_hosts or not top_level.istitle() or (top_level.lower() in TOP_LEVEL and not joined)
    if top_level == "NET" or (joined and top_level.lower() in TOP_LEVEL_WORDS):
        return False  # ASP.NET; Dinner is ready.De kids eat
    if all_hosts or "." + top_level not in host or match.string.strip(_AROUND) == address:
        return True  # a dot in brackets hides a link
    return host == host.lower() and _stands_alone(match)


def _stands_alone(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - _BEFORE_CHARS) : match.start()]
    if _INVITATION.search(before):
        return True
    return (not before or _BEFORE_ALONE.search(before) is not None) and _AFTER_ALONE.match(
        match.string, match.end()
    ) is not None
