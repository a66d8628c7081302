"""Compiles every kernel for GPUs that this machine lacks, as the wrappers launch them; prints the results as JSON.

Triton is given a driver whose devices are only described. All up to the launch itself is real: what is specialised on
and the compilers. Run as a program: `compile_ahead.py 87 90 …`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from typing import Any

import compile_attention
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver

from ishowtts.engines.f5.cuda import convolution, fused_elementwise, fused_rows

LEAST_SHARED_BYTES = 99 * 1024
SIZES = [(1, 1), (1, 416), (3, 37), (2, 64)]


class Described:
    """A Triton driver for one device, whose number is its architecture."""

    def __init__(self, architecture: int) -> None:
        self._architecture = architecture
        self.utils = self

    def get_current_device(self) -> int:
        return self._architecture

    def get_current_stream(self, _: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self._architecture, 32)

    def get_device_properties(self, _: int) -> dict[str, int]:
        return {"max_shared_mem": LEAST_SHARED_BYTES}

    def load_binary(self, _: str, binary: bytes, *__: int) -> tuple[int, int, int, int, int]:
        """The module, function, registers, bytes of spilled registers and maximum of threads."""
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(binary)
            file.flush()
            tool = [triton.knobs.nvidia.cuobjdump.path, "-res-usage", file.name]
            said = subprocess.run(tool, capture_output=True, text=True, check=True).stdout
        usage = {name: int(count) for name, count in re.findall(r"(REG|STACK|LOCAL):(\d+)", said)}
        return 0, 0, usage["REG"], usage["STACK"] + usage["LOCAL"], 1024

    def launcher_cls(self, *_: object) -> Any:
        return lambda *_: None


def compiled(architecture: int) -> list[dict[str, Any]]:
    """The kernels that were compiled for it so far."""
    functions = [
        value
        for module in (fused_elementwise, convolution, fused_rows)
        for value in vars(module).values()
        if isinstance(value, triton.JITFunction)
    ]
    return [
        {
            "kernel": kernel.name,
            "architecture": architecture,
            "registers": kernel.n_regs,
            "spilled_bytes": kernel.n_spills,
            "shared_bytes": kernel.metadata.shared,
            "wide_loads": len(re.findall(r"ld\.global\S*\.v4\.b32|cp\.async\.cg[^;]*, 0x10", kernel.asm["ptx"])),
            "tensor_cores": bool(re.search(r"\b(mma\.sync|wgmma\.mma_async|tcgen05\.mma)", kernel.asm["ptx"])),
        }
        for function in functions
        for kernel in function.device_caches[architecture][0].values()
    ]


def launch_all(dtype: torch.dtype, width: int, lines: int, frames: int, fp8: bool) -> None:
    """Launch every kernel as the model does."""
    fused = fused_elementwise.TritonElementwise()
    row, times = torch.zeros(width, dtype=dtype), torch.zeros(8)
    x = torch.zeros(2 * lines, frames, width, dtype=dtype)
    keep = torch.ones(2 * lines, frames, dtype=torch.bool)
    fused.norm(x, row, row)
    fused.gate_norm(x, row, x, row, row)
    qkv = torch.zeros(2 * lines, frames, 3, width // 64, 64, dtype=dtype)
    fused.rotate(qkv, torch.zeros(frames, 32, 2))
    fused.activate_first_conv(x[:lines], x, keep)
    fused.activate_second_conv(x, x[:lines], x)
    y, flow = torch.zeros(lines, frames, 100), torch.zeros(2 * lines, frames, 100, dtype=dtype)
    fused.advance(y, flow, times[lines], y, strength=2.0, guided=True, keep=keep[lines:])
    convolution.TritonConv(torch.zeros(width, width // 16, 31, dtype=dtype))(x, row)
    flat = x.flatten(0, 1)
    fused_rows.quantise_rows(flat, torch.int8, len(flat))
    if fp8:
        fused_rows.quantise_rows(flat, torch.float8_e4m3fn, len(flat))
    product, scales, columns = torch.zeros(len(flat), 2 * width, dtype=torch.int32), flat[:, 0].float(), row.float()
    fused_rows.finish_rows(product[:, :width], len(flat), dtype, row_scales=scales, column_scales=columns,
                     bias=row, gelu=True)  # fmt: skip


def main() -> None:
    """Compile half precision for every GPU, then fp32, which has no tensor cores, for one."""
    architectures = [int(architecture) for architecture in sys.argv[1:]]
    for architecture in architectures:
        driver.set_active(Described(architecture))
        for lines, frames in SIZES:
            launch_all(torch.float16, 1024, lines, frames, fp8=architecture >= 89)
        compile_attention.launch_all()
    half = [kernel for architecture in architectures for kernel in compiled(architecture)]
    attention = [kernel for architecture in architectures for kernel in compile_attention.compiled(architecture)]
    driver.set_active(Described(architectures[0]))
    convolution.TritonConv(torch.zeros(1024, 64, 31))(torch.zeros(1, 40, 1024))
    fused_elementwise.TritonElementwise().norm(torch.zeros(1, 3, 4096), torch.zeros(4096), torch.zeros(4096))
    single = [kernel for kernel in compiled(architectures[0]) if kernel not in half]
    print(json.dumps({"half": half, "single": single, "attention": attention}))


if __name__ == "__main__":
    main()
