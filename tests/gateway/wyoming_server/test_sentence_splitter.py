"""Sentences of a text that comes in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts_gateway.wyoming_server.sentence_splitter import MAX_SENTENCE_CHARS, SentenceSplitter


def split(*pieces: str) -> list[str]:
    splitter = SentenceSplitter()
    found = [sentence for piece in pieces for sentence in splitter.add(piece)]
    return [*found, *splitter.finish()]


@pytest.mark.parametrize(
    ("pieces", "sentences"),
    [
        ([], []),
        (["", " ", "\n"], []),
        (["It is late. Good", " night."], ["It is late.", "Good night."]),
        (list("First. Second? Third!"), ["First.", "Second?", "Third!"]),
        (["Dr. Smith is here."], ["Dr. Smith is here."]),
        (["It costs 3.50 euros. Buy it."], ["It costs 3.50 euros.", "Buy it."]),
        (["你好。", "再见！好"], ["你好。", "再见！", "好"]),
        (["A title\n\n", "a text"], ["A title", "a text"]),
        (["**Bold** words."], ["Bold words."]),
    ],
)
def test_sentences(pieces: list[str], sentences: list[str]) -> None:
    assert split(*pieces) == sentences


def test_a_sentence_is_there_as_soon_as_the_next_one_has_begun() -> None:
    splitter = SentenceSplitter()
    assert list(splitter.add("It is late. ")) == []
    assert list(splitter.add("G")) == ["It is late."]


@pytest.mark.parametrize("unit", ["word ", "word, and ", "字", "字，", "x", "A. "])
def test_a_text_without_ends_is_split_at_gaps_and_nothing_is_lost(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    found = split(text)
    assert all(len(sentence) <= MAX_SENTENCE_CHARS for sentence in found)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert not unit.endswith(" ") or set(" ".join(found).split()) == set(text.split())  # no word is divided


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="aB.!?。 \n\"'1)", max_size=40), max_size=20))
def test_no_character_is_lost_and_no_order_changes(pieces: list[str]) -> None:
    assert "".join("".join(split(*pieces)).split()) == "".join("".join(pieces).split())
