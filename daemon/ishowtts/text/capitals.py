"""Writes words in capitals as words, so that no engine spells them. Initialisms such as TV stay in capitals."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ishowtts.text.capital_words import (
    ALSO_WORDS,
    FOREIGN_WORDS,
    INITIALISMS,
    MONTHS,
    NAMES,
    SHORT_WORDS,
    SPOKEN_ACRONYMS,
    TITLES,
    UNIT_CASE,
)
from ishowtts.text.reading_rules import ADDRESS, any_of

_WORD = re.compile(r"(?<![^\W_])[^\W\d_]+(?:['’][^\W\d_]+)*(?![^\W_])")
_SENTENCE = re.compile(r"[^.!?…。！？]+[.!?…。！？]*")
_SENTENCE_START = re.compile(r"(?:^|[.!?…。！？][\"'”’)\]]{0,3}\s+)[\"'“‘(\[¡¿*]{0,3}$")
_AFTER_NUMBER = re.compile(r"[0-9][ \u00a0]?$")
_BEFORE_DAY = re.compile(r"\.? (?:[0-9]{4}|[0-9]{1,2})(?![0-9]|[.,][0-9]|%)")
_BEFORE_TRAIN = re.compile(r" [0-9]{2,4}(?![0-9.,%]| ?(?:[cm]?m|[Cc]ubes?|[Bb]ags?|[Pp]ercent)\b)")
_BEFORE_WORD = re.compile(" [A-Z]{2}")
_NOT_SHOUTED = INITIALISMS | ALSO_WORDS | {"ASAP"}
_BEFORE_ROMAN = re.compile(r" (?:[IVX]{2,5}|[VX])(?![^\W_])")  # the rule for Roman numerals knows Chapter, not chapter
_UNIT = re.compile(rf"(?<=[0-9])([ \u00a0]?)({any_of(UNIT_CASE)})(/(?:H|S|MIN|SEC))?(?![^\W_])")
_ORDINAL = re.compile(r"(?<=[0-9])(?:ST|ND|RD|TH)(?![^\W_])|(?<=[0-9]0)S(?![^\W_])")
_ADDRESS_IN_CAPITALS = re.compile(r"(?:HTTPS?://|WWW\.)[!-~]{1,300}")
_ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_CONTRACTIONS = ("T", "LL", "RE", "VE", "D", "M", "ALL")  # DON'T, I'LL, WE'RE, Y'ALL
_ROMAN_WORDS = ("MIX", "DIV", "MIL", "DI", "LI", "MI", "XI")
# A letter stands here for itself: Vitamin A. Elsewhere in a shouted sentence A is an article.
_BEFORE_LETTER = re.compile(
    r"\b(?:vitamin|plan|grade|group|gate|level|type|class|section|team|hepatitis|block|row|terminal|option|the|part|exit"
    r"|platform|letter|unit|room|zone|stand|wing|side|channel|phase|model|form|an?) $",
    re.IGNORECASE,
)
_LOOK_BACK_CHARS = 24

_ONSETS = re.compile(
    r"(?:[BCDFGHJKLMNPQRSTVWYZ]|B[LR]|C[HLR]|CHR|D[RW]|F[LR]|G[LNR]|GH|K[LNR]|KH|P[HLR]|PHR?|PS|QU|RH|S[CKLMNPTW]|SC[HR]|SCHW?"
    r"|S[HK]R?|SPH|SP[LR]|SQU|STR|T[HRW]|THR|TS|V[LR]|W[HR])?"
)
_CODAS = re.compile(
    r"(?:CHT|[BDFGHKLMNPRSTVWXZC]|BB|BS|C[HKT]|CKS|CTS|D[DS]|DTH|F[FT]|FFS|FTS|G[GHS]|GHT|GHTS|GS|HM|HN|HL|K[KS]|L[BDFKLMNPST]|LCH|L[DT]S|LKS"
    r"|LLS|LMS|LPH|LPS|LTH|LV|M[BMNPS]|MPS|MPT|N[CDGKNSTX]|NCH|N[DGKT]S|NGTHS?|NTH|NTHS|P[PST]|PHS?|PTS|Q|QS|THM|R[BCDFGKLMNPRSTV]"
    r"|RCH|R[BDFKLMNPT]S|RLDS?|RMTH|RNS|RSH|RST|RTH|RTHS|S[HKMPST]|SCH|SKS|STS|T[CHSTZ]|TCH|THS|TTS|WL|WNS?|WLS|WD|WS|XT|XTS|YS|ZZ|J|S)?"
)
_VOWELS = "AEIOUYÀÁÂÃÄÅÆÈÉÊËÌÍÎÏÒÓÔÕÖØÙÚÛÜÝŒ"
_VOWEL_RUN = re.compile(f"[{_VOWELS}]+")
_CLUSTER = re.compile(f"[^{_VOWELS}]{{5,}}")


def lower_capitals(text: str, *, english: bool = True) -> str:
    """The text with shouted words in lower case. Its length stays, and so does the place of every character.

    Initialisms, letters and codes stay in capitals. What the rest of a sentence shows decides on IT, US and WHO.

    Args:
        text: Clean text, all of it in one language.
        english: Lower single words too. In other languages only whole sentences in capitals are lowered, since their
            abbreviations are not known here.
    """
    text = _UNIT.sub(lambda unit: unit[1] + UNIT_CASE[unit[2]] + (unit[3] or "").lower(), text)
    text = _ADDRESS_IN_CAPITALS.sub(lambda address: address[0].lower(), text)
    text = _ORDINAL.sub(lambda ending: ending[0].lower(), text)
    letters = list(text)
    kept = [address.span() for address in ADDRESS.finditer(text)]
    all_shouted = _is_shouted(list(_WORD.finditer(text)))
    for sentence in _SENTENCE.finditer(text):
        words = list(_WORD.finditer(text, sentence.start(), sentence.end()))
        if not any(word[0].isupper() for word in words):
            continue
        for at, end, word in _changed(text, words, shouted=all_shouted or _is_shouted(words), english=english):
            while kept and kept[0][1] <= at:
                kept.pop(0)
            if not (kept and kept[0][0] < end):
                letters[at:end] = word
    return "".join(letters)


def _is_shouted(words: list[re.Match[str]]) -> bool:
    shouted = [word[0] for word in words if word[0].isupper() and len(word[0]) > 1]
    if all(word in _NOT_SHOUTED or not _is_pronounceable(word) for word in shouted):  # NHS, WHO and FDA
        return False
    capitals = len(shouted)
    others = sum(1 for word in words if not word[0].isupper())
    return capitals >= 2 and capitals > 4 * others


def _changed(text: str, words: list[re.Match[str]], *, shouted: bool, english: bool) -> Iterator[tuple[int, int, str]]:
    if not (english or shouted):
        return
    title_end = -1
    for word in words:
        if not word[0].isupper() or _is_part_of_code(text, word.start(), word.end()):
            continue
        before = text[max(0, word.start() - _LOOK_BACK_CHARS) : word.start()]
        if word[0] == "US" and _SENTENCE_START.search(before) and _BEFORE_WORD.match(text, word.end()):
            continue
        if word[0] == "ICE" and _BEFORE_TRAIN.match(text, word.end()):  # a train
            continue
        spoken = _spoken(word[0], before, shouted=shouted)
        if not english and word[0] in FOREIGN_WORDS:
            spoken = word[0].lower()
        after = text[word.end() : word.end() + _LOOK_BACK_CHARS]
        if word[0] in MONTHS and (_AFTER_NUMBER.search(before) or _BEFORE_DAY.match(after)):
            spoken = word[0].capitalize()
        after_title = text[title_end : word.start()] in (" ", ". ") if title_end > 0 else False
        if shouted and word[0] in TITLES:
            title_end = word.end()
        if spoken[0].islower() and (after_title or _SENTENCE_START.search(before) or _BEFORE_ROMAN.match(after)):
            spoken = spoken[0].upper() + spoken[1:]
        if len(spoken) == len(word[0]):
            yield word.start(), word.end(), spoken


def _is_part_of_code(text: str, start: int, end: int) -> bool:
    """Whether a word in capitals belongs to something like AT&T, $AAPL, 1-800-FLOWERS or ASP.NET."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if before[-1:] == "-" and before[:1].isdigit():  # 1-800-FLOWERS
        return True
    if before[-1:] in ("&", "$") or after[:1] in ("&", "+"):
        return True
    joined = (before[-1:] == "." and before[:1].isalnum()) or (after[:1] == "." and after[1:].isalnum())
    return joined and end - start < 5


def _spoken(word: str, before: str, *, shouted: bool) -> str:
    """A word in capitals as it is to be written for an engine."""
    if len(word) == 1:
        return _letter(word, before, shouted=shouted)
    apostrophe = "'" if "'" in word else "’"
    head, found, tail = word.partition(apostrophe)
    if not found:
        return _spoken_word(word, before, shouted=shouted)
    if len(head) == 1:
        if head in ("D", "L", "O") and len(tail) > 2 and tail != "CLOCK":
            return head.capitalize() + apostrophe + tail.capitalize()  # O'BRIEN
        return (head if head == "I" else head.lower()) + apostrophe + tail.lower()  # I'M, O'CLOCK
    is_contraction = tail in _CONTRACTIONS and head not in INITIALISMS
    return (head.lower() if is_contraction else _spoken_word(head, before, shouted=shouted)) + apostrophe + tail.lower()


def _spoken_word(word: str, before: str, *, shouted: bool) -> str:
    if word in NAMES or (shouted and word in TITLES):
        return word.capitalize()
    if word in ALSO_WORDS:
        initialism = _AFTER_NUMBER.search(before) or before.lower().endswith("the ")
        return word.lower() if shouted and not initialism else word
    if word in INITIALISMS or _is_roman(word) or len(set(word)) == 1:
        return word
    if shouted and word[-1] == "S" and word[:-1] in INITIALISMS:
        return word[:-1] + "s"
    is_known = word in SHORT_WORDS or word in SPOKEN_ACRONYMS
    is_word = is_known or ((shouted or len(word) > 3) and _is_pronounceable(word))
    return word.lower() if is_word else word


def _letter(letter: str, before: str, *, shouted: bool) -> str:
    if letter == "A" and shouted and not _BEFORE_LETTER.search(before) and before[-1:] not in "-/.'’_":
        return "a"
    return letter


def _is_roman(word: str) -> bool:
    return word not in _ROMAN_WORDS and _ROMAN.fullmatch(word) is not None


def _is_pronounceable(word: str) -> bool:
    """Whether an English speaker would say this as a word: it begins and ends with what words begin and end with."""
    vowels = [run.span() for run in _VOWEL_RUN.finditer(word)]
    if not vowels:
        return False
    if len(word) > 6 or not word.isascii():
        return True
    first, last = vowels[0][0], vowels[-1][1]
    if word[0] == "Y" and len(vowels) > 1 and vowels[0][1] == 1:
        first = vowels[1][0]
    return (
        _ONSETS.fullmatch(word[:first].replace("Y", "")) is not None
        and _CODAS.fullmatch(word[last:]) is not None
        and _CLUSTER.search(word) is None
    )
