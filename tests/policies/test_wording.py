"""Links, emoji, repeats and length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.policies.emoji_names import emoji_cuts
from ishowtts.policies.length import cut
from ishowtts.policies.links import link_cuts
from ishowtts.policies.repeats import without_repeats
from ishowtts.policies.text_edits import spliced, visible


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("see https://example.com/a?b=c#d.", "see link."),
        ("see HTTP://EXAMPLE.COM, please", "see link, please"),
        ("(www.example.org/a)", "(link)"),
        ("look: example.com!", "look: link!"),
        ("clips.twitch.tv/Abc-d and youtu.be/xyz", "link and link"),
        ("t.me/joinchat/x", "link"),
        ("localhost http://10.0.0.1:8080/x", "localhost link"),
        ("看https://x.com/a吧", "看 link 吧"),
        ("write to bob@example.com", "write to bob@example.com"),
        ("Mr.Smith and e.g. this, i.e. that", "Mr.Smith and e.g. this, i.e. that"),
        ("He came.It was late at 10.30 and/or 1.5/2.0", "He came.It was late at 10.30 and/or 1.5/2.0"),
        ("version 1.2.3.4 costs 3.50", "version 1.2.3.4 costs 3.50"),
        ("http:// and www. alone", "http:// and www. alone"),
    ],
)
def test_an_address_of_the_web_is_a_word(text, said) -> None:
    assert spliced(text, link_cuts(text, "link")) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello https://x.com/y!", "Hello!"),
        ("a (https://x.com/y) b", "a b"),
        ("a, https://x.com/y, b", "a,, b"),
    ],
)
def test_what_is_dropped_leaves_no_hole(text, said) -> None:
    assert spliced(text, link_cuts(text, "")) == said


def emojied(text: str, action: str, fold: bool = True, language: str = "auto") -> str:
    return spliced(text, emoji_cuts(text, action, fold, language))


@pytest.mark.parametrize(
    ("text", "dropped", "named"),
    [
        ("I ❤️ NY 🎉!", "I NY!", "I red heart NY party popper!"),
        ("😂😂 😂😂 yes 😂", "yes", "face with tears of joy yes face with tears of joy"),
        ("👍🏽👍🏽", "", "thumbs up"),
        ("go 1️⃣2️⃣", "go 1 2", "go 1 2"),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f🇬🇧", "", "England United Kingdom"),
        ("👨\u200d👩\u200d👧", "", "family man woman girl"),
        ("你好😂", "你好", "你好 笑哭了"),
        ("50 € ™ © # * 1", "50 € ™ © # * 1", "50 € ™ © # * 1"),
        ("plain", "plain", "plain"),
    ],
)
def test_emoji_are_dropped_or_named(text, dropped, named) -> None:
    assert emojied(text, "drop") == dropped
    assert emojied(text, "name") == named


def test_a_run_of_one_emoji_is_one() -> None:
    assert emojied("🔥🔥 🔥 x 🔥", "keep") == "🔥 x 🔥"
    assert emojied("🔥🔥", "keep", fold=False) == "🔥🔥"
    assert emojied("🎉", "name", language="de") == "konfettibombe"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Noooooo!!!!!", "Nooo!!!"),
        ("AaAaAaAaA", "AaA"),
        ("Schifffahrt www ...", "Schifffahrt www ..."),
        ("10000000 1000000 00:00:00", "10000000 1000000 00:00:00"),
        ("二〇〇〇〇年 一一一一一", "二〇〇〇〇年 一一一一一"),
        ("哈哈哈哈哈哈", "哈哈哈"),
        ("hahahahahahaha lololololololol", "hahaha lololol"),
        ("hahahaha", "hahahaha"),
        ("ha ha ha ha ha ha ha", "ha ha ha"),
        ("no, no, no, no, no, No, NO!", "no, no, no!"),
        ("no no no no no", "no no no no no"),
        ("1 1 1 1 1 1 1 1", "1 1 1 1 1 1 1 1"),
        ("Z\u0335\u0336\u0337\u0338a", "Z\u0335\u0336a"),
        ("see www.aaaaaa.com aaaaaa", "see www.aaaaaa.com aaa"),
    ],
)
def test_what_repeats_is_cut_and_numbers_are_not(text, said) -> None:
    assert without_repeats(text, 3) == said


@given(text=st.text(), most=st.integers(2, 5))
def test_a_cut_repeat_is_never_longer_and_keeps_every_digit(text, most) -> None:
    cut_text = without_repeats(text, most)
    assert len(cut_text) <= len(text)
    assert [char for char in cut_text if char.isdigit()] == [char for char in text if char.isdigit()]


@pytest.mark.parametrize(
    ("text", "max_chars", "said"),
    [
        ("One sentence here. Two sentences here. Three.", 44, "One sentence here. Two sentences here."),
        ("It has one clause, and this is another, and it goes on", 45, "It has one clause, and this is another,"),
        ("words without an end that go on and on", 20, "words without an end"),
        ("words without an endless sentence", 20, "words without an"),
        ("Hi. then words without an end that go on", 30, "Hi. then words without an end"),
        ("今天天气很好。我们去公园玩吧,好不好", 10, "今天天气很好。"),
        ("see https://example.com/a/very/long/one", 20, "see"),
        ("short words", 6, "short"),
        ("abcdefgh", 5, "abcde"),
        ("fits", 4, "fits"),
    ],
)  # fmt: skip
def test_a_long_text_ends_where_a_listener_would_not_mind(text, max_chars, said) -> None:
    assert cut(text, max_chars) == said


words = st.sampled_from(["word", "a.", "Well, so:", "好。", "好", "ö", "https://example.com/abc", "3.5"])


@given(text=st.lists(words, min_size=1).map(" ".join), max_chars=st.integers(1, 100))
def test_a_cut_text_is_the_head_of_it_within_the_limit(text, max_chars) -> None:
    head = cut(text, max_chars)
    assert len(head) <= max_chars
    assert text.startswith(head)
    assert head == text or len(text) > max_chars


@given(text=st.text(max_size=300).map(visible), max_chars=st.integers(1, 100))
def test_any_text_is_cut_to_the_limit(text, max_chars) -> None:
    assert len(cut(text, max_chars)) <= max_chars


@given(st.text())
def test_what_is_visible_is_seen_the_same_twice(text) -> None:
    assert visible(visible(text)) == visible(text)
