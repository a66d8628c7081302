"""`docs/performance.md` has the predictions made before any measurement. A changed assumption must show there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ishowtts.board.gpu_specs import BOARDS, find
from ishowtts.engines.f5.architecture import BASE
from ishowtts_bench import optimisation_steps, published_figures, roofline
from ishowtts_bench.optimisation_steps import EIGHT_BIT, STEPS, OptimisationStep
from ishowtts_bench.roofline import ASSUMPTIONS
from ishowtts_bench.workload import COMPILED, OURS, UPSTREAM, Implementation, Work

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")
LINE = Work(5, 8, 7)


def section(title: str, end: str) -> str:
    """Return the text between a heading, or another text, and the one after it."""
    return PAGE.split(title)[1].split(end)[0]


def rows(text: str, first: str = "") -> list[list[str]]:
    """Return the cells of the rows of tables, without heads, whose first cell begins like this."""
    found = [line.strip("|").split("|") for line in text.splitlines() if line.startswith(f"| {first}")]
    return [[cell.strip() for cell in row] for row in found]


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"[0-9]+\.?[0-9]*", cell)]


def rtf(implementation: Implementation, board: str) -> float:
    found = find(board)
    return roofline.line(BASE.arch, LINE, implementation, found, roofline.likely(found)).rtf


PREDICTED = section("## Predictions, before", "### Why it changed")


def test_the_page_has_the_prediction_of_every_board() -> None:
    for board in BOARDS:
        speed, others = rows(PREDICTED, board.title + " |")
        spread = roofline.assumptions(board)[::-1]
        rtfs = [roofline.line(BASE.arch, LINE, OURS, board, given).rtf for given in spread]
        first_s = [roofline.line(BASE.arch, Work(5, 2, 7), OURS, board, given).total_s for given in spread]
        rounded = 5.1e-5 if rtfs[0] < 0.01 else 5.1e-4
        assert numbers(speed[1]) == pytest.approx(rtfs, abs=rounded), board.name
        predicted_first = optimisation_steps.predict_first(BASE.arch, LINE, board)[::-1]
        assert numbers(speed[2]) == pytest.approx(predicted_first, abs=rounded), board.name
        assert numbers(speed[3]) == pytest.approx(first_s, abs=5.1e-3), board.name
        expected = (
            rtf(OURS, board.name), roofline.arithmetic_rtf(BASE.arch, LINE, OURS, board),
            rtf(COMPILED, board.name), rtf(UPSTREAM, board.name),
        )  # fmt: skip
        assert [float(cell) for cell in others[1:]] == pytest.approx(expected, abs=5.1e-5), board.name


def test_the_page_has_the_time_of_each_stage() -> None:
    board = find("agx-orin")
    estimate = roofline.line(BASE.arch, LINE, OURS, board, roofline.likely(board))
    text = section("The limit of each stage on AGX Orin", "On H200")
    assert numbers(text.splitlines()[0]) == [round(1000 * estimate.total_s)]
    listed = {row[0]: row for row in rows(text)[1:]}
    for stage in estimate.stages:
        if stage.share >= 0.005:
            name, calls, spent_ms, share, bound = listed.pop(stage.name)
            assert (name, int(calls), bound) == (stage.name, stage.calls, stage.bound)
            assert float(spent_ms) == pytest.approx(1000 * stage.spent_s, abs=0.051)
            assert numbers(share) == pytest.approx([100 * stage.share], abs=0.051)
    assert list(listed) == ["everything else"]


COMPUTED = section("### How it is computed", "### Comparison with")


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("products in fp16", "products"),
        ("products in int8, fp8", "eight_bit"),
        ("attention", "attention"),
        ("memory", "memory"),
    ],
)
def test_the_page_has_the_efficiencies_of_the_boards(first: str, name: str) -> None:
    (row,) = rows(COMPUTED, first)
    columns = (
        ("agx-orin",), ("orin-nx-super", "orin-nx", "orin-nano-super"), ("thor",), ("h100", "h200"),
    )  # fmt: skip
    for cell, boards in zip(row[1:], columns, strict=False):
        for board in boards:
            given = [getattr(one, name) for one in roofline.assumptions(find(board))]
            assert [float(number) for number in cell.split("/")] == given


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("positional convolutions", "convolution"),
        ("products in fp32", "single"),
        ("work of the CPU", "host_launches"),
    ],
)
def test_the_page_has_the_assumptions_for_every_board(first: str, name: str) -> None:
    (row,) = rows(COMPUTED, first)
    for board in BOARDS:
        assert [float(cell) for cell in row[1:4]] == [getattr(one, name) for one in roofline.assumptions(board)]


def test_the_page_has_the_first_assumptions() -> None:
    (sentence,) = re.findall(r"The first prediction took (.*?)\. A GPU", COMPUTED, re.DOTALL)
    products, attention, memory = (
        [float(one) for one in part.split("/")] for part in re.findall(r"[0-9./]+", sentence)
    )
    for found, name in ((products, "products"), (attention, "attention"), (memory, "memory")):
        assert found == [getattr(given, name) for given in ASSUMPTIONS]


@pytest.mark.parametrize(("start", "steps"), [("## Optimisations", STEPS), ("**Eight bits.**", EIGHT_BIT)])
def test_the_page_has_each_step(start: str, steps: tuple[OptimisationStep, ...]) -> None:
    head, *listed = rows(PAGE.split(start)[1])[: len(steps) + 1]
    boards = [board for title in head[1:] for board in BOARDS if board.title == title]
    assert [row[0] for row in listed] == [step.title for step in steps]
    for row, step in zip(listed, steps, strict=True):
        spent_ms = [1000 * step.predict_s(BASE.arch, LINE, board) for board in boards]
        assert [float(cell) for cell in row[1:]] == pytest.approx(spent_ms, abs=0.051)


def test_the_page_has_the_time_of_the_vocoder() -> None:
    (said,) = re.findall(r"of the time: (.*?)\. An engine", PAGE, re.DOTALL)
    boards = ("agx-orin", "orin-nx-super", "orin-nx", "thor", "h200")
    for board, ms in zip(boards, numbers(said.replace("H200", "")), strict=True):
        stages = roofline.line(BASE.arch, LINE, OURS, find(board), roofline.likely(find(board))).stages
        vocoder = [stage for stage in stages if stage.name.startswith(("vocoder", "inverse"))]
        assert 1000 * sum(stage.spent_s for stage in vocoder) == pytest.approx(ms, rel=0.3)
        assert sum(stage.share for stage in vocoder) < 0.008


def test_the_page_has_every_published_figure_and_its_prediction() -> None:
    listed = rows(section("### Comparison with published", "###"))[1:]
    assert len(listed) == len(published_figures.FIGURES)
    for row, figure in zip(listed, published_figures.FIGURES, strict=True):
        check = published_figures.check(BASE.arch, figure)
        assert float(row[2]) == figure.rtf
        assert float(row[3]) == pytest.approx(check.predicted, abs=6e-4)
        assert row[4].replace("−", "-").replace(" ", "") == f"{check.off:+.0%}"
        assert row[5].replace(" ", "") == ("none" if check.implied is None else f"{check.implied:.0%}")
