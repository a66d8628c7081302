"""Products on a GPU are as exact as plain ones; in eight bits they are close, row by row, and NaN stays NaN."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import ishowtts.engines.f5.cuda as package
from ishowtts.engines.f5.block_kernels import FUSED, FUSED_INT8
from ishowtts.engines.f5.block_steps import Linear
from ishowtts.engines.f5.cuda import eager_rows, kernel_candidates, products
from ishowtts.engines.f5.cuda.kernel_candidates import BlockWeights, EightBits, KernelCandidates
from ishowtts.engines.f5.cuda.kernel_timing import relative_error
from ishowtts.engines.f5.cuda.products import (
    Fp8Linear,
    GeluLinear,
    Int8CudaLinear,
    MmGeluLinear,
    MmLinear,
    SplitLinear,
)
from ishowtts.engines.f5.cuda.tiles import INT8_TILES, TILES
from ishowtts.engines.f5.kernels import ELEMENTWISE, PLAIN, KernelChoice, PlainLinear
from support.random_dit import flow

pytestmark = [
    pytest.mark.f5,
    # The interpreter computes with NumPy, which warns about infinite values.
    pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning"),
]

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# The interpreter loses the carry when it rounds to e4m3.
EIGHT_BITS = [(Int8CudaLinear, 0.02), (Fp8Linear, 0.16 if INTERPRETED else 0.08)]
DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@pytest.fixture
def place() -> torch.device:
    """The GPU, or the CPU in plain PyTorch if there is no GPU."""
    return torch.device("cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu")


@pytest.fixture(params=EIGHT_BITS, ids=["int8", "fp8"])
def eight_bits(request: pytest.FixtureRequest, place: torch.device) -> tuple[Callable[..., Linear], float]:
    if request.param[0] is Fp8Linear and place.type == "cuda" and not Fp8Linear.supported(place):
        pytest.skip("this GPU has no products of e4m3")
    return request.param


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("frames", [1, 9])
def test_eight_bits_are_close(
    eight_bits: tuple[Callable[..., Linear], float], place: torch.device, dtype: torch.dtype, gelu: bool, frames: int
) -> None:
    make, tolerance = eight_bits
    weight, bias, x = (torch.randn(*shape) for shape in ((96, 64), (96,), (2, frames, 64)))
    x *= torch.logspace(-3, 2, frames)[:, None]  # too wide a range for one scale for all rows
    exact = PlainLinear(weight, bias, gelu)(x)
    y = make(weight.to(place, dtype), bias.to(place, dtype), gelu)(x.to(place, dtype))
    assert y.dtype is dtype
    error = (y.float().cpu() - exact).norm(dim=-1) / exact.norm(dim=-1)
    assert 1e-5 < error.max() < tolerance


def test_a_row_does_not_depend_on_its_batch(
    eight_bits: tuple[Callable[..., Linear], float], place: torch.device
) -> None:
    product = eight_bits[0](torch.randn(96, 64).to(place), torch.randn(96).to(place), True)
    x = torch.randn(3, 6, 64).to(place)
    together = product(x)
    louder = x * torch.tensor([1.0, 50.0, 1000.0], device=place)[:, None, None]
    assert torch.allclose(product(louder)[0], together[0], atol=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_nan_is_passed_on(eight_bits: tuple[Callable[..., Linear], float], place: torch.device, bad: float) -> None:
    x = torch.randn(1, 3, 64).to(place)
    x[0, 1, 7] = bad
    for gelu in (False, True):
        y = eight_bits[0](torch.randn(96, 64).to(place), torch.randn(96).to(place), gelu)(x)
        assert not y[0, 1].isfinite().any()
        assert y[0, ::2].isfinite().all()


def test_zeros_give_the_bias(eight_bits: tuple[Callable[..., Linear], float], place: torch.device) -> None:
    bias = torch.randn(96).to(place)
    assert torch.allclose(eight_bits[0](torch.randn(96, 64).to(place), bias)(torch.zeros(2, 3, 64).to(place)), bias)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn], ids=str)
@pytest.mark.parametrize("width", [96, 1024])
def test_rows_are_quantised_like_in_plain_torch(device: torch.device, dtype: torch.dtype, width: int) -> None:
    fused = pytest.importorskip("ishowtts.engines.f5.cuda.fused_rows")
    if dtype is not torch.int8 and device.type == "cuda" and not Fp8Linear.supported(device):
        pytest.skip("this GPU has no e4m3")
    x = torch.randn(5, width, dtype=torch.float16).to(device)
    x[1] = 0.0
    x[2, 3] = float("nan")
    x[3, 3] = float("inf")
    (whole, scales), (wanted, wanted_scales) = (
        rows.quantise_rows(x, dtype, 32) for rows in (fused, eager_rows)
    )  # fmt: skip
    assert whole.shape == wanted.shape == (32, width)
    assert torch.allclose(scales[:5], wanted_scales[:5], rtol=1e-6, equal_nan=True)
    assert scales[2:4].isnan().all()
    if INTERPRETED and dtype is not torch.int8:
        return  # the interpreter loses the carry when it rounds to e4m3
    fine = [0, 1, 4]
    apart = (whole[fine].float() - wanted[fine].float()).abs()
    # A quotient may be rounded to the other side.
    step = 1.0 if dtype is torch.int8 else wanted[fine].float().abs() / 8 + 2**-9
    assert (apart <= step).all()
    assert (apart > 0).float().mean() < 0.01


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("width", [96, 1536])
def test_products_are_scaled_like_in_plain_torch(
    device: torch.device, dtype: torch.dtype, gelu: bool, width: int
) -> None:
    fused = pytest.importorskip("ishowtts.engines.f5.cuda.fused_rows")
    whole = torch.randint(-9000, 9000, (32, width), dtype=torch.int32, device=device)
    row_scales, column_scales = torch.rand(32).to(device) / 100, torch.rand(width).to(device) / 10
    row_scales[1] = float("nan")
    bias = torch.randn(width).to(device, dtype)
    tolerance = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype]
    for product, scales in (
        (whole, {"row_scales": row_scales, "column_scales": column_scales, "bias": bias}),
        (torch.randn(32, width).to(device, dtype) * 4, {"row_scales": None, "column_scales": None, "bias": None}),
    ):
        found, wanted = (rows.finish_rows(product, 5, dtype, gelu=gelu, **scales) for rows in (fused, eager_rows))
        assert found.shape == (5, width)
        assert found.dtype is dtype
        assert torch.allclose(found.float(), wanted.float(), rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 64), (2, 7, 64)])
def test_gelu_in_the_epilogue(place: torch.device, gelu: bool, shape: tuple[int, ...]) -> None:
    weight, bias, x = torch.randn(96, 64).to(place), torch.randn(96).to(place), torch.randn(*shape).to(place)
    y = F.linear(x, weight, bias)
    if gelu:
        # The form of GELU depends on the device; only that of a GPU is the model's.
        y = F.gelu(y, approximate="tanh" if place.type == "cuda" else "none")
    assert torch.allclose(GeluLinear(weight, bias, gelu)(x), y, atol=1e-3 if place.type == "cuda" else 1e-4)


@pytest.mark.skipif(not torch.cuda.is_available() or INTERPRETED, reason="needs a GPU")
@pytest.mark.parametrize("frames", [1, 30, 1220])
def test_gelu_in_the_epilogue_in_half_precision(frames: int) -> None:
    weight, bias, x = (torch.randn(*shape, device="cuda") for shape in ((2048, 1024), (2048,), (2, frames, 1024)))
    weight *= 1024**-0.5
    exact = PlainLinear(weight.double(), bias.double(), True)(x.double())
    for dtype in (torch.float16, torch.bfloat16):
        given = weight.to(dtype), bias.to(dtype), True
        errors = [(make(*given)(x.to(dtype)).double() - exact).norm() for make in (GeluLinear, PlainLinear)]
        assert errors[0] < 1.2 * errors[1]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["mm", "split", "mm with gelu"])
def test_products_by_cublas_equal_plain_ones(place: torch.device, kind: str, dtype: torch.dtype) -> None:
    weight, bias, x = (torch.randn(*shape).to(place, dtype) for shape in ((96, 64), (96,), (2, 5, 64)))
    if kind == "mm with gelu":
        found, exact = MmGeluLinear(weight, bias)(x), PlainLinear(weight.float(), bias.float(), True)(x.float())
    else:
        found = MmLinear(weight)(x) if kind == "mm" else SplitLinear(weight, 3)(x)
        exact = F.linear(x.float(), weight.float())
    assert (found.shape, found.dtype) == ((2, 5, 96), dtype)
    assert found.is_contiguous()
    tolerance = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype]
    assert (found.float() - exact).norm() / exact.norm() < tolerance


@pytest.fixture
def quick_quantising(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter would spend most of its time on the rows of weights, which another test quantises."""
    if INTERPRETED:
        fused = importlib.import_module("ishowtts.engines.f5.cuda.fused_rows")
        monkeypatch.setattr(fused, "quantise_rows", eager_rows.quantise_rows)


@pytest.mark.usefixtures("quick_quantising")
@pytest.mark.parametrize(
    ("eight_bits", "heads_rotated"), [(None, None), (None, 1), ("int8", None)], ids=["half", "first head", "int8"]
)
def test_every_candidate_for_a_product_is_right(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, eight_bits: EightBits | None, heads_rotated: int | None
) -> None:
    pytest.importorskip("triton")
    monkeypatch.setattr(kernel_candidates, "FRAMES", 3)
    width, heads, half = 256, 4, torch.float16  # a multiple of every tile

    def pair(outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
        return (torch.randn(outputs, inputs) * inputs**-0.5).to(device, half), torch.randn(outputs).to(device, half)

    weights = BlockWeights(
        qkv=pair(3 * width, width), out=pair(width, width), up=pair(2 * width, width), down=pair(width, 2 * width),
        conv=torch.randn(width, width // 16, 31).to(device, half), heads=heads, rotated_heads=heads_rotated,
    )  # fmt: skip
    candidates = KernelCandidates(weights, fused=True)
    for product, group in candidates.products(ELEMENTWISE["triton"](), eight_bits):
        assert any(name.startswith(FUSED_INT8 if eight_bits else FUSED) for name in group.runs)
        exact = group.runs["plain"]()
        for name, run in group.runs.items():
            if name == "cublasLt" and device.type == "cpu":
                continue  # its GELU is another one there
            error = relative_error(run(), exact)
            assert error <= group.tolerances.get(name, 4e-3), (product, name)
            assert name == "plain" or name not in group.tolerances or error > 1e-3


@pytest.mark.usefixtures("quick_quantising")
@pytest.mark.parametrize(
    ("names", "tolerance"),
    [((FUSED + TILES[0].name,) * 4, 2e-3), ((FUSED_INT8 + INT8_TILES[0].name,) * 4, 1e-2),
     (("plain", FUSED_INT8 + INT8_TILES[0].name, "mm", FUSED + TILES[1].name), 1e-2)],
    ids=["half", "int8", "mixed"],
)  # fmt: skip
def test_the_whole_transformer_runs_with_our_own_products(
    device: torch.device, names: tuple[str, str, str, str], tolerance: float
) -> None:
    pytest.importorskip("triton")
    exact = flow(PLAIN, torch.float32)
    found = flow(KernelChoice(*names), torch.float16, device=device).float()
    error = (found - exact).norm() / exact.norm()
    assert 1e-5 < error < tolerance


@pytest.mark.skipif(INTERPRETED, reason="this is not a Triton kernel")
def test_a_gpu_accepts_these_shapes() -> None:
    """Runs the checks of torch before a launch, on a fake GPU."""

    def cuda(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(shape, device="cuda", dtype=dtype)

    with FakeTensorMode():
        whole, weight = cuda(48, 64, dtype=torch.int8), cuda(96, 64, dtype=torch.int8)
        assert torch._int_mm(whole, weight.t()).dtype is torch.int32
        e4m3, weight = cuda(37, 64, dtype=torch.float8_e4m3fn), cuda(96, 64, dtype=torch.float8_e4m3fn)
        for dtype in (torch.float16, torch.bfloat16):
            y = torch._scaled_mm(
                e4m3, weight.t(), cuda(37)[:, None], cuda(96)[None], bias=cuda(96, dtype=dtype), out_dtype=dtype
            )
            assert (y.shape, y.dtype) == ((37, 96), dtype)
        assert torch._scaled_mm(e4m3, weight.t(), cuda(), cuda(), out_dtype=torch.float32).shape == (37, 96)
        half = torch.float16
        y = torch._addmm_activation(
            cuda(96, dtype=half), cuda(37, 64, dtype=half), cuda(96, 64, dtype=half).t(), use_gelu=True
        )
        assert y.shape == (37, 96)


def test_without_triton_the_steps_around_products_are_plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    for name in ("fused_rows", "fused_elementwise", "convolution"):
        monkeypatch.delitem(sys.modules, f"{package.__name__}.{name}", raising=False)
        monkeypatch.delattr(package, name, raising=False)
        with pytest.raises(ImportError):
            importlib.import_module(f"{package.__name__}.{name}")
    assert again(products)._row_module(torch.device("cuda")) is eager_rows


def again(module: ModuleType) -> ModuleType:
    spec = importlib.util.spec_from_file_location("again", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
