"""Whatever value a column has, the inbox starts, gives and ends all other lines, and its threads go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ishowtts.model import Line
from ishowtts.mqtt.fields import LINE_FIELDS
from support import damaged_rows
from support.damaged_rows import BAD_VALUES, BROKEN_TEXT, FIRST_WAITING, WAITING, check, make_file, put, rows_of

CELLS = [(table, column) for table in ("lines", "outbox", "deliveries") for column in damaged_rows.columns(table)]
FEW = [("settings", "key"), ("settings", "value"), ("sqlite_sequence", "name"), ("sqlite_sequence", "seq")]


def named(cells: list[tuple[str, str]]) -> list[str]:
    return [".".join(cell) for cell in cells]


# Each bad value is in its own row. NULL is in its own file: SQLite's check finds it, and the rows are salvaged.
@pytest.mark.parametrize("values", [(None,), (*BAD_VALUES[1:], BROKEN_TEXT)], ids=["null", "others"])
@pytest.mark.parametrize(("table", "column"), CELLS, ids=named(CELLS))
def test_an_impossible_value_costs_only_its_own_row(
    table: str, column: str, values: tuple[object, ...], tmp_path: Path
) -> None:
    path = make_file(tmp_path)
    done = put(path, table, column, {FIRST_WAITING + place: value for place, value in enumerate(values)})
    assert done or column in ("seq", "number", "packet_id"), "SQLite itself refuses a value that is not a number there"
    check(path, WAITING[len(values) :] if table == "lines" else WAITING)


@pytest.mark.parametrize("value", [None, "8p", b"\xff", 2**63 - 1, -1, 1e300, "9" * 5000, BROKEN_TEXT], ids=range(8))
@pytest.mark.parametrize(("table", "column"), FEW, ids=named(FEW))
def test_impossible_settings_cost_no_line(table: str, column: str, value: object, tmp_path: Path) -> None:
    path = make_file(tmp_path)
    done = put(path, table, column, dict.fromkeys(range(rows_of(path, table)), value))
    assert done or (column == "key" and value is None), "SQLite itself refuses a key without a value"
    check(path, WAITING)


BOUNDS: dict[str, tuple[object, ...]] = {
    "speed": (0.5, 2.0),
    "nfe_step": (4, 64),
    "volume": (0, 100),
    "seed": (0, 2**63 - 1),
    "ttl_s": (1.0, 366 * 86_400.0),
    "chime": (True, "gong"),
    "author": ("b",),
    "language": ("de", "sl-rozaj-1994", "en-x-" + "a" * 8),
}


@pytest.mark.parametrize(("field", "value"), [(name, value) for name, values in BOUNDS.items() for value in values])
def test_every_value_that_a_publisher_may_send_can_be_read_back(
    field: str, value: object, make_queue: Callable[..., Any]
) -> None:
    assert LINE_FIELDS[field](value) == value
    queue = make_queue()
    line = Line("a", "hello", **{field: value})  # type: ignore[arg-type]
    queue.inbox.accept([line])
    assert queue.inbox.take().line == line
