from __future__ import annotations

import json
import logging
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.errors import OperatorFileError
from ishowtts.text import TextReader, pronunciation_file
from ishowtts.text.pronunciation_file import MOST_BYTES
from ishowtts.text.pronunciations import Pronunciation, Pronunciations
from ishowtts.text.scripts import runs
from ishowtts.util.live_file import LiveFile

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


def reads(path: Path, content: str, text: str, voice: str | None = None, language: str | None = None) -> str:
    path.write_text(content, encoding="utf-8")
    return TextReader(path, lambda _: language, default_voice="default").read(text, voice)


@pytest.mark.parametrize(
    ("text", "voice", "said"),
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
def test_an_entry_is_said_in_place_of_what_is_written(path: Path, text: str, voice: str | None, said: str) -> None:
    assert reads(path, EXAMPLE, text, voice) == said


def entries(*entries: dict[str, str]) -> str:
    return json.dumps(entries, ensure_ascii=False)


def test_the_longest_word_goes_first_and_nothing_is_replaced_twice(path: Path) -> None:
    file = entries(
        {"say": "New", "as": "old"}, {"say": "New York", "as": "new amsterdam"}, {"say": "old", "as": "new york"},
        {"pattern": "amsterdam|York", "as": "rotterdam"},
    )  # fmt: skip
    assert reads(path, file, "New York, new York, New, old, York") == (
        "new amsterdam, new amsterdam, old, new york, rotterdam"
    )


def test_the_entry_that_is_meant_for_the_voice_wins(path: Path) -> None:
    file = entries(
        {"say": "gif", "as": "gif"}, {"say": "gif", "as": "jif", "voice": "anna"},
        {"say": "gif", "as": "guif", "language": "fr"},
    )  # fmt: skip
    assert reads(path, file, "GIF", "anna") == "jif"
    assert reads(path, file, "GIF", "bert", "fr-ca") == "guif"


def test_the_default_voice_goes_by_its_name_too(path: Path) -> None:
    assert reads(path, entries({"say": "SQL", "as": "sequel", "voice": "default"}), "SQL") == "sequel"


def test_a_word_is_not_found_inside_another_but_han_is(path: Path) -> None:
    file = entries({"say": "art", "as": "X"}, {"say": "über", "as": "Y"}, {"say": "长", "as": "常"})
    assert reads(path, file, "part arts art Art, übermut ÜBER 校长长") == "part arts X X, übermut Y 校常常"


def test_what_is_put_in_stays_a_word_of_its_own(path: Path) -> None:
    assert reads(path, entries({"say": "++", "as": "plus plus"}), "C++") == "C plus plus"


def test_what_is_put_in_is_clean_and_may_be_nothing(path: Path) -> None:
    assert reads(path, entries({"say": "x", "as": "[[h@]]"}, {"say": "um", "as": ""}), "um x um") == "[ [h@]]"


def test_pronunciations_hold_where_reading_out_is_off(path: Path) -> None:
    path.write_text(entries({"say": "SQL", "as": "sequel"}))
    assert TextReader(path, lambda _: None, normalise=False).read("SQL 5", None) == "sequel 5"


HUGE = entries(*({"say": f"word{i}", "as": "x"} for i in range(1001)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: b", "line 1: must be a list"),
        ("- [", "is not plain YAML"),
        ("- x", "line 1: is no entry"),
        ("- {say: a, as: b}\n- {say: c}", "line 2: needs `as`"),
        ("- {as: c}", "needs either `say` or `pattern`"),
        ("- {say: a, pattern: b, as: c}", "needs either `say` or `pattern`"),
        ("- {say: a, ass: c}", "unknown key 'ass'; known here: say, pattern, as, language, voice"),
        ("- {say: a, say: b, as: c}", "the key 'say' twice"),
        ("- {say: [a], as: c}", "say must be text"),
        ("- {say: '', as: c}", "say is empty"),
        ("- {say: a, as: c, language: English}", "language must be a tag such as en or zh, and is 'English'"),
        ("- {say: a, as: c, voice: ../x}", "voice must be the name of one"),
        ("- {say: a, as: c}\n- {say: A, as: d}", "line 2: says again what line 1 says"),
        ("- {pattern: '(', as: c}", "the pattern '(' is not understood (missing )"),
        ("- {pattern: '(?=a)', as: c}", "is not understood"),
        ("- {pattern: 'a{99999999}', as: c}", "is not understood"),
        ("- {pattern: 'a', as: 'x\\1'}", "names a group that the pattern 'a' does not have"),
        ("- {say: " + "a" * 101 + ", as: c}", "say is longer than 100 characters"),
        ("- !!python/object/apply:os.system [id]", "it has a tag"),
        ("- &a {say: *a, as: c}", "an anchor or an alias"),
        ("[" * 5000, "is not plain YAML"),
        ("#" * (MOST_BYTES + 1), "is larger than 64 KiB"),
        (HUGE, "has more than 1000 entries"),
        (entries(*({"pattern": f"x{i}", "as": "x"} for i in range(101))), "has more than 100 patterns"),
    ],
)
def test_each_fault_names_the_file_the_line_and_the_mend(path: Path, content: str, says: str) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(OperatorFileError) as caught:
        pronunciation_file.read(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OperatorFileError, match="not a regular file"):
        pronunciation_file.read(path)


def test_a_file_that_is_not_text_is_named(path: Path) -> None:
    path.write_bytes(b"- {say: \xff}")
    with pytest.raises(OperatorFileError, match="is not UTF-8"):
        pronunciation_file.read(path)


def test_an_empty_file_has_no_entries(path: Path) -> None:
    assert reads(path, "# nothing yet\n", "one") == "one"


def changed(path: Path, content: str) -> None:
    """Write another content; the file is looked at once a second, and changes are known by size, time and inode."""
    time.sleep(1.05)
    path.write_text(content, encoding="utf-8")


def test_a_change_is_taken_up_live_and_a_fault_leaves_the_last_good_entries(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path.write_text(entries({"say": "SQL", "as": "sequel"}))
    reader = TextReader(path, lambda _: None)
    assert (reader.read("SQL", None), reader.fault) == ("sequel", None)
    changed(path, entries({"say": "SQL", "as": "squeal"}))
    assert reader.read("SQL", None) == "squeal"
    changed(path, "- {say: SQL, like: x}")
    assert reader.read("SQL", None) == "squeal"
    time.sleep(1.05)
    assert reader.read("SQL", None) == "squeal"
    assert reader.fault is not None
    assert "line 1: unknown key 'like'" in reader.fault
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1, "a fault is told once for each change"
    time.sleep(1.05)
    path.unlink()
    assert reader.read("SQL", None) == "squeal"
    assert "cannot be read" in (reader.fault or "")
    changed(path, "")
    assert (reader.read("SQL", None), reader.fault) == ("SQL", None)


def test_the_file_is_looked_at_once_a_second_at_most(path: Path) -> None:
    path.write_text(entries({"say": "a", "as": "b"}))
    file = LiveFile(path, pronunciation_file.read, Pronunciations(), key="text.pronunciations")
    first = file.current()
    path.write_text(entries({"say": "a", "as": "longer"}))
    assert file.current() is first


EVIL = ["(a+)+$", "(?:a|a)*b", "(a*)*", "(?:a?){100}a{100}", "(.*)(.*)(.*)(.*)x", "", "x*", "a+b|a"]


@pytest.mark.parametrize("pattern", EVIL)
def test_no_pattern_holds_a_line_up(path: Path, pattern: str) -> None:
    said = reads(path, entries({"pattern": pattern, "as": "y"}), "a" * 100_000 + "!")
    assert said


WORDS = ["art", "ART", "C++", "C", "行", "银行", "New York", "x", "5", " ", ", ", "über", "$5"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), max_size=20).map("".join),
    st.lists(st.sampled_from([word for word in WORDS if word.strip(", ")]), unique_by=str.lower, max_size=6),
)
def test_what_an_entry_says_is_never_read_again(text: str, words: list[str]) -> None:
    found = Pronunciations(tuple(Pronunciation(word.lower(), None, f"<{i}>") for i, word in enumerate(words)))
    spans = found.spans(text, runs(text, None), "default")
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert all(text[span.start : span.end].lower() == words[int(span.spoken[1:-1])].lower() for span in spans)
