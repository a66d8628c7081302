"""Every kernel by its name: what `tuning` chooses from and `assembly` lays the model out with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.elementwise import EagerElementwise, Elementwise
from ishowtts.engines.f5.kernels import Conv, Int8Linear, Linear, PackedConv, PackedLinear, PlainConv, PlainLinear

__all__ = ["ATTENTIONS", "CONVS", "ELEMENTWISE", "LINEARS", "PLAIN", "KernelChoice"]


@dataclass(frozen=True)
class KernelChoice:
    """Names of kernels: of `LINEARS`, `CONVS`, `ATTENTIONS` and `ELEMENTWISE`."""

    linear: str = "plain"
    conv: str = "plain"
    attention: str = "fused"
    elementwise: str = "eager"

    def __str__(self) -> str:
        return (
            f"{self.linear} products, {self.conv} convolutions, {self.attention} attention, "
            f"{self.elementwise} steps between them"
        )


PLAIN = KernelChoice()
"""Torch's own, chosen by nobody."""


# Imported when they are asked for: Triton is not everywhere, and takes a second.
def _gelu(weight: Tensor, bias: Tensor, gelu: bool = False) -> Linear:
    from ishowtts.engines.f5.cuda.products import GeluLinear

    return GeluLinear(weight, bias, gelu)


def _int8_cuda(weight: Tensor, bias: Tensor, gelu: bool = False) -> Linear:
    from ishowtts.engines.f5.cuda.products import Int8CudaLinear

    return Int8CudaLinear(weight, bias, gelu)


def _fp8(weight: Tensor, bias: Tensor, gelu: bool = False) -> Linear:
    from ishowtts.engines.f5.cuda.products import Fp8Linear

    return Fp8Linear(weight, bias, gelu)


def _triton_conv(weight: Tensor) -> Conv:
    from ishowtts.engines.f5.cuda.convolution import TritonConv

    return TritonConv(weight)


def _triton_elementwise() -> Elementwise:
    from ishowtts.engines.f5.cuda.fused_elementwise import TritonElementwise

    return TritonElementwise()


LINEARS: dict[str, Callable[..., Linear]] = {
    "plain": PlainLinear, "packed": PackedLinear, "int8": Int8Linear,
    "cublasLt": _gelu, "int8-cuda": _int8_cuda, "fp8": _fp8,
}  # fmt: skip
CONVS: dict[str, Callable[[Tensor], Conv]] = {"plain": PlainConv, "packed": PackedConv, "triton": _triton_conv}
ELEMENTWISE: dict[str, Callable[[], Elementwise]] = {"eager": EagerElementwise, "triton": _triton_elementwise}
