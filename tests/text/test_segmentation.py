from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
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


@pytest.mark.parametrize("text", ["a", "7", "你", "…ok"])
def test_letters_and_digits_are_speakable(text: str) -> None:
    assert is_speakable(text)


@pytest.mark.parametrize("text", ["", " ", "...", "— ?!", "😀", "_"])
def test_punctuation_is_not_speakable(text: str) -> None:
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
        ("Ask Dr. Smith about it. He knows it.", 26, ["Ask Dr. Smith about it.", "He knows it."]),
        ("Please ask our Gen. Smith about it all", 25, ["Please ask our Gen. Smith", "about it all"]),
        ("Please ask our Dr. Smith about it all", 24, ["Please ask our Dr. Smith", "about it all"]),
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
def test_a_text_is_split_at_the_best_break(text: str, max_bytes: int, expected: list[str]) -> None:
    assert segments(text, max_bytes) == expected


@pytest.mark.parametrize(
    ("text", "first", "expected"),
    [
        ("One is here. Two is here. Three.", 12, ["One is here.", "Two is here. Three."]),
        ("One is here. Two is here. Three it is.", 13, ["One is here. Two is here.", "Three it is."]),
        ("One is here, two is there and three.", 8, ["One is here,", "two is there and three."]),
        ("just a row of plain words, far off", 40, ["just a row of plain words, far off"]),
        ("just a row of plain words far off", 8, ["just a row of plain words far off"]),
        ("Ask Dr. Smith of it. He knows it.", 4, ["Ask Dr. Smith of it.", "He knows it."]),
        ("It is 3,141.59 meters, or about so.", 6, ["It is 3,141.59 meters,", "or about so."]),
        ("今天天气很好，我们去公园。你也来吗？", 12, ["今天天气很好，", "我们去公园。你也来吗？"]),
        ("This is the first. Me.", 10, ["This is the first. Me."]),
    ],
)
def test_the_first_segment_ends_at_the_first_clause(text: str, first: int, expected: list[str]) -> None:
    assert segments(text, 100, first) == expected


@pytest.mark.parametrize(
    ("text", "max_bytes", "expected"),
    [
        ("call me at +49 170 1234567 please", 24, ["call me at", "+49 170 1234567 please"]),
        ("there are 10 000 000 of them", 20, ["there are 10 000 000", "of them"]),
        ("it takes 2 1/2 hours or so", 16, ["it takes 2 1/2", "hours or so"]),
        ("we walked home and then we slept", 20, ["we walked home", "and then we slept"]),
        ("we all slept and one two three four", 24, ["we all slept and one two", "three four"]),
        ("我们一起去公园玩然后回家吃饭", 36, ["我们一起去公园玩", "然后回家吃饭"]),
        ("第一句没有标点 第二句也没有", 36, ["第一句没有标点", "第二句也没有"]),
        ("aaaaaaaaaaaahttps://a.example/x", 24, ["aaaaaaaaaaaa", "https://a.example/x"]),
        ("我们去吧me@example.org", 24, ["我们去吧", "me@example.org"]),
        ("https://a.example/one/two?three=four", 26, ["https://a.example/one/two", "?three=four"]),
    ],
)
def test_long_tokens_and_texts_without_punctuation_are_split_well(
    text: str, max_bytes: int, expected: list[str]
) -> None:
    assert segments(text, max_bytes) == expected


TOKENS = [
    "1,234,567.89", "12:30:45", "+49 170 1234567", "2026-11-21", "3.14159265", "-5.5%", "$1,234.56", "10 000 000",
    "2 1/2", "(555) 123-4567", "138 0013 8000", "192.168.1.10", "https://example.org/a?b=1.5&c=2", "me@example.org",
    "25/12/2026", "5 %", "1234567890", "www.example.org/x-y_z",
]  # fmt: skip
FILLERS = ["word", "and", "我们去公园", "然后", "longestwordofall", "w", "Straße", "한국어"]


def test_a_telephone_number_after_a_number_in_groups_is_not_split() -> None:
    parts = segments("word word word word word word 然后 1,234,567.89 10 000 000 138 0013 8000 word", 48)
    assert any("138 0013 8000" in part for part in parts)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(FILLERS) | st.sampled_from(TOKENS).map(lambda token: f"《{token}》"), max_size=60),
    st.integers(48, 120),
    st.none() | st.integers(16, 60),
)
def test_no_number_and_no_address_that_fits_is_split(words: list[str], max_bytes: int, first: int | None) -> None:
    text = " ".join(words).replace("《", "").replace("》", "")
    parts = segments(text, max_bytes, first)
    wanted = [word[1:-1] for word in words if word.startswith("《")]
    at = [0] * 2
    for token in wanted:
        while token not in parts[at[0]][at[1] :]:
            at = [at[0] + 1, 0]
            assert at[0] < len(parts), f"{token} is split"
        at[1] = parts[at[0]].index(token, at[1]) + len(token)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(48, 120))
def test_three_hundred_words_without_punctuation_are_split_between_words(seed: int, max_bytes: int) -> None:
    words = random.Random(seed).choices(FILLERS, k=300)  # drawing each of them by hypothesis takes 20 times as long
    parts = segments(" ".join(words), max_bytes)
    assert all(len(part.encode()) <= max_bytes for part in parts)
    assert [word for part in parts for word in re.findall("[a-zß]+", part, re.IGNORECASE)] == (
        [word for word in words if re.match("[a-zß]", word, re.IGNORECASE)]
    )


def test_an_early_first_segment_keeps_the_limit() -> None:
    assert segments("This one has no end before the limit. And that is that.", 24, 20)[0] == "This one has no end"


@pytest.mark.parametrize(
    ("text", "max_bytes", "expected"),
    [
        ("one two three four five", 16, ["one two three", "four five"]),
        ("This was a long way. Yes.", 24, ["This was a", "long way. Yes."]),
        ("No, nobody sees it, all of us go.", 32, ["No, nobody sees it,", "all of us go."]),
        ("Go. Antidisestablishmentarianism.", 32, ["Go.", "Antidisestablishmentarianism."]),
        ("你好。 so you 你好。", 16, ["你好。 so", "you 你好。"]),
        ("一二三四五六七八九。十。", 30, ["一二三四五六七八", "九。十。"]),
    ],
)
def test_a_very_short_segment_gets_more_of_its_line(text: str, max_bytes: int, expected: list[str]) -> None:
    assert segments(text, max_bytes) == expected


def test_a_long_run_of_punctuation_makes_no_silent_segment() -> None:
    parts = segments("Well " + "." * 500 + " yes " + "!?" * 300, 30)
    assert all(is_speakable(part) for part in parts)
    assert "yes" in " ".join(parts)


def test_a_limit_too_small_for_a_word_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        segments("hello", 3)


@settings(deadline=None)
@given(TEXTS, st.integers(48, 200), st.none() | st.integers(16, 60))
def test_segments_fit_are_speakable_and_lose_nothing(text: str, max_bytes: int, first: int | None) -> None:
    assume(not has_long_run(text, max_bytes))
    parts = segments(text, max_bytes, first)
    assert all(len(part.encode()) <= max_bytes for part in parts)
    assert all(is_speakable(part) and part == part.strip() for part in parts)
    if is_speakable(text):
        assert without_white_space("".join(parts)) == without_white_space(clean(text))


@settings(deadline=None)
@given(TEXTS, st.integers(48, 200), st.none() | st.integers(16, 60))
def test_numbers_addresses_and_letters_stay_whole(text: str, max_bytes: int, first: int | None) -> None:
    assume(not has_long_run(text, max_bytes))
    whole = r"https?://\S+\w|\w+@\S+\w|\d+(?:[.,:]\d+)*|👨‍👩‍👧|🇩🇪|🇫🇷|न्दी"
    assert re.findall(whole, " ".join(segments(text, max_bytes, first))) == (
        re.findall(whole, clean(text)) if is_speakable(text) else []
    )


@settings(deadline=None)
@given(st.text(st.characters(), max_size=200), st.integers(16, 60), st.none() | st.integers(1, 60))
def test_segments_of_any_text_fit_and_are_speakable(text: str, max_bytes: int, first: int | None) -> None:
    parts = segments(text, max_bytes, first)
    assert all(is_speakable(part) and len(part.encode()) <= max_bytes for part in parts)
    spoken = "".join(c for c in clean(text) if c.isalnum())
    assert "".join(c for c in "".join(parts) if c.isalnum()) == spoken


def could_be_longer(before: str, after: str, joined: str, max_bytes: int) -> bool:
    """Whether two parts fit into one, or could be split at another word so that neither is very short."""
    if len(joined.encode()) <= max_bytes:
        return True
    splits = [(joined[: m.start()], joined[m.end() :]) for m in re.finditer(" ", joined)]
    return any(
        10 <= len(left.strip().encode()) <= max_bytes
        and 10 <= len(right.strip().encode()) <= max_bytes
        and is_speakable(left)
        and is_speakable(right)
        for left, right in splits
    )


MORE = ["你好。", "Straße", "；", "No.", "ah"]
PLAIN = st.lists(st.sampled_from([*ENGLISH, *NUMBERS[:5], *MORE]), max_size=30).map(" ".join)


@settings(deadline=None)
@given(PLAIN, st.integers(24, 90), st.none() | st.integers(10, 40))
def test_no_segment_is_very_short_unless_words_do_not_allow_it(text: str, max_bytes: int, first: int | None) -> None:
    assume(not has_long_run(text, max_bytes))
    cleaned, at = clean(text), 0
    places = []
    for part in segments(text, max_bytes, first):
        at = cleaned.index(part, at)
        places.append((at, at + len(part)))
        at += len(part)
    for (start, middle), (follows, end) in pairwise(places):
        before, after = cleaned[start:middle], cleaned[follows:end]
        if min(len(before.encode()), len(after.encode())) < 10:
            assert not could_be_longer(before, after, cleaned[start:end], max_bytes), (before, after)
