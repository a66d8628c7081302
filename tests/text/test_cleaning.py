from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.text import clean, compose_and_fold


def test_control_characters_are_dropped_and_white_space_is_folded() -> None:
    assert clean("\ufeff  One\r\n\ttwo\x00\x07 three\u00a0\u200b ") == "One two three"


def test_a_decomposed_letter_is_composed() -> None:
    assert clean("cafe\u0301") == "café"


def test_a_lone_surrogate_is_dropped_and_a_pair_becomes_its_character() -> None:
    assert clean("a\ud800b \ud83d\ude00 c\udc00") == "ab 😀 c"


TRICKY = st.text(
    st.sampled_from("[］［ \t\u3000：1２aﬁ\u0301\u0335\u0323\u200b\u200c\u200d\u034f\ufe0f\ue000"), max_size=40
)


@settings(deadline=None)
@given(st.text(st.characters(), max_size=60) | TRICKY)
def test_clean_text_can_be_encoded_and_does_not_change_if_cleaned_again(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)


def letters_and_digits(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c.isalnum())


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Co", "Mn", "Me"]), max_size=60))
def test_cleaning_keeps_every_visible_letter(text: str) -> None:
    invisible = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0"), None)
    # NFKC does not know white digits in black circles, and the like; test_styled_letters has a table of them.
    assert letters_and_digits(clean(text)) == letters_and_digits(compose_and_fold(text.translate(invisible)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＡＢＣ１２３％", "ABC123%"),
        ("￥９９．５", "¥99.5"),
        ("你好，世界！（真的？）", "你好，世界！（真的？）"),
        ("１２：３０开会：好", "12:30开会：好"),
        ("𝐇𝐞𝐥𝐥𝐨 𝟙𝟚", "Hello 12"),
        ("ﬁne", "fine"),
        ("−5 and well‑known", "-5 and well-known"),
        ("a\u202eb\u2066c\u200bd\u00ade", "abcde"),
        ("\u3164\u115f\u2800", ""),
        ("❤\ufe0f x", "❤ x"),
        ("\ue000secret\U000f0000", "secret"),
        ("a\u200d\u200d\u200c\u200db", "a\u200db"),
        ("q" + "\u0302" * 50, "q" + "\u0302" * 4),
    ],
)
def test_invisible_characters_are_dropped_and_variants_are_folded(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize("text", ["[[h@loU]]", "［［h@loU]]", "[\u200b[h@loU]]", "[[[[h@loU]]]]", "[\u034f[h]]"])
def test_nothing_is_left_that_espeak_reads_as_phonemes(text: str) -> None:
    assert "[[" not in clean(text)
    assert "h" in clean(text)
