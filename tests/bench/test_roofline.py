"""Predicted times, and the efficiencies that published figures imply. Expected values are computed by hand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from ishowtts.board.gpu_specs import BOARDS, UNKNOWN, GpuSpec, find
from ishowtts.engines.f5.architecture import BASE
from ishowtts_bench import optimisation_steps, published_figures, roofline
from ishowtts_bench.optimisation_steps import EIGHT_BIT, FIRST, STEPS
from ishowtts_bench.roofline import ASSUMPTIONS, HIGH, LIKELY, LOW
from ishowtts_bench.workload import COMPILED, OURS, UPSTREAM, Implementation, KernelWork, Work

DIT = BASE.arch
WORK = Work(5, 8, 7)
ORIN = find("agx-orin")


def stage(
    name: str, implementation: Implementation = OURS, board: GpuSpec = ORIN, work: Work = WORK
) -> roofline.PredictedStage:
    estimate = roofline.segment(DIT, work, implementation, board, roofline.likely(board))
    (found,) = (stage for stage in estimate.stages if stage.name == name)
    return found


def total_s(implementation: Implementation = OURS, board: GpuSpec = ORIN, work: Work = WORK) -> float:
    return roofline.segment(DIT, work, implementation, board, roofline.likely(board)).total_s


def test_the_time_of_a_product_is_its_operations_at_the_efficiency_of_the_board() -> None:
    found = stage("queries, keys, values", FIRST)
    expected_s = 154 * (2 * 2560 * 1024 * 3072 / (0.54 * 16 * 1.3e9 * 2048) + 2e-6)
    assert found.spent_s == pytest.approx(expected_s, rel=1e-9)
    assert found.bound == "arithmetic"


def test_the_time_of_an_elementwise_kernel_is_its_bytes_at_the_share_of_the_bandwidth() -> None:
    found = stage("gate, residual, norm", FIRST)
    assert found.spent_s == pytest.approx(308 * (2560 * 1024 * 8 / (0.61 * 204.8e9) + 2e-6), rel=1e-9)
    assert found.bound == "memory"


def test_the_time_of_an_epilogue_comes_on_top_of_the_arithmetic() -> None:
    found, plain = stage("down"), stage("down", replace(OURS, fusion="fused"))
    assert found.spent_s - plain.spent_s == pytest.approx(154 * 2496 * 1024 * 2 / (0.61 * 204.8e9), rel=1e-9)


def test_products_in_eight_bits_have_a_rate_of_their_own() -> None:
    found = stage("up", replace(OURS, eight_bit="fused"))
    assert found.spent_s == pytest.approx(
        154 * (2 * 2496 * 1024 * 2048 / (0.59 * 2 * 16 * 1.3e9 * 2048) + 2e-6), rel=1e-9
    )


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
        estimate = roofline.line(DIT, WORK, implementation, ORIN, roofline.likely(ORIN))
        assert sum(one.spent_s for one in estimate.stages) == pytest.approx(estimate.total_s)
        assert sum(one.share for one in estimate.stages) == pytest.approx(1.0)
        assert estimate.rtf == pytest.approx(estimate.total_s / 8)


def test_better_efficiencies_and_better_boards_are_faster() -> None:
    for board in BOARDS:
        low, likely, high = (roofline.line(DIT, WORK, OURS, board, one).rtf for one in roofline.assumptions(board))
        assert high < likely < low
        assert total_s(OURS, board) < total_s(COMPILED, board) < total_s(UPSTREAM, board)
        assert roofline.arithmetic_rtf(DIT, WORK, OURS, board) < high
    names = ("h200", "h100", "thor", "agx-orin", "orin-nx-super", "orin-nano-super", "orin-nx")
    rtfs = [total_s(OURS, find(name)) for name in names]
    assert rtfs == sorted(rtfs)


def test_more_work_takes_longer() -> None:
    for more in (replace(WORK, speech_s=9), replace(WORK, reference_s=6), replace(WORK, nfe_step=8)):
        assert total_s(work=more) > total_s()
    assert total_s(OURS, find("h200"), replace(WORK, batch=8)) < 8 * total_s(OURS, find("h200"))


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


def test_a_gpu_that_nobody_measured_has_the_first_assumptions() -> None:
    unknown = replace(ORIN, reached=UNKNOWN)
    assert roofline.assumptions(unknown) == ASSUMPTIONS == (LOW, LIKELY, HIGH)
    assert LIKELY.products == 0.70
    assert roofline.likely(ORIN).products == 0.54
    assert roofline.likely(ORIN).convolution == LIKELY.convolution


def test_the_first_prediction_can_be_computed_again() -> None:
    first = {board.name: optimisation_steps.predict_first(DIT, WORK, board) for board in BOARDS}
    assert first["agx-orin"] == pytest.approx((0.077, 0.050, 0.039), abs=6e-4)
    assert first["h200"] == pytest.approx((0.0054, 0.0033, 0.0025), abs=6e-5)


def test_each_step_gains_on_every_board_except_for_the_padding_of_graphs() -> None:
    assert STEPS[7].implementation == OURS
    for board in (find("agx-orin"), find("thor"), find("h200")):
        spent_s = [step.predict_s(DIT, WORK, board) for step in STEPS]
        graphs = [i for i in range(1, len(STEPS)) if "graph" in STEPS[i].title]
        for i in range(1, len(STEPS)):
            assert spent_s[i] < spent_s[i - 1] * (1.05 if i in graphs else 1.0), STEPS[i].title
        assert spent_s[7] == pytest.approx(total_s(OURS, board))
        own, separate, fused = (step.predict_s(DIT, WORK, board) for step in EIGHT_BIT)
        assert fused < own < separate


def test_the_predictions_agree_with_a_count_by_hand() -> None:
    """A count of every kernel by hand gave 499 ms and 28.5 ms for the first engine, from rates that others measured."""
    assert 1000 * total_s(FIRST, ORIN) == pytest.approx(499, rel=0.02)
    assert 1000 * total_s(FIRST, find("h200")) == pytest.approx(28.5, rel=0.08)
    gain_s = total_s(FIRST, ORIN) - total_s(replace(FIRST, fusion="epilogues"), ORIN)
    assert 1000 * gain_s == pytest.approx(26 + 13, rel=0.05)  # rotary; gate and residual
    own, _, fused = (step.predict_s(DIT, WORK, ORIN) for step in EIGHT_BIT)
    assert 120 <= 1000 * (own - fused) <= 140


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
    assert long.predicted < seven.predicted  # more speech shares the reference, as in the published figures


def test_the_predictions_do_not_import_torch() -> None:
    program = "import sys, ishowtts_bench.commands.predict_command; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
