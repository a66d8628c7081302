"""Predicted times, and the efficiencies that published figures imply. Expected values are computed by hand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from ishowtts.board.gpu_specs import BOARDS, GpuSpec, find
from ishowtts.engines.f5.architecture import BASE
from ishowtts_bench import published_figures, roofline
from ishowtts_bench.roofline import ASSUMPTIONS, HIGH, LIKELY, LOW
from ishowtts_bench.workload import COMPILED, OURS, UPSTREAM, Implementation, KernelWork, Work

DIT = BASE.arch
WORK = Work(5, 8, 7)
ORIN = find("agx-orin")


def stage(
    name: str, implementation: Implementation = OURS, board: GpuSpec = ORIN, work: Work = WORK
) -> roofline.PredictedStage:
    estimate = roofline.segment(DIT, work, implementation, board, LIKELY)
    (found,) = (stage for stage in estimate.stages if stage.name == name)
    return found


def total_s(implementation: Implementation = OURS, board: GpuSpec = ORIN, work: Work = WORK) -> float:
    return roofline.segment(DIT, work, implementation, board, LIKELY).total_s


def test_the_time_of_a_product_is_its_operations_at_the_efficiency() -> None:
    found = stage("queries, keys, values")
    expected_s = 154 * (2 * 2438 * 1024 * 3072 / (0.7 * 16 * 1.3e9 * 2048) + 2e-6)
    assert found.spent_s == pytest.approx(expected_s, rel=1e-9)
    assert found.bound == "arithmetic"


def test_the_time_of_an_elementwise_kernel_is_its_bytes_at_the_share_of_the_bandwidth() -> None:
    found = stage("gate, residual, norm")
    assert found.spent_s == pytest.approx(308 * (2438 * 1024 * 8 / (0.75 * 204.8e9) + 2e-6), rel=1e-9)
    assert found.bound == "memory"


def test_a_partial_wave_costs_as_much_as_a_full_one() -> None:
    kernel = KernelWork("p", "products", 1, 1.0, 1.0, 160, half=True, captured=True, in_loop=True)
    assert roofline.filling(kernel, 16) == 1.0
    assert roofline.filling(kernel, 132) == pytest.approx(160 / 264)


def test_outside_a_graph_a_small_kernel_takes_the_time_of_its_launch() -> None:
    captured, eager = (
        stage("norm", replace(UPSTREAM, captured=True), find("h200")),
        stage("norm", UPSTREAM, find("h200")),
    )
    assert eager.spent_s == pytest.approx(45 * 7 * 6e-6, rel=1e-9)
    assert eager.bound == "launches"
    assert captured.spent_s < eager.spent_s


def test_the_stages_add_up_to_the_whole_time() -> None:
    for implementation in (OURS, COMPILED, UPSTREAM):
        estimate = roofline.line(DIT, WORK, implementation, ORIN, LIKELY)
        assert sum(one.spent_s for one in estimate.stages) == pytest.approx(estimate.total_s)
        assert sum(one.share for one in estimate.stages) == pytest.approx(1.0)
        assert estimate.rtf == pytest.approx(estimate.total_s / 8)


def test_better_efficiencies_and_better_boards_are_faster() -> None:
    for board in BOARDS:
        low, likely, high = (roofline.line(DIT, WORK, OURS, board, assumptions).rtf for assumptions in ASSUMPTIONS)
        assert high < likely < low
        assert total_s(OURS, board) < total_s(COMPILED, board) < total_s(UPSTREAM, board)
        assert roofline.arithmetic_rtf(DIT, WORK, OURS, board) < high
    names = ("h200", "h100", "thor", "agx-orin", "orin-nx-super", "orin-nano-super", "orin-nx")
    rtfs = [total_s(OURS, find(name)) for name in names]
    assert rtfs == sorted(rtfs)
    assert total_s(OURS, ORIN.halved()) > 1.7 * total_s(OURS, ORIN)


def test_more_work_takes_longer() -> None:
    for more in (replace(WORK, speech_s=9), replace(WORK, reference_s=6), replace(WORK, nfe_step=8)):
        assert total_s(work=more) > total_s()
    eight = roofline.segment(DIT, replace(WORK, batch=8), OURS, find("h200"), LIKELY)
    assert eight.rtf < roofline.segment(DIT, WORK, OURS, find("h200"), LIKELY).rtf


def test_a_long_line_is_several_runs_of_one_window() -> None:
    long = Work(5.3, 27.8, 7)
    assert roofline.chunks(long) == 2
    assert roofline.chunks(replace(long, reference_s=12)) == 3
    assert roofline.chunks(Work(5, 17, 7)) == 1
    half = roofline.segment(DIT, replace(long, speech_s=13.9), OURS, ORIN, LIKELY)
    whole = roofline.line(DIT, long, OURS, ORIN, LIKELY)
    assert whole.total_s == pytest.approx(2 * half.total_s)
    assert whole.speech_s == pytest.approx(27.8)


def test_the_rtf_of_arithmetic_alone() -> None:
    assert roofline.arithmetic_rtf(DIT, WORK, OURS, ORIN) == pytest.approx(0.0245, rel=0.02)


def test_the_implied_efficiency_gives_the_published_figure() -> None:
    for assumptions in (LOW, LIKELY, HIGH):
        implied = roofline.implied_products(DIT, WORK, COMPILED, ORIN, assumptions, rtf=0.212)
        assert implied is not None
        met = roofline.line(DIT, WORK, COMPILED, ORIN, replace(assumptions, products=implied)).rtf
        assert met == pytest.approx(0.212, rel=2e-3)
    assert roofline.implied_products(DIT, WORK, COMPILED, ORIN, LIKELY, rtf=0.01) is None
    assert roofline.implied_products(DIT, WORK, COMPILED, ORIN, LIKELY, rtf=1e4) is None


def test_published_figures_have_predictions() -> None:
    checks = {
        check.figure.title: check
        for check in (published_figures.check(DIT, figure) for figure in published_figures.FIGURES)
    }
    assert sorted({check.figure.rtf for check in checks.values()}) == [0.030, 0.0402, 0.1467, 0.168, 0.212, 0.266, 1.32]
    for check in checks.values():
        assert check.off == pytest.approx(check.predicted / check.figure.rtf - 1)
    seven, long = checks["torch.compile, NFE 7, 8.4 s"], checks["torch.compile, NFE 7, 27.8 s"]
    assert (seven.chunks, long.chunks) == (1, 2)
    assert seven.implied is not None
    assert seven.implied_halved is not None
    assert seven.implied < seven.implied_halved
    for name in (
        "upstream fp32, NFE 32, 8.4 s",
        "Fast F5-TTS, NFE 7, ~6 s",
    ):  # no tensor cores, or a certain rate
        assert checks[name].implied_halved is None
    assert long.predicted < seven.predicted  # more speech shares the reference, as in the published figures


def test_the_predictions_do_not_import_torch() -> None:
    program = "import sys, ishowtts_bench.commands.predict_command; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
