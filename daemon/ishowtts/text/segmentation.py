"""Splits text: into segments that an engine speaks one by one, and into chunks of bounded length for searches."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate, pairwise

from ishowtts.limits import HAN, KANA, MAIL, WEB_END, WEB_START
from ishowtts.text.cleaning import JOINERS, clean, is_speakable

MIN_SEGMENT_BYTES = 16
"""A shorter segment cannot hold a word."""
MAX_CHUNK_CHARS = 400
_SHORT_BYTES = 10  # F5 speaks a shorter segment badly: upstream slows it down, which gives noise or drops words
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))

# Ranks of places for a break; the higher the better.
_SENTENCE, _CLAUSE, _PHRASE, _WORD, _LETTER, _PART, _TOKEN, _NEVER = 4, 3, 2, 1, 0, -1, -2, -3

_CLOSERS = "\"'”’»)\\]）】》」』〉"
_CJK = KANA + HAN
_SENTENCE_END = re.compile(rf"(?<![.!?…])[.!?…]+[{_CLOSERS}]*(?=\s)|[。！？｡…][。！？｡…!?]*[{_CLOSERS}]*")
_CLAUSE_END = re.compile(
    rf"[,;:—–][{_CLOSERS}]*(?=\s)|(?<=\s)[-–—](?=\s)|[，、；：､][{_CLOSERS}]*|—+"
    rf"|(?<=[{_CJK}])(?=\s[{_CJK}])"  # some write a blank instead of a comma there
)
# Before a word that joins two thoughts: a speaker breathes there if a text has no punctuation.
_PHRASE_END = re.compile(
    r"(?=\s(?:and|or|but|because|so|which|who|where|when|while|if|since|until|unless|although|though)\s)"
    r"|(?=然后|但是|可是|不过|因为|所以|而且|并且|或者|以及|还有|如果|虽然|于是|接着|另外|同时|然而)",
    re.IGNORECASE,
)
_WORD_END = re.compile(rf"(?=\s)|(?<=[{_CJK}])(?=[{_CJK}A-Za-z])|(?<=[A-Za-z])(?=[{_CJK}])")
_NOT_AN_END = re.compile(
    r"\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|approx|Nos?|Nr|Fig|e\.g|i\.e|z\.B|d\.h|bzw|ca|Gen|Capt|Lt|Sgt|Rev"
    r"|Sen|Rep|Gov|Mt|Vol|pp)\.$",
    re.IGNORECASE,
)
_ORDINAL = re.compile(r"(?<![0-9.,:])[0-9]{1,2}\.$")
_BLANKS = re.compile(r"\s+")
_ADDRESS = (
    rf"{WEB_START}[!-~]*[{WEB_END}]"
    rf"|(?<![A-Za-z0-9_.+-]){MAIL}"
)
_TOKENS = re.compile(
    rf"(?P<address>{_ADDRESS})"
    r"|\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){1,6}"  # a telephone number
    r"|\(\d{3,4}\) ?\d{3,4}[- ]?\d{4}|1\d{2} \d{4} \d{4}(?!\d)"
    r"|[+\-−]?[$€£¥]?\d{1,3}(?: \d{3}){1,5}(?:[.,]\d+)?(?!\d| \d{4})"  # a number in groups of three
    r"|\d+ \d{1,2}/\d{1,2}(?!\d)"  # 2 1/2
    r"|[+\-−]?[$€£¥]?\d+(?:[.,:/\-–]\d+)*(?: ?[%‰°])?"  # a number, a time, a date
)

_CHUNK_ENDS = (
    re.compile(r"(?<=[.!?…])\s+|(?<=[。！？；])"),
    re.compile(r"(?<=[,;:])\s+|(?<=[，、：])"),
    re.compile(r"\s+"),
    re.compile(f"(?<=[{HAN}])(?=[{HAN}])"),
)


def segments(text: str, max_bytes: int, first_min_bytes: int | None = None) -> list[str]:
    """Split text at sentence ends. A sentence that is too long is split at clauses, then between words, then anywhere.

    Args:
        text: Any text; it is cleaned first.
        max_bytes: The longest segment, in UTF-8 bytes; at least 16.
        first_min_bytes: The listener waits for the first segment. End it at the first end of a sentence or clause
            after this many bytes, if there is one before `max_bytes`.

    Returns:
        Speakable segments; none if the text has no letter and no digit. Together they are all of `clean(text)`
        except its white space. If the text needs several segments, runs without a letter or digit are shortened to
        a third of a segment. A number or an address stays whole unless it is longer than a segment. A segment has
        at least 10 bytes unless the whole text is shorter, or no break between words allows it.
    """
    if max_bytes < MIN_SEGMENT_BYTES:
        raise ValueError(f"a segment of {max_bytes} bytes cannot hold a word; it needs at least {MIN_SEGMENT_BYTES}")
    text = clean(text)
    if len(text.encode()) > max_bytes:
        text = _shorten_runs(text, max_bytes // 3)
    speakable = [i for i, c in enumerate(text) if c.isalnum()]
    if not speakable:
        return []
    ranks = _rank_breaks(text)
    offsets = [0, *accumulate(len(c.encode()) for c in text)]
    bounds = [0]
    if first_min_bytes is not None:
        # Before the last letter or digit, so that the rest is not only punctuation.
        end = min(_last_break(offsets, 0, max_bytes), speakable[-1])
        first = max(speakable[0] + 1, bisect_left(offsets, first_min_bytes))
        bounds += [place for place in range(first, end + 1) if ranks[place] >= _CLAUSE][:1]
    while offsets[-1] - offsets[bounds[-1]] > max_bytes:
        start = bounds[-1]
        first = speakable[bisect_left(speakable, start)] + 1
        end = min(_last_break(offsets, start, max_bytes), speakable[-1])
        found = _best_break(ranks, start, first, end)
        bounds.append(len(text) if found is None else found)
    bounds.append(len(text))
    _lengthen(text, ranks, bounds, max_bytes)
    return [text[start:end].strip() for start, end in pairwise(bounds) if start < end]


def chunks(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each chunk; together they are all of the text.

    A chunk ends at the end of a sentence, else of a clause or a word. It has at most `MAX_CHUNK_CHARS` characters. If
    there is no such place it goes on to the next one.
    """
    start = 0
    while len(text) - start > MAX_CHUNK_CHARS:
        end = _chunk_end(text, start)
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence, with the white space after it; together they are all of the text.

    A number of one or two digits with a full stop ends no sentence: in many languages it is an ordinal, as in `3. Mai`.
    """
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if not any(part.search(text, max(0, match.end() - 8), match.end()) for part in (_NOT_AN_END, _ORDINAL)):
            blank = _BLANKS.match(text, match.end())
            end = match.end() if blank is None else blank.end()
            yield start, end
            start = end
    if start < len(text):
        yield start, len(text)


def _chunk_end(text: str, start: int) -> int:
    for pattern in _CHUNK_ENDS:
        found = [
            match.end()
            for match in pattern.finditer(text, start + 1, start + MAX_CHUNK_CHARS)
            if not _NOT_AN_END.search(text, max(start, match.start() - 8), match.start())
        ]
        if found:
            return found[-1]
    later = (pattern.search(text, start + MAX_CHUNK_CHARS) for pattern in _CHUNK_ENDS[1:])
    return min((match.end() for match in later if match and match.end() > start), default=len(text))


def _lengthen(text: str, ranks: list[int], bounds: list[int], max_bytes: int) -> None:
    """Join very short parts between `bounds` or move their bounds, if the limit and the words allow it."""
    i = 1
    while i < len(bounds) - 1:
        start, end = bounds[i - 1], bounds[i + 1]
        joined = text[start:end].strip()
        if all(_fits(part, max_bytes) for part in (text[start : bounds[i]], text[bounds[i] : end])):
            i += 1
        elif len(joined.encode()) <= max_bytes:
            del bounds[i]
            i = max(1, i - 1)  # the changed part may give to the part before it, or need some of it
        elif (better := _better_break(text, ranks, start, end, max_bytes)) is not None:
            bounds[i] = better
            i = max(1, i - 1)
        else:
            i += 1


def _better_break(text: str, ranks: list[int], start: int, end: int, max_bytes: int) -> int | None:
    """The best break between words that leaves neither part very short nor too long; the last of equal ones."""
    places = [
        (ranks[place], place)
        for place in range(start + 1, end)
        if ranks[place] >= _WORD and _fits(text[start:place], max_bytes) and _fits(text[place:end], max_bytes)
    ]
    return max(places)[1] if places else None


def _fits(part: str, max_bytes: int) -> bool:
    """Whether this is a speakable segment that is neither very short nor too long."""
    return _SHORT_BYTES <= len(part.strip().encode()) <= max_bytes and is_speakable(part)


def _shorten_runs(text: str, limit_bytes: int) -> str:
    """Keep at most `limit_bytes` of each run without a letter or digit, which could fill whole segments."""

    def shorten(run: re.Match[str]) -> str:
        raw = run[0].encode()
        return run[0] if len(raw) <= limit_bytes else raw[:limit_bytes].decode("utf-8", "ignore")

    return re.sub(r"[\W_]+", shorten, text)


def _rank_breaks(text: str) -> list[int]:
    """The rank of a break before each character."""
    ranks = [_LETTER if _starts_letter(text, i) else _NEVER for i in range(len(text))] + [_SENTENCE]
    for pattern, rank in (
        (_WORD_END, _WORD),
        (_PHRASE_END, _PHRASE),
        (_CLAUSE_END, _CLAUSE),
        (_SENTENCE_END, _SENTENCE),
    ):
        for match in pattern.finditer(text):
            abbreviated = rank == _SENTENCE and _NOT_AN_END.search(text, max(0, match.end() - 8), match.end())
            if not abbreviated and ranks[match.end()] != _NEVER:
                ranks[match.end()] = rank
    for match in _TOKENS.finditer(text):
        for i in range(match.start() + 1, match.end()):
            between = match["address"] and text[i] in "/?&#@" and text[i - 1].isalnum()
            ranks[i] = min(ranks[i], _PART if between else _TOKEN)
    return ranks


def _starts_letter(text: str, i: int) -> bool:
    """Whether a new letter, as a reader sees it, starts at `i`. This is close to Unicode's grapheme clusters."""
    if i == 0:
        return False
    before, here = text[i - 1], text[i]
    if unicodedata.category(here).startswith("M") or here in JOINERS or here in "\u0e33\u0eb3":
        return False
    if before == "\u200d" or unicodedata.combining(before) == 9:  # a joiner; a virama, which joins two consonants
        return False
    if "\U0001f3fb" <= here <= "\U0001f3ff":  # the skin tone of an emoji
        return False
    if here in _FLAG_LETTERS:
        return (i - len(text[:i].rstrip(_FLAG_LETTERS))) % 2 == 0
    return not ("\u1100" <= before <= "\u11ff" and "\u1160" <= here <= "\u11ff")  # conjoining Hangul


def _last_break(offsets: list[int], start: int, limit_bytes: int) -> int:
    """The last break that keeps a segment from `start` within the limit."""
    end = start
    while end + 1 < len(offsets) and offsets[end + 1] - offsets[start] <= limit_bytes:
        end += 1
    return end


def _best_break(ranks: list[int], start: int, first: int, end: int) -> int | None:
    """The last of the best breaks from `first` to `end`. A better break does not justify a very short part."""
    third = max(first, start + (end - start) // 3)
    places = (
        (_SENTENCE, third),
        (_CLAUSE, third),
        (_PHRASE, max(first, start + 2 * (end - start) // 3)),
        (_WORD, first),
        (_LETTER, first),
        (_PART, third),
        (_TOKEN, first),
        (_NEVER, first),
    )
    for rank, lowest in places:
        for place in range(end, lowest - 1, -1):
            if ranks[place] >= rank:
                return place
    return None
