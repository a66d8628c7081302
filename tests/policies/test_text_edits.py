"""Length, and what is visible of a text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.policies.text_edits import truncate, visible_text


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
