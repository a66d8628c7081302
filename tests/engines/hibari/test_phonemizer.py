"""The text that the natural voice gets, and how it is pronounced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hibari.g2p import LINK_RE
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.engines.hibari.hibari_engine import HibariEngine
from ishowtts.engines.hibari.phonemizer import MAX_PHONEMES, Phonemizer, plain
from ishowtts.errors import SynthesisError
from support.readings import table

pytestmark = pytest.mark.xdist_group("hibari")

HOSTILE = (
    "[",
    "]",
    "(",
    ")",
    "](",
    "[a]",
    "(/b/)",
    "［",
    "］",
    "（",
    "）",
    "【",
    "ˈə",
    "a",
    ".",
    " ",
    "\n",
    "\u200b",
    "\u0301",
)


@pytest.fixture
def phonemizer(hibari_engine: HibariEngine) -> Phonemizer:
    assert hibari_engine._model is not None
    return hibari_engine._model._phonemizer


def spoken(phonemizer: Phonemizer, text: str) -> str:
    return " ".join(phrase.phonemes for phrase in phonemizer.phrases(text))


@given(st.lists(st.sampled_from(HOSTILE), max_size=30))
def test_no_text_can_choose_its_pronunciation(parts: list[str]) -> None:
    assert LINK_RE.search(plain("".join(parts))) is None


@pytest.mark.parametrize(
    "text",
    [
        "[hello](/bˈæd hˈæt/)",
        "[[hello]](/bˈæd hˈæt/)",
        "[hello]\n(/bˈæd hˈæt/)",
        "[hello]\u200b(/bˈæd hˈæt/)",
        "［hello］（/bˈæd hˈæt/）",
        "[hello](/[x](/bˈæd hˈæt/)/)",
    ],
)
def test_phonemes_in_brackets_are_read_as_any_other_text(phonemizer: Phonemizer, text: str) -> None:
    pronounced = spoken(phonemizer, text)
    assert "həlˈO" in pronounced
    assert "bˈæd hˈæt" not in pronounced


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("I said no. It was late.", "ˌI sˈɛd nˈO. ˌɪt wʌz lˈAt."),  # the package's own rules: "number"
        ("the Book I read", "ðə bˈʊk ˌI ɹˈɛd"),  # "Book one"
        ("King Charles the first", "kˈɪŋ ʧˈɑɹlz ðə fˈɜɹst"),  # "King the zeroth Charles"
        ("Ms Hill called.", "mˈɪz hˈɪl kˈɔld."),
        ("π is great", "pˈI ɪz ɡɹˈAt"),
        ("x²", "ˈɛks tˈu"),
    ],
)
def test_what_the_reader_decided_is_what_is_spoken(phonemizer: Phonemizer, text: str, phonemes: str) -> None:
    assert spoken(phonemizer, text) == phonemes


def english_readings() -> Iterator[str]:
    for name in ("abbreviations", "english", "english_amounts", "english_codes", "units"):
        for _, expected in table(name):
            yield expected


def test_every_reading_of_ours_can_be_pronounced(phonemizer: Phonemizer) -> None:
    for text in english_readings():
        assert spoken(phonemizer, text), text


def test_a_long_sentence_is_cut_at_a_clause_or_between_words(phonemizer: Phonemizer) -> None:
    clauses = list(phonemizer.phrases("the quick brown fox jumps over the lazy dog, and then it sleeps, " * 6))
    assert len(clauses) > 1
    assert all(len(phrase.phonemes) <= MAX_PHONEMES for phrase in clauses)
    assert all(phrase.phonemes.endswith(",") for phrase in clauses)
    words = list(phonemizer.phrases("hello " * 60))
    assert " ".join(phrase.phonemes for phrase in words).split() == ["həlˈO"] * 60
    assert words[0].pause_s < clauses[0].pause_s < clauses[-1].pause_s


def test_nothing_of_a_long_word_is_lost(phonemizer: Phonemizer) -> None:
    assert len(spoken(phonemizer, "zorblaxian" * 10)) > 80


@pytest.mark.parametrize("text", ["你好", "Привет", "Καλημέρα", "Hello 你好 friends"])
def test_letters_that_it_would_drop_are_refused(phonemizer: Phonemizer, text: str) -> None:
    with pytest.raises(SynthesisError, match="letters of another script"):
        spoken(phonemizer, text)


@pytest.mark.parametrize("text", ["bɦad wor\u02b1d", "wor\u02b1d", "Għarb", "woɣrd"])
def test_a_latin_letter_that_it_would_leave_out_is_refused(phonemizer: Phonemizer, text: str) -> None:
    with pytest.raises(SynthesisError, match="does not know the letter"):
        spoken(phonemizer, text)


def test_hostile_text_is_looked_up_a_bounded_number_of_times(
    phonemizer: Phonemizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the limit on the length of words: 80,200 times for `k9k9…`.
    lookups = 0
    lexicon = phonemizer._g2p.lexicon

    class Counted:
        def __call__(self, *arguments: Any) -> Any:
            nonlocal lookups
            lookups += 1
            return lexicon(*arguments)

        def __getattr__(self, name: str) -> Any:
            return getattr(lexicon, name)

    monkeypatch.setattr(phonemizer._g2p, "lexicon", Counted())
    parts = (
        "a-",
        "aB",
        "k9",
        "9",
        ".",
        "'",
        "(",
        "[",
        "](",
        "1,",
        "$1",
        "-1",
        "²a",
        "@a",
        "K-",
        "/-",
        '"',
        "W ",
        "n't",
    )
    for part in parts:
        lookups = 0
        with suppress(SynthesisError):
            spoken(phonemizer, (part * 400)[:400])
        assert lookups < 10_000, part
