"""Compiles every kernel for GPUs that this machine lacks, as the wrappers launch them; prints the results as JSON.

Triton is given a driver whose devices are only described. All up to the launch itself is real: what is specialised on
and the compilers. Run as a program: `compile_ahead.py [--all-sizes] 87 90 …`. Without the option only the first tile of
each kind is compiled, and the norms only in their default size.

Thor is 110 for the assembler of CUDA 13, if this machine has it, and 101 for that of CUDA 12.9, which Triton brings.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import compile_attention
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver

from ishowtts.engines.f5.block_steps import QkvStep, ResidualStep, UpStep
from ishowtts.engines.f5.cuda import caches, convolution, fused_elementwise, fused_rows, product_kernel
from ishowtts.engines.f5.cuda.convolution import TritonConv
from ishowtts.engines.f5.cuda.fused_elementwise import TritonElementwise
from ishowtts.engines.f5.cuda.fused_products import FusedQkv, FusedResidual, FusedUp, Int8Qkv, Int8Residual, Int8Up
from ishowtts.engines.f5.cuda.tiles import CONV_TILES, INT8_TILES, NORM_VARIANTS, TILES, Tile

THOR, THOR_OF_CUDA_12 = 110, 101

SHARED_KB = {80: 163, 86: 99, 87: 163, 89: 99, 90: 227, 100: 227, THOR_OF_CUDA_12: 227, THOR: 227, 120: 99}
"""Shared memory of a program by architecture (CUDA programming guide, technical specifications)."""

SIZES = [(1, 1), (1, 416), (3, 37), (2, 64)]
WIDTH, HALF = 1024, torch.float16

Launch = Callable[[int, int], object]


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
        return {"max_shared_mem": SHARED_KB[self._architecture] * 1024}

    def load_binary(self, _: str, binary: bytes, *__: int) -> tuple[int, int, int, int, int]:
        """The module, function, registers, bytes of spilled registers and maximum of threads."""
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(binary)
            file.flush()
            tool = [_cuobjdump(), "-res-usage", file.name]
            said = subprocess.run(tool, capture_output=True, text=True, check=True).stdout
        usage = {name: int(count) for name, count in re.findall(r"(REG|STACK|LOCAL):(\d+)", said)}
        return 0, 0, usage["REG"], usage["STACK"] + usage["LOCAL"], 1024

    def launcher_cls(self, *_: object) -> Any:
        return lambda *_: None


def choose_thor() -> int:
    """Use the assembler that the daemon would use on Thor, and return the number that it has for Thor.

    It is used for all GPUs from then on, so Thor is the last one.
    """
    caches.choose_assembler((11, 0))
    return THOR if int(triton.knobs.nvidia.ptxas_blackwell.version.split(".")[0]) >= 13 else THOR_OF_CUDA_12


def _cuobjdump() -> str:
    """The program that reads binaries, beside the newest assembler if it is there: Triton's knows no sm_110."""
    beside = Path(triton.knobs.nvidia.ptxas_blackwell.path).with_name("cuobjdump")
    return str(beside if beside.is_file() else triton.knobs.nvidia.cuobjdump.path)


def compiled(architecture: int) -> dict[int, Any]:
    """The kernels that were compiled for it so far."""
    functions = [
        value
        for module in (fused_elementwise, convolution, fused_rows, product_kernel)
        for value in vars(module).values()
        if isinstance(value, triton.JITFunction)
    ]
    kernels = [kernel for function in functions for kernel in function.device_caches[architecture][0].values()]
    return {id(kernel): kernel for kernel in kernels}


def launch(variants: dict[str, Launch], architecture: int, sizes: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """Launch each variant at all sizes, and describe the kernels that were compiled for it."""
    for variant, run in variants.items():
        before = compiled(architecture).keys()
        for lines, frames in sizes:
            run(lines, frames)
        for key, kernel in compiled(architecture).items():
            if key not in before:
                ptx = kernel.asm["ptx"]
                yield {
                    "kernel": kernel.name,
                    "variant": variant,
                    "architecture": architecture,
                    "registers": kernel.n_regs,
                    "spilled_bytes": kernel.n_spills,
                    "shared_bytes": kernel.metadata.shared,
                    "shared_bytes_of_gpu": SHARED_KB[architecture] * 1024,
                    "wide_loads": len(re.findall(r"ld\.global\S*\.v4\.b32|cp\.async\.cg[^;]*, 0x10", ptx)),
                    "tensor_cores": bool(re.search(r"\b(mma\.sync|wgmma\.mma_async|tcgen05\.mma)", ptx)),
                }


def zeros(*shape: int, dtype: torch.dtype = HALF) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype)


def elementwise(*, all_sizes: bool) -> dict[str, Launch]:
    """The steps between the products, as the model runs them."""
    fused, row, times = TritonElementwise(), zeros(WIDTH), torch.zeros(8)

    def stream(lines: int, frames: int) -> torch.Tensor:
        return zeros(2 * lines, frames, WIDTH)

    def rotate(bias: torch.Tensor | None, lines: int, frames: int) -> None:
        fused.rotate(zeros(2 * lines, frames, 3, WIDTH // 64, 64), torch.zeros(frames, 32, 2), bias)

    def activate(lines: int, frames: int) -> None:
        x, keep = stream(lines, frames), torch.ones(2 * lines, frames, dtype=torch.bool)
        fused.activate_first_conv(x[:lines], x, keep)
        fused.activate_second_conv(x, x[:lines], x)
        y, flow = torch.zeros(lines, frames, 100), zeros(2 * lines, frames, 100)
        fused.advance(y, flow, times[lines], y, strength=2.0, guided=True, keep=keep[lines:])

    def norms(steps: TritonElementwise, bias: torch.Tensor | None, lines: int, frames: int) -> None:
        x = stream(lines, frames)
        steps.gate_norm(x, row, x, row, row, bias=bias)
        if bias is None:
            steps.norm(x, row, row)

    sizes = NORM_VARIANTS if all_sizes else {}
    variants = {f"norms-{name}": TritonElementwise(**arguments) for name, arguments in sizes.items()}
    return {
        "steps": activate,
        "rotate": partial(rotate, None),
        "rotate-bias": partial(rotate, zeros(3 * WIDTH)),
        "norms": partial(norms, fused, None),
        "norms-bias": partial(norms, fused, row),
        **{name: partial(norms, steps, None) for name, steps in variants.items()},
    }


def convolutions(*, all_sizes: bool) -> dict[str, Launch]:
    """The positional convolution."""
    weight, row = zeros(WIDTH, WIDTH // 16, 31), zeros(WIDTH)

    def convolve(conv: TritonConv, lines: int, frames: int) -> None:
        conv(zeros(2 * lines, frames, WIDTH), row)

    tiles = CONV_TILES if all_sizes else CONV_TILES[:1]
    return {f"conv-{tile.name}": partial(convolve, TritonConv(weight, tile)) for tile in tiles}


def quantisation(*, fp8: bool) -> dict[str, Launch]:
    """The steps around products of eight bits."""
    row = zeros(WIDTH)

    def finish(lines: int, frames: int) -> None:
        rows = 2 * lines * frames
        fused_rows.finish_rows(zeros(rows, 2 * WIDTH, dtype=torch.int32)[:, :WIDTH], rows, HALF, bias=row, gelu=True,
                               row_scales=torch.zeros(rows), column_scales=row.float())  # fmt: skip

    def quantise(dtype: torch.dtype, lines: int, frames: int) -> None:
        fused_rows.quantise_rows(zeros(2 * lines * frames, WIDTH), dtype, 2 * lines * frames)

    made: dict[str, Launch] = {
        "quantise-s8": partial(quantise, torch.int8),
        "finish": finish,
        "norm-quantised": lambda lines, frames: fused_rows.norm_quantised(zeros(2 * lines, frames, WIDTH), row, row),
    }
    if fp8:
        made["quantise-e4m3"] = partial(quantise, torch.float8_e4m3fn)
    return made


def products(*, all_sizes: bool) -> dict[str, Launch]:
    """Our own products, at the widths of the model."""
    row, elementwise = zeros(WIDTH), TritonElementwise()
    made: dict[str, Launch] = {}

    def add(name: str, tile: Tile, qkv: QkvStep, up: UpStep, out: ResidualStep) -> None:
        def z(lines: int, frames: int) -> torch.Tensor:
            return zeros(2 * lines, frames, WIDTH)

        made[f"{name}-rotate-{tile.name}"] = lambda lines, frames: qkv(z(lines, frames), torch.zeros(frames, 32, 2))
        made[f"{name}-gelu-{tile.name}"] = lambda lines, frames: up(z(lines, frames))
        made[f"{name}-add-{tile.name}"] = lambda lines, frames: out(z(lines, frames), z(lines, frames), row, row, row)

    qkv, up, out = ((zeros(n * WIDTH, WIDTH), zeros(n * WIDTH)) for n in (3, 2, 1))
    for tile in TILES if all_sizes else TILES[:1]:
        add("half", tile, FusedQkv(*qkv, heads=WIDTH // 64, tile=tile), FusedUp(*up, tile=tile),
            FusedResidual(*out, elementwise, tile=tile))  # fmt: skip
    for tile in INT8_TILES if all_sizes else INT8_TILES[:1]:
        add("s8", tile, Int8Qkv(*qkv, heads=WIDTH // 64, tile=tile), Int8Up(*up, tile=tile),
            Int8Residual(*out, elementwise, tile=tile, quantise=False))  # fmt: skip
    return made


def single() -> dict[str, Launch]:
    """What runs in fp32, which has no tensor cores."""
    conv, row = TritonConv(torch.zeros(1024, 64, 31)), torch.zeros(4096)
    fused = TritonElementwise()
    return {
        "conv": lambda lines, frames: conv(torch.zeros(lines, frames, 1024)),
        "norm": lambda lines, frames: fused.norm(torch.zeros(lines, frames, 4096), row, row),
    }


def main() -> None:
    """Compile half precision for every GPU, then fp32 for one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all-sizes", action="store_true")
    parser.add_argument("architectures", nargs="+", type=int, help=f"like 87; {THOR} is the last one")
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    attention: list[dict[str, Any]] = []
    for number in arguments.architectures:
        architecture = choose_thor() if number == THOR else number
        driver.set_active(Described(architecture))
        all_sizes = arguments.all_sizes
        variants = elementwise(all_sizes=all_sizes) | convolutions(all_sizes=all_sizes) | products(all_sizes=all_sizes)
        variants |= quantisation(fp8=architecture >= 89)
        found += list(launch(variants, architecture, SIZES))
        compile_attention.launch_all()
        attention += compile_attention.compiled(architecture)
    driver.set_active(Described(arguments.architectures[0]))
    one = list(launch(single(), arguments.architectures[0], [(1, 40)]))
    print(json.dumps({"half": found, "single": one, "attention": attention}))


if __name__ == "__main__":
    main()
