"""Reading rules of English numbers: cardinal numbers, decades, fractions and short forms of thousands."""

from __future__ import annotations

import re

from ishowtts.text.english_words import digit_by_digit
from ishowtts.text.reading_rules import DIGITS, NUMBER, ToWords, only_with, rule

_PLACE = "seats?|gate|row|room|platform|track|stand|bay|flat|apartment|unit|bus|line|door|building|hall|terminal"
_COUNTED = re.compile(r" (?!(?:is|was|has|as|this)\b)(?:[a-z]{3,20}s|people|men|women|children)\b| to \d")
_PEOPLE = re.compile(
    r" (?:users|people|views|followers|subscribers|downloads|customers|visitors|players|viewers|fans|streams|likes|"
    r"plays|copies|jobs|homes|households|dollars|euros|pounds)\b"
)
_AFTER_K = re.compile(
    r" (?:video|tv|TV|monitor|screen|resolution|UHD|HDR|camera|run|race|display|stream|footage|movie|content|film|"
    r"quality)\b"
)
_OF_A_DECADE = "music|kids?|fashion|style|shows?|hits?|movies?|rock|pop|party|songs?|playlist|nostalgia|radio"
_YEAR_LIKE = re.compile(r"1[1-9]\d\d|20\d\d")  # 1500 people may also be fifteen hundred


def bare_number(number: str, to_words: ToWords) -> str:
    """The words of a number that stands alone."""
    whole, dot, rest = number.partition(".")
    if len(whole.replace(",", "")) > 12 or (len(whole) > 1 and whole[0] == "0"):
        words = digit_by_digit(whole)
    else:
        words = to_words(whole if _YEAR_LIKE.fullmatch(number) else with_separators(whole))
    if words.startswith(("thousand", "million", "billion")):
        words = f"one {words}"
    return f"{words} point {digit_by_digit(rest)}" if dot else words


def with_separators(number: str) -> str:
    """The number with a comma before its thousands, so that it is not read as a year."""
    whole, dot, rest = number.replace(",", "").partition(".")
    return f"{int(whole):,}{dot}{rest}" if len(whole) == 4 and whole[0] != "0" else number


def plural(number: str) -> str:
    """The plural of a number in words, as in the under-16s and the 20s."""
    return f"{number[:-1]}ies" if number.endswith("y") else f"{number}{'es' if number.endswith('x') else 's'}"


def _fraction(match: re.Match[str], to_words: ToWords) -> str:
    above, below = int(match["above"]), int(match["below"])
    if below == 0:
        return match[0]
    if below == 10 and 1 < above <= 10 and not match["whole"]:
        return f"{to_words(str(above))} out of ten"
    if above < below <= 10 or (match["whole"] and above < below):
        return to_words(match[0])
    joint = " over " if max(above, below) > 99 else " "
    whole = f"{match['whole']} " if match["whole"] else ""
    return f"{whole}{to_words(str(above))}{joint}{to_words(str(below))}"


def _short_form(match: re.Match[str], to_words: ToWords) -> str:
    """`3k users`, `1.2M`, `5M views`; but `4K video`, `a 5k run`, `3 m` and `a 7B model`."""
    number, letter, more = match["number"], match["letter"], " plus" if match["more"] else ""
    after = match.string[match.end() : match.end() + 24]
    is_counted = bool(_COUNTED.match(after))
    if letter in "Kk":
        is_name = bool(_AFTER_K.match(after)) or (number in ("4", "5", "8") and not is_counted)
        if is_name:
            return f"{bare_number(number, to_words)} {letter.upper()}{more}"
        return f"{number} thousand{more}"
    if letter == "M" or (letter == "m" and _PEOPLE.match(after)):
        return f"{number} million{more}"
    is_billion = letter == "B" and ("." in number or is_counted)
    return f"{number} billion{more}" if is_billion else match[0]


def _coordinate(match: re.Match[str], _: ToWords) -> str:
    """A latitude or longitude, such as 52°31'12"N."""
    seconds = f" {match[3]} seconds" if match[3] else ""
    side = {"N": " north", "S": " south", "E": " east", "W": " west"}.get(match[4] or "", "")
    return f"{match[1]} degrees {match[2]} minutes{seconds}{side}"


def _decade(match: re.Match[str], to_words: ToWords) -> str:
    century, tens = match["century"], match["tens"]
    if tens == "0":
        return (
            f"{to_words(century)} hundreds" if century[-1] != "0" else f"{to_words(str(int(century) // 10))} thousands"
        )
    return f"{to_words(century)} {plural(to_words(f'{tens}0'))}"


# Decades come first: the s of 1990s is not seconds.
NUMBER_RULES = only_with(
    DIGITS,
    rule(
        r"(?<=\d) ?(?:o|° ?)([CF])(?!\w)|(?<=\d) ?° ?([cf])(?!\w)",
        lambda match, _: f" °{(match[1] or match[2]).upper()}",
    ),
    rule(rf"(?<![\w.,])(?P<number>{NUMBER})(?P<letter>[KkMBm])(?!\w)(?P<more>\+)?", _short_form),
    rule(rf"(?<!\w)({_PLACE}) (\d{{1,4}})A(?!\w)", r"\1 \2 A", re.IGNORECASE),  # a seat, not amperes
    *only_with("-", rule(r"(?<=[A-Za-z]-)([1-9]\d)s(?!\w)", lambda match, to_words: plural(to_words(match[1])))),
    rule(r"(?<!\w)(?P<century>[1-9]\d)(?P<tens>\d)0['’]?s(?!\w)", _decade),
    rule(
        rf"(?:(?<=[Tt]he )|(?<!\w)['’])([2-9]0)s(?!\w)|(?<!\w)([2-9]0)(?:['’]s(?!\w)|s(?= (?:{_OF_A_DECADE})\b))",
        lambda match, to_words: plural(to_words(match[1] or match[2])),
    ),
    rule(r"(?<![\w.,])(\d{1,3}(?: 000){1,4})(?!\w|[.,]\d)", lambda match, _: f"{int(match[1].replace(' ', '')):,}"),
    *only_with(
        "°", rule(r"(\d{1,3})° ?(\d{1,2})['′] ?(?:(\d{1,2}(?:\.\d{1,3})?)(?:\"|″) ?)?([NSEW])?(?!\w)", _coordinate)
    ),
    *only_with(
        "'’",
        rule(
            rf"(?<![\w.,])(?P<number>{NUMBER})['’] ?(?P<inches>\d{{1,2}})(?:''|\"|″|”)",
            lambda match, _: f"{match['number']} foot {match['inches']}",
        ),
    ),
    *only_with("'’", rule(r"(?<![\w.,'])([4-7])['’](\d|1[01])(?![\w'’])", r"\1 foot \2")),
    *only_with("′", rule(rf"(?<![\w.,'])({NUMBER})′(?! ?\d)", r"\1 feet")),
    *only_with(
        "″",
        rule(
            rf"(?<![\w.,'])({NUMBER})″(?= [a-z])",
            lambda match, to_words: f"{bare_number(match[1], to_words)} inch",
        ),
    ),
    *only_with("″", rule(rf"(?<![\w.,'])({NUMBER})″", r"\1 inches")),
    *only_with(
        '"',
        rule(
            rf"(?<![\w.,'\"])({NUMBER})\"(?= [A-Za-z])",
            lambda match, to_words: (
                f"{bare_number(match[1], to_words)} inch" if match.string.count('"') == 1 else match[0]
            ),
        ),
    ),
    *only_with("'", rule(rf"(?<![\w.,'])({NUMBER})'(?= (?:tall|high|long|wide|deep)\b)", r"\1 feet")),
)

FRACTION_RULES = only_with(
    "/",
    rule(r"(?<![\w/.])((?:19|20)\d\d)/(?=\d\d(?![\w/.,]))", r"\1 "),
    rule(r"(?<![\w/.])(\d{1,3}\.\d{1,2})/(?=\d{1,3}(?![\w/.,]))", r"\1 out of "),
    rule(r"(?<![\w/.,])(?:(?P<whole>\d{1,4}) )?(?P<above>\d{1,3})/(?P<below>\d{1,3})(?![\w/]|[.,]\d)", _fraction),
)
