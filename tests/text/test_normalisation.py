"""The grammars of wetext: when they are loaded, and what happens if they cannot read a text or are missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ishowtts.text import normalisation


def in_a_new_process(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Prints the name of each grammar as it is read.
SHOWS = """
import sys, kaldifst
from ishowtts.text.reader import TextReader

read = kaldifst.TextNormalizer
def shows(path):
    print(path.split("/fsts/")[1])
    return read(path)
kaldifst.TextNormalizer = shows
r = TextReader(None, lambda _: None)
r.read("hello", None)
print("wetext" in sys.modules)
r.warm()
print("wetext" in sys.modules)
print(r.read("I have 12, and 3,000.5 °C on 2026-11-30. 我有12.", None))
"""


def test_the_grammars_in_use_are_loaded_when_they_are_first_needed() -> None:
    before, *grammars, after, _ = in_a_new_process(SHOWS).splitlines()
    assert (before, after) == ("False", "True")
    assert sorted(grammars) == [
        f"{language}/tn/{part}.fst" for language in ("en", "zh") for part in ("tagger", "verbalizer")
    ]


@pytest.mark.parametrize("text", ["#1", "+7", "5¢", "−5", "7" * 100])
def test_a_text_that_the_grammars_refuse_is_returned_unchanged(text: str) -> None:
    assert normalisation.number_to_words(text, "en") == text


def test_without_wetext_a_text_is_spoken_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "wetext.py").write_text("raise OSError('no grammar')")
    printed = in_a_new_process(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ishowtts.text.reader import TextReader; "
        "r = TextReader(None, lambda _: None); print(r.fault); print(r.read('I have 3 of 12', None)); print(r.fault)"
    )
    before, text, after = printed.splitlines()
    assert (before, text) == ("None", "I have 3 of 12")
    assert after == "numbers are not read out: wetext cannot be loaded (no grammar); run install.sh again"
