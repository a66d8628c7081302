"""Chinese: times, signs before numbers, units, codes and mixed lines."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.text.chinese import UNITS_READ
from ishowtts.text.reader import TextReader
from support.readings import table

CASES = table("chinese_quantities")
READER = TextReader(None, lambda _: "zh")


@pytest.mark.parametrize(("written", "spoken"), CASES)
def test_a_line_is_read_as_the_table_says(written: str, spoken: str) -> None:
    assert READER.read(written, None) == spoken


def test_there_are_at_least_100_different_cases() -> None:
    assert len({written for written, _ in CASES}) == len(CASES) >= 100


def test_each_unit_keeps_its_number_and_loses_its_symbol() -> None:
    found = []
    for symbol, words in UNITS_READ.items():
        for written, spoken in (
            (f"读数是12{symbol}。", f"读数是十二{words}。"),
            (f"读数是 110 {symbol}，然后", f"读数是 一百一十{words}，然后"),
            (f"读数是-1.5{symbol}", f"读数是负一点五{words}"),
            (f"读数是2{symbol}", f"读数是两{words}"),
        ):
            if (said := READER.read(written, None)) != spoken:
                found.append((written, said))
    assert found == []


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**11), st.integers(0, 75))
def test_a_number_in_a_long_sentence_is_not_divided(number: int, before: int) -> None:
    text = "没" * before
    assert READER.read(f"{text}{number}个", None) == text + READER.read(f"{number}个", None)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 24), st.integers(0, 59), st.sampled_from([":", "："]))
def test_each_time_of_day_is_a_time(hour: int, minute: int, colon: str) -> None:
    spoken = READER.read(f"现在{hour}{colon}{minute:02}。", None)
    assert re.fullmatch(r"现在[零一二三四五六七八九十两]{1,4}点(?:[零一二三四五六七八九十]{1,4}分)?。", spoken)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["-", "－", "–", "−"]),
    st.decimals(1, 99, places=1, allow_nan=False),
    st.sampled_from(["℃", "°C", " °C", "%", "元", "米", "kg", "V", "dBm", "mm", "万", ""]),
    st.sampled_from(["气温", "现在是", "（", "：", "，", ""]),
)
def test_no_minus_is_lost(sign: str, number: Decimal, unit: str, before: str) -> None:
    spoken = READER.read(f"{before}{sign}{number}{unit}", None)
    assert spoken.count("负") == 1
    assert spoken.replace("负", "") == READER.read(f"{before}{number}{unit}", None)
