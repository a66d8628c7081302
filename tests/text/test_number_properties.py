"""No number changes and no minus is lost, whatever the format, the sign and the sentence around it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.text.reader import TextReader

_ONES = {word: number for number, word in enumerate((
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
))}  # fmt: skip
_TENS = {word: 10 * tens for tens, word in enumerate(
    ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2
)}  # fmt: skip
_LARGE = {"thousand": 10**3, "million": 10**6}
_MINUS = "-\u2212\u2013\u2014\u2012\ufe63\uff0d\u2010\u02d7"
_SENTENCES = (
    "It is {} °C outside.", "Temperature: {}°C", "({} kWh)", "The value is {} today.", "{}", "We saw {} %.",
    "it fell to {}.", "lows of {}, highs of 7", "x = {}", '"{}"', "The sum, {}, is wrong.", "Sensor A: {} W; B: 5 W",
    "is {} V?", "between {} and 99999999 kg", "about {} km/h", "at {} hPa", "{} or more", "Call home: {} °C now",
)  # fmt: skip

READER = TextReader(None, lambda _: "en-de")
ENGLISH_READER = TextReader(None, lambda _: "en")


def figures_of(words: Sequence[str]) -> str:
    """The figures of a number in words, such as -12.05 for minus twelve point zero five."""
    is_negative = words[0] == "minus"
    rest = " ".join(words[is_negative:])
    whole, _, decimals = rest.partition(" point ")
    total = part = 0
    for word in whole.split():
        if word in _LARGE:
            total, part = total + part * _LARGE[word], 0
        elif word == "hundred":
            part *= 100
        elif word != "and":
            part += _ONES[word] if word in _ONES else _TENS[word]
    point = "." + "".join(str(_ONES[word]) for word in decimals.split()) if decimals else ""
    return "-" * is_negative + str(total + part) + point


def formats(number: int, decimals: str) -> list[tuple[str, bool]]:
    """The ways to write a number, each with whether a reader of English and one of German agree on it."""
    english = f"{number:,}"
    if not decimals:
        return [(str(number), True), (english, number < 1000 or number >= 10**6)] + [
            (english.replace(",", group), True) for group in ("'", "’", "\u2009", "\u202f")
        ]
    grouped = [english.replace(",", group) + sign + decimals for group in ("'", "’", "\u202f", " ") for sign in ".,"]
    return [(written, True) for written in (f"{number}.{decimals}", f"{number},{decimals}", *grouped)] + [
        (f"{english}.{decimals}", True),
        (english.replace(",", ".") + f",{decimals}", True),
    ]


@st.composite
def written_numbers(draw: st.DrawFn) -> tuple[str, str, bool]:
    """How a number is written, its plain figures, and whether both readers agree on it."""
    # 1 takes another form of the unit, and 1100 to 2099 are years.
    number = draw(st.integers(2, 1099) | st.integers(2100, 9_999_999))
    decimals = draw(st.sampled_from(["", "0", "5", "05", "75", "0625", "1415"]))
    sign = draw(st.sampled_from(["", "", *_MINUS]))
    written, is_clear = draw(st.sampled_from(formats(number, decimals)))
    return sign + written, "-" * bool(sign) + str(number) + ("." + decimals if decimals else ""), is_clear


@settings(max_examples=200, deadline=None)
@given(written_numbers(), st.sampled_from(_SENTENCES))
def test_a_number_keeps_its_value_and_its_sign(number: tuple[str, str, bool], sentence: str) -> None:
    written, figures, is_clear = number
    for reader in (ENGLISH_READER, READER) if is_clear else (ENGLISH_READER,):
        before, after = reader.read(sentence.format("17"), None).split("seventeen", 1)
        spoken = reader.read(sentence.format(written), None)
        assert spoken.startswith(before), spoken
        assert spoken.endswith(after), spoken
        assert figures_of(spoken[len(before) : len(spoken) - len(after)].split()) == figures, spoken


@settings(max_examples=200, deadline=None)
@given(
    st.integers(2, 1099) | st.integers(2100, 9_999_999),
    st.sampled_from(["", *_MINUS]),
    st.lists(
        st.sampled_from(["the", "is", "of", "at", "to", "and", "order", "code", "room", "Sensor", "May", "€"]),
        max_size=3,
    ),
)
def test_minus_is_said_exactly_if_the_number_is_negative(number: int, sign: str, words: list[str]) -> None:
    text = " ".join([*words, f"{sign}{number}", "today"])
    assert ENGLISH_READER.read(text, None).split().count("minus") == len(sign)


def test_the_figures_of_words() -> None:
    assert (
        figures_of(["minus", "one", "million", "two", "hundred", "and", "five", "point", "zero", "five"])
        == "-1000205.05"
    )
