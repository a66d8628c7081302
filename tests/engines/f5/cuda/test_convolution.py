"""The Triton convolution equals PyTorch's."""

from __future__ import annotations

import os

import pytest
import torch

from ishowtts.engines.f5.kernels import PlainConv

pytest.importorskip("triton")

from ishowtts.engines.f5.cuda.convolution import TritonConv
from ishowtts.engines.f5.cuda.tiles import CONV_TILES, Tile

pytestmark = pytest.mark.f5

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
CASES = [(1, 34, 128, 3), (1, 4, 384, 3), (1, 3, 1024, 1), (1, 2, 2048, 1)]
TOLERANCES = {torch.float32: 1e-5, torch.float16: 3e-3, torch.bfloat16: 3e-2}


@pytest.mark.parametrize("shape", CASES + ([] if INTERPRETED else [(4, 1220, 1024, 31)]), ids=str)
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("tile", CONV_TILES, ids=lambda tile: tile.name)
def test_a_convolution(device: torch.device, dtype: torch.dtype, tile: Tile, shape: tuple[int, int, int, int]) -> None:
    lines, frames, width, taps = shape
    if tile is not CONV_TILES[0] and (dtype is torch.float32 or (INTERPRETED and width != 1024)):
        pytest.skip("the first tile has shown the same")
    if INTERPRETED and dtype is torch.bfloat16:
        pytest.skip("Triton's interpreter multiplies the bits of bf16 as if they were integers")
    if INTERPRETED and width != 128 and dtype is torch.float32:
        pytest.skip("the interpreter takes long, and fp16 has shown the same")
    weight = (torch.randn(width, width // 16, taps) * (taps * width // 16) ** -0.5).to(device, dtype)
    bias = torch.randn(width).to(device, dtype)
    # Channels first in memory: the input may be non-contiguous.
    x = torch.randn(lines, width, frames).to(device, dtype).transpose(1, 2)
    exact = PlainConv(weight.double())(x.double(), bias.double())
    found = TritonConv(weight, tile)(x, bias)
    assert found.dtype is dtype
    assert found.is_contiguous()
    assert (found.double() - exact).norm() / exact.norm() < TOLERANCES[dtype]
    if width == 1024 and tile is CONV_TILES[0]:
        bare = TritonConv(weight, tile)(x)
        assert torch.allclose(bare.float() + bias.float(), found.float(), atol=0.05, rtol=0.02)


def test_frames_beyond_the_ends_are_zero_and_lines_do_not_touch(device: torch.device) -> None:
    weight = torch.randn(128, 8, 3).to(device)
    x = torch.randn(2, 4, 128).to(device)
    x[1] = float("nan")
    assert torch.allclose(TritonConv(weight)(x)[:1], PlainConv(weight)(x[:1]), atol=1e-4)


def test_another_width_is_refused(device: torch.device) -> None:
    with pytest.raises(ValueError, match="128 wide, its input 256"):
        TritonConv(torch.zeros(128, 8, 31, device=device))(torch.zeros(1, 2, 256, device=device))
