"""The language of each part of a text: by script, by identification, and what stays in the default language."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.text import language_identifier
from ishowtts.text.language_identifier import IDENTIFIED, identify
from ishowtts.text.languages import language_runs
from ishowtts.text.reader import TextReader
from ishowtts.text.scripts import base_language, canonical_language, written_in_latin

TABLES = Path(__file__).parent / "languages"


def table(name: str) -> list[str]:
    return [line for line in (TABLES / name).read_text().splitlines() if line and not line.startswith("# ")]


def parts(text: str, language: str | None = None, *, fixed: bool = False) -> list[tuple[str, str]]:
    return [(run.language, text[run.start : run.end]) for run in language_runs(text, language, fixed=fixed)]


def languages(text: str, language: str | None = None) -> list[str]:
    return [run.language for run in language_runs(text, language)]


@pytest.mark.parametrize(("name", "default"), [("stays_english.txt", "en-us"), ("stays_german.txt", "de")])
def test_chat_and_announcements_stay_in_the_default_language(name: str, default: str) -> None:
    lines = table(name)
    assert {line: found for line in lines if (found := languages(line, default)) != [base_language(default)]} == {}
    assert len(lines) > 130


def test_foreign_sentences_are_identified() -> None:
    lines = [line.split(": ", 1) for line in table("foreign.txt")]
    assert {text: found for language, text in lines if (found := languages(text, "en")) != [language]} == {}
    assert len(lines) > 250


@pytest.mark.parametrize("default", ["de", "es", "fr", "it", "nl", "pl", "sv", "tr", "zh", "ru", "ja"])
def test_english_sentences_are_english_whatever_the_default_is(default: str) -> None:
    assert {text: found for text in table("english.txt") if (found := languages(text, default)) != ["en"]} == {}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今天很好", "zh"),
        ("今日は良い天気ですね", "ja"),
        ("안녕하세요", "ko"),
        ("Привет, как дела?", "ru"),
        ("Слава Україні!", "uk"),
        ("Прывітанне, ўсё добра", "be"),
        ("Вече е късно и трябва да спя. Къде си?", "bg"),
        ("Здраво, моја љубави", "sr"),
        ("Здраво, ќе одиме", "mk"),
        ("Сәлем, қалайсың?", "kk"),
        ("Саламатсызбы, кандайсың?", "ky"),
        ("مرحبا بالعالم", "ar"),
        ("سلام، چطوری؟", "fa"),
        ("آپ کیسے ہیں؟", "ur"),
        ("שלום עולם", "he"),
        ("Καλημέρα σας", "el"),
        ("สวัสดีครับ", "th"),
        ("नमस्ते दुनिया", "hi"),
        ("आपली मुळे", "mr"),
        ("ওহে বিশ্ব", "bn"),
        ("வணக்கம்", "ta"),
        ("హలో ప్రపంచం", "te"),
        ("გამარჯობა", "ka"),
        ("Բարեւ", "hy"),
        ("ሰላም", "am"),
        ("သတင်း", "my"),
        ("សួស្តី", "km"),
        ("ສະບາຍດີ", "lo"),
    ],
)
def test_the_script_shows_the_language(text: str, language: str) -> None:
    assert languages(text) == [language]
    assert languages(text, "de") == [language]


@pytest.mark.parametrize(
    ("text", "default", "found"),
    [
        ("Как си днес?", "bg", "bg"),
        ("Слава Україні!", "ru", "ru"),
        ("سلام", "fa-IR", "fa"),
        ("今天", "ja", "ja"),
        ("今天", "ko", "ko"),
        ("奈の茶很好喝我喜欢", "zh-TW", "zh"),
        ("今日は良い天気ですね", "zh", "ja"),
        ("Dobar dan, kako ste?", "sr", "sr"),
        ("नमस्ते", "ne", "ne"),
        ("God morgen", "nb-NO", "no"),
    ],
)
def test_a_default_language_that_is_written_in_the_script_wins(text: str, default: str, found: str) -> None:
    assert languages(text, default) == [found]


@pytest.mark.parametrize(
    ("text", "default", "found"),
    [
        ("I like iPhone.", None, [("en", "I like iPhone.")]),
        ("我用 iPhone 15 拍照。", None, [("zh", "我用 "), ("en", "iPhone 15 "), ("zh", "拍照。")]),
        ("Мой iPhone сломан.", "de", [("ru", "Мой "), ("de", "iPhone "), ("ru", "сломан.")]),
        ("Мой iPhone сломан.", "ru", [("ru", "Мой "), ("en", "iPhone "), ("ru", "сломан.")]),
        ("It is cold. Es sind 3,5 °C draußen.", "en", [("en", "It is cold. "), ("de", "Es sind 3,5 °C draußen.")]),
        ("It is cold. 3 Grad sind es.", "en", [("en", "It is cold. "), ("de", "3 Grad sind es.")]),
        ("5 °C. Привет", "en", [("ru", "5 °C. Привет")]),
        ("今天气温25度。Nice day.", None, [("zh", "今天气温25度。"), ("en", "Nice day.")]),
        ("12.50 € !", "de", [("de", "12.50 € !")]),
        ("", "de", []),
    ],
)
def test_figures_and_signs_go_with_their_neighbours(
    text: str, default: str | None, found: list[tuple[str, str]]
) -> None:
    assert parts(text, default) == found


@pytest.mark.parametrize("text", ["a 5 Ω resistor", "π is 3.14", r"¯\_(ツ)_/¯ lol", "ಠ_ಠ no", "щ(゜Д゜щ) hey"])
def test_a_letter_alone_is_a_sign(text: str) -> None:
    assert languages(text) == ["en"]


def test_a_short_sentence_is_in_the_language_of_its_neighbour() -> None:
    assert languages("Bis bald.") == ["en"]
    assert languages("Das war toll. Bis bald.") == ["de"]
    assert languages("Bis bald. Gute Nacht.") == ["de"]
    assert parts("gg nice one. Das Essen ist fertig.") == [("en", "gg nice one. "), ("de", "Das Essen ist fertig.")]


@pytest.mark.parametrize(
    ("text", "language"),
    [("Guten Abend!", "de"), ("Was geht ab", "de"), ("jajaja muy bueno", "es"), ("Que bom te ver", "pt")],
)
def test_an_author_who_is_named_in_a_sentence_of_its_own_is_in_the_default_language(text: str, language: str) -> None:
    name = "Bob says."
    runs = language_runs(f"{name} {text}", "en")
    assert [(run.language, f"{name} {text}"[run.start : run.end].strip()) for run in runs] == [
        ("en", name),
        (language, text),
    ]


def test_a_language_that_the_line_names_is_not_identified() -> None:
    assert parts("It is raining. Es regnet.", "de", fixed=True) == [("de", "It is raining. Es regnet.")]
    assert parts("Das ist gut. 今天", "en", fixed=True) == [("en", "Das ist gut. "), ("zh", "今天")]
    assert parts("Привет. Das ist gut.", "ru", fixed=True) == [("ru", "Привет. "), ("de", "Das ist gut.")]


TEXT = st.lists(
    st.sampled_from(
        [*"aß.!?…。 \n@#/\\3,:'’\"", "Das ist gut. ", "is not ", "今", "の", "при", "вет", "ñ", "\u0301", "가"]
    )
    | st.characters()
).map("".join)


@given(TEXT, st.sampled_from([None, "de", "zh", "ja", "ru", "tlh", "en-us"]), st.booleans())
def test_runs_are_all_of_the_text(text: str, language: str | None, fixed: bool) -> None:
    runs = language_runs(text, language, fixed=fixed)
    assert "".join(text[run.start : run.end] for run in runs) == text
    assert all(first.end == second.start and first.language != second.language for first, second in pairwise(runs))
    assert runs == language_runs(text, language, fixed=fixed)


@pytest.mark.parametrize("piece", [".", "a", "a ", ". ", "α 1", "'a", "@a", "öst är. ", ".)", "a.b.", "ab。"])
def test_a_hostile_text_of_any_length_is_split(piece: str) -> None:
    text = piece * (100_000 // len(piece))  # with a pattern that is not linear, some of these take minutes
    assert language_runs(text, None)[-1].end == len(text)


def test_the_rest_of_a_text_has_the_same_languages() -> None:
    text = "It is cold. Es sind 3,5 °C draußen. 今天很冷。Il fait froid. Привет. Good night."
    whole = parts(text)
    for count in range(1, len(whole)):
        rest = "".join(part for _, part in whole[count:])
        assert parts(rest) == whole[count:]


def test_without_py3langid_a_text_is_in_the_default_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_identifier, "_ranking", None)
    monkeypatch.setattr(language_identifier, "_fault", None)
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    language_identifier._decide.cache_clear()
    assert identify("Das Essen ist fertig.", "en") == "en"
    reader = TextReader(None, lambda _: None)
    assert "languages are not identified: py3langid cannot be loaded" in (reader.fault or "")
    assert "run install.sh again" in (reader.fault or "")
    language_identifier._decide.cache_clear()


def test_espeak_ng_has_every_language_that_is_identified() -> None:
    voices = subprocess.run(["espeak-ng", "--voices"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert set(IDENTIFIED) <= {base_language(row.split()[1]) for row in voices.splitlines()}
    assert all(written_in_latin(language) for language in IDENTIFIED)


@pytest.mark.parametrize(
    ("tag", "canonical"),
    [
        ("DE", "de"),
        ("pt-br", "pt-BR"),
        ("ZH-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-Rozaj-1994", "sl-rozaj-1994"),
        ("en-a-bbb-X-AB", "en-a-bbb-x-ab"),
        ("de_DE", None),
        ("german", None),
        ("", None),
        ("d", None),
        ("de-", None),
        ("de-x", None),
        ("de-" + "a" * 9, None),
        ("en" + "-abcdefgh" * 4, None),
        ("dé", None),
        ("de\n", None),
    ],
)
def test_tags_are_written_in_the_case_of_bcp_47(tag: str, canonical: str | None) -> None:
    assert canonical_language(tag) == canonical
