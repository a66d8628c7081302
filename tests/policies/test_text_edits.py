"""Links, repeats and length."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.policies.text_edits import apply_edits, link_edits, shorten_repeats, truncate, visible_text


@pytest.mark.parametrize(
    ("text", "edited"),
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
def test_a_web_address_is_replaced_and_a_mail_address_stays(text, edited) -> None:
    assert apply_edits(text, link_edits(text, "link")) == edited


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("Hello https://x.com/y!", "Hello!"),
        ("a (https://x.com/y) b", "a b"),
        ("a, https://x.com/y, b", "a,, b"),
    ],
)
def test_a_dropped_link_leaves_no_extra_blanks_or_brackets(text, edited) -> None:
    assert apply_edits(text, link_edits(text, "")) == edited


@pytest.mark.parametrize(
    ("text", "edited"),
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
def test_repeats_are_shortened_and_numbers_are_not(text, edited) -> None:
    assert shorten_repeats(text, 3) == edited


@settings(deadline=None)
@given(text=st.text(), max_run=st.integers(2, 5))
def test_shortening_repeats_never_adds_text_and_keeps_every_digit(text, max_run) -> None:
    shortened = shorten_repeats(text, max_run)
    assert len(shortened) <= len(text)
    assert [char for char in shortened if char.isdigit()] == [char for char in text if char.isdigit()]


@pytest.mark.parametrize(
    ("text", "max_chars", "head"),
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
def test_a_long_text_is_truncated_at_the_best_end_that_fits(text, max_chars, head) -> None:
    assert truncate(text, max_chars) == head


words = st.sampled_from(["word", "a.", "Well, so:", "好。", "好", "ö", "https://example.com/abc", "3.5"])


@settings(deadline=None)
@given(text=st.lists(words, min_size=1).map(" ".join), max_chars=st.integers(1, 100))
def test_a_truncated_text_is_its_own_head_within_the_limit(text, max_chars) -> None:
    head = truncate(text, max_chars)
    assert len(head) <= max_chars
    assert text.startswith(head)
    assert head == text or len(text) > max_chars


@settings(deadline=None)
@given(text=st.text(max_size=300).map(visible_text), max_chars=st.integers(1, 100))
def test_any_text_is_truncated_to_the_limit(text, max_chars) -> None:
    assert len(truncate(text, max_chars)) <= max_chars


@settings(deadline=None)
@given(st.text())
def test_the_visible_text_of_a_visible_text_is_the_same(text) -> None:
    assert visible_text(visible_text(text)) == visible_text(text)
