"""Reading rules of English for abbreviations beside names: St. and Dr. of a street or of a person, Ave., Jr., Inc."""

from __future__ import annotations

import re

from ishowtts.text.reading_rules import ReadingRule, ToWords, only_with, rule

STARTS_SENTENCE = (
    "It|The|He|She|We|They|You|This|That|There|These|Those|An?|In|On|At|But|And|If|When|My|Our|His|Her|Your|Please|Then|So"
    "|Now|What|Who|Where|Why|How|After|Before|Today|Turn|Take|Is|Are|Was|Do|Did|Can|No|Yes|Not|For|From|To|With"
)
"""A pattern: words that begin a sentence, and are no name."""

_STREETS = {
    "Ave": "Avenue", "Av": "Avenue", "Rd": "Road", "Blvd": "Boulevard", "Ln": "Lane", "Pl": "Place", "Ct": "Court",
    "Sq": "Square", "Pkwy": "Parkway", "Ter": "Terrace", "Cres": "Crescent", "Hwy": "Highway",
}  # fmt: skip
_AFTER_NAMES = _STREETS | {
    "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Co": "Company", "Corp": "Corporation",
    "Bros": "Brothers",
}  # fmt: skip
_WITHOUT_DOT = "Ave|Rd|Blvd|Pkwy|Jr|Sr|Inc|Ltd|Corp"
_DIRECTIONS = {"N": "North", "S": "South", "E": "East", "W": "West"}
_SAINT = re.compile(
    r" (?:John|Mary|Paul|Peter|Louis|Petersburg|Patrick|Helens?|Thomas|Francis|George|James|Andrews?|Nicholas|Martin"
    r"|Lucia|Moritz|Pauli|Gallen|Tropez|Barth|Kitts|Croix|Bernard|Anthony|Joseph|Michael|Luke|Mark|Matthew|Stephen"
    r"|Clair|Cloud|Albans|Ives|Vincent|Augustine|Germain|Valentine|Lawrence|Catherine|Elizabeth|Pancras|Davids?"
    r"|Asaph|Denis|Kilda)(?:['’]?s)?\b"
)
# Words with a capital that are no part of the name of a street.
_NO_NAME = re.compile(
    rf"(?:{STARTS_SENTENCE}|Near|Of|Or|By|Visit|See|Ask|Call|Tell|Saw|Meet|Hello|Hi|Dear|Thanks|Mount|Fort|Lake|East|West"
    r"|North|South|Port|Old|New|Sault|Doctor|Mister|Missus|While|Good|Morning|Both|Only|Through|Around|Saint)"
)
# Words with a capital that go on with the sentence after a street or a company.
_GOES_ON = re.compile(
    r" (?:Bridge|Station|Park|Journal|Market|School|Church|Hotel|Theat(?:er|re)|Apt|Suite|Unit|Pub|Cafe|Mall|Cinema"
    r"|Library|CEO|[NSEW]{1,2})\b"
)
_HOUSE = re.compile(r"\d[\w-]{0,6} (?:[NSEW]\.? |North |South |East |West )?(?:[A-Z][\w'’.-]{0,20} ){0,2}$")
_HOUSE_ON_SMALL_STREET = re.compile(r"(?<!\w)\d[\w-]{0,6} [a-z]{3,20} $")  # 5 main St., as capitals are lowered
_LAST_WORD = re.compile(r"(?:(?P<word>[A-Z][\w'’.-]{0,24})|\d{1,3}(?:st|nd|rd|th)),? $")


def full_stop(match: re.Match[str]) -> str:
    """A full stop, if that of the abbreviation also ends the sentence."""
    if not match[0].endswith("."):
        return ""
    after = match.string[match.end() : match.end() + 40]
    ends = not after.strip("\"')”’ ") or re.match(r"[\"')”’]*\s+[\"'(“‘]?[A-Z]", after)
    return "." if ends and not _GOES_ON.match(after) else ""


def _is_after_name(match: re.Match[str]) -> bool:
    """Whether the word before belongs to a name: Main St., 5th Ave., Acme Inc."""
    last = _LAST_WORD.search(match.string[max(0, match.start() - 30) : match.start()])
    return bool(last and not (last["word"] and _NO_NAME.fullmatch(last["word"])))


def _is_after_house_number(match: re.Match[str]) -> bool:
    return bool(_HOUSE.search(match.string[max(0, match.start() - 60) : match.start()]))


def _name_follows(match: re.Match[str]) -> bool:
    """Whether a word with a capital follows that begins no new sentence."""
    after = match.string[match.end() : match.end() + 12]
    new_sentence = match[0].endswith(".") and re.match(rf" (?:{STARTS_SENTENCE})\b", after)
    return bool(re.match(r" [A-Z]", after)) and not new_sentence


def _street_or_saint(match: re.Match[str], _: ToWords) -> str:
    saint = _SAINT.match(match.string[match.end() : match.end() + 20])
    small = _HOUSE_ON_SMALL_STREET.search(match.string[max(0, match.start() - 30) : match.start()])
    if _is_after_house_number(match) or ((small or _is_after_name(match)) and not saint):
        return f"Street{full_stop(match)}"
    return "Saint" if _name_follows(match) else match[0]


def _doctor_or_drive(match: re.Match[str], _: ToWords) -> str:
    name = _name_follows(match)
    if _is_after_house_number(match) or (_is_after_name(match) and not name):
        return f"Drive{full_stop(match)}"
    return "Doctor" if name or match[0] == "Dr." else match[0]


def _after_name(match: re.Match[str], _: ToWords) -> str:
    company = match["form"] in ("Co", "Bros") and match.string[: match.start()].endswith("& ")
    if not (company or _is_after_name(match)):
        return match[0]
    return _AFTER_NAMES[match["form"]] + full_stop(match)


ADDRESS_RULES: tuple[ReadingRule, ...] = (
    *only_with("S", rule(r"(?<![\w.])St(?:\.|(?=[ ,;:!?)'’]|$))(?=[ ,;:!?)'’]|$)", _street_or_saint)),
    *only_with("D", rule(r"(?<![\w.])Dr(?:\.|(?=[ ,;:!?)'’]|$))(?=[ ,;:!?)'’]|$)", _doctor_or_drive)),
    *only_with(".", rule(rf"(?<![\w.])(?P<form>{'|'.join(_AFTER_NAMES)})\.", _after_name)),
    *only_with("ABCIJLPRS", rule(rf"(?<![\w.])(?P<form>{_WITHOUT_DOT})(?!\w|\.| Maria)", _after_name)),
    *only_with("C", rule(r"(?<![\w.])Co\.(?= [A-Z])", "County")),
    *only_with(
        "NSEW",
        rule(
            r"(?<![\w.])([NSEW])\.?(?= (?:[A-Z][a-z]+|\d{1,3}(?:st|nd|rd|th)) (?:Street|Avenue|Road|Drive|Lane)\b)",
            lambda match, _: _DIRECTIONS[match[1]],
        ),
    ),
)
