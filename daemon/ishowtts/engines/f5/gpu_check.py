"""A program for install.sh: computes on the GPU, and compares with the CPU.

It prints one sentence. The exit status is 0 if the GPU computes right, 1 if it does not, and 3 if its memory is taken,
so that nothing can be said. install.sh runs it with the user and the groups of the service.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ishowtts.engines.f5 import load_faults
from ishowtts.errors import first_line

if TYPE_CHECKING:
    from torch import Tensor

FAULT, NO_MEMORY = 1, 3
_SEED = 20
_SIZE = 256
_NODES = ("nvidia*", "nvhost*", "nvmap", "nvgpu/*/*", "dri/renderD*")
# The results of fp16 are rounded to 11 bits, and those of fp32 to 24. Wrong ones are off by about 1.
_MOST_RELATIVE_ERROR = {"fp16": 5e-3, "fp32": 1e-4}


def main(dev: Path = Path("/dev")) -> int:
    """Prints what the GPU can do. Returns the exit status."""
    try:
        import torch
    except Exception as error:  # besides ImportError, OSError of the loader, and ValueError or RuntimeError of torch
        found = load_faults.explain(str(error), stock=load_faults.has_stock_libraries())
        print("; ".join(found) if found else f"torch does not start: {first_line(error)}; run install.sh again")
        return FAULT
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if torch.version.cuda is None:
        print(f"torch {torch.__version__} is built without CUDA: it cannot use the GPU; take a wheel with CUDA")
        return FAULT
    try:
        wrong = list(wrong_results("cuda"))
    except RuntimeError as error:  # CUDA's own errors are RuntimeErrors too
        return _report(error, dev)
    name = torch.cuda.get_device_name(0)
    if wrong:
        print(f"{name} computes wrong: {', '.join(wrong)}; torch {torch.__version__} has {_built_for()}")
        return FAULT
    print(f"{name} computes as the CPU does (torch {torch.__version__}, CUDA {torch.version.cuda})")
    return 0


def wrong_results(device: str) -> Iterator[str]:
    """Yield what the device computes wrong: a product, a convolution, a Fourier transform.

    Each of the three has a library of its own, which CUDA loads at the first use.
    """
    import torch

    generator = torch.Generator().manual_seed(_SEED)
    matrix = torch.randn(_SIZE, _SIZE, generator=generator)
    sound = torch.randn(1, 16, 1024, generator=generator)
    weight = torch.randn(16, 16, 31, generator=generator)
    works: dict[str, tuple[str, Callable[[str, torch.dtype], Tensor]]] = {
        "a product in fp16": ("fp16", lambda place, _: (matrix.half().to(place) @ matrix.half().to(place)).float()),
        "a product": ("fp32", lambda place, kind: matrix.to(place, kind) @ matrix.to(place, kind)),
        "a convolution": (
            "fp32",
            lambda place, kind: torch.nn.functional.conv1d(sound.to(place, kind), weight.to(place, kind)),
        ),
        "a Fourier transform": (
            "fp32",
            lambda place, kind: torch.fft.irfft(torch.fft.rfft(sound.to(place, kind)) * 2.0),
        ),
    }
    for name, (precision, work) in works.items():
        result = work(device, torch.float32).double().cpu()
        if precision == "fp16":
            expected = matrix.half().double() @ matrix.half().double()
        else:
            expected = work("cpu", torch.float64)
        error = float((result - expected).norm() / expected.norm())
        if not error <= _MOST_RELATIVE_ERROR[precision]:  # NaN too
            yield f"{name} is off by {error:.1e}"


def _report(error: RuntimeError, dev: Path) -> int:
    """Print why CUDA failed. Returns the exit status."""
    import torch

    from ishowtts.engines.f5.device import is_out_of_memory

    if is_out_of_memory(error):
        print(f"the memory of the GPU is taken, so it cannot be tried: {first_line(error)}")
        return NO_MEMORY
    if found := load_faults.explain(str(error), stock=load_faults.has_stock_libraries()):
        print("; ".join(found))
    elif closed := closed_nodes(dev):
        print(f"the service may not open {', '.join(closed)}: the group of each must be video or render")
    elif torch.cuda.is_available():
        capability = "{}{}".format(*torch.cuda.get_device_capability(0))
        print(
            f"{torch.cuda.get_device_name(0)} (sm_{capability}) cannot compute: {first_line(error)};"
            f" torch {torch.__version__} has {_built_for()}"
        )
    else:
        print(f"torch {torch.__version__} for CUDA {torch.version.cuda} finds no GPU: {first_line(error)}")
    return FAULT


def _built_for() -> str:
    import torch

    return f"code for {', '.join(torch.cuda.get_arch_list()) or 'no GPU'}"


def closed_nodes(dev: Path) -> list[str]:
    """The device nodes of the GPU that this process may not open."""
    nodes = sorted(node for pattern in _NODES for node in dev.glob(pattern) if not node.is_dir())
    return [str(node) for node in nodes if not os.access(node, os.R_OK | os.W_OK)][:8]


if __name__ == "__main__":
    sys.exit(main())
