"""Reading rules of English for Roman numerals after names, such as Henry VIII and Chapter IV."""

from __future__ import annotations

import re

from ishowtts.text.english_words import ordinal
from ishowtts.text.reading_rules import ReadingRule, ToWords, only_with, rule

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
_ONE_SMALL = re.compile(r"[.,:;!?)–—-]|$| (?:of|clinical|trial|diabetes|error)")
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


_CENTURY = re.compile(r" (?:century|centuries)\b")
_AFTER_FIVE = re.compile(r"['’.,;:!?)]|$| (?:was|is|had|of|and|in)\b")
_TITLED = re.compile(rf"\b{_TITLE} (?:[A-Z][a-z]+ )?[A-Z][a-z]+ $")
_RULER = re.compile(rf"\b(?:{_RULERS}) $")
_RULER_FIRST = re.compile(rf"(?:^|[.!?] )(?:{_RULERS}) $")
_FAMILY = re.compile(rf"\b(?:{_GIVEN}) (?:[A-Z]\. )?[A-Z][a-z]+ $")
_COUNTED = re.compile(rf"(?<!\w)({_ALSO_X}) $", re.IGNORECASE)
_LETTERED = re.compile(rf"(?<!\w)({_NUMBERED}) $", re.IGNORECASE)
_OTHER_NAME = re.compile(r"\b([A-Z][a-z]+|[a-z]{1,2}[A-Z][a-z]+) $")


def roman_value(numeral: str) -> int | None:
    """The value of a Roman numeral of at most 399; `None` if this is none."""
    if not _NUMERAL.fullmatch(numeral):
        return None
    values = [_VALUES[letter] for letter in numeral]
    return sum(
        -value if value < following else value for value, following in zip(values, [*values[1:], 0], strict=True)
    )


def _numeral(match: re.Match[str], to_words: ToWords) -> str:
    """A numeral in words, if the words before it are a name that it belongs to."""
    numeral, value = match["numeral"], roman_value(match["numeral"])
    before, after = match.string[max(0, match.start() - 48) : match.start()], match.string[match.end() :]
    if value is None or (numeral == "IV" and _DRIP.match(after)):
        return match[0]
    if _CENTURY.match(after):
        return ordinal(value, to_words)
    if _is_ruler(numeral, before, after):
        return f"the {ordinal(value, to_words)}"
    return str(value) if _is_number(numeral, before, after) else match[0]


def _is_ruler(numeral: str, before: str, after: str) -> bool:
    """Whether this is a king, queen or pope, or the third John Smith of a family."""
    if _TITLED.search(before):
        return numeral != "I" or not _PRONOUN.match(after)
    if numeral == "I":
        return bool(
            (_RULER.search(before) and re.match(r" of [A-Z]|['’]s\b", after))
            or (_RULER_FIRST.search(before) and re.match(r" (?:was|ruled|had|became|died|reigned)\b", after))
        )
    if numeral in ("V", "X", "C", "L"):
        return numeral == "V" and bool(_RULER.search(before) and _AFTER_FIVE.match(after))
    return bool(_RULER.search(before) or (numeral in ("II", "III", "IV") and _FAMILY.search(before)))


def _is_number(numeral: str, before: str, after: str) -> bool:
    """Whether this is a part of something, or one of several of a name: Chapter IV, Rocky II."""
    if numeral in ("C", "L"):
        return False
    counted = _COUNTED.search(before) or (len(numeral) > 1 and _LETTERED.search(before))
    if numeral == "I":
        part = counted or _LETTERED.search(before)
        return bool(
            part and (part[1].lower() == "world war" or (_ONE_SMALL if part[1].islower() else _ONE).match(after))
        )
    if counted:
        return True
    other = _OTHER_NAME.search(before)
    is_name = other is not None and not _NO_NAME.fullmatch(other[1])
    return is_name and len(numeral) > 1 and numeral not in _NO_NUMERAL and not set(numeral) & {"L", "C"}


ROMAN_RULES: tuple[ReadingRule, ...] = (
    *only_with(
        "W",
        rule(
            r"\bWW ?(I{1,2}|[12])(?!\w)", lambda match, _: f"World War {match[1].replace('II', '2').replace('I', '1')}"
        ),
    ),
    *only_with("IVX", rule(r"(?<![\w'])(?P<numeral>[IVXLC]{1,7})(?:th|st|nd|rd)?(?![\w])", _numeral)),
)
