"""English abbreviations and Roman numerals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.text.english_roman import roman_value
from ishowtts.text.reader import TextReader
from support.readings import table

CASES = table("abbreviations")
READER = TextReader(None, lambda _: "en")


@pytest.mark.parametrize(("written", "spoken"), CASES)
def test_a_line_is_read_as_the_table_says(written: str, spoken: str) -> None:
    assert READER.read(written, None) == spoken


def test_there_are_at_least_120_different_cases() -> None:
    assert len({written for written, _ in CASES}) == len(CASES) >= 120


def numeral(value: int) -> str:
    letters = ((100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
    written = ""
    for worth, letter in letters:
        written += letter * (value // worth)
        value %= worth
    return written


@given(st.integers(1, 399))
def test_the_value_of_each_numeral_is_found(value: int) -> None:
    assert roman_value(numeral(value)) == value


@given(st.text("IVXLC", max_size=8))
def test_letters_that_are_no_numeral_have_no_value(letters: str) -> None:
    value = roman_value(letters)
    assert value is None or numeral(value) == letters
