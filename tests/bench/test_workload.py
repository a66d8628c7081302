"""The list of kernels, compared with arithmetic by hand and with the minimum time that `speed` reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ishowtts.engines.f5.architecture import BASE
from ishowtts_bench.workload import COMPILED, OURS, UPSTREAM, Implementation, KernelWork, Work, kernels

DIT = BASE.arch
WORK = Work(5, 8, 7)
N = 1219  # of 5 and 8 s, 93.75 frames each


def listed(implementation: Implementation, work: Work = WORK) -> list[KernelWork]:
    return kernels(DIT, work, implementation)


def loop_flop(implementation: Implementation, work: Work = WORK) -> float:
    return sum(kernel.calls * kernel.flop for kernel in listed(implementation, work) if kernel.in_loop)


def named(implementation: Implementation, name: str) -> KernelWork:
    (found,) = (kernel for kernel in listed(implementation) if kernel.name == name)
    return found


def test_frames_are_those_of_the_engine() -> None:
    assert (WORK.reference_frames, WORK.speech_frames, WORK.frames) == (469, 750, N)


def test_kernels_of_a_block_match_arithmetic_by_hand() -> None:
    qkv = named(OURS, "queries, keys, values")
    assert qkv.calls == 22 * 7
    assert qkv.flop == 2 * (2 * N) * 1024 * 3072
    assert qkv.bytes == 2 * (2 * N * 1024 + 1024 * 3072 + 2 * N * 3072)
    assert qkv.tiles == 20 * 24
    attention = named(OURS, "attention")
    assert attention.flop == 2 * (2 * 2 * N * N * 1024)  # scores and values, two branches
    assert attention.bytes == 2 * (4 * 2 * N * 1024)
    assert attention.tiles == 2 * 16 * 10
    between = named(OURS, "gate, residual, norm")
    assert between.calls == 2 * 22 * 7
    assert between.bytes == 2 * N * 1024 * 2 * 4


@pytest.mark.f5
def test_the_list_adds_up_to_the_operations_that_speed_counts() -> None:
    from ishowtts_bench import machine

    # Our engine projects and convolves the shared part of the noisy mel once; the minimum counts it for each branch.
    shared = 7 * (2 * N * 100 * 1024 + 2 * N * 1024 * 64 * 31)
    assert loop_flop(OURS) + shared == pytest.approx(machine.flop(DIT, N, 7), rel=1e-12)


def test_the_list_agrees_with_the_formula_of_the_whole_model() -> None:
    assert loop_flop(OURS) == pytest.approx(8.34e12, rel=0.02)
    for implementation in (OURS, COMPILED, UPSTREAM):
        seconds = 13.0
        assert loop_flop(implementation) == pytest.approx(14 * (35.5e9 * seconds + 0.792e9 * seconds**2), rel=0.02)
    products = sum(k.calls * k.flop for k in listed(OURS) if k.in_loop and k.kind == "products")
    assert products / loop_flop(OURS) == pytest.approx(0.755, abs=0.02)


def test_the_vocoder_is_less_than_half_a_percent() -> None:
    vocoder = [kernel for kernel in listed(OURS) if kernel.name == "vocoder, products"]
    flop = sum(kernel.calls * kernel.flop for kernel in vocoder)
    assert flop / 751 == pytest.approx(27e6, rel=0.01)
    assert flop / loop_flop(OURS) < 0.005


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

    fused, compiled, eager = (moved(replace(OURS, fusion=fusion)) for fusion in ("fused", "compiled", "eager"))
    assert fused < compiled < eager
    calls = [sum(kernel.calls for kernel in listed(implementation)) for implementation in (OURS, COMPILED, UPSTREAM)]
    assert calls == sorted(calls)


def test_work_scales_with_evaluations_and_lines() -> None:
    assert loop_flop(OURS, replace(WORK, nfe_step=14)) == pytest.approx(2 * loop_flop(OURS))
    assert loop_flop(OURS, replace(WORK, batch=8)) == pytest.approx(8 * loop_flop(OURS))
    assert sum(k.calls for k in listed(OURS, replace(WORK, batch=8)) if k.in_loop) == sum(
        k.calls for k in listed(OURS) if k.in_loop
    )
