"""`docs/performance.md` has the predictions made before any measurement. A changed assumption must show there."""

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
    """Return the cells of the table row that begins with this cell."""
    (row,) = (line for line in PREDICTED.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"[0-9.]+", cell.replace("−", "-"))]


def test_the_page_has_the_prediction_of_every_board() -> None:
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
        ("work of the CPU", "host_launches"),
    ],
)
def test_the_page_has_the_assumptions(first: str, name: str) -> None:
    table = PREDICTED.split("### How it is computed")[1].split("###")[0]
    (row,) = (line for line in table.splitlines() if line.startswith(f"| {first} |"))
    written = [float(cell) for cell in row.strip("|").split("|")[1:4]]
    assert written == [getattr(given, name) for given in ASSUMPTIONS]


def test_the_page_has_every_published_figure_and_its_prediction() -> None:
    table = PREDICTED.split("### Comparison with published")[1].split("###")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(published_figures.FIGURES)
    for row, figure in zip(rows, published_figures.FIGURES, strict=True):
        assert float(row[2]) == figure.rtf
        assert float(row[3]) == pytest.approx(published_figures.check(BASE.arch, figure).predicted, abs=6e-4)
