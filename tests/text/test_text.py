from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ishowtts.text import clean, is_speakable, segments

ENGLISH = [
    "a",
    "I",
    "the",
    "hello,",
    "world.",
    "Wait!",
    "Really?",
    "(yes)",
    "Dr.",
    "e.g.",
    "…",
    "—",
    "longestwordofall",
]
NUMBERS = ["3.14", "1,000,000", "12:30", "-5%", "$3.50", "https://example.org/a?b=1.5&c=2", "me@example.org"]
OTHERS = [
    "；",
    "你好。",
    "今天，天气很好！",
    "「はい。」",
    "Straße",
    "हिन्दी",
    "ภาษาไทยไม่มีช่องว่าง",
    "👨‍👩‍👧",
    "🇩🇪🇫🇷",
    "e\u0301",
    "한국어",
]
WORDS = st.sampled_from(ENGLISH + NUMBERS + OTHERS)
TEXTS = st.lists(WORDS, max_size=40).map(" ".join)


def without_white_space(text: str) -> str:
    return "".join(text.split())


def has_long_run(text: str, max_bytes: int) -> bool:
    return any(len(run.encode()) > max_bytes // 3 for run in re.findall(r"[\W_]+", clean(text)))


def test_control_characters_and_white_space_are_cleaned() -> None:
    assert clean("\ufeff  One\r\n\ttwo\x00\x07 three\u00a0\u200b ") == "One two three"


def test_a_decomposed_letter_is_composed() -> None:
    assert clean("cafe\u0301") == "café"


def test_a_lone_surrogate_goes_and_a_pair_becomes_its_character() -> None:
    assert clean("a\ud800b \ud83d\ude00 c\udc00") == "ab 😀 c"


@given(st.text(st.characters(), max_size=60))
def test_clean_text_can_be_encoded_and_is_clean_already(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"]), max_size=60))
def test_cleaning_keeps_every_letter(text: str) -> None:
    assert without_white_space(clean(text)) == without_white_space(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize("text", ["a", "7", "你", "…ok"])
def test_letters_and_digits_are_speakable(text: str) -> None:
    assert is_speakable(text)


@pytest.mark.parametrize("text", ["", " ", "...", "— ?!", "😀", "_"])
def test_punctuation_is_not(text: str) -> None:
    assert not is_speakable(text)
    assert segments(text, 100) == []


@pytest.mark.parametrize(
    ("text", "max_bytes", "expected"),
    [
        ("Short.", 100, ["Short."]),
        ("One is here. Two is here. Three is here.", 26, ["One is here. Two is here.", "Three is here."]),
        ("He said “go.” Then he left.", 24, ["He said “go.”", "Then he left."]),
        ("first the one, then the other thing", 22, ["first the one,", "then the other thing"]),
        ("just a row of plain words", 16, ["just a row of", "plain words"]),
        ("今天天气很好。我们去公园。", 24, ["今天天气很好。", "我们去公园。"]),
        ("今天天气很好，我们去公园", 24, ["今天天气很好，", "我们去公园"]),
        ("Ask Dr. Smith about it. He knows.", 26, ["Ask Dr. Smith about it.", "He knows."]),
        ("Please ask our Dr. Smith about it", 24, ["Please ask our Dr. Smith", "about it"]),
        ("aaaaaaaaaaaa3.1415926", 16, ["aaaaaaaaaaaa", "3.1415926"]),
        ("123456789012345678", 16, ["1234567890123456", "78"]),
        ("The value is 3.1415926 or so", 19, ["The value is", "3.1415926 or so"]),
        ("It costs 1,000,000 and 5% more", 18, ["It costs 1,000,000", "and 5% more"]),
        ("Look at https://a.example/x.y?z=1, please", 36, ["Look at https://a.example/x.y?z=1,", "please"]),
        ("aaaaaaaaaaaaaaaaaaaa", 16, ["aaaaaaaaaaaaaaaa", "aaaa"]),
        ("aaaaaaaaaaaaaaa!!!", 16, ["aaaaaaaaaaaaaa", "a!!!"]),
        ("Hm. Then a plain row of words goes on", 24, ["Hm. Then a plain row of", "words goes on"]),
    ],
)
def test_a_text_is_cut_at_the_best_place(text: str, max_bytes: int, expected: list[str]) -> None:
    assert segments(text, max_bytes) == expected


def test_the_first_segment_can_be_shorter() -> None:
    assert segments("One is here. Two is here. Three.", 100, 16) == ["One is here.", "Two is here. Three."]


def test_a_first_word_too_long_for_a_short_start_is_not_broken() -> None:
    assert segments("Donaudampfschifffahrt beginnt", 100, 16) == ["Donaudampfschifffahrt beginnt"]


def test_an_endless_run_of_punctuation_makes_no_silent_segments() -> None:
    parts = segments("Well " + "." * 500 + " yes " + "!?" * 300, 30)
    assert all(is_speakable(part) for part in parts)
    assert "yes" in " ".join(parts)


def test_a_segment_too_short_for_a_word_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        segments("hello", 3)


@given(TEXTS, st.integers(48, 200), st.none() | st.integers(16, 60))
def test_segments_fit_speak_and_lose_nothing(text: str, max_bytes: int, first: int | None) -> None:
    assume(not has_long_run(text, max_bytes))
    parts = segments(text, max_bytes, first)
    assert all(len(part.encode()) <= max_bytes for part in parts)
    assert all(is_speakable(part) and part == part.strip() for part in parts)
    if is_speakable(text):
        assert without_white_space("".join(parts)) == without_white_space(clean(text))


@given(TEXTS, st.integers(48, 200), st.none() | st.integers(16, 60))
def test_numbers_addresses_and_letters_stay_whole(text: str, max_bytes: int, first: int | None) -> None:
    assume(not has_long_run(text, max_bytes))
    whole = r"https?://\S+\w|\w+@\S+\w|\d+(?:[.,:]\d+)*|👨‍👩‍👧|🇩🇪|🇫🇷|न्दी"
    assert re.findall(whole, " ".join(segments(text, max_bytes, first))) == (
        re.findall(whole, clean(text)) if is_speakable(text) else []
    )


@given(st.text(st.characters(), max_size=200), st.integers(16, 60), st.none() | st.integers(1, 60))
def test_any_text_at_all_gives_segments_that_fit_and_speak(text: str, max_bytes: int, first: int | None) -> None:
    parts = segments(text, max_bytes, first)
    assert all(is_speakable(part) and len(part.encode()) <= max_bytes for part in parts)
    spoken = "".join(c for c in clean(text) if c.isalnum())
    assert "".join(c for c in "".join(parts) if c.isalnum()) == spoken
