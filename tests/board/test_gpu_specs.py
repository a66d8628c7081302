"""Rates of data sheets, the board that a GPU is, and measured rates."""

from __future__ import annotations

import pytest

from ishowtts.board import gpu_specs
from ishowtts.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "half", "single", "whole", "gb"),
    [
        ("agx-orin", 42.6, 5.3, 85, 204.8),
        ("orin-nx", 15.0, 1.88, 30, 102.4),
        ("orin-nx-super", 19.2, 2.4, 38.5, 102.4),
        ("orin-nano-super", 16.7, 2.09, 33.5, 102.4),
        ("thor", 258.5, 8.06, 517, 273),
        ("h100", 989, 62, 1979, 3350),
        ("h200", 989, 62, 1979, 4800),
        ("rtx-3090", 71, 35.6, 142, 936),
        ("l20", 119, 59.4, 237, 864),
    ],
)
def test_rates_are_those_of_the_data_sheets(name: str, half: float, single: float, whole: float, gb: float) -> None:
    board = gpu_specs.find(name)
    assert board.half_flop_per_s / 1e12 == pytest.approx(half, rel=0.01)
    assert board.single_flop_per_s / 1e12 == pytest.approx(single, rel=0.01)
    assert board.int8_op_per_s / 1e12 == pytest.approx(whole, rel=0.01)
    assert board.bytes_per_s / 1e9 == gb


def test_what_kernels_reach_is_a_share_of_the_data_sheet() -> None:
    for board in (*gpu_specs.BOARDS, *gpu_specs.PUBLISHED_ON):
        reached = board.reached
        for low, likely, high in (reached.products, reached.eight_bit, reached.attention, reached.memory):
            assert 0 < low < likely < high <= 1
        assert 0 < reached.large_product <= 1
        assert 0 < reached.large_copy <= 1


@pytest.mark.parametrize(
    ("name", "tflops", "range_of"),
    [
        ("agx-orin", (21, 24), "products"),
        ("agx-orin", (19.8,), "attention"),
        ("orin-nano-super", (7.3, 10.9), "products"),
        ("thor", (97, 121, 135), "products"),
        ("thor", (21, 56), "attention"),
        ("h100", (645, 760), "products"),
        ("h200", (306, 373), "attention"),
        ("l20", (105, 113), "products"),
    ],
)
def test_the_shares_hold_what_others_measured(name: str, tflops: tuple[float, ...], range_of: str) -> None:
    board = gpu_specs.find(name)
    low, _, high = getattr(board.reached, range_of)
    for one in tflops:
        assert low - 0.01 <= one * 1e12 / board.half_flop_per_s <= high + 0.01


@pytest.mark.parametrize(
    ("name", "tflops", "gb_per_s"),
    [
        ("agx-orin", 29.9, 124.5),
        ("orin-nano-super", 8.0, 62),
        ("thor", 114, 225),
        ("h100", 736, 3000),
        ("h200", 759, 4300),
    ],
)
def test_a_board_that_reaches_what_others_measured_is_not_slow(name: str, tflops: float, gb_per_s: float) -> None:
    board = gpu_specs.find(name)
    assert not gpu_specs.MeasuredRates(tflops * 1e12, gb_per_s * 1e9, board).slow
    expected = board.reached.large_product * board.half_flop_per_s, board.reached.large_copy * board.bytes_per_s
    assert gpu_specs.MeasuredRates(0.65 * expected[0], expected[1], board).slow
    assert gpu_specs.MeasuredRates(expected[0], 0.65 * expected[1], board).slow


@pytest.mark.parametrize(
    ("gpu", "sms", "memory_mb", "clock_mhz", "name"),
    [
        ("Orin", 16, 65_800.0, 1300.0, "agx-orin"),
        ("Orin", 16, 65_800.0, None, "agx-orin"),
        ("Orin", 8, 16_400.0, 1173.0, "orin-nx-super"),
        ("Orin", 8, 16_400.0, 918.0, "orin-nx"),
        ("Orin", 8, 16_400.0, None, None),  # without the clock, plain and Super look alike
        ("Orin", 8, 8_000.0, 1020.0, "orin-nano-super"),
        ("Orin", 14, 32_800.0, 930.0, None),  # AGX Orin 32 GB
        ("NVIDIA Thor", 20, 131_900.0, 1575.0, "thor"),
        ("NVIDIA H200", 132, 150_100.0, 1980.0, "h200"),
        ("NVIDIA H100 80GB HBM3", 132, 84_900.0, 1980.0, "h100"),
        ("NVIDIA H100 PCIe", 114, 84_900.0, 1755.0, None),
        ("NVIDIA GeForce RTX 4090", 128, 25_300.0, 2520.0, None),
    ],
)
def test_a_gpu_is_identified_by_what_its_driver_reports(
    gpu: str, sms: int, memory_mb: float, clock_mhz: float | None, name: str | None
) -> None:
    found = gpu_specs.identify(gpu, sms, memory_mb, clock_mhz)
    assert (found.name if found else None) == name


def test_an_unknown_board_gives_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"no board is called 'nano'; name one of agx-orin, .* or all"):
        gpu_specs.find("nano")
