"""Rewrites numbers with foreign decimal and grouping signs in one format: `1,234.56`."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Decimal: TypeAlias = Literal["point", "comma"]

COMMA_REGIONS = frozenset((
    "al", "am", "ar", "at", "az", "be", "bg", "bo", "br", "by", "cl", "co", "cr", "cz", "de", "dk", "ec",
    "ee", "es", "fi", "fr", "ge", "gr", "hr", "hu", "id", "is", "it", "kz", "lt", "lu", "lv", "md", "mk",
    "nl", "no", "pl", "pt", "py", "ro", "rs", "ru", "se", "si", "sk", "tn", "tr", "ua", "uy", "ve", "vn"
))  # fmt: skip
"""Regions where a comma stands before the decimals."""

_SIGN = r"(?:US\$|[$€£¥₹₽₺₴₪₫₱]|kr\b|zł|Kč|EUR\b|USD\b|GBP\b|CHF\b|INR\b|Rs\b)"
_APOSTROPHES = re.compile(r"(?<![\w.,'’])[1-9]\d{0,2}(?:['’]\d{3}){1,5}(?:[.,]\d{1,15})?(?!['’.,]?\d)", re.ASCII)
_BLANKS = re.compile(
    r"(?<![\w.,:/'+-])(?<!\d[ -])(-?[1-9]\d{0,2}(?: \d{3}){1,5})([.,]\d{1,15})?(?!\d| \d|[.,:/'-]\d|-[A-Za-z])",
    re.ASCII,
)
_GROUPS = re.compile("[0-9][.,'’ ][0-9–—-]")  # what every pattern below has
_PRICE_DASH = re.compile(r"(?<![\w.,])(\d{1,3}(?:[.,'’ ]\d{3}){1,4}|\d{1,9}),[-–—]{1,2}(?!\w)", re.ASCII)
_WHOLE = r"(\d{1,3}(?:['’ .]\d{3}){1,4}|\d{1,9})"
_PRICE_POINT_DASH = re.compile(
    rf"(?:(?<=€)|(?<=€ )|(?<=CHF )|(?<=Fr\. )|(?<=CHF)|(?<=Fr\.)){_WHOLE}\.[-–—]{{1,2}}(?!\w)"
    rf"|(?<![\w.,]){_WHOLE}\.[-–—]{{1,2}}(?= ?(?:CHF|€|EUR|Fr\.))",
    re.ASCII,
)
_TOKEN = re.compile(r"(?<![\w\x1f])(?<![\w][.,])(?<!\d:)[.,]?\d{1,15}(?:[.,]\d{1,15}){1,9}(?![.,]?\d)", re.ASCII)
_EUROPEAN = re.compile(r"[1-9]\d{0,2}(?:\.\d{3}){1,5},\d{1,15}")
_ENGLISH = re.compile(r"\d{1,3}(?:,\d{3}){1,5}\.\d{1,15}|[1-9]\d{0,2}(?:,\d{3}){2,5}")
_INDIAN = re.compile(r"[1-9]\d?(?:,\d\d){1,6},\d{3}(?:\.\d{1,15})?")
_POINT_GROUPS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3}){2,5}")
_LIST = re.compile(r"\d{1,15}(?:,\d{1,15}){2,9}")
_ONE_COMMA = re.compile(r"(\d{1,15}),(\d{1,15})")
_ONE_POINT_OR_COMMA = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")

_VERSION_BEFORE = re.compile(r"(?i:\b(?:version|release|firmware|build|kernel|update|software|driver|ver\.?|v\.?) ?)$")
_LIST_BEFORE = re.compile(
    r"(?i:\b(?:pages?|pp?\.|chapters?|ch\.|numbers|nos\.|rooms|lines?|rows?|items?|steps?|questions?|episodes?|days|"
    r"players|teams|channels|buses|gates|platforms?|exercises?|tasks|tables?|figures?|sections?|verses?|articles?|"
    r"zones|lights|sensors|doors|floors|seats|ports|ages?|weeks|points|units|groups|tracks?|lessons?|levels|"
    r"stations|either|choose|press|select|options|windows) (?:# ?)?)$"
)
_SURE_UNIT_AFTER = re.compile(
    r"^ ?(?:[%‰°℃℉€$£¥]|(?:[mkcµM]?m|[kmM]?[gWVAJ]|[kM]?Wh|h?Pa|m?bar|[kMG]?Hz|[kKMGT]B|m?l|L|h|s|min|ppm|lx|dB|mph)"
    r"(?:[²³]|/[a-z]{1,2}[²³]?)?(?![A-Za-z]))"
)
_LIST_AFTER = re.compile(r"^,? (?:and|or|&) \d{1,6}(?![\d,.])|^, ?\d{1,6}(?![\d,.])", re.ASCII)
_MONTH_BEFORE = re.compile(r"(?i:\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]{0,6}\.? )$")
_YEAR_BEFORE = re.compile(r"(?i:\b(?:in|since|by|of|until|before|after) )$")
_YEAR = re.compile(r"1[5-9]\d\d|20\d\d")
_UNIT_AFTER = re.compile(
    r"^ ?(?:%|‰|°|℃|℉|[€$£¢¥₹]|(?:Mio|Mrd|mill|bill|percent|degree|million|billion)"
    r"|(?!(?:a|an|and|are|as|at|be|but|by|for|had|has|he|i|if|in|is|it|my|no|not|of|off|on|or|per|so|the|to|vs|was|we|you)\b)"
    r"[A-Za-zµμΩ]{1,4}(?:[²³]|/[A-Za-z]{1,3})?(?![A-Za-z]))"
)
_DOSE_AFTER = re.compile(r"^ ?(?:mg|g|mcg|[µμ]g|ml|mL|IU|[A-Za-z%]{1,4} [a-z]{2,20}s\b)")  # "2 500 mg tablets"
_EACH_UNIT = re.compile(r"^ ?(?:/|€ ?/|EUR ?/|€ per|per |a (?:liter|litre|gallon|kWh|kilo))")
_CURRENCY_BEFORE = re.compile(rf"{_SIGN} ?-?$")
_CURRENCY_AFTER = re.compile(rf"^ ?{_SIGN}")
_POINT_CURRENCY = re.compile(r"[$£¥] ?-?$")
_CONTEXT_CHARS = 16
_COMMA = "\x1f"  # stands for a comma before thousands until every number is done; clean text has no such character
_WORD_BEFORE = re.compile(r"([A-Za-z]{1,15}) $")
_LABELS = frozenset((
    "battery", "box", "bus", "channel", "day", "gate", "group", "level", "line", "module", "no", "number",
    "phase", "port", "room", "sensor", "station", "step", "tank", "track", "unit", "zone"
))  # fmt: skip


def with_decimal_points(text: str, decimal: Decimal | None) -> str:
    """The text with each number in one format: commas before thousands, a point before decimals.

    Args:
        text: English text.
        decimal: How `1.234` and `1,234` are meant. `None`: a comma is a decimal sign if another number of the text
            shows so, else it stands before thousands.
    """
    if not _GROUPS.search(text):
        return text
    text = _PRICE_POINT_DASH.sub(lambda match: _grouped(match[1] or match[2]), text)
    text = _PRICE_DASH.sub(lambda match: _grouped(match[1]), text)
    text = _APOSTROPHES.sub(lambda match: _from_groups(match[0]), text)
    tokens = [(match, _Token.of(match)) for match in _TOKEN.finditer(text)]
    if tokens:
        if decimal is None:
            decimal = "comma" if _shows_comma([token for _, token in tokens]) else "point"
        parts, end = [], 0
        for match, token in tokens:
            parts += [text[end : match.start()], token.read(decimal)]
            end = match.end()
        text = "".join([*parts, text[end:]])
    return _BLANKS.sub(lambda match: _blank_groups(match, decimal), text).replace(_COMMA, ",")


def with_chinese_formats(text: str) -> str:
    """Chinese text with each number that is not ambiguous in one format, and with `、` in lists of numbers.

    The grammar of Chinese takes 1.234,56 for two numbers, and the list 1,5,7 for 157.
    """
    text = _APOSTROPHES.sub(lambda match: _from_groups(match[0]), text)
    return _TOKEN.sub(lambda match: _Token.of(match).read_in_chinese(), text).replace(_COMMA, ",")


class _Token:
    """A row of digits with points or commas between them, and the characters around it."""

    def __init__(self, figures: str, before: str, after: str) -> None:
        self.figures, self.before, self.after = figures, before, after

    @classmethod
    def of(cls, match: re.Match[str]) -> _Token:
        start, end = match.span()
        text = match.string
        return cls(match[0], text[max(0, start - _CONTEXT_CHARS) : start], text[end : end + _CONTEXT_CHARS])

    def read(self, decimal: Decimal) -> str:
        """The figures in the format of English."""
        figures = self.figures
        if _LIST.fullmatch(figures) and not _INDIAN.fullmatch(figures) and not _ENGLISH.fullmatch(figures):
            return figures.replace(",", ", ")
        if _ONE_POINT_OR_COMMA.fullmatch(figures):
            return self._three_digits(decimal)
        parts = _ONE_COMMA.fullmatch(figures)
        if parts is not None:
            return ("." if self._is_decimal(parts, decimal) else ", ").join(parts.groups())
        return self._without_groups()

    def read_in_chinese(self) -> str:
        """The figures in the format of Chinese, which is that of English."""
        figures = self.figures
        if self.before[-1:] in tuple("/=?&"):  # of an address
            return figures
        if _LIST.fullmatch(figures) and not _INDIAN.fullmatch(figures) and not _ENGLISH.fullmatch(figures):
            return figures.replace(",", "、")
        parts = _ONE_COMMA.fullmatch(figures)
        if parts is not None:
            is_decimal = len(parts[2]) < 3 and _SURE_UNIT_AFTER.match(self.after)
            return ".".join(parts.groups()) if is_decimal else figures
        return self._without_groups()

    def _without_groups(self) -> str:
        """A number with several separators, with commas before its thousands; others as they are."""
        figures = self.figures
        whole, sign, rest = figures.partition("," if _EUROPEAN.fullmatch(figures) else ".")
        if _EUROPEAN.fullmatch(figures) or _INDIAN.fullmatch(figures):
            return f"{_grouped(whole)}.{rest}" if sign else _grouped(whole)
        if _POINT_GROUPS.fullmatch(figures) and not self._is_version() and not _is_internet_address(figures):
            return _grouped(figures)
        return figures

    def shows_comma(self) -> bool:
        """Whether this can only be a number with a decimal comma."""
        figures = self.figures
        if _EUROPEAN.fullmatch(figures):
            return True
        parts = _ONE_COMMA.fullmatch(figures)
        return parts is not None and len(parts[2]) != 3 and bool(_UNIT_AFTER.match(self.after) or figures[:2] == "0,")

    def shows_point(self) -> bool:
        """Whether this can only be a number with a decimal point."""
        whole, point, rest = self.figures.partition(".")
        return bool(point) and rest.isdigit() and (len(rest) != 3 or whole == "0" or "," in whole)

    def _three_digits(self, decimal: Decimal) -> str:
        """`1.234` or `1,234`: thousands, or decimals."""
        whole, sign, rest = self.figures[:-4], self.figures[-4], self.figures[-3:]
        if sign == "." and self._is_version():
            return self.figures
        grouped = sign == ("," if decimal == "point" else ".")
        is_money = _CURRENCY_BEFORE.search(self.before) or _CURRENCY_AFTER.match(self.after)
        if is_money and not _EACH_UNIT.match(self.after):  # no amount of money has three decimals
            grouped = grouped or sign == "," or not _POINT_CURRENCY.search(self.before)
        return f"{whole},{rest}" if grouped else f"{whole}.{rest}"

    def _is_decimal(self, parts: re.Match[str], decimal: Decimal) -> bool:
        """Whether a comma stands before decimals, and not between the numbers of a list."""
        whole, rest = parts.groups()
        if whole == "0" or len(rest) > 4:
            return True
        if _MONTH_BEFORE.search(self.before) and _YEAR.fullmatch(rest):
            return False
        if _SURE_UNIT_AFTER.match(self.after):
            return True
        in_brackets = self.before[-1:] in tuple("([{") and self.after[:1] in tuple(")]}")
        if in_brackets or _LIST_BEFORE.search(self.before):
            return False
        has_unit = _UNIT_AFTER.match(self.after) or _CURRENCY_BEFORE.search(self.before)
        if not has_unit and _YEAR.fullmatch(whole) and _YEAR_BEFORE.search(self.before):
            return False
        return bool(has_unit) or decimal == "comma" or not _LIST_AFTER.match(self.after)

    def _is_version(self) -> bool:
        return bool(_VERSION_BEFORE.search(self.before))


def _shows_comma(tokens: list[_Token]) -> bool:
    return any(token.shows_comma() for token in tokens) and not any(token.shows_point() for token in tokens)


def _is_internet_address(figures: str) -> bool:
    parts = figures.split(".")
    return len(parts) == 4 and all(int(part) <= 255 and (part == "0" or part[0] != "0") for part in parts)


def _grouped(number: str) -> str:
    """The digits of a whole number with `_COMMA` before each three."""
    return f"{int(re.sub('[^0-9]', '', number)):,}".replace(",", _COMMA)


def _from_groups(number: str) -> str:
    """A number with apostrophes or blanks between its groups."""
    whole, rest = re.fullmatch(r"(.*?)(?:[.,](\d+))?", number).groups()  # type: ignore[union-attr]
    return _grouped(whole) + (f".{rest}" if rest else "")


def _blank_groups(match: re.Match[str], decimal: Decimal | None) -> str:
    """A number with blanks between its groups, unless these may be several numbers, or a telephone number."""
    groups = match[1].lstrip("-").split(" ")
    before = match.string[max(0, match.start() - _CONTEXT_CHARS) : match.start()]
    after = match.string[match.end() : match.end() + _CONTEXT_CHARS]
    label = None if match[1].startswith("-") else _WORD_BEFORE.search(before)
    if label and len(groups) == 2 and (label[1] in _LABELS or label[1][0].isupper()):
        return match[0]  # "Sensor 2 100 %" has two numbers
    if len(groups) == 2 and len(groups[0]) == 1 and groups[1] != "000" and not match[2] and _DOSE_AFTER.match(after):
        return match[0]
    is_number = (
        match[2]
        or all(group == "000" for group in groups[1:])
        or len(groups[0]) < 3
        or decimal == "comma"
        or _UNIT_AFTER.match(after)
        or _CURRENCY_BEFORE.search(before)
        or _CURRENCY_AFTER.match(after)
    )
    if not is_number:
        return match[0]
    return "-" * match[0].startswith("-") + _from_groups(match[0].lstrip("-"))
