"""Reading rules of English for Roman numerals after names, such as Henry VIII and Chapter IV."""

from __future__ import annotations

import re

from ishowtts.text.english_words import ordinal
from ishowtts.text.reading_rules import ReadingRule, ToWords, rule

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_NUMERAL = re.compile(r"(?=[CLXVI])C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
# Kings, queens, popes and what families call a third John: the numeral is an ordinal number.
_RULERS = (
    "Abdullah|Adrian|Afonso|Albert|Alexander|Alexios|Alfonso|Amenhotep|Amadeus|Andrew|Anne|Baldwin|Basil|Beatrix|Benedict"
    "|Boniface|Carl|Catherine|Celestine|Charles|Christian|Clement|Conrad|Constantine|Cosimo|Darius|David|Edmund|Edward"
    "|Elizabeth|Emmanuel|Eric|Felipe|Ferdinand|Francis|Franz|Frederick|Frederik|Friedrich|George|Gregory|Gustav|Haakon"
    "|Harald|Hassan|Henri|Henry|Hussein|Innocent|Isabella|Ivan|James|Johan|Johann|John|Joseph|Juan|Julius|Justinian|Karl"
    "|Kenneth|Leo|Leopold|Louis|Ludwig|Magnus|Malcolm|Manuel|Margaret|Margrethe|Maria|Mary|Maximilian|Mehmed|Michael"
    "|Mohammed|Murad|Napoleon|Nicholas|Olaf|Olav|Oscar|Otto|Paul|Pedro|Peter|Philip|Pius|Ptolemy|Rama|Ramesses|Ramses"
    "|Rainier|Richard|Robert|Rudolf|Selim|Sigismund|Sixtus|Stephen|Suleiman|Theodosius|Thutmose|Umberto|Urban|Victor"
    "|Wilhelm|Willem|William|Xerxes|Zhu"
)
_GIVEN = f"{_RULERS}|Thomas|Daniel|Frank|Samuel|Walter|Harry|Howard|Martin|Arthur|Patrick|Benjamin|Jack|Donald|Harold"
_TITLE = r"(?:King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Sultan|Prince|Duke|Shah|Saint|St\.?)"
_ALSO_X = (
    "Chapter|Part|Act|Scene|Volume|Vol\\.|Book|World War|Article|Title|Apollo|Symphony|Super Bowl|WrestleMania"
    "|Final Fantasy|iPhone|OS|Episode|Lesson|Mark"
)
# After these a single X or V is more often a letter.
_NUMBERED = (
    "Phase|Section|Type|Level|Stage|Class|Grade|Appendix|Figure|Table|Season|Round|Unit|Module|Category|Group|Division"
    "|Schedule|Tier|Factor|Vatican|Annex|Step|Zone|Pillar|Exhibit"
)
# A single I after a word with a capital, and after one without, may also be the pronoun: "the part I like".
_ONE = re.compile(r"[.,:;!?)–—-]|$| (?:of|is|was|and|in|to|ends|begins|starts|clinical|trial|diabetes|error|[A-Z(–—-])")
_ONE_AFTER_SMALL = re.compile(r"[.,:;!?)–—-]|$| (?:of|clinical|trial|diabetes|error)")
_PRONOUN = re.compile(r" (?:am|met|saw|have|think|know|like|love|will|would|can|need|want|do|did)\b")
# Words with a capital that no numeral belongs to.
_NO_NAME = re.compile(
    r"The|An|This|That|Her|His|My|Our|Your|No|Start|Use|Using|In|On|With|And|Or|If|When|By|For|To|Of|At|Please|Vitamin"
    r"|Via|New|Give|Size|Malcolm"
)
_NO_NUMERAL = ("XX", "XXX")  # sizes, films and kisses
_DRIP = re.compile(
    r" (?:drip|fluid|line|pump|bag|antibiotic|therapy|access|push|infusion|pole|medication|needle|dose)s?\b"
)


def roman_value(numeral: str) -> int | None:
    """The value of a Roman numeral of at most 399; `None` if this is none."""
    if not _NUMERAL.fullmatch(numeral):
        return None
    values = [_VALUES[letter] for letter in numeral]
    return sum(
        -value if value < following else value for value, following in zip(values, [*values[1:], 0], strict=True)
    )


def _numbered(match: re.Match[str], _: ToWords) -> str:
    name, numeral = match["name"] or match["other"], match["numeral"] or match["more"]
    after = match.string[match.end() :]
    value = roman_value(numeral)
    one = _ONE_AFTER_SMALL if name[0].islower() and name[1].islower() else _ONE
    if value is None or (numeral == "I" and name.lower() != "world war" and not one.match(after)):
        return match[0]
    return f"{name} {value}"


def _ruler(match: re.Match[str], to_words: ToWords) -> str:
    numeral, after = match["numeral"], match.string[match.end() :]
    value = roman_value(numeral)
    if value is None or (numeral == "IV" and _DRIP.match(after)) or (numeral == "I" and _PRONOUN.match(after)):
        return match[0]
    return f"{match['name']} the {ordinal(value, to_words)}"


def _after_name(match: re.Match[str], _: ToWords) -> str:
    name, numeral = match["name"], match["numeral"]
    value = roman_value(numeral)
    drip = numeral == "IV" and _DRIP.match(match.string[match.end() :])
    return (
        match[0] if value is None or drip or _NO_NAME.fullmatch(name) or numeral in _NO_NUMERAL else f"{name} {value}"
    )


def _century(match: re.Match[str], to_words: ToWords) -> str:
    value = roman_value(match["numeral"])
    return match[0] if value is None else f"{ordinal(value, to_words)} {match['century']}"


ROMAN_RULES: tuple[ReadingRule, ...] = (
    rule(r"\bWW ?(I{1,2}|[12])(?!\w)", lambda match, _: f"World War {match[1].replace('II', '2').replace('I', '1')}"),
    rule(r"(?<![\w'])(?P<numeral>[IVX]{1,5})(?:th|st|nd|rd)? (?P<century>century|centuries)\b", _century),
    rule(rf"\b(?P<name>{_TITLE} (?:[A-Z][a-z]+ )?[A-Z][a-z]+) (?P<numeral>[IVX]{{1,6}})(?!\w)", _ruler),
    rule(
        rf"\b(?P<name>{_RULERS}) (?P<numeral>[IVX]{{2,6}}|V(?=['’.,;:!?)]|$| (?:was|is|had|of|and|in)\b))(?!\w)", _ruler
    ),
    rule(rf"(?:^|(?<=[.!?] ))(?P<name>{_RULERS}) (?P<numeral>I)(?= (?:was|ruled|had|became|died|reigned)\b)", _ruler),
    rule(rf"\b(?P<name>{_RULERS}) (?P<numeral>I)(?= of [A-Z]|['’]s\b)", _ruler),
    rule(rf"\b(?P<name>(?:{_GIVEN}) (?:[A-Z]\. )?[A-Z][a-z]+) (?P<numeral>II|III|IV)(?!\w)", _ruler),
    rule(
        rf"(?<!\w)(?:(?P<name>(?i:{_ALSO_X})) (?P<numeral>[IVX]{{1,6}}|[IVXLC]{{2,7}})"
        rf"|(?P<other>(?i:{_NUMBERED})) (?P<more>I|[IVX]{{2,6}}))(?![\w'’])",
        _numbered,
    ),
    rule(r"\b(?P<name>[A-Z][a-z]+|[a-z]{1,2}[A-Z][a-z]+) (?P<numeral>[IVX]{2,6})(?!\w)", _after_name),
)
