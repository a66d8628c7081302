"""The words of a clip in the form in which lines are spoken."""

from __future__ import annotations

import pytest

from ishowtts.engines.voices.transcript import spoken_words


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("THE KETTLE IS ON", "The kettle is on"),
        ("THE KETTLE IS ON. I KNOW, AND I'M GLAD! ARE YOU?", "The kettle is on. I know, and I'm glad! Are you?"),
        ("“HELLO,” SHE SAID. “COME IN.”", "“Hello,” she said. “Come in.”"),
        ("ÉTÉ COMME HIVER", "Été comme hiver"),
        ("I WATCH THE BBC ON TV.", "I watch the BBC on TV."),
        ("THE KETTLE is on.", "The kettle is on."),
    ],
)
def test_capitals_are_lowered_with_a_note(written: str, stored: str) -> None:
    words, notes = spoken_words(written, None)
    assert words == stored
    assert len(notes) == 1
    assert f"stored as: {stored}" in notes[0]


@pytest.mark.parametrize(
    "written",
    ["The kettle is on.", "The BBC is on.", "OK.", "你好，我是安娜。", "Привет, я Анна.", "I, I and I."],
)
def test_other_words_stay_as_they_are(written: str) -> None:
    assert spoken_words(written, None) == (written, [])


@pytest.mark.parametrize(
    ("written", "language", "holds", "without"),
    [
        ("I was born in 1985 and have 2 dogs.", None, "two dogs", "1985"),
        ("It costs 20 euros.", None, "twenty euros", "20"),
        ("It costs $5.50, or 10%.", "en-gb", "percent", "%"),
        ("我有2只狗。", "zh", "我有两只狗", "2"),
        ("ROOM 101 IS FREE", None, "free", "101"),
    ],
)
def test_figures_and_signs_are_put_into_words_with_a_note(
    written: str, language: str | None, holds: str, without: str
) -> None:
    words, notes = spoken_words(written, language)
    assert holds in words
    assert without not in words
    assert f"stored as: {words}" in notes[-1]
