"""Our own products, with all that follows in their epilogues, equal plain arithmetic in float64."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5.block_steps import Activations, QkvStep, QuantisedRows, ResidualStep, UpStep
from ishowtts.engines.f5.cuda import eager_rows
from ishowtts.engines.f5.elementwise import EagerElementwise

pytest.importorskip("triton")

from ishowtts.engines.f5.cuda import fused_rows
from ishowtts.engines.f5.cuda.fused_elementwise import TritonElementwise
from ishowtts.engines.f5.cuda.fused_products import (
    INT8_TILES,
    TILES,
    FusedQkv,
    FusedResidual,
    FusedUp,
    Int8Qkv,
    Int8Residual,
    Int8Up,
    Tile,
)

pytestmark = [
    pytest.mark.f5,
    # The interpreter computes with NumPy, which warns about infinite values.
    pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning"),
]

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# The interpreter takes some 20 ms for a tile, of any size.
SMALL = Tile(32, 128, 128, warps=4, stages=2)
HEADS, WIDTH, FRAMES = 4, 256, 19
# The standard deviation of a number that was rounded once is 0.43 units of its last place or less.
ROUNDED_ONCE = {torch.float16: 2.5e-4, torch.bfloat16: 2.0e-3}

half_tiles = pytest.mark.parametrize("tile", [SMALL, *TILES], ids=lambda tile: tile.name)
int8_tiles = pytest.mark.parametrize("tile", [SMALL, *INT8_TILES], ids=lambda tile: tile.name)


@dataclass(frozen=True)
class Block:
    """Random inputs of the steps of one block.

    Attributes:
        x, stream: activations and the residual stream, [2, 19, 256] each.
        gate, scale, shift: [256] each.
        angles: fp32 [19, 32, 2].
    """

    x: Tensor
    stream: Tensor
    gate: Tensor
    scale: Tensor
    shift: Tensor
    angles: Tensor

    @property
    def rows(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.gate, self.scale, self.shift


@pytest.fixture(params=ROUNDED_ONCE, ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    found: torch.dtype = request.param
    if INTERPRETED and found is torch.bfloat16:
        pytest.skip("Triton's interpreter multiplies the bits of bf16 as if they were integers")
    return found


@pytest.fixture
def block(device: torch.device, dtype: torch.dtype) -> Block:
    turns = torch.rand(FRAMES, 32) * 6
    x, stream = torch.randn(2, 2, FRAMES, WIDTH).to(device, dtype)
    gate, scale, shift = torch.randn(3, WIDTH).to(device, dtype)
    return Block(x, stream, gate, scale, shift, torch.stack([turns.cos(), turns.sin()], -1).to(device))


def pair(block: Block, outputs: int, inputs: int = WIDTH) -> tuple[Tensor, Tensor]:
    """A random weight and bias."""
    weight, bias = torch.randn(outputs, inputs) * inputs**-0.5, torch.randn(outputs)
    return weight.to(block.x.device, block.x.dtype), bias.to(block.x.device, block.x.dtype)


def exact(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(x.double(), weight.double(), bias.double())


def rotated(qkv: Tensor, angles: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The first heads of queries and keys rotated, in float64: [G, N, 3 * H * 64] to three times [G, H, N, 64]."""
    heads = qkv.view(*qkv.shape[:2], 3, -1, 64).clone()
    turned = torch.view_as_complex(heads[:, :, :2, :count].reshape(*heads.shape[:2], 2, count, 32, 2).contiguous())
    turned = turned * torch.view_as_complex(angles.double())[:, None, None]
    heads[:, :, :2, :count] = torch.view_as_real(turned).flatten(-2)
    q, k, v = heads.permute(2, 0, 3, 1, 4).unbind()
    return q, k, v


def error(found: Tensor, wanted: Tensor) -> float:
    """The distance over the size of what is wanted."""
    assert found.shape == wanted.shape
    return float((found.double() - wanted).norm() / wanted.norm())


def check_qkv(step: QkvStep, z: Activations, angles: Tensor, wanted: tuple[Tensor, Tensor, Tensor]) -> None:
    """Whether all heads of queries, keys and values are as exact as their type allows."""
    for part, exact_part in zip(step(z, angles), wanted, strict=True):
        assert part.stride(-1) == 1
        for head in range(part.shape[1]):
            assert error(part[:, head], exact_part[:, head]) < ROUNDED_ONCE[part.dtype]


@half_tiles
def test_queries_and_keys_are_rotated(block: Block, tile: Tile) -> None:
    weight, bias = pair(block, 3 * WIDTH)
    step = FusedQkv(weight, bias, heads=HEADS, tile=tile)
    check_qkv(step, block.x, block.angles, rotated(exact(block.x, weight, bias), block.angles, HEADS))


@pytest.mark.parametrize("columns", [64, 128])
@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_only_the_first_heads_are_rotated(block: Block, columns: int, count: int) -> None:
    weight, bias = pair(block, 3 * WIDTH)
    tile = replace(SMALL, rows=64, columns=columns)
    step = FusedQkv(weight, bias, heads=HEADS, rotated_heads=count, tile=tile)
    check_qkv(step, block.x, block.angles, rotated(exact(block.x, weight, bias), block.angles, min(count, HEADS)))


@half_tiles
def test_gelu(block: Block, dtype: torch.dtype, tile: Tile) -> None:
    weight, bias = pair(block, 2 * WIDTH)
    step: UpStep = FusedUp(weight, bias, tile=tile)
    found = step(block.x)
    assert found.dtype is dtype
    assert error(found, F.gelu(exact(block.x, weight, bias), approximate="tanh")) < ROUNDED_ONCE[dtype]


@half_tiles
def test_gate_residual_and_norm(block: Block, dtype: torch.dtype, tile: Tile) -> None:
    weight, bias = pair(block, WIDTH, 2 * WIDTH)
    y = torch.cat((block.x, block.x.flip(1)), -1)
    wanted = block.stream.double() + block.gate.double() * exact(y, weight, bias)
    step: ResidualStep = FusedResidual(weight, bias, EagerElementwise(), tile=tile)
    total, norm = step(y, block.stream, *block.rows)
    assert total is block.stream
    assert isinstance(norm, Tensor)
    assert error(total, wanted) < ROUNDED_ONCE[dtype]
    assert torch.equal(norm, EagerElementwise().norm(total, block.scale, block.shift))


def test_what_follows_the_residual_stream_is_not_written(block: Block) -> None:
    step = FusedResidual(*pair(block, WIDTH), EagerElementwise(), tile=SMALL)
    longer = block.stream.flatten(0, 1)
    stream, after = longer[: FRAMES - 1].unsqueeze(0), longer[FRAMES - 1 :].clone()
    total, _ = step(block.x[:1, 1:], stream, *block.rows)
    assert total.data_ptr() == longer.data_ptr()
    assert torch.equal(longer[FRAMES - 1 :], after)


def test_a_residual_stream_that_is_not_contiguous_is_copied(block: Block) -> None:
    weight, bias = pair(block, WIDTH)
    step = FusedResidual(weight, bias, EagerElementwise(), tile=SMALL)
    stream = block.stream.transpose(0, 1).contiguous().transpose(0, 1)
    total, _ = step(block.x, stream, *block.rows)
    assert torch.equal(stream, block.stream)
    assert torch.equal(total, step(block.x, block.stream, *block.rows)[0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 33), (3, 49)])
def test_any_number_of_rows(block: Block, shape: tuple[int, int]) -> None:
    weight, bias = pair(block, 192, 128)
    x = torch.randn(*shape, 128).to(weight.device, weight.dtype)
    turns = torch.rand(shape[1], 32) * 6
    angles = torch.stack([turns.cos(), turns.sin()], -1).to(weight.device)
    step = FusedQkv(weight, bias, heads=1, tile=replace(SMALL, rows=16, columns=64))
    check_qkv(step, x, angles, rotated(exact(x, weight, bias), angles, 1))


def steps(block: Block, *, int8: bool) -> tuple[QkvStep, UpStep, ResidualStep]:
    """The three kinds of steps."""
    qkv, up, out = pair(block, 3 * WIDTH), pair(block, 2 * WIDTH), pair(block, WIDTH)
    eager = EagerElementwise()
    if int8:
        residual = Int8Residual(*out, eager, tile=SMALL, quantise=False)
        return Int8Qkv(*qkv, heads=HEADS, tile=SMALL), Int8Up(*up, tile=SMALL), residual
    return FusedQkv(*qkv, heads=HEADS, tile=SMALL), FusedUp(*up, tile=SMALL), FusedResidual(*out, eager, tile=SMALL)


def results(made: tuple[QkvStep, UpStep, ResidualStep], block: Block) -> list[Tensor]:
    """The results of all steps, rows first."""
    qkv, up, residual = made
    total, norm = residual(block.x, block.stream.clone(), *block.rows)
    assert isinstance(norm, Tensor)
    heads = [part.transpose(1, 2).flatten(2) for part in qkv(block.x, block.angles)]
    return [part.flatten(0, 1) for part in (*heads, up(block.x), total, norm)]


@pytest.mark.parametrize("int8", [False, True])
def test_padding_rows_do_not_change_other_rows(block: Block, int8: bool) -> None:
    made = steps(block, int8=int8)
    clean = results(made, block)
    bad = {(0, 17): float("nan"), (0, 18): float("inf"), (1, 17): 60000.0, (1, 18): float("nan")}
    x, stream = block.x.clone(), block.stream.clone()
    rows = torch.ones(2, FRAMES, dtype=torch.bool)
    for place, value in bad.items():
        x[place], stream[place], rows[place] = value, value, False
    rows = rows.flatten()
    for found, wanted in zip(results(made, replace(block, x=x, stream=stream)), clean, strict=True):
        assert torch.equal(found[rows], wanted[rows])
        assert found[[17, -1]].isnan().all()


def quantised(block: Block, width: int = WIDTH) -> QuantisedRows:
    values = torch.randint(-127, 128, (2, FRAMES, width), dtype=torch.int8)
    scales = torch.rand(2 * FRAMES) / 100 + 1e-4
    return QuantisedRows(values.to(block.x.device), scales.to(block.x.device), block.x.dtype)


def whole(rows: QuantisedRows, weight: Tensor, bias: Tensor) -> Tensor:
    """The product of integers, which float64 holds exactly, then the scales and the bias."""
    integers, scales = eager_rows.quantise_rows(weight, torch.int8, len(weight))
    sums = rows.values.double() @ integers.double().t()
    return sums * rows.scales.double().view(2, FRAMES, 1) * scales.double() + bias.double()


def is_rounded(found: Tensor, wanted: Tensor) -> bool:
    """Whether each number is the nearest one of its type, but for the last place of fp32."""
    last_place = 2.0**-11 if found.dtype is torch.float16 else 2.0**-8
    return bool(((found.double() - wanted).abs() <= last_place * 1.001 * wanted.abs() + 2e-6).all())


@int8_tiles
def test_int8_queries_and_keys_are_exact(block: Block, tile: Tile) -> None:
    (weight, bias), z = pair(block, 3 * WIDTH), quantised(block)
    found = Int8Qkv(weight, bias, heads=HEADS, rotated_heads=3, tile=tile)(z, block.angles)
    wanted = rotated(whole(z, weight, bias), block.angles, 3)
    assert all(is_rounded(*parts) for parts in zip(found, wanted, strict=True))


@int8_tiles
def test_int8_gelu_is_exact(block: Block, tile: Tile) -> None:
    (weight, bias), z = pair(block, 2 * WIDTH), quantised(block)
    assert is_rounded(Int8Up(weight, bias, tile=tile)(z), F.gelu(whole(z, weight, bias), approximate="tanh"))


@int8_tiles
def test_int8_gate_and_residual_are_exact(block: Block, tile: Tile) -> None:
    (weight, bias), y = pair(block, WIDTH, 2 * WIDTH), quantised(block, 2 * WIDTH)
    wanted = block.stream.double() + block.gate.double() * whole(y, weight, bias)
    step = Int8Residual(weight, bias, EagerElementwise(), tile=tile, quantise=False)
    total, norm = step(y, block.stream, *block.rows)
    assert total is block.stream
    assert is_rounded(total, wanted)
    assert torch.equal(norm, EagerElementwise().norm(total, block.scale, block.shift))  # type: ignore[arg-type]


def test_int8_quantises_what_is_not_quantised_yet(block: Block) -> None:
    made = steps(block, int8=True)
    values, scales = fused_rows.quantise_rows(block.x.flatten(0, 1), torch.int8, 2 * FRAMES)
    rows = QuantisedRows(values.view(block.x.shape), scales, block.x.dtype)
    assert torch.equal(made[1](block.x), made[1](rows))
    weight, bias = pair(block, 2 * WIDTH)
    assert 1e-3 < error(Int8Up(weight, bias, tile=SMALL)(block.x), FusedUp(weight, bias, tile=SMALL)(block.x)) < 0.02


@pytest.mark.parametrize("width", [128, 384, 1024])
def test_a_norm_is_quantised_like_in_plain_torch(device: torch.device, dtype: torch.dtype, width: int) -> None:
    x, (scale, shift) = torch.randn(2, 5, width).to(device, dtype) * 3 + 1, torch.randn(2, width).to(device, dtype)
    x[0, 1] = 0.0
    x[1, 2, 3] = float("nan")
    found, wanted = (rows.norm_quantised(x, scale, shift) for rows in (fused_rows, eager_rows))
    assert (found.values.shape, found.scales.shape, found.dtype) == ((2, 5, width), (10,), dtype)
    assert found.scales[7].isnan()
    assert torch.allclose(found.scales, wanted.scales, rtol=1e-2, equal_nan=True)
    fine = [row for row in range(10) if row != 7]
    one, two = (rows.values.flatten(0, 1)[fine].int() for rows in (found, wanted))
    assert (one - two).abs().max() <= 1
    assert (one != two).float().mean() < 0.02
    # The same numbers as by two kernels, of which eager_rows quantises.
    norm = TritonElementwise().norm(x, scale, shift).flatten(0, 1)
    values, scales = (eager_rows if INTERPRETED else fused_rows).quantise_rows(norm, torch.int8, 10)
    assert torch.equal(found.values.flatten(0, 1)[fine], values[fine])
    assert torch.equal(found.scales[fine], scales[fine])


def test_the_next_int8_product_takes_the_quantised_norm(block: Block) -> None:
    weight, bias = pair(block, WIDTH)
    fused = TritonElementwise()
    plain_step, step = (Int8Residual(weight, bias, fused, tile=SMALL, quantise=quantise) for quantise in (False, True))
    total, norm = plain_step(block.x, block.stream.clone(), *block.rows)
    same, rows = step(block.x, block.stream.clone(), *block.rows)
    assert torch.equal(total, same)
    assert isinstance(rows, QuantisedRows)
    up = Int8Up(*pair(block, 2 * WIDTH), tile=SMALL)
    assert torch.equal(up(rows), up(norm))


@pytest.mark.parametrize("make", [FusedUp, Int8Up])
def test_other_shapes_and_types_are_refused(block: Block, make: type[FusedUp]) -> None:
    weight, bias = pair(block, WIDTH)
    with pytest.raises(ValueError, match="256 inputs and 96 outputs are not multiples of a 32x128x128 tile"):
        make(weight[:96], bias[:96], tile=SMALL)
    with pytest.raises(ValueError, match="256 inputs and 256 outputs are not multiples of a 32x128x96 tile"):
        make(weight, bias, tile=replace(SMALL, depth=96))
    with pytest.raises(ValueError, match="float32"):
        make(weight.float(), bias.float(), tile=SMALL)
    with pytest.raises(ValueError, match="has 256 inputs, and 128 were given"):
        make(weight, bias, tile=SMALL)(block.x[..., :128])


def test_products_of_halves_take_only_their_own_type(block: Block) -> None:
    up = FusedUp(*pair(block, WIDTH), tile=SMALL)
    with pytest.raises(ValueError, match="its activations"):
        up(block.x.float())
    with pytest.raises(TypeError, match="no quantised rows"):
        up(quantised(block))
