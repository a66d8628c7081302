"""The list of kernels, compared with arithmetic by hand and with the minimum time that `speed` reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ishowtts.engines.f5.architecture import BASE
from ishowtts_bench.workload import COMPILED, OURS, UPSTREAM, Fusion, Implementation, KernelWork, Work, kernels

FUSED = replace(OURS, fusion="fused", ends_captured=False, frame_step=1)
"""Ours with kernels of their own for rotary, gate and residual, and without padding."""

DIT = BASE.arch
WORK = Work(5, 8, 7)
N = 1219  # of 5 and 8 s, 93.75 frames each


def listed(implementation: Implementation, work: Work = WORK) -> list[KernelWork]:
    return kernels(DIT, work, implementation)


def loop_flop(implementation: Implementation, work: Work = WORK) -> float:
    return sum(kernel.calls * kernel.flop for kernel in listed(implementation, work) if kernel.in_loop)


def named(implementation: Implementation, name: str, work: Work = WORK) -> KernelWork:
    (found,) = (kernel for kernel in listed(implementation, work) if kernel.name == name)
    return found


def test_frames_are_those_of_the_engine() -> None:
    assert (WORK.reference_frames, WORK.speech_frames, WORK.frames) == (469, 750, N)


def test_kernels_of_a_block_match_arithmetic_by_hand() -> None:
    qkv = named(FUSED, "queries, keys, values")
    assert qkv.calls == 22 * 7
    assert qkv.flop == 2 * (2 * N) * 1024 * 3072
    assert qkv.bytes == 2 * (2 * N * 1024 + 1024 * 3072 + 2 * N * 3072)
    assert qkv.tiles == 20 * 24
    attention = named(FUSED, "attention")
    assert attention.flop == 2 * (2 * 2 * N * N * 1024)  # scores and values, two branches
    assert attention.bytes == 2 * (4 * 2 * N * 1024)
    assert attention.tiles == 2 * 16 * 10
    between = named(FUSED, "gate, residual, norm")
    assert between.calls == 2 * 22 * 7
    assert between.bytes == 2 * N * 1024 * 2 * 4


@pytest.mark.f5
def test_the_list_adds_up_to_the_operations_that_speed_counts() -> None:
    from ishowtts_bench import machine

    # Our engine projects and convolves the shared part of the noisy mel once; the minimum counts it for each branch.
    shared = 7 * (2 * N * 100 * 1024 + 2 * N * 1024 * 64 * 31)
    assert loop_flop(FUSED) + shared == pytest.approx(machine.flop(DIT, N, 7), rel=1e-12)


def test_the_list_agrees_with_the_formula_of_the_whole_model() -> None:
    assert loop_flop(FUSED) == pytest.approx(8.34e12, rel=0.02)
    for implementation in (FUSED, COMPILED, UPSTREAM):
        seconds = 13.0
        assert loop_flop(implementation) == pytest.approx(14 * (35.5e9 * seconds + 0.792e9 * seconds**2), rel=0.02)
    products = sum(k.calls * k.flop for k in listed(FUSED) if k.in_loop and k.kind == "products")
    assert products / loop_flop(FUSED) == pytest.approx(0.755, abs=0.02)


def test_the_vocoder_is_less_than_half_a_percent() -> None:
    for implementation, frames in ((FUSED, 751), (OURS, 768)):  # its graphs are padded to a multiple of 32 frames
        vocoder = [kernel for kernel in listed(implementation) if kernel.name == "vocoder, products"]
        flop = sum(kernel.calls * kernel.flop for kernel in vocoder)
        assert flop / frames == pytest.approx(27e6, rel=0.01)
        assert flop / loop_flop(implementation) < 0.005


def test_adaln_without_a_table_reads_its_parameters() -> None:
    read = sum(k.calls * k.bytes for k in listed(COMPILED) if k.name.startswith("AdaLN")) / 7 / 2
    assert read == pytest.approx(140.65e6, rel=0.01)
    assert not [kernel for kernel in listed(OURS) if kernel.name.startswith("AdaLN")]


def test_autocast_in_a_graph_reads_every_weight_in_fp32_and_writes_it_in_fp16() -> None:
    cast = named(COMPILED, "weights to fp16")
    assert cast.calls * cast.bytes / 7 / 6 == pytest.approx(22 * 14 * 1024**2, rel=1e-9)


def test_fusion_moves_less_and_launches_less() -> None:
    def moved(implementation: Implementation) -> float:
        return sum(k.calls * k.bytes for k in listed(implementation) if k.in_loop and k.kind == "elementwise")

    fusions: tuple[Fusion, ...] = ("epilogues", "fused", "compiled", "eager")
    sizes = [moved(replace(OURS, fusion=fusion)) for fusion in fusions]
    assert sizes == sorted(sizes)
    calls = [sum(kernel.calls for kernel in listed(implementation)) for implementation in (OURS, COMPILED, UPSTREAM)]
    assert calls == sorted(calls)


def test_work_scales_with_evaluations_and_lines() -> None:
    assert loop_flop(OURS, replace(WORK, nfe_step=14)) == pytest.approx(2 * loop_flop(OURS))
    assert loop_flop(OURS, replace(WORK, batch=8)) == pytest.approx(8 * loop_flop(OURS))
    assert sum(k.calls for k in listed(OURS, replace(WORK, batch=8)) if k.in_loop) == sum(
        k.calls for k in listed(OURS) if k.in_loop
    )


def test_runs_are_padded_to_a_step_of_frames_but_no_query_sees_the_padding() -> None:
    for step, padded in ((32, 1248), (64, 1280)):
        run = replace(FUSED, frame_step=step)
        assert named(run, "up").flop == 2 * (2 * padded) * 1024 * 2048
        assert named(run, "attention").flop == 2 * (2 * 2 * padded * N * 1024)
    assert (
        named(replace(FUSED, frame_step=64), "up").flop
        == named(replace(FUSED, frame_step=64), "up", Work(5, 8.6, 7)).flop
    )


def test_epilogues_replace_kernels_and_read_the_residual() -> None:
    run = replace(FUSED, fusion="epilogues")
    names = {kernel.name for kernel in listed(run)}
    assert not names & {"rotary", "gate, residual, norm"}
    values = 2 * N * 1024
    for name, read in (("attention's output", values * 2), ("down", values * 2), ("up", 0)):
        assert named(run, name).epilogue_bytes == read
    norm = named(run, "norm, modulation")
    assert (norm.calls, norm.bytes) == (45 * 7, values * 4)


def test_eight_bits_without_fusion_move_more_than_fp16_saves() -> None:
    values, rows = 2 * N * 1024, 2 * N
    separate = replace(FUSED, eight_bit="separate")
    around = [k for k in listed(separate) if k.name in ("to eight bits", "scales, bias, GELU")]
    assert sum(k.bytes for k in around if k.name == "scales, bias, GELU") == rows * 7168 * 6
    assert sum(k.bytes for k in around if k.name == "to eight bits") == rows * 5120 * 3
    assert named(separate, "down").bytes == rows * 2048 + 2048 * 1024 + rows * 1024 * 4
    fused = replace(FUSED, eight_bit="fused")
    assert sum(k.bytes for k in listed(fused) if k.name == "to eight bits") == rows * 3072 * 3
    assert named(fused, "gate, residual, norm").bytes == values * 7
    assert named(fused, "down").bytes == rows * 2048 + 2048 * 1024 + rows * 1024 * 2
    for run in (separate, fused):
        eight = {kernel.name for kernel in listed(run) if kernel.eight_bit}
        assert eight == {"queries, keys, values", "attention's output", "up", "down"}
    assert not [kernel for kernel in listed(FUSED) if kernel.eight_bit]


def test_only_the_backbone_of_the_vocoder_is_inside_a_graph() -> None:
    captured = {kernel.name: kernel.captured for kernel in kernels(BASE.arch, Work(5, 8, 7), OURS)}
    assert captured["vocoder, products"]
    assert not captured["inverse transform"]
