"""What the policies check is what is spoken: no way of writing brings a blocked word or a link past them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts import config
from ishowtts.model import Line, Reason, Rejection
from ishowtts.policies import Policies
from ishowtts.policies.blocked_words import WordList
from ishowtts.text import clean
from ishowtts.text.reader import TextReader

READER = TextReader(None, lambda _: None, normalise=False)
WORD = "badger"
BLOCKING = Policies(
    config.PolicySection.model_validate({"blocked": {"words": [WORD]}}), config.LimitsSection(), 7, lambda: 0.0
)


def _alphabet(first: int, word: str = WORD) -> str:
    return "".join(chr(first + ord(letter) - ord("a")) for letter in word)


def _by_name(style: str) -> str:
    return "".join(unicodedata.lookup(f"{style} {letter.upper()}") for letter in WORD)


STYLES = {
    "bold": _alphabet(0x1D41A),
    "bold italic": _alphabet(0x1D482),
    "script": _alphabet(0x1D4EA),
    "fraktur": _alphabet(0x1D586),
    "double-struck": _alphabet(0x1D552),
    "sans": _alphabet(0x1D5BA),
    "monospace": _alphabet(0x1D68A),
    "full-width": _by_name("FULLWIDTH LATIN SMALL LETTER"),
    "circled": _by_name("CIRCLED LATIN SMALL LETTER"),
    "circled capitals": _by_name("CIRCLED LATIN CAPITAL LETTER"),
    "in parentheses": _by_name("PARENTHESIZED LATIN SMALL LETTER"),
    "in black circles": _alphabet(0x1F150),
    "in squares": _alphabet(0x1F130),
    "in black squares": _alphabet(0x1F170),
    "flags": _alphabet(0x1F1E6),
    "small capitals": "ʙᴀᴅɢᴇʀ",
    "superscript": "ᵇᵃᵈᵍᵉʳ",
    "zero width": "bad\u200bger",
    "soft hyphen": "bad\u00adger",
    "joiner": "bad\u200dger",
    "word joiner": "bad\u2060ger",
    "direction": "bad\u202eger",
    "variation": "bad\ufe0fger",
    "strike": "".join(f"{letter}\u0336" for letter in WORD),
    "mixed": "𝐛ⓐⓓɢｅʳ",
    "Cyrillic": "bаdgеr",
    "digits": "b4dg3r",
    "marks": "b.a.d.g.e.r",
    "stars": "bad**ger",
    "bold in Markdown": "b**adge**r",
    "underscores": "b_adge_r",
    "struck in Markdown": "ba~~dge~~r",
    "spoiler": "ba||dg||er",
    "code": "bad`g`er",
    "ticks": "bad``ger",
    "colons": "ba:dg:er",
    "blanks": "b a d g e r",
    "repeats": "baaadgerrr",
    "accents": "bádgér",
    "backslash": "bad\\ger",
}


@pytest.mark.parametrize("written", STYLES.values(), ids=STYLES.keys())
@pytest.mark.parametrize("around", ["{}", "you {}!", "so… {}, ok"])
def test_a_blocked_word_is_rejected_in_every_style(make, written: str, around: str) -> None:
    rejection = make(f"{{blocked: {{words: [{WORD}]}}}}").admit(Line("a", around.format(written)))
    assert isinstance(rejection, Rejection)
    assert rejection.reason is Reason.FILTERED


@pytest.mark.parametrize("written", STYLES.values(), ids=STYLES.keys())
def test_a_masked_word_is_not_spoken_in_any_style(make, written: str) -> None:
    masking = make(f"{{blocked: {{words: [{WORD}], action: mask}}}}")
    line = masking.admit(Line("a", f"you {written} there"))
    assert isinstance(line, Line)
    assert READER.read(line.text, None) == "you beep there"


@pytest.mark.parametrize("written", STYLES.values(), ids=STYLES.keys())
def test_a_blocked_name_is_not_spoken_in_any_style(make, written: str) -> None:
    policies = make(f"{{blocked: {{words: [{WORD}]}}, template: '{{author}} says: {{text}}'}}")
    rejection = policies.admit(Line("a", "hi", author=written))
    spoken = rejection if isinstance(rejection, Line) else None
    assert spoken is None or WORD not in READER.read(spoken.text, None).lower()


SPLITTING = ["\u200b", "\u00ad", "\u2060", "\ufe0f", "\u0336", "\u202e", "\u180e", "\u115f", "\u3164", "\x00", "\x1b"]
letters = st.tuples(
    *(st.sampled_from(list(dict.fromkeys(styled[i] for name, styled in STYLES.items() if len(styled) == len(WORD)
                                         and name not in ("digits", "Cyrillic", "accents"))))
      for i in range(len(WORD)))
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(letters, st.lists(st.sampled_from(SPLITTING), max_size=3), st.data())
def test_a_word_that_is_spoken_is_one_that_is_checked(written, marks, data) -> None:
    text = "".join(written)
    for mark in marks:
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + mark + text[at:]
    if READER.read(text, None).lower() == WORD:
        assert isinstance(BLOCKING.admit(Line("a", text)), Rejection)


STYLED = (range(0x80, 0x3400), range(0xA720, 0xA800), range(0xFB00, 0xFB07), range(0xFF00, 0xFFF0),
          range(0x1D400, 0x1D800), range(0x1F100, 0x1F200))  # fmt: skip


def test_every_character_that_is_spoken_as_a_letter_is_checked_as_that_letter() -> None:
    lists = {letter: WordList([f"x{letter}xyq"]) for letter in "abcdefghijklmnopqrstuvwxyz"}
    spoken = {char: clean(char).lower() for code_points in STYLED for char in map(chr, code_points)}
    styled = {char: letter for char, letter in spoken.items() if letter in lists}
    assert len(styled) > 600
    assert [char for char, letter in styled.items() if not list(lists[letter].find(f"x{char}xyq"))] == []


@pytest.mark.parametrize(
    "written",
    ["https://ex\u200bample.com/a", "www.\u2060example.com", "http\u00ads://example.com/x", "t\u200b.me/x"],
)
def test_a_link_with_invisible_characters_is_a_link(make, written: str) -> None:
    line = make().admit(Line("a", f"see {written} now"))
    assert isinstance(line, Line)
    assert line.text == "see link now"
