"""The whole transformer computes the same with every kernel of its products that runs on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from ishowtts.engines.f5 import assembly, block_kernels, fast_model
from ishowtts.engines.f5.block_steps import Activations, QuantisedRows, SeparateResidual
from ishowtts.engines.f5.cuda import eager_rows
from ishowtts.engines.f5.elementwise import Elementwise
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.kernels import PLAIN, KernelChoice, PlainLinear
from ishowtts.model import Segment
from ishowtts_bench.fidelity import distance
from ishowtts_bench.parity import TOLERANCE
from support.fake_cuda_graph import TapeRecorder
from support.random_dit import TINY, flow

pytestmark = pytest.mark.f5

FIRST_HEAD_ROTATED = TINY.model_copy(update={"pe_attn_head": 1})


def error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize("description", [TINY, FIRST_HEAD_ROTATED], ids=["all heads", "first head"])
@pytest.mark.parametrize(
    "choice", [KernelChoice(qkv="mm", out="mm", up="mm", down="mm"), KernelChoice(qkv="split")], ids=["mm", "split"]
)
def test_products_without_a_bias_get_it_from_the_next_kernel(choice: KernelChoice, description: object) -> None:
    exact = flow(PLAIN, torch.float32, description=description)
    assert error(flow(choice, torch.float32, description=description), exact) < 1e-6


def test_columns_of_zeros_after_the_mel_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = flow(PLAIN, torch.float32)
    monkeypatch.setattr(assembly, "mel_columns", lambda *_: 104)
    assert error(flow(PLAIN, torch.float32), exact) < 1e-6


@pytest.mark.slow
def test_a_captured_line_with_these_products_sounds_the_same(
    make_engine: Callable[..., F5Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Segment("line", 0, 1, "The quick brown fox jumps.", seed=3, nfe_step=5)
    exact = make_engine(switches={"exact_padding": True, "graphs": False}).render(line, lambda: False)
    tape = TapeRecorder()
    monkeypatch.setattr(fast_model, "make_capturer", lambda _: tape)
    monkeypatch.setattr(assembly, "mel_columns", lambda *_: 104)
    for choice in (KernelChoice(qkv="mm", out="mm", up="mm", down="mm"), KernelChoice(qkv="split")):
        monkeypatch.setattr(fast_model, "choose_kernels", lambda *_, choice=choice: choice)
        engine = make_engine(switches={"exact_padding": True, "graphs": True})
        for _ in range(2):
            assert distance(engine.render(line, lambda: False), exact) <= TOLERANCE
            while engine.idle():
                pass
    assert tape.replayed >= 2 * 5


@pytest.mark.parametrize(
    ("device", "dtype", "columns"),
    [
        ("cuda", torch.float16, 104), ("cuda", torch.bfloat16, 104), ("cuda", torch.float32, 100),
        ("cpu", torch.bfloat16, 100), ("cpu", torch.float32, 100),
    ],
)  # fmt: skip
def test_rows_of_the_mel_are_multiples_of_16_bytes_on_a_gpu(device: str, dtype: torch.dtype, columns: int) -> None:
    assert assembly.mel_columns(torch.device(device), dtype) == columns


class Int8Residual:
    """Like `fused_products.Int8Residual`, but exact, and it notes which of them returned quantised rows."""

    quantised: ClassVar[list[bool]] = []

    def __init__(self, weight: Tensor, bias: Tensor, elementwise: Elementwise, *, quantise: bool) -> None:
        self._step = SeparateResidual(PlainLinear(weight, bias), elementwise)
        self._quantise = quantise

    def __call__(self, *given: Tensor) -> tuple[Tensor, Activations]:
        x, z = self._step(*given)
        self.quantised.append(self._quantise)
        if not self._quantise:
            return x, z
        values, scales = eager_rows.quantise_rows(z.flatten(0, 1), torch.int8, len(z.flatten(0, 1)))
        return x, QuantisedRows(values.view_as(z), scales, z.dtype)


def restored(z: Activations) -> Tensor:
    return z.restored() if isinstance(z, QuantisedRows) else z


@pytest.mark.parametrize("taking", [("qkv",), ("up",), ("qkv", "up"), ()])
def test_rows_are_quantised_only_for_products_that_take_them(
    monkeypatch: pytest.MonkeyPatch, taking: tuple[str, ...]
) -> None:
    """The last product of the last block is never followed by one."""
    given: dict[str, set[bool]] = {"qkv": set(), "up": set()}

    def noting(product: str, make: object) -> object:
        def made(name: str, *weights: object, **options: object) -> object:
            step = make("plain", *weights, **options)  # type: ignore[operator]

            def run(z: Activations, *more: Tensor) -> object:
                given[product].add(isinstance(z, QuantisedRows))
                return step(restored(z), *more)

            return run

        return made

    monkeypatch.setattr(assembly, "make_qkv", noting("qkv", block_kernels.make_qkv))
    monkeypatch.setattr(assembly, "make_up", noting("up", block_kernels.make_up))
    monkeypatch.setattr(
        assembly, "make_residual", lambda _, *weights, quantise: Int8Residual(*weights, quantise=quantise)
    )
    monkeypatch.setattr(Int8Residual, "quantised", [])
    names = {product: "int8-fused-128x128x64" if product in taking else "int8-cuda" for product in given}
    found = flow(KernelChoice(**names, out="int8-fused-128x128x64", down="int8-fused-128x128x64"), torch.float32)
    assert Int8Residual.quantised == ["up" in taking, "qkv" in taking, "up" in taking, False]
    assert given["up"] == {"up" in taking}
    assert given["qkv"] == {False, "qkv" in taking}  # the first norm is never quantised
    monkeypatch.undo()
    assert error(found, flow(PLAIN, torch.float32)) < 0.02


@pytest.mark.parametrize("name", ["triton-1x2x3", "int8-fused-128x128x32", "neither"])
def test_an_unknown_product_is_refused(name: str) -> None:
    pytest.importorskip("triton")
    with pytest.raises(ValueError, match=f"there is no product '{name}'"):
        block_kernels.make_up(name, torch.zeros(128, 128), torch.zeros(128))
