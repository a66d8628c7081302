from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.text import TextReader, clean, number_library

READINGS = Path(__file__).parent / "readings"


def table(name: str) -> list[tuple[str, str]]:
    """`written => said`, one a line."""
    lines = (READINGS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" => ") for line in lines if line and not line.startswith("# ")]
    assert all(len(pair) == 2 for pair in pairs), pairs
    return [(written, said) for written, said in pairs]


def reader(language: str | None = None, normalise: bool = True) -> TextReader:
    return TextReader(None, lambda _: language, normalise)


def test_the_table_is_long_enough_to_mean_something() -> None:
    cases = [*table("english"), *table("chinese"), *table("mixed")]
    assert len(set(cases)) == len(cases) >= 200


@pytest.mark.parametrize(("written", "said"), table("english"))
def test_english_is_read_as_a_careful_reader_does(written: str, said: str) -> None:
    assert reader("en-us").read(written, None) == said


@pytest.mark.parametrize(("written", "said"), table("chinese"))
def test_chinese_is_read_as_a_careful_reader_does(written: str, said: str) -> None:
    assert reader("zh").read(written, None) == said


@pytest.mark.parametrize(("written", "said"), table("mixed"))
def test_a_mixed_line_is_read_run_by_run(written: str, said: str) -> None:
    assert reader().read(written, None) == said


@pytest.mark.parametrize("language", ["de", "fr-ca", "ja", "ru"])
def test_other_languages_keep_their_figures_and_are_cleaned(language: str) -> None:
    assert reader(language).read("１２ km,  3,50 €\u202e at 3:30", None) == "12 km, 3,50 € at 3:30"


def test_han_is_chinese_also_in_a_german_voice_but_not_in_a_japanese_one() -> None:
    assert reader("de").read("Nr. 3 我有3个", None) == "Nr. 3 我有三个"
    assert reader("ja").read("11月21日", None) == "11月21日"


def test_letters_in_a_chinese_voice_are_english() -> None:
    assert reader("cmn").read("I have 3 apples", None) == "I have three apples"
    assert reader("zh-tw").read("5 3", None) == "五 三"


def test_the_language_is_that_of_the_voice_that_is_named() -> None:
    asked: list[str | None] = []
    languages = {"greta": "de"}

    def language_of(voice: str | None) -> str | None:
        asked.append(voice)
        return languages.get(voice or "")

    many = TextReader(None, language_of)
    assert (many.read("3 km", "greta"), many.read("3 km", None)) == ("3 km", "three kilometers")
    assert asked == ["greta", None]


def test_nothing_is_read_out_where_that_is_switched_off() -> None:
    assert reader(normalise=False).read("It  costs $3.50 [[x]]", None) == "It costs $3.50 [ [x]]"


def test_what_cannot_be_read_stays_as_it_was() -> None:
    for text in ("7" * 41, "٣ ४", "A/B test", "Ⅷ", "word" * 120 + "5"):
        assert reader().read(f"a {text} b", None) == f"a {text} b"


def test_a_long_text_is_read_to_the_end_of_what_anyone_listens_to() -> None:
    assert reader().read("I have 3. " * 2000, None) == " ".join(["I have three."] * 2000)
    assert reader().read("I have 3. " * 3000, None) == " ".join(["I have three."] * 2000 + ["I have 3."] * 1000)


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
def test_hostile_text_comes_back(text: str, language: str) -> None:
    said = reader(language).read(text, None)
    assert clean(said) == said


CHARACTERS = st.text(
    st.sampled_from("0159.,:/-–~+%$€¥°²½#@&=<>'\"\\{}()[] aKmksv一年月日点第万，。：\u200d\u0301'"), max_size=40
)


@settings(max_examples=300, deadline=None)
@given(CHARACTERS | st.text(st.characters(), max_size=60), st.sampled_from([None, "en", "zh", "de", "ja"]))
def test_any_text_at_all_is_read_and_what_is_read_is_clean(text: str, language: str | None) -> None:
    said = reader(language).read(text, None)
    assert clean(said) == said
    assert bool(clean(text)) == bool(said)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["the", "cat", "sat.", "Über", "我们", "去", "公园，", "so!", "(yes)", "привет"]), max_size=12
    )
)
def test_text_without_figures_and_signs_is_not_touched(words: list[str]) -> None:
    text = " ".join(words)
    assert reader().read(text, None) == text


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**12 - 1), st.sampled_from(["en", "zh"]))
def test_no_figure_of_a_number_is_left(number: int, language: str) -> None:
    for shown in (str(number), f"{number:,}", f"{number}.25"):
        assert not re.search("[0-9]", reader(language).read(f"x {shown} x" if language == "en" else shown, None))


def test_many_threads_read_the_same() -> None:
    one = reader()
    with ThreadPoolExecutor(8) as pool:
        said = set(pool.map(lambda _: one.read("我买了3个 for $3.50 at 3:30pm", None), range(64)))
    assert said == {"我买了三个 for three dollars and fifty cents at three thirty PM"}


def in_a_new_process(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_library_is_loaded_when_it_is_needed_and_not_before() -> None:
    said = in_a_new_process(
        "import sys; from ishowtts.text import TextReader; r = TextReader(None, lambda _: None); "
        "r.read('hello', None); print('wetext' in sys.modules); r.warm(); print('wetext' in sys.modules)"
    )
    assert said.split() == ["False", "True"]


@pytest.mark.parametrize("text", ["#1", "+7", "5¢", "−5", "7" * 100])
def test_what_the_library_refuses_comes_back(text: str) -> None:
    assert number_library.read(text, "en") == text


def test_without_the_library_text_is_spoken_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "wetext.py").write_text("raise OSError('no grammar')")
    said = in_a_new_process(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ishowtts.text import TextReader; "
        "r = TextReader(None, lambda _: None); print(r.fault); print(r.read('I have 3 of 12', None)); print(r.fault)"
    )
    before, text, after = said.splitlines()
    assert (before, text) == ("None", "I have 3 of 12")
    assert after == "numbers are not read out: wetext cannot be loaded (no grammar); run install.sh again"
