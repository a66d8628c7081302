"""Linear kernels for CUDA (`kernels.Linear`): cuBLAS and cublasLt in their variants, and products of eight-bit numbers.

Each row of activations is quantised with its own scale, so a segment sounds the same in every batch.
"""

from __future__ import annotations

import logging
from functools import cache
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5.cuda import eager_rows

try:
    from ishowtts.engines.f5.cuda import fused_rows
except ImportError:  # Triton is not installed
    fused_rows = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

_FEWEST_ROWS = 32
"""`_int_mm` needs more than 16."""

_ROWS_STEP = 16


class GeluLinear:
    """PyTorch's product with GELU in cublasLt's epilogue. On CPUs the same operator computes the other GELU (erf)."""

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool = False) -> None:
        self._weight, self._bias, self._gelu = weight, bias, gelu

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        if not self._gelu:
            return F.linear(x, self._weight, self._bias)
        y = torch._addmm_activation(self._bias, x.flatten(0, -2), self._weight.t(), use_gelu=True)
        return y.view(*x.shape[:-1], -1)


class MmLinear:
    """A product by cuBLAS without a bias: the kernel after it adds the bias.

    cuBLAS chooses its kernels by other rules than cublasLt, which computes products with a bias.
    """

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight.t()

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        return torch.mm(x.flatten(0, -2), self._weight).view(*x.shape[:-1], -1)


class SplitLinear:
    """A product by cuBLAS in equal parts of the outputs, without a bias, into one tensor.

    A narrower product may get a kernel that is more than twice as fast: bf16 [3528, 1152] x [1152, 3456] ran at 9.5
    TFLOPS on an AGX Orin, where products of 1,024 to 2,048 outputs ran at 21 to 24, as others measured.
    """

    def __init__(self, weight: Tensor, parts: int) -> None:
        self._parts = [part.t() for part in weight.chunk(parts)]
        self._outputs = len(weight)

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        flat = x.flatten(0, -2)
        y = flat.new_empty(len(flat), self._outputs)
        for part, columns in zip(self._parts, y.chunk(len(self._parts), dim=1), strict=True):
            torch.mm(flat, part, out=columns)  # cuBLAS writes into the columns: nothing is copied
        return y.view(*x.shape[:-1], -1)


class MmGeluLinear:
    """A product by cuBLAS, and one kernel for bias and GELU after it."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._linear, self._bias = MmLinear(weight), bias

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        product = self._linear(x).flatten(0, -2)
        y: Tensor = _row_module(x.device).finish_rows(
            product, len(product), x.dtype, row_scales=None, column_scales=None, bias=self._bias, gelu=True
        )
        return y.view(*x.shape[:-1], -1)


class Int8CudaLinear:
    """Products of s8, with a scale per output and per row. Widths are multiples of 8."""

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool = False) -> None:
        self._weight, self._scales = eager_rows.quantise_rows(weight, torch.int8, len(weight))
        self._bias, self._gelu = bias, gelu

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        flat = x.flatten(0, -2)
        around = _row_module(x.device)
        count = len(flat)
        padded = max(_FEWEST_ROWS, -(-count // _ROWS_STEP) * _ROWS_STEP)
        whole, scales = around.quantise_rows(flat, torch.int8, padded)
        y: Tensor = around.finish_rows(
            torch._int_mm(whole, self._weight.t()), count, x.dtype,
            row_scales=scales, column_scales=self._scales, bias=self._bias, gelu=self._gelu,
        )  # fmt: skip
        return y.view(*x.shape[:-1], -1)


class Fp8Linear:
    """Products of e4m3 with a scale per output and per row. Widths are multiples of 16.

    If cuBLAS can apply those scales, it does, and adds the bias. If it cannot, it multiplies without scales, and the
    fp32 sums are scaled afterwards.
    """

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool = False) -> None:
        self._weight, self._scales = eager_rows.quantise_rows(weight, torch.float8_e4m3fn, len(weight))
        self._bias, self._gelu = bias, gelu
        self._one = torch.ones((), device=weight.device)
        self._scaled_type = _scaled_type(weight.device, weight.dtype)
        if self._scaled_type is not None:
            self._scaled_bias = bias.to(self._scaled_type)

    @staticmethod
    def supported(device: torch.device) -> bool:
        """Whether this device multiplies e4m3: CUDA with capability 8.9 or higher."""
        return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9)

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        flat = x.flatten(0, -2)
        count = len(flat)
        around = _row_module(x.device)
        whole, scales = around.quantise_rows(flat, torch.float8_e4m3fn, count)
        if self._scaled_type is None:
            y = torch._scaled_mm(whole, self._weight.t(), self._one, self._one, out_dtype=torch.float32)
            y = around.finish_rows(
                y, count, x.dtype,
                row_scales=scales, column_scales=self._scales, bias=self._bias, gelu=self._gelu,
            )  # fmt: skip
        else:
            y = torch._scaled_mm(
                whole, self._weight.t(), scales[:, None], self._scales[None],
                bias=self._scaled_bias, out_dtype=self._scaled_type,
            )  # fmt: skip
            if self._gelu or y.dtype is not x.dtype:
                y = around.finish_rows(
                    y, count, x.dtype, row_scales=None, column_scales=None, bias=None, gelu=self._gelu
                )
        return y.view(*x.shape[:-1], -1)


def _row_module(device: torch.device) -> ModuleType:
    """The module with the steps around the product: fused if Triton works on this device, else plain PyTorch."""
    if fused_rows is not None and (device.type == "cuda" or fused_rows.INTERPRETED):
        return fused_rows
    return eager_rows


@cache
def _scaled_type(device: torch.device, wanted: torch.dtype) -> torch.dtype | None:
    """The type that `_scaled_mm` returns here with a scale per row: `wanted`, else bf16; `None` if it cannot.

    It is tried, because it depends on the GPU, on cuBLAS and on torch. Some only return bf16.
    """
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (9, 0):
        return None
    bare = torch.ones(32, 32, device=device).to(torch.float8_e4m3fn)
    scales = torch.ones(32, 1, device=device)
    for dtype in dict.fromkeys((wanted, torch.bfloat16)):
        bias = torch.ones(32, dtype=dtype, device=device)
        try:
            y = torch._scaled_mm(bare, bare.t(), scales, scales.t(), bias=bias, out_dtype=dtype)
            if bool((y == 33).all()):
                return dtype
        except (RuntimeError, ValueError) as error:
            log.debug("fp8 with a scale per row does not return %s: %s", dtype, str(error).splitlines()[0])
    return None
