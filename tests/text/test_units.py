"""Units: the table, and quantities in English."""

from __future__ import annotations

import re

import pytest

from ishowtts.text.reader import TextReader
from ishowtts.text.units import UNITS
from support.readings import table

CASES = table("units")
READER = TextReader(None, lambda _: "en")


@pytest.mark.parametrize(("written", "spoken"), CASES)
def test_a_quantity_is_read_as_the_table_says(written: str, spoken: str) -> None:
    assert READER.read(written, None) == spoken


def test_there_are_at_least_150_different_cases() -> None:
    assert len({written for written, _ in CASES}) == len(CASES) >= 150


def wrong(written: str, spoken: str) -> list[tuple[str, str]]:
    """The text and what is said for it, if that is not `spoken`."""
    said = READER.read(written, None)
    return [] if said == spoken else [(written, said)]


def test_each_unit_keeps_its_number_and_loses_its_symbol() -> None:
    found = []
    for symbol, unit in UNITS.items():
        found += wrong(f"It shows 12 {symbol}.", f"It shows twelve {unit.plural}.")
        found += wrong(f"It shows -1.5 {symbol}, then", f"It shows minus one point five {unit.plural}, then")
        found += wrong(f"It shows 1 {symbol}.", f"It shows one {unit.singular}.")
    assert found == []


def test_each_unit_can_stand_after_a_slash() -> None:
    found = []
    for symbol, unit in UNITS.items():
        if "/" not in symbol:
            found += wrong(f"It shows 7 kg/{symbol}.", f"It shows seven kilograms per {unit.singular}.")
    assert found == []


def test_english_words_hold_no_symbol() -> None:
    for unit in UNITS.values():
        assert re.fullmatch(r"(?:[A-Za-z]-)?[A-Za-z]+(?: [A-Za-z]+)*", unit.plural), unit
        assert unit.singular, unit
