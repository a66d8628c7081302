"""Lines of a frame: cut, wrapped and made safe, whatever their text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts_gateway.terminal_view.styled_line import (
    fitted,
    line_width,
    paragraph,
    plain_text,
    screen_text,
    styled,
    with_right,
)

PIECES = st.lists(st.tuples(st.text(max_size=12).map(screen_text), st.sampled_from(["", "bold"])), max_size=6)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("The tea.", "The tea."), (None, ""), (True, ""), ([1], ""), ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\u202eb\u2066c\u200fd", "abcd"), ("👩\u200d👧 ❤\ufe0f", "👩👧 ❤"), ("a\nb\u2028c", r"a\nb\u2028c"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4), ("שלום", "שלום"), ("x" * 2000, "x" * 1000),
    ],
)  # fmt: skip
def test_text_from_outside_is_harmless_in_a_terminal(value: object, shown: str) -> None:
    assert screen_text(value) == shown


@given(st.text())
def test_any_text_is_printable(text: str) -> None:
    assert screen_text(text).isprintable()


@given(PIECES, st.integers(0, 40))
def test_a_fitted_line_has_at_most_the_width(pieces: list[tuple[str, str]], width: int) -> None:
    line = fitted(styled(*pieces), width)
    assert line_width(line) <= width
    whole = "".join(text for text, _ in pieces)
    shown = "".join(text for text, _ in line)
    assert shown == whole or (shown == "" and width == 0) or (shown.endswith("…") and whole.startswith(shown[:-1]))


def test_pieces_at_the_right_edge_are_left_out_if_there_is_no_room() -> None:
    left, right = styled("kitchen"), [("volume 80 %", ""), ("12:00:00", "dim")]
    assert plain_text(with_right(left, right, 40)) == "kitchen            volume 80 %  12:00:00"
    assert plain_text(with_right(left, right, 22)) == "kitchen    volume 80 %"
    assert plain_text(with_right(left, right, 10)) == "kitchen"
    assert plain_text(with_right(left, right, 5)) == "kitc…"
    assert plain_text(with_right(left, right, None)) == "kitchen  volume 80 %  12:00:00"


@given(st.text(max_size=200).map(screen_text), st.integers(1, 30), st.integers(1, 4))
def test_a_paragraph_keeps_to_its_rows_and_width(text: str, width: int, rows: int) -> None:
    lines = list(paragraph(text, "", width, rows))
    assert len(lines) <= rows
    assert all(line_width(line) <= max(2, width) for line in lines)


def test_a_paragraph_that_is_too_long_ends_with_dots() -> None:
    assert [plain_text(line) for line in paragraph("the tea is ready", "", 8, 3)] == ["the tea", "is ready"]
    assert [plain_text(line) for line in paragraph("the tea is ready, the soup", "", 8, 2)] == ["the tea", "is read…"]
    assert [plain_text(line) for line in paragraph("a b c d", "", None, 1)] == ["a b c d"]
    assert [plain_text(line) for line in paragraph("aa bb aaaaa bbb", "", 6, 1)] == ["aa bb…"]
