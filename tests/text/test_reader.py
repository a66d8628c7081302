from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.text import clean
from ishowtts.text.reader import TextReader
from support.readings import table


def reader(language: str | None = None, normalise: bool = True) -> TextReader:
    return TextReader(None, lambda _: language, normalise)


def test_there_are_at_least_200_different_readings() -> None:
    cases = [*table("english"), *table("chinese"), *table("mixed")]
    assert len(set(cases)) == len(cases) >= 200


@pytest.mark.parametrize(("written", "spoken"), table("english"))
def test_english_is_read_as_the_table_says(written: str, spoken: str) -> None:
    assert reader("en-us").read(written, None) == spoken


@pytest.mark.parametrize(("written", "spoken"), table("chinese"))
def test_chinese_is_read_as_the_table_says(written: str, spoken: str) -> None:
    assert reader("zh").read(written, None) == spoken


@pytest.mark.parametrize(("written", "spoken"), table("mixed"))
def test_a_mixed_line_is_read_in_the_language_of_each_run(written: str, spoken: str) -> None:
    assert reader().read(written, None) == spoken


@pytest.mark.parametrize("language", ["de", "fr-ca", "ja", "ru"])
def test_other_languages_keep_their_figures_and_are_only_cleaned(language: str) -> None:
    assert reader(language).read("１２ km,  3,50 €\u202e, 3:30", None) == "12 km, 3,50 €, 3:30"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Es sind 3,5 °C draußen und es kostet 12.50 €.", "Es sind 3,5 °C draußen und es kostet 12.50 €."),
        ("Der 3. Mai ist ein Tag mit 2 x 5 km & 10 %.", "Der 3. Mai ist ein Tag mit 2 x 5 km & 10 %."),
        ("Сегодня 3 градуса и 5 км.", "Сегодня 3 градуса и 5 км."),
        ("It is 3 km. Es sind 3 km. 有3个", "It is three kilometers. Es sind 3 km. 有三个"),
        ("DAS ESSEN IST FERTIG, BITTE KOMMEN.", "Das essen ist fertig, bitte kommen."),
    ],
)
def test_a_sentence_is_read_by_the_rules_of_its_own_language(written: str, spoken: str) -> None:
    assert reader().read(written, None) == spoken


def test_the_language_that_a_line_names_goes_before_that_of_its_voice() -> None:
    assert reader("en").read("It is 3 km. 1.234", None, "de") == "It is 3 km. 1.234"
    assert reader("de").read("Pay 3 km, 1.234", None, "en") == "Pay three kilometers, one point two three four"
    assert reader("de").read("I pay 1.234", None, "en-DE") == "I pay one thousand two hundred and thirty four"


def test_han_is_chinese_in_a_german_voice_and_japanese_in_a_japanese_one() -> None:
    assert reader("de").read("Nr. 3 我有3个", None) == "Nr. 3 我有三个"
    assert reader("ja").read("11月21日", None) == "11月21日"


def test_letters_in_a_chinese_voice_are_english() -> None:
    assert reader("cmn").read("I have 3 apples", None) == "I have three apples"
    assert reader("zh-tw").read("5 3", None) == "五 三"


def test_the_language_is_that_of_the_voice_of_the_line() -> None:
    asked: list[str | None] = []
    languages = {"greta": "de"}

    def language_of(voice: str | None) -> str | None:
        asked.append(voice)
        return languages.get(voice or "")

    by_voice = TextReader(None, language_of)
    assert (by_voice.read("3 km", "greta"), by_voice.read("3 km", None)) == ("3 km", "three kilometers")
    assert asked == ["greta", None]


def test_without_normalisation_a_text_is_only_cleaned() -> None:
    assert reader(normalise=False).read("It  costs $3.50 [[x]]", None) == "It costs $3.50 [ [x]]"


def test_an_unknown_form_stays_as_it_is_written() -> None:
    for text in ("7" * 41, "C#x", "Ⅷ", "word" * 120 + "5"):
        assert reader().read(f"a {text} b", None) == f"a {text} b"


def test_a_long_text_is_normalised_up_to_its_limit() -> None:
    assert reader().read("I have 3. " * 2000, None) == " ".join(["I have three."] * 2000)
    assert reader().read("I have 3. " * 3000, None) == " ".join(["I have three."] * 2000 + ["I have 3."] * 1000)


@pytest.mark.parametrize(("short", "spoken"), [("No. 5", "number five"), ("Dr. Smith", "Doctor Smith")])
def test_a_long_text_is_not_divided_after_an_abbreviation(short: str, spoken: str) -> None:
    text = "Good. " + "ok " * 120
    assert reader().read(f"{text}{short} {'ok ' * 60}", None).startswith(f"{text}{spoken} ok")


HOSTILE = {
    "digits": "7" * 100_000,
    "parentheses": "(" * 100_000,
    "versions": "1." * 50_000,
    "thousands": "1," * 50_000,
    "ranges": "1-" * 50_000,
    "fractions": "1/" * 50_000,
    "dollars": "$" * 100_000,
    "addresses": "www." * 25_000,
    "one address": "https://" + "a" * 100_000,
    "mail": "a@" * 50_000,
    "one word": "a" * 100_000,
    "no blank": "一2" * 50_000,
    "switching": "a我1" * 33_000,
    "escapes": '"\\{ }' * 20_000,
    "marks": "5" + "\u0335" * 100_000,
}


@pytest.mark.parametrize("text", list(HOSTILE.values()), ids=list(HOSTILE))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_text_is_read_and_the_result_is_clean(text: str, language: str) -> None:
    spoken = reader(language).read(text, None)
    assert clean(spoken) == spoken


CHARACTERS = st.text(
    st.sampled_from("0159.,:/-–~+%$€¥°²½#@&=<>'\"\\{}()[] aKmksv一年月日点第万，。：\u200d\u0301'"), max_size=40
)


@settings(max_examples=300, deadline=None)
@given(CHARACTERS | st.text(st.characters(), max_size=60), st.sampled_from([None, "en", "zh", "de", "ja"]))
def test_any_text_is_read_and_the_result_is_clean(text: str, language: str | None) -> None:
    spoken = reader(language).read(text, None)
    assert clean(spoken) == spoken
    assert bool(clean(text)) == bool(spoken)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["the", "cat", "sat.", "Über", "我们", "去", "公园，", "so!", "(yes)", "привет"]), max_size=12
    )
)
def test_text_without_figures_and_symbols_does_not_change(words: list[str]) -> None:
    text = " ".join(words)
    assert reader().read(text, None) == text


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**12 - 1), st.sampled_from(["en", "zh"]))
def test_no_figure_of_a_number_is_left(number: int, language: str) -> None:
    for shown in (str(number), f"{number:,}", f"{number}.25"):
        assert not re.search("[0-9]", reader(language).read(f"x {shown} x" if language == "en" else shown, None))


def test_many_threads_may_read_at_once() -> None:
    one = reader()
    with ThreadPoolExecutor(8) as pool:
        spoken = set(pool.map(lambda _: one.read("我买了3个 for $3.50 at 3:30pm", None), range(64)))
    assert spoken == {"我买了三个 for three dollars and fifty cents at three thirty PM"}
