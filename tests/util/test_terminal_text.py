"""Texts that fit a terminal: cut or wrapped, counted in cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.util.terminal_text import cell_width, cut, padded, wrapped


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("tea", 3, "tea"), ("teas", 3, "te…"), ("teas", 1, "…"), ("teas", 0, ""), ("", 0, ""),
        ("茶已经好了", 10, "茶已经好了"), ("茶已经好了", 9, "茶已经好…"), ("茶已经好了", 8, "茶已经…"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
    ],
)  # fmt: skip
def test_cut_counts_cells_and_not_characters(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("the tea is ready", 8, ["the tea", "  is", "  ready"]),
        ("a/long/path/here", 8, ["a/long/p", "  ath/he", "  re"]),
        ("see a/long/path", 8, ["see", "  a/long", "  /path"]),
        ("茶已经好了 茶", 6, ["茶已经", "  好了", "  茶"]),
        ("  two  gaps", 20, ["  two  gaps"]),
        ("", 5, [""]),
        ("茶已", 1, ["茶", "  已"]),
    ],
)
def test_wrapped_breaks_between_words_and_breaks_a_word_only_if_it_must(
    text: str, width: int, lines: list[str]
) -> None:
    assert list(wrapped(text, width, indent="  ")) == lines


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "Mn"])), st.integers(6, 40))
def test_wrapped_keeps_every_character_and_the_width(text: str, width: int) -> None:
    lines = list(wrapped(text, width, indent="   "))
    assert all(cell_width(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_padded_counts_cells() -> None:
    assert (padded("茶", 4), padded("茶", 4, right=True), padded("teas", 2)) == ("茶  ", "  茶", "teas")
