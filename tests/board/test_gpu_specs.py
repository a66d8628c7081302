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


def test_only_orin_may_accumulate_at_half_rate() -> None:
    assert {board.gpu for board in gpu_specs.BOARDS if board.half_rate_uncertain} == {"Orin"}
    orin = gpu_specs.find("agx-orin")
    assert orin.halved().half_flop_per_s == orin.half_flop_per_s / 2
    assert not orin.halved().half_rate_uncertain


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
