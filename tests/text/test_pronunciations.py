from __future__ import annotations

import json
import logging
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.text import pronunciation_file
from ishowtts.text import reader as text_reader
from ishowtts.text.languages import language_runs
from ishowtts.text.pronunciations import MAX_PATTERN_SPANS, Pronunciation, Pronunciations
from ishowtts.text.reader import TextReader
from ishowtts.util.live_file import LiveFile
from support.clock import Clock

EXAMPLE = r"""
- {say: "Nvidia", as: "en vidia"}            # a word: whole words, any case
- {say: "C++", as: "see plus plus"}
- {pattern: "\\bv(\\d+)\\b", as: "version \\1"} # a pattern
- {say: "行", as: "航", language: zh}
- {say: "SQL", as: "sequel", voice: anna}
- {say: "5G", as: "five gee"}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pronunciations.yaml"


def spoken(path: Path, content: str, text: str, voice: str | None = None, language: str | None = None) -> str:
    path.write_text(content, encoding="utf-8")
    return TextReader(path, lambda _: language, default_voice="default").read(text, voice)


@pytest.mark.parametrize(
    ("text", "voice", "expected"),
    [
        ("NVIDIA's nvidia, Nvidias", None, "en vidia's en vidia, Nvidias"),
        ("I like C++.", None, "I like see plus plus."),
        ("I like C++11.", None, "I like see plus plus eleven."),
        ("the 5G net of 5 GB", None, "the five gee net of five gigabytes"),
        ("v12 is here", None, "version 12 is here"),
        ("银行 and 行", None, "银航 and 航"),
        ("SQL", "anna", "sequel"),
        ("SQL", "bert", "SQL"),
        ("SQL", None, "SQL"),
        ("Nvidia在2026年", None, "en vidia在二零二六年"),
        ("ＮＶＩＤＩＡ", None, "en vidia"),
    ],
)
def test_an_entry_replaces_the_written_text(path: Path, text: str, voice: str | None, expected: str) -> None:
    assert spoken(path, EXAMPLE, text, voice) == expected


def entries(*entries: dict[str, str]) -> str:
    return json.dumps(entries, ensure_ascii=False)


def test_the_longest_word_wins_and_nothing_is_replaced_twice(path: Path) -> None:
    file = entries(
        {"say": "New", "as": "old"}, {"say": "New York", "as": "new amsterdam"}, {"say": "old", "as": "new york"},
        {"pattern": "amsterdam|York", "as": "rotterdam"},
    )  # fmt: skip
    assert spoken(path, file, "New York, new York, New, old, York") == (
        "new amsterdam, new amsterdam, old, new york, rotterdam"
    )


def test_an_entry_for_the_voice_or_language_wins(path: Path) -> None:
    file = entries(
        {"say": "gif", "as": "gif"}, {"say": "gif", "as": "jif", "voice": "anna"},
        {"say": "gif", "as": "guif", "language": "fr"},
    )  # fmt: skip
    assert spoken(path, file, "GIF", "anna") == "jif"
    assert spoken(path, file, "GIF", "bert", "fr-ca") == "guif"


def test_an_entry_for_a_language_holds_for_its_sentences_only(path: Path) -> None:
    file = entries({"say": "Auto", "as": "Automobil", "language": "de"})
    assert spoken(path, file, "My Auto is here. Das Auto ist nicht da.") == (
        "My Auto is here. Das Automobil ist nicht da."
    )


def test_an_entry_for_the_default_voice_holds_for_lines_without_a_voice(path: Path) -> None:
    assert spoken(path, entries({"say": "SQL", "as": "sequel", "voice": "default"}), "SQL") == "sequel"


def test_a_word_is_not_found_inside_another_word_except_in_chinese(path: Path) -> None:
    file = entries({"say": "art", "as": "X"}, {"say": "über", "as": "Y"}, {"say": "长", "as": "常"})
    assert spoken(path, file, "part arts art Art, übermut ÜBER 校长长") == "part arts X X, übermut Y 校常常"


def test_an_inserted_text_stays_a_separate_word(path: Path) -> None:
    assert spoken(path, entries({"say": "++", "as": "plus plus"}), "C++") == "C plus plus"


def test_an_entry_over_two_languages_is_inserted_once(path: Path) -> None:
    assert spoken(path, entries({"say": "x银", "as": "ok"}), "a x银行") == "a ok行"


def test_an_inserted_text_is_cleaned_and_may_be_empty(path: Path) -> None:
    assert spoken(path, entries({"say": "x", "as": "[[h@]]"}, {"say": "um", "as": ""}), "um x um") == "[ [h@]]"


def test_pronunciations_apply_if_normalisation_is_off(path: Path) -> None:
    path.write_text(entries({"say": "SQL", "as": "sequel"}))
    assert TextReader(path, lambda _: None, normalise=False).read("SQL 5", None) == "sequel 5"


def test_a_change_is_read_while_running_and_a_fault_keeps_the_last_good_entries(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    monkeypatch.setattr(text_reader, "LiveFile", partial(LiveFile, clock=clock))
    path.write_text(entries({"say": "SQL", "as": "sequel"}))
    reader = TextReader(path, lambda _: None)

    def spoken_later() -> str:
        """Read a line one second later: the file is checked once a second."""
        clock.now_s += 1
        return reader.read("SQL", None)

    assert (spoken_later(), reader.fault) == ("sequel", None)
    path.write_text(entries({"say": "SQL", "as": "see quill"}))
    assert spoken_later() == "see quill"
    path.write_text("- {say: SQL, like: x}")
    assert spoken_later() == "see quill"
    assert spoken_later() == "see quill"
    assert reader.fault is not None
    assert "line 1: unknown key 'like'" in reader.fault
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1, "a fault is logged once for each change"
    path.unlink()
    assert spoken_later() == "see quill"
    assert "cannot be read" in (reader.fault or "")
    path.write_text("")
    assert (spoken_later(), reader.fault) == ("SQL", None)


@pytest.mark.parametrize("content", ["- {say: SQL, like: x}", None])
def test_a_fault_at_the_start_says_that_no_pronunciation_is_in_force(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    clock = Clock()
    monkeypatch.setattr(text_reader, "LiveFile", partial(LiveFile, clock=clock))
    if content is not None:
        path.write_text(content)
    reader = TextReader(path, lambda _: None)
    clock.now_s += 1
    assert reader.read("SQL", None) == "SQL"
    assert [record.message.rpartition("; ")[2] for record in caplog.records] == ["no pronunciation is in force"]
    path.write_text(entries({"say": "SQL", "as": "sequel"}))
    clock.now_s += 1
    assert reader.read("SQL", None) == "sequel"
    path.write_text("- {say: SQL, likes: x}")
    clock.now_s += 1
    assert reader.read("SQL", None) == "sequel"
    assert caplog.records[-1].message.endswith("; the content that was read before stays in force")


def test_the_file_is_checked_once_a_second_at_most(path: Path) -> None:
    path.write_text(entries({"say": "a", "as": "b"}))
    file = LiveFile(path, pronunciation_file.read, Pronunciations(), key="text.pronunciations", entries="pronunciation")
    first = file.current()
    path.write_text(entries({"say": "a", "as": "longer"}))
    assert file.current() is first


SLOW_IF_BACKTRACKING = ["(a+)+$", "(?:a|a)*b", "(a*)*", "(?:a?){100}a{100}", "(.*)(.*)(.*)(.*)x", "", "x*", "a+b|a"]


@pytest.mark.parametrize("pattern", SLOW_IF_BACKTRACKING)
def test_no_pattern_takes_long(path: Path, pattern: str) -> None:
    text = spoken(path, entries({"pattern": pattern, "as": "y"}), "a" * 100_000 + "!")
    assert text


def test_the_matches_of_all_patterns_together_are_bounded() -> None:
    patterns = Pronunciations(tuple(Pronunciation("", re2.compile(letter), "y") for letter in "ab"))
    assert len(patterns.spans("ab" * 9_000, language_runs("ab" * 9_000, None), "default")) == MAX_PATTERN_SPANS


WORDS = ["art", "ART", "C++", "C", "行", "银行", "New York", "x", "5", " ", ", ", "über", "$5"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), max_size=20).map("".join),
    st.lists(st.sampled_from([word for word in WORDS if word.strip(", ")]), unique_by=str.lower, max_size=6),
)
def test_an_inserted_text_is_never_searched_again(text: str, words: list[str]) -> None:
    pronunciations = Pronunciations(tuple(Pronunciation(word.lower(), None, f"<{i}>") for i, word in enumerate(words)))
    spans = pronunciations.spans(text, language_runs(text, None), "default")
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert all(text[span.start : span.end].lower() == words[int(span.spoken[1:-1])].lower() for span in spans)
