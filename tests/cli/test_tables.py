"""Tables: one line for each row, whatever the width of the terminal and the text of the cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.cli import tables
from ishowtts.cli.tables import table_lines
from ishowtts.util.terminal_text import cell_width

TITLES = ("time", "outcome", "RTF", "text")
ROWS = [
    ("07:30:05", "finished", "0.21", "The tea is ready."),
    ("07:31:00", "rejected", "", "What is the time? " * 10),
]


def lines(width: int | None, rows: list[tuple[str, ...]] | None = None) -> list[str]:
    return list(table_lines(TITLES, ROWS if rows is None else rows, width, right={"RTF"}))


def test_in_a_pipe_nothing_is_cut() -> None:
    title, tea, question = lines(None)
    assert title.split() == list(TITLES)
    assert tea == "07:30:05  finished  0.21  The tea is ready."
    assert question.endswith(("What is the time? " * 10).rstrip())


def test_in_a_terminal_the_widest_column_is_cut_and_the_others_stay_whole() -> None:
    for width in (50, 80, 120):
        shown = lines(width)
        assert len(shown) == 3
        assert shown[1] == "07:30:05  finished  0.21  The tea is ready."
        assert shown[2].startswith("07:31:00  rejected        What is the time?")
        assert shown[2].endswith("…")
        assert len(shown[2]) == width


def test_a_column_without_content_is_left_out() -> None:
    assert lines(80, [("07:30:05", "", "", "a")]) == ["time      text", "07:30:05  a"]
    assert lines(80, []) == []


def test_control_characters_are_shown_and_start_no_line() -> None:
    (_, row) = lines(None, [("1", "2", "3", "a\tb\nc\x1b[31m\u202e\u2028")])
    assert row.endswith(r"a\tb\nc\x1b[31m\u202e\u2028")
    assert row.isprintable()


@given(
    st.lists(st.tuples(*[st.text(max_size=30)] * 4), max_size=4),
    st.integers(1, 100),
)
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, ...]], width: int) -> None:
    shown = lines(width, rows)
    assert len(shown) == (1 + len(rows) if any(any(row) for row in rows) else 0)
    assert all(cell_width(line) <= width for line in shown)


def test_a_narrow_terminal_has_the_text_and_not_the_optional_columns() -> None:
    for width, titles in ((80, "time outcome RTF text"), (46, "time outcome RTF text"), (45, "time outcome text")):
        title, tea, question = table_lines(TITLES, ROWS, width, right={"RTF"}, optional=("RTF", "outcome"))
        assert title.split() == titles.split()
        assert tea.endswith("The tea is ready.")
        assert question.startswith("07:31:00  rejected")
        assert len(question) == width
    assert list(table_lines(TITLES, ROWS, 30, optional=("RTF", "outcome")))[2] == "07:31:00  What is the time? W…"
    assert list(table_lines(("text",), [("tea " * 9,)], 12, optional=("text",)))[1] == "tea tea tea…"


@pytest.mark.parametrize("columns", ["20", None])
def test_a_sentence_is_wrapped_in_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str | None
) -> None:
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    tables.print_text("why: it is \x1b[31mred, and so it is wrapped", indent="  ")
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == (1 if columns is None else 3)
    assert " ".join(" ".join(shown).split()) == r"why: it is \x1b[31mred, and so it is wrapped"


def test_the_width_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "33")
    assert tables.terminal_width() is None
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert tables.terminal_width() == 33
    monkeypatch.setenv("COLUMNS", "wide")
    assert tables.terminal_width() == 80
