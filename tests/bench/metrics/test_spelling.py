from __future__ import annotations

import pytest

from ishowtts_bench.metrics.spelling import tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Nineteen ninety-five.", "1995"),
        ("one thousand nine hundred and ninety-five", "1,995"),
        ("two hundred and five people", "205 people"),
        ("a hundred steps", "100 steps"),
        ("twelve oh four", "1204"),
        ("two million, five hundred thousand", "2,500,000"),
        ("the twenty-third of May", "the 23rd of May"),
        ("half past seven, at five thirty pm", "Half past 7 at 5:30 PM"),
        ("three point five percent", "3.5%"),
        ("at ten thirty", "at 10.30"),
        ("one, two, three", "123"),
        ("the neighbour's favourite colour", "The neighbors favorite color!"),
        ("she realised that the grey centre was cancelled", "She realized that the gray center was canceled."),
        ("a well-known café", "A WELL KNOWN CAFE"),
        ("it’s late", "It's late"),
    ],
)
def test_english_texts_that_sound_alike_have_the_same_tokens(one: str, other: str) -> None:
    assert tokens(one, "en") == tokens(other, "en-gb")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("我們在後面見", "我们在后面见。"),
        ("两点三十分", "2点30分"),
        ("二零二六年三月五日", "2026年3月5日"),
        ("她说OK", "他說 ok！"),
    ],
)
def test_mandarin_texts_that_sound_alike_have_the_same_tokens(one: str, other: str) -> None:
    assert tokens(one, "zh") == tokens(other, "cmn")


@pytest.mark.parametrize(
    ("one", "other"),
    [("fifteen", "fifty"), ("the cat", "the cap"), ("105", "150"), ("a third", "a three"), ("hundred", "thousand")],
)
def test_texts_that_sound_different_have_different_tokens(one: str, other: str) -> None:
    assert tokens(one, "en") != tokens(other, "en")


def test_each_mandarin_character_is_a_token() -> None:
    assert tokens("你好，Anna！", "zh") == ["你", "好", "anna"]
