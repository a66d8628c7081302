"""Replaces what stands in angle brackets, and entities: HTML, SSML, and the codes of Discord, Slack and the like."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from html.entities import html5

from ishowtts.text.literals import PAUSE, Literals


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


# Tags that end a line, those that only pause, and those that change nothing.
_BREAKS = _names(
    "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 head header hr html li main menu nav ol optgroup option p paragraph pre "
    "section select sentence speak summary table tbody tfoot thead title tr ul xml"
)
_PAUSES = frozenset(("break", "td", "th"))
_INLINE = _names(
    "a abbr acronym amazon:domain amazon:effect amazon:emotion applet area audio b base basefont bdi bdo big blink "
    "button canvas cite code col colgroup data datalist del desc dfn em embed emphasis font frame frameset i iframe "
    "img input ins kbd label lang legend lexicon link lookup map mark marquee math media meta meter mstts:express-as "
    "mstts:silence noframes noscript object output param phoneme picture progress prosody q rp rt ruby s samp say-as "
    "slot small source span strike strong sub sup svg template textarea time token tt track u var video voice w "
    "wbr"
)
# These are words too: `<address>` may ask for one. They are tags if they have an attribute or a closing tag.
_ALSO_WORDS = _names(
    "a address article area aside audio b base body button caption center code data details dialog dir emphasis font "
    "footer form frame head header i input label lang legend link main map mark media menu meta meter object option "
    "output paragraph picture q s section select sentence slot small source speak summary table template time title "
    "token track u video voice w xml"
)
_HIDDEN = ("script", "style")
# With one of these, line ends are only white space.
_DOCUMENT = re.compile(r"<(?:p|div|ul|ol|table|html|body|speak)[\s>]", re.IGNORECASE)
_ANGLE = re.compile(r"<([!/?@#:a-zA-Z][^<>]{0,1000})>")
_TAG = re.compile(r"(/?)([A-Za-z][\w:.-]{0,40})(\s[^<>]*)?(/?)", re.ASCII)
_CLOSING = re.compile(r"</([A-Za-z][\w:.-]{0,40})\s{0,9}>", re.ASCII)
_OPENING = re.compile(r"<([A-Za-z][\w:.-]{0,40})(?=[\s/>])", re.ASCII)
_ATTRIBUTE = re.compile(
    r"([A-Za-z][\w:-]{0,30})\s{0,9}=\s{0,9}(?:\"([^\"]{0,500})\"|'([^']{0,500})'|([^\s\"'>]{1,500}))"
)
_SUBSTITUTE = re.compile(r"<(sub|say-as)(\s[^<>]{0,300})>([^<>]{0,300})</\1\s{0,9}>", re.IGNORECASE)
_RAISED = re.compile(r"(?<=([\w)]))<sup>([^<>]{1,10})</sup>", re.IGNORECASE)
_POWERS = {"2": "²", "3": "³"}
_WORDS = re.compile(r"\w[\w .'-]{0,60}")
_ADDRESS = re.compile(
    r"(?:https?://|ftp://|mailto:|tel:|tg://|www\.)[^\s|]{1,900}|[^\s|@]{1,64}@[^\s|@]{1,255}\.[a-z]{2,18}", re.I
)
_SPELLED = ("characters", "character", "spell-out", "verbatim", "digits", "letters")
_TIMES = {"t": "%H:%M", "T": "%H:%M", "d": "%Y-%m-%d", "D": "%Y-%m-%d"}

_NAMES_WITHOUT_SEMICOLON = "|".join(sorted((name for name in html5 if name[-1] != ";"), key=len, reverse=True))
_ENTITY = re.compile(
    r"&(?:#[0-9]{1,7};|#[xX][0-9A-Fa-f]{1,6};|#[0-9]{2,5}(?![0-9])|#[xX][0-9A-Fa-f]{2,5}(?![0-9A-Za-z])"
    rf"|[A-Za-z][A-Za-z0-9]{{1,30}};|deg(?=[CF](?![A-Za-z]))|(?:{_NAMES_WITHOUT_SEMICOLON})(?![A-Za-z0-9=;]))"
)
_NAME_PARTS = re.compile(r"(?<=[a-z])(?=[A-Z])|[_-]")
_SIGNS = "*_`~|#[]\\"


def replace_tags(text: str, literals: Literals) -> str:
    """The text without tags. What ends a line or pauses in them still does; unknown words in brackets stay."""
    if "<" not in text:
        return text
    text = _without_hidden(text)
    if _DOCUMENT.search(text):
        text = " ".join(text.splitlines())
    sentences = "<speak" in text.lower()
    text = _SUBSTITUTE.sub(_substitute, text)
    text = _RAISED.sub(lambda match: _raised(match[2]), text)
    closed = {match[1].lower() for match in _CLOSING.finditer(text)}
    opened = {match[1].lower() for match in _OPENING.finditer(text)}

    def replaced(match: re.Match[str]) -> str:
        inner = match[1].strip()
        code = _chat_code(inner, literals)
        if code is not None:
            return _between_words(code, match)
        tag = _TAG.fullmatch(inner)
        if tag is None:
            return "" if inner[0] in "!?" else match[0]
        return _tag(tag, match, closed & opened, sentences=sentences)

    return _ANGLE.sub(replaced, text)


def decode_entities(text: str, literals: Literals) -> str:
    """The text with every entity decoded, once. A sign of markup that was written as an entity is no markup."""
    if "&" not in text:
        return text

    def decoded(match: re.Match[str]) -> str:
        character = html.unescape(match[0] if match[0][-1] == ";" else f"{match[0]};")
        return literals.keep(character) if character in _SIGNS else character

    return _ENTITY.sub(decoded, text)


def name_of_emoji(code: str) -> str:
    """The words of the name that a chat gives to an emoji of its own."""
    return _NAME_PARTS.sub(" ", code).strip()


def _tag(tag: re.Match[str], match: re.Match[str], paired: set[str], *, sentences: bool) -> str:
    name, attributes = tag[2].lower(), tag[3] or ""
    values = _attributes(attributes)
    marked = name in paired or bool(values) or bool(tag[4]) or attributes.endswith("/")
    known = name in _BREAKS or name in _PAUSES or name in _INLINE
    if known and (marked or name not in _ALSO_WORDS):
        return _known_tag(name, values, closes=bool(tag[1]), sentences=sentences)
    if marked:
        return ""
    words = f"{tag[2]}{attributes.rstrip()}"
    if (known and len(name) == 1) or not _WORDS.fullmatch(words):
        return match[0]
    return _between_words(words, match)


def _between_words(words: str, match: re.Match[str]) -> str:
    """The words, with a blank where they would touch other words or another code."""
    before = match.string[max(0, match.start() - 1) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return f"{' ' * (before.isalnum() or before == '>')}{words}{' ' * (after.isalnum() or after == '<')}"


def _known_tag(name: str, values: dict[str, str], *, closes: bool, sentences: bool) -> str:
    if name in _BREAKS or (sentences and name == "s"):
        return "\n• " if name == "li" and not closes else "\n"
    if name in _PAUSES:
        return "" if closes else PAUSE
    return values.get("alt", "") if name == "img" else '"' * (name == "q")


def _attributes(written: str) -> dict[str, str]:
    return {key.lower(): a or b or c for key, a, b, c in _ATTRIBUTE.findall(written)}


def _without_hidden(text: str) -> str:
    """The text without comments, scripts and styles. One that has no end stays."""
    text = _without(text, "<!--", "-->")
    for name in _HIDDEN:
        text = _without(text, f"<{name}", f"</{name}>")
    if "<![CDATA[" in text:
        text = text.replace("<![CDATA[", "").replace("]]>", "")
    return text


def _without(text: str, start: str, end: str) -> str:
    lower = text.lower()
    if start not in lower or len(lower) != len(text):
        return text
    parts, at = [], 0
    while (first := lower.find(start, at)) >= 0 and (last := lower.find(end, first)) >= 0:
        parts.append(text[at:first])
        at = last + len(end)
    return " ".join([*parts, text[at:]])


def _substitute(match: re.Match[str]) -> str:
    """The alias of `<sub>`, and the letters of `<say-as>` with blanks between them."""
    values = _attributes(match[2])
    if match[1].lower() == "sub":
        return values.get("alias", match[3])
    kind = values.get("interpret-as", "").lower()
    if kind in _SPELLED or (kind == "telephone" and match[3].strip().isdigit()):
        return " ".join(character for character in match[3] if not character.isspace())
    return match[3]


def _raised(words: str) -> str:
    """A power, such as ² or ^6. The letters of 1st or a trademark only follow."""
    return _POWERS.get(words, f"^{words}" if words.lstrip("-+").isdigit() else words)


def _chat_code(inner: str, literals: Literals) -> str | None:
    """What a code of a chat stands for; `None` if it is none. The names of users behind numbers are unknown here."""
    target, _, label = inner.partition("|")
    if _ADDRESS.fullmatch(target):
        return label.strip() or literals.keep(re.sub(r"^(?:mailto|tel):", "", target))
    if inner[0] in "@#!" and label:
        return {"@": "@", "#": "", "!": ""}[inner[0]] + label.lstrip("@#" if inner[0] != "!" else "")
    for code, spoken in _CODES:
        if match := code.fullmatch(inner):
            return spoken if isinstance(spoken, str) else spoken(match)
    return None


def _local_time(moment_s: int, style: str | None) -> str:
    try:
        return time.strftime(_TIMES.get(style or "f", "%Y-%m-%d, %H:%M"), time.localtime(moment_s))
    except (OverflowError, ValueError, OSError):
        return "some time"


_CODES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"@!?[A-Z]?[0-9A-Z]{2,25}", re.ASCII), "someone"),
    (re.compile(r"@&[0-9]{2,25}", re.ASCII), "a group"),
    (re.compile(r"#[A-Z]?[0-9A-Z]{2,25}", re.ASCII), "a channel"),
    (re.compile(r"!(here|channel|everyone)"), lambda match: f"@{match[1]}"),
    (re.compile(r"a?:(\w{1,40}):\d{5,25}", re.ASCII), lambda match: name_of_emoji(match[1])),
    (re.compile(r"/([\w -]{1,60}):\d{5,25}", re.ASCII), lambda match: match[1]),
    (re.compile(r"t:(-?\d{1,12})(?::([tTdDfFR]))?", re.ASCII), lambda match: _local_time(int(match[1]), match[2])),
)
