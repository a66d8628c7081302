"""Reading rules of English for codes, identifiers, short numbers and cards: digit by digit, unlike quantities."""

from __future__ import annotations

import re

from ishowtts.text.english_words import digit_by_digit
from ishowtts.text.reading_rules import DIGITS, ReadingRule, ToWords, only_with, rule

_VERBS = (
    "is|was|has|as|this|yes|always|unless|expires|works|does|plus|thanks|us|means|gives|opens|unlocks|starts|ends|"
    "confirms|goes|shows|exists|needs|lets|makes|remains|stays|perhaps|sometimes|says|applies|ships|arrives|departs|"
    "lands|leaves|boards|runs|comes|gets|refers|belongs|matches|fails|its|his|ours|yours|rings|answers|takes|contains|"
    "includes|becomes|closes|awaits|across|less"
)
_UNIT = r"[€$£¥%‰°]|(?:[mck]?m|[mk]?g|m?[lL]|[kKMGT]B|[kM]?Wh?|[kMG]?Hz|k?V|mph|m?s|min|h|x)(?![A-Za-z])"
# What follows a number that counts or measures, such as "people" or "lines".
_COUNTED = re.compile(
    rf" (?!(?:{_VERBS})\b)(?:[a-z]{{3,20}}s|people|men|women|children|percent|thousand|million|billion|more)\b"
    rf"| ?(?:{_UNIT})"
)
_NUMBER_WORD = r"(?:numbers?|no\.?|nr\.?|#|№|id)"
# A code stands directly after these words, or after "is" or a colon a few words later.
_CODE_WORDS = (
    r"(?:pass)?codes?|pins?|otp|m?tan|password|token|cvv|cvc|zip|postcode|plz|ids?|extension|ext\.?|imei|vin|ssn|iban|"
    r"serial|tracking|licen[cs]e plate|number plate|plate|isbn|ean|upc|sku"
)
# These words are followed by quantities too, so that a code after one of them is longer or has "number" before it.
_THING_WORDS = (
    r"orders?|invoice|tickets?|account|acct\.?|ref(?:erence)?\.?|case|claim|booking|reservation|confirmation|customer|"
    r"member(?:ship)?|policy|registration|licen[cs]e|p\.?o\.? box|card|parcel|package|shipment|delivery|issue|request|"
    r"transaction|bug|lot|train|part|item|batch|port"
)
_NO_CODE = (
    "count|length|size|limit|price|costs?|balance|total|rate|amount|value|has(?! been)|have|with|takes|used|usage|"
    "budget|refers|applies|due"
)
_OPEN = r"[ \"“'(\[]{1,2}"
_DIRECT = rf"(?:[ -]{_NUMBER_WORD}|[ -]code)?(?: is| was|:| =|=|,)?{_OPEN}(?:(?:#|№|no\.|nr\.) ?)?"
_FAR = rf"(?: (?!(?:{_NO_CODE})\b)[A-Za-z'’]{{1,15}}){{1,6}}(?: is| to|:| =){_OPEN}"
_FIGURES = (
    r"(?:[A-Z]{1,5}(?:-[A-Z]{1,3})?[ -]?)?\d{1,16}(?:-[A-Z0-9]{1,12}|(?<=\d\d) \d{2,6}){0,6}(?![\w]|[.,:/'’]\d|-\w)"
)
_YEAR = re.compile(r"1[89]\d\d|20\d\d")
_EMERGENCY = "(?:911|112|999|110|101|111|000|211|311|411|511|611|711|811|988|116 ?117)"
_EMERGENCIES = rf"{_EMERGENCY}(?:(?:,|,? or|,? and|/| /) ?{_EMERGENCY}){{0,3}}(?![\w-]|[.,:/]\d)"
_NO_PLACE = "".join(f"(?<! {word})" for word in ("of", "for", "in", "room", "bus", "seat", "page", "gate"))
_CALL = (
    "call(?:ed|ing)?|dial(?:l?ed|l?ing)?|ring|text|phone|tel(?:ephone)?[.:]?|contact|hotline|"
    "emergency(?: (?:number|line|call))?"
)


def spelled(figures: str) -> str:
    """The digits of a code one by one, with a comma between its groups. Letters stay."""
    groups = re.findall(r"\d+|[A-Za-z]+", figures)
    words = ""
    for before, group in zip(["", *groups], groups, strict=False):
        is_digits = group[0].isdigit()
        joint = ", " if before and is_digits and before[0].isdigit() else " " if before else ""
        words += joint + (digit_by_digit(group) if is_digits else group)
    return words


def is_counted(match: re.Match[str]) -> bool:
    """Whether the figures count or measure what follows them."""
    return bool(_COUNTED.match(match.string, match.end()))


def _code(least: int) -> ReadingRule:
    """A code after its word, if it has at least so many digits."""
    words = rf"(?:{_CODE_WORDS})(?:{_DIRECT}|{_FAR})" if least == 3 else rf"(?:{_THING_WORDS}){_DIRECT}"

    def replacement(match: re.Match[str], _: ToWords) -> str:
        before, figures, rest = match["before"], match["figures"], match["more"] or ""
        if not is_counted(match):
            rest = re.sub(r"\d+", lambda more: spelled(more[0]), rest)
        elif not rest:
            figures, blank, last = figures.rpartition(" ")
            rest = blank + last
        digits = sum(figure.isdigit() for figure in figures)
        is_marked = re.search(rf"(?i:{_NUMBER_WORD}) ?$|:.?$", before)
        if digits < (3 if is_marked else least):
            return match[0]
        before = re.sub(r"(?i:[#№]|\b(?:no|nr)\.) ?$", "number ", before)
        return before + spelled(figures) + rest

    more = r"(?P<more>(?:(?:,|,? and|,? or) \d{3,12}){1,4}(?![\w-]|[.,:/]\d))?"
    return rule(rf"(?<!\w)(?P<before>(?i:{words}))(?P<figures>{_FIGURES}){more}", replacement)


def _short_number(match: re.Match[str], _: ToWords) -> str:
    """Figures after "call" and similar words, except such as "call 500 people"."""
    return match[0] if is_counted(match) else match["before"] + _each_spelled(match["figures"])


def _each_spelled(text: str) -> str:
    return re.sub(r"\d+(?: \d+)*", lambda figures: spelled(figures[0]), text.replace("/", " or "))


def _emergency(match: re.Match[str], _: ToWords) -> str:
    """911, 112 or 999, if the text before it is about a call."""
    before = match.string[max(0, match.start() - 80) : match.start()]
    is_call = re.search(r"(?i:\b(?:call|dial|ring|emergency|police|ambulance|fire brigade|fire department)\b)", before)
    is_number = is_call and not is_counted(match) and not re.search(r"(?i:room|bus|line|seat|page|than|of) $", before)
    return spelled(match[0]) if is_number else match[0]


def _hardware_address(match: re.Match[str], _: ToWords) -> str:
    """A MAC address or a UUID, in its groups."""
    pairs = re.split("[:-]", match[0])
    return ", ".join(_characters(pair) for pair in pairs)


def _characters(text: str) -> str:
    """Each letter and digit on its own."""
    return " ".join(digit_by_digit(c) if c.isdigit() else c.upper() for c in text)


def _last_digits(match: re.Match[str], _: ToWords) -> str:
    """The last digits of a card or account, except such as "ends in 2026" or "ends in 100 days"."""
    is_year = _YEAR.fullmatch(match["figures"])
    before = match.string[max(0, match.start() - 30) : match.start()]
    if is_counted(match) or (is_year and not re.search("(?i:card|account|number|visa|debit|credit)", before)):
        return match[0]
    return match["before"] + spelled(match["figures"])


def _bank_account(match: re.Match[str], _: ToWords) -> str:
    """An IBAN, in its groups of four."""
    if sum(character.isdigit() for character in match[0]) < 10:  # the shortest has 11
        return match[0]
    groups = match[0].split() if " " in match[0] else re.findall(".{1,4}", match[0])
    return ", ".join(
        " ".join(digit_by_digit(character) if character.isdigit() else character for character in group)
        for group in groups
    )


def _lettered(match: re.Match[str], _: ToWords) -> str:
    """A code such as G-583014, except such as COVID-2019."""
    letters, figures = match[1], match[2]
    return match[0] if _YEAR.fullmatch(figures) else f"{letters} {digit_by_digit(figures)}"


CODE_RULES = only_with(
    DIGITS,
    rule(r"(?<![\w:-])[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})(?![\w:-])", _hardware_address),
    rule(r"(?<![\w-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![\w-])", _hardware_address),
    rule(r"(?<!\w)[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)", _bank_account),
    rule(r"(?<![\w.,-])\d{4}(?:([ -])\d{4})(?:\1\d{4}){1,3}(?![\w-]|[.,]\d)", lambda match, _: spelled(match[0])),
    _code(least=3),
    _code(least=4),
    rule(
        r"(?<![\w.,-])((?:[A-Z]{1,3}-)?\d{3,8}(?:[ -]\d{3,4})?)"
        r"(?= (?:is|as) (?:your|the|my|our|an?)(?: [A-Za-z-]{1,15}){0,3}"
        r" (?i:(?:pass)?code|pin|otp|password|token|tan)\b)",
        lambda match, _: spelled(match[1]),
    ),
    rule(
        r"(?<!\w)(?P<before>(?i:error|http|status|errno)(?: code)?:? )(?P<figures>[1-5]\d[1-9])(?![\w-]|[.,:/]\d)",
        _short_number,
    ),
    rule(
        r"(?<!\w)(?P<before>(?i:use|enter|type|input|key in) )(?P<figures>\d{4,8})"
        r"(?= (?:to|as|on|at|in)\b|[.,!]?$|[.,!] )",
        lambda match, _: match[0] if match[0].endswith("00") else match["before"] + spelled(match["figures"]),
    ),
    rule(
        r"(?<!\w)(?P<before>(?i:end(?:ing|s|ed)?(?: in| with)?|last (?:four|4|three|3)(?: digits)?(?: are|:)?) )"
        r"-?(?P<figures>\d{3,6})(?![\w-]|[.,]\d)",
        _last_digits,
    ),
    rule(
        r"(?<!\w)((?i:acct|account|card|visa|mastercard|amex)\.? )[*•](\d{3,6})(?![\w-]|[.,]\d)",
        lambda match, _: f"{match[1]}{spelled(match[2])}",
    ),
    rule(r"(?<![\w.])[*•xX·]{2,20}[ -]?(\d{3,6})(?![\w-]|[.,]\d)", lambda match, _: spelled(match[1])),
    rule(r"(?<![\w&])(?:#|№|[Nn]o\. ) ?(\d{4,12})(?![\w-]|[.,:]\d)", lambda match, _: f"number {spelled(match[1])}"),
    # Emergency numbers and other short numbers
    rule(
        rf"(?<!\w)(?P<before>(?i:{_CALL})(?: [A-Za-z]{{1,12}}){{0,4}}{_NO_PLACE}(?:(?: is|:)? |:))"
        rf"(?P<figures>{_EMERGENCIES})",
        _short_number,
    ),
    rule(
        rf"(?<![\w.,/'-])(?P<before>)(?P<figures>{_EMERGENCY}(?:,? or {_EMERGENCY}){{1,3}})"
        r"(?![\w-]|[.,:/]\d)",
        _short_number,
    ),
    rule(
        rf"(?<![\w.,/'-])({_EMERGENCY})"
        r"(?= (?:calls?|operators?|dispatch(?:er)?s?|emergency|callers?|services?|centers?)\b)",
        lambda match, _: spelled(match[0]),
    ),
    rule(r"(?<![\w.,/'$€£-])(?<!\d )(?:911|112|999)(?![\w-]|[.,:/'’]\d| \d{3})", _emergency),
    rule(r"(?<=Porsche )911(?!\d)", "nine eleven"),
    rule(
        r"(?<!\w)(?P<before>(?i:call|dial|ring|phone|text(?: [A-Za-z]{1,12}){0,3} to) )(?P<figures>\d{3,6})"
        r"(?![\w-]|[.,:/'’]\d)",
        _short_number,
    ),
    rule(
        r"(?<!\w)(?P<before>(?i:flight)(?: number| no\.?)?(?: (?:[A-Z][A-Z0-9]|[A-Z0-9][A-Z]))?) ?"
        r"(?P<figures>\d{3,4})(?![\w-]|[.,:]\d)",
        lambda match, _: match[0] if is_counted(match) else f"{match['before']} {spelled(match['figures'])}",
    ),
    rule(r"(?<!\w)0x([0-9A-Fa-f]{1,16})(?!\w)", lambda match, _: "zero x " + _characters(match[1])),
    # Postal codes before a town, and of the United States
    rule(
        r"(?:(?<=, )|(?<=in )|(?<=to )|^)(\d{4}[1-9]|\d{3}[1-9]0|\d\d[1-9]00)"
        r"(?= (?:[A-Z][a-z]{2,30}(?<!s)|Paris|Nantes|Reims|Cannes|Worms|Neuss)(?![a-z]))",
        lambda match, _: spelled(match[1]),
    ),
    rule(r"(?<=[,.] [A-Z]{2} )(\d{5}(?:-\d{4})?)(?![\w-]|[.,]\d)", lambda match, _: spelled(match[1])),
    rule(r"(?<![\w-])([A-Z]{1,4})-(\d{4,12})(?![\w-]|[.,:/]\d)", _lettered),
    rule(
        r"(?<=[A-Za-z])(?<!\d[xX])(?<!FY)(?<!(?<!\w)x)(\d{4,12})(?![\w-]|[.,:/]\d)",
        lambda match, _: f" {digit_by_digit(match[1])}",
    ),
)


def _internet_address(match: re.Match[str], to_words: ToWords) -> str:
    words = " dot ".join(digit_by_digit(part) for part in match["parts"].split("."))
    port = f" port {digit_by_digit(match['port'])}" if match["port"] else ""
    return words + port + (f" slash {to_words(match['mask'])}" if match["mask"] else "")


def _version(match: re.Match[str], to_words: ToWords) -> str:
    word = "version " if match["v"] else ""
    return word + " point ".join(_version_part(part, to_words) for part in match["parts"].split("."))


def _version_part(figures: str, to_words: ToWords) -> str:
    if len(figures) > 1 and figures[0] == "0":
        return digit_by_digit(figures)
    return to_words(figures)


DOTTED_RULES = only_with(
    DIGITS,
    rule(
        r"(?<![\w.])(?P<parts>\d{1,3}(?:\.\d{1,3}){3})(?!\.?\d)(?::(?P<port>\d{1,5}))?(?:/(?P<mask>\d{1,2}))?",
        _internet_address,
    ),
    rule(r"(?<!\w)([Vv]ersion )[vV](?=\d)", r"\1"),
    rule(r"(?<![\w.])(?P<v>v\.? ?|V)(?P<parts>\d{1,6}(?:\.\d{1,6}){0,5})(?![\w.]*\d)", _version),
    rule(r"(?<![\d.])(?P<v>)(?P<parts>\d{1,6}(?:\.\d{1,6}){2,5})(?!\.?\d)", _version),
)
