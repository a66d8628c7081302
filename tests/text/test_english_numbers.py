"""Numbers: formats, signs, codes, amounts and operators. Each table has its traps beside its forms."""

from __future__ import annotations

import pytest

from ishowtts.text.reader import TextReader
from support.readings import table


def read(text: str, language: str | None = "en", decimal: str = "auto") -> str:
    return TextReader(None, lambda _: language, decimal=decimal).read(text, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("written", "spoken"), table("number_formats"))
def test_a_foreign_format_of_a_number_is_understood(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(("written", "spoken"), table("look_alikes"))
def test_a_look_alike_is_read_as_the_sign_that_it_looks_like(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(("written", "spoken"), table("english_codes"))
def test_a_code_is_read_digit_by_digit_and_a_quantity_is_not(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(("written", "spoken"), table("english_amounts"))
def test_an_amount_is_read_with_its_suffix_and_currency(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(("written", "spoken"), table("messages"))
def test_a_message_is_read_as_a_listener_expects(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(("written", "spoken"), table("english_operators"))
def test_an_operator_is_read_and_a_dash_is_a_minus_a_range_or_a_pause(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize("blank", ["\u2009", "\u202f", "\u00a0"])
def test_thin_and_fixed_blanks_group_a_number(blank: str) -> None:
    assert read(f"612{blank}345 people") == "six hundred twelve thousand three hundred and forty five people"
    assert read(f"It is 5{blank}km.") == "It is five kilometers."
    assert read(f"–5{blank}°C") == "minus five degrees Celsius"


AMBIGUOUS = {
    "1.234": ("one point two three four", "one thousand two hundred and thirty four"),
    "1,234": ("one thousand two hundred and thirty four", "one point two three four"),
    "1,5 and 2": ("one, five and two", "one point five and two"),
    "1.5": ("one point five", "one point five"),
    "1,5 °C": ("one point five degrees Celsius", "one point five degrees Celsius"),
    "1.234,5": ("one thousand two hundred and thirty four point five",) * 2,
    "1,234.5": ("one thousand two hundred and thirty four point five",) * 2,
    "$1,234": ("one thousand two hundred and thirty four dollars",) * 2,
    "pages 3,5": ("pages three, five", "pages three, five"),
    "v1.234": ("version one point two hundred and thirty four",) * 2,
}


@pytest.mark.parametrize(("written", "spoken"), AMBIGUOUS.items())
def test_an_ambiguous_number_is_read_as_the_region_or_the_configuration_says(
    written: str, spoken: tuple[str, str]
) -> None:
    for language in (None, "en", "en-us", "en-GB", "zh"):
        assert read(written, language if language != "zh" else "en-ca") == spoken[0]
        assert read(written, language, decimal="comma") == spoken[1] or language == "zh"
    for language in ("en-de", "en-AT", "en-fr"):
        assert read(written, language) == spoken[1]
        assert read(written, language, decimal="point") == spoken[0]


CHINESE = {
    "价格是1.234,56欧元": "价格是一千二百三十四点五六欧元",
    "湿度45,7%": "湿度百分之四十五点七",
    "1'234.5元": "一千二百三十四点五元",
    "1\u2009234元": "一千二百三十四元",
    "12.345.678人": "一千二百三十四万五千六百七十八人",
    "第1,5,7个": "第一、五、七个",
    "1,234.5元": "一千二百三十四点五元",
    "1,234元": "一千二百三十四元",
    "室温21ºC": "室温二十一摄氏度",
    "今天——5度": "今天——五度",
    "3–5天": "三到五天",
    "١٢个": "十二个",
    "192.168.100.200": "一九二点一六八点一零零点二零零",
}


@pytest.mark.parametrize(("written", "spoken"), CHINESE.items())
def test_foreign_formats_and_look_alikes_are_understood_in_chinese_too(written: str, spoken: str) -> None:
    assert read(written, "zh") == spoken
