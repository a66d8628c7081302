"""`docs/performance.md` says what was predicted before anything was measured; a changed assumption must show there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ishowtts.board.gpu_specs import BOARDS
from ishowtts.engines.f5.architecture import BASE
from ishowtts_bench import published_figures, roofline
from ishowtts_bench.roofline import ASSUMPTIONS
from ishowtts_bench.workload import OURS, Work

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")
PREDICTED = PAGE.split("## Measured")[0]


def cells(first: str) -> list[str]:
    """The row of a table that begins so."""
    (row,) = (line for line in PREDICTED.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"[0-9.]+", cell.replace("−", "-"))]


def test_every_board_stands_there_as_it_is_predicted() -> None:
    for board in BOARDS:
        row = cells(board.title)
        rtfs = [roofline.line(BASE.arch, Work(5, 8, 7), OURS, board, given).rtf for given in reversed(ASSUMPTIONS)]
        assert numbers(row[1]) == pytest.approx(rtfs, abs=6e-4), board.name


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("products in fp16", "products"),
        ("attention", "attention"),
        ("positional convolutions", "convolution"),
        ("products in fp32", "single"),
        ("memory", "memory"),
        ("the processor's part", "host_launches"),
    ],
)
def test_the_assumptions_are_those_that_were_chosen_first(first: str, name: str) -> None:
    table = PREDICTED.split("### How it is computed")[1].split("###")[0]
    (row,) = (line for line in table.splitlines() if line.startswith(f"| {first} |"))
    said = [float(cell) for cell in row.strip("|").split("|")[1:4]]
    assert said == [getattr(given, name) for given in ASSUMPTIONS]


def test_every_published_figure_stands_there_beside_its_prediction() -> None:
    table = PREDICTED.split("### Held against")[1].split("###")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(published_figures.FIGURES)
    for row, figure in zip(rows, published_figures.FIGURES, strict=True):
        assert float(row[2]) == figure.rtf
        assert float(row[3]) == pytest.approx(published_figures.check(BASE.arch, figure).predicted, abs=6e-4)
