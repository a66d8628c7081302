"""Reading rules of English for comparison signs, arrows, hearts made of them, and stars."""

from __future__ import annotations

import re

from ishowtts.text.reading_rules import ReadingRule, ToWords, only_with, rule

_SIGNS = {"<": "less than", ">": "greater than", "<=": "at most", ">=": "at least", "=<": "at most",
          "≤": "at most", "≥": "at least", "==": "equal to", "!=": "not equal to", "≠": "not equal to",
          "<>": "not equal to"}  # fmt: skip
# After these words "is" would be wrong: the bill is < 5, it takes < 5 minutes, in < 5 minutes.
_COMPLETE = frozenset((
    "is", "are", "was", "were", "be", "been", "being", "isn't", "aren't", "not", "has", "have", "had", "costs",
    "cost", "takes", "take", "took", "needs", "need", "needed", "lasts", "last", "lasted", "weighs", "weigh",
    "reads", "says", "stays", "remains", "gets", "got", "goes", "drops", "dropped", "fell", "falls", "rises",
    "rose", "in", "for", "with", "at", "by", "to", "from", "of", "on", "after", "before", "within", "only",
    "and", "or", "but", "if", "when", "while", "than", "about", "just", "still", "now", "currently", "usually",
    "always", "never", "under", "over", "above", "below", "requires", "wait", "waits", "uses", "used", "use", "the",
))  # fmt: skip
_BEFORE_HEART = (
    "love|you|u|ya|all|everyone|everybody|chat|thanks|thx|ty|him|her|stream|fam|friends|night|day|bye|it|this|gg"
    "|much|goodnight|morning|birthday|congrats|welcome|luck|hi|hello|hey|cute|awesome|amazing|beautiful|babe|baby|mom"
    "|mum|dad|video|song|work|job|back|soon|best|guys|xoxo|xx"
)
_AFTER_HEART = "you|u|ya|this|it|that|my|your|him|her|them|all|everyone"
_NUMBER_AHEAD = r"(?=[-+−–~]?[$€£¥₹]?\.?\d)"
_BEFORE = r"(?P<before>[\w'%°)\]€]{1,20})?"


def _comparison(match: re.Match[str], _: ToWords) -> str:
    before = match["before"] or ""
    words = _SIGNS[match["sign"]]
    if not before and match.string[match.start() - 1 : match.start()] in ("(", "["):
        return f"{words} "
    if before and before.lower() not in _COMPLETE:
        words = f"is {words}"
    return f"{before} {words} "


def _of_words(match: re.Match[str], _: ToWords) -> str:
    """A sign between words. `Settings > Display` is a way through menus."""
    if (
        match["sign"] == ">"
        and len(match["before"]) > 1
        and not match["before"][-1].isdigit()
        and len(match["after"]) > 1
    ):
        return f"{match['before']}, "
    return _comparison(match, _)


COMPARISON_RULES: tuple[ReadingRule, ...] = (
    *only_with(
        "<",
        # <3 is the verb between somebody and somebody or something
        rule(r"(?<!\w)(I|[Ww]e|[Yy]ou|[Tt]hey|u|i) <3+ (?=[A-Za-z])", r"\1 love "),
        rule(r"(?<!\w)([Hh]e|[Ss]he|[Ww]ho|[A-Z][a-z]{1,20}) <3+ (?=[A-Z][a-z]|you\b|me\b|us\b)", r"\1 loves "),
        rule(r"(?<!\S)</3+(?!\w)", "broken heart"),
        rule(r"(?<=[:;]-\)) <3+(?!\S)|(?<=[:;]\)) <3+(?!\S)", " heart"),
        # <3 is a heart beside such words, and alone. Anywhere else it compares.
        rule(rf"(?<!\w)({_BEFORE_HEART})([.!,]?) ?<3+(?![\w%]|[.,]\d)", r"\1\2 heart", re.IGNORECASE),
        rule(rf"(?<!\S)<3+(?= (?:{_AFTER_HEART}|<3+)(?!\w))", "heart", re.IGNORECASE),
        rule(r"(?:^|(?<=heart )|(?<=[.!?] ))<3+(?=$|[.!?,](?!\d))", "heart"),
    ),
    *only_with(
        "→➜⟶⇒>",
        rule(r"(?<=[\w°%)]) ?(?:-{1,2}>|=>|[→➜⟶⇒]) ?(?=[\w$€£-])", " to "),
    ),
    *only_with(
        "<>=≤≥≠",
        rule(rf"{_BEFORE} ?(?P<sign><=|>=|=<|==|!=|<>|≤|≥|≠|<|>)(?!-(?!\.?\d)) ?{_NUMBER_AHEAD}", _comparison),
        rule(rf"{_BEFORE} ?(?P<sign><=|>=|==|!=|<>|<|>)(?!-) ?(?=minus \d)", _comparison),
        rule(r"(?P<before>[\w'%°)]{1,20}) (?P<sign><=|>=|==|!=|<>|≤|≥|≠|<|>) (?=(?P<after>\w{1,20}))", _of_words),
    ),
    *only_with(
        "*",
        rule(r"(?<=[\d)]) ?\*\* ?(?=[\w(])|(?<=(?<!\w)[A-Za-z]) ?\*\* ?(?=\d)", " to the power of "),
        rule(
            r"(?<=[A-Za-z])\*{2,}(?=[A-Za-z])|(?<=[A-Za-z]{2})\*+(?=[A-Za-z])|(?<=[A-Za-z])\*+(?=[A-Za-z]{2})", " "
        ),  # a word that somebody censored
        rule(r"(?<=\d)\*(?=[A-Za-z(])|(?<=\d) \* (?=[A-Za-z(])|(?<=(?<!\w)[A-Za-z]) ?\* ?(?=[\w(])", " times "),
        rule(r"(?<=\d)\*(?= [A-Za-z]|[.,;:!?)]|$)", " star"),
    ),
)
