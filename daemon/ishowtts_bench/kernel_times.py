"""A kernel list that `bench profile --json` measured on some GPU, in place of assumed efficiencies. Imports no torch.

An efficiency is the least time that a kind of kernel needs over the time it took: at the rates of the data sheet and
with its processors filled as tiles allow where the GPU is known, else at the rates that the profile's machine reached.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ishowtts.board.gpu_specs import BOARDS, GpuSpec
from ishowtts.engines.f5.architecture import HOP, RATE_HZ, DitConfig
from ishowtts.errors import ConfigError
from ishowtts_bench.roofline import Assumptions, filling
from ishowtts_bench.workload import OURS, KernelKind, Work, kernels

_MOST_CHARS = 4 << 20
_MOST_SHARE = 1.2  # of the rate; clocks above those of the data sheet are allowed for
_MOST: Final = {"frames": 1e6, "nfe_step": 1e3, "flop_per_s": 1e19, "bytes_per_s": 1e16}

# In this order: a fused attention may carry "gemm" in its name, and a convolution "xmma".
_WORDS: Final[tuple[tuple[KernelKind, tuple[str, ...]], ...]] = (
    ("attention", ("flash", "fmha", "attention", "softmax_warp")),
    ("convolution", ("conv", "implicit", "winograd", "wgrad", "dgrad")),
    ("products", ("gemm", "gemv", "cutlass", "xmma", "nvjet", "sm80_", "sm90_", "ampere_", "cublas", "splitk",
                  "addmm", "::mm", "aten::bmm", "matmul")),
)  # fmt: skip


@dataclass(frozen=True)
class KernelProfile:
    """What was measured.

    Args:
        spent_s: of each kind, a whole segment.
        listed: the part of all kernels' time that the list names; what it leaves out is in no kind.
    """

    device: str
    frames: int
    nfe_step: int
    flop_per_s: float
    bytes_per_s: float
    spent_s: dict[KernelKind, float]
    listed: float


@dataclass(frozen=True)
class Learned:
    """Assumptions with measured efficiencies in them.

    Args:
        kinds: those that were measured; the others are as they were assumed.
        board: whose data sheet they are a share of; `None`: of the profile's own rates.
    """

    given: Assumptions
    kinds: tuple[KernelKind, ...]
    board: GpuSpec | None


def classify(name: str) -> KernelKind:
    """What a kernel computes, by its name; what none of the words tells is elementwise."""
    lower = name.lower()
    return next((kind for kind, words in _WORDS if any(word in lower for word in words)), "elementwise")


def read(path: Path) -> KernelProfile:
    """A profile. Raises ConfigError with one sentence that says what is missing."""
    try:
        with path.open(encoding="utf-8") as file:
            content = json.loads(file.read(_MOST_CHARS))
    except OSError as error:
        raise ConfigError([f"{path} cannot be read ({error.strerror}); name a profile"]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path} is no profile; `ishowtts bench profile --json` makes one"]) from error
    if not isinstance(content, dict):
        raise ConfigError([f"{path} is no profile; `ishowtts bench profile --json` makes one"])
    missing = [name for name, most in _MOST.items() if not _is_number(content.get(name), most)]
    missing += [] if isinstance(content.get("device"), str) else ["device"]
    listed = content.get("kernels")
    found = listed if isinstance(listed, list) and all(_is_kernel(kernel) for kernel in listed) else []
    missing += [] if found else ["kernels"]
    if missing:
        raise ConfigError(
            [f"{path} does not say {', '.join(missing)}; make the profile anew with `ishowtts bench profile --json`"]
        )
    spent: dict[KernelKind, float] = {}
    for kernel in found:
        kind = classify(kernel["name"])
        spent[kind] = spent.get(kind, 0.0) + kernel["spent_s"]
    return KernelProfile(
        content["device"], int(content["frames"]), int(content["nfe_step"]), content["flop_per_s"],
        content["bytes_per_s"], spent, min(1.0, sum(kernel["share"] for kernel in found)),
    )  # fmt: skip


def learn(profile: KernelProfile, dit: DitConfig, given: Assumptions, reference_s: float) -> Learned:
    """Efficiencies of our recipe on the profile's GPU.

    Raises:
        ConfigError: the profile is all reference, or of something else than the base model on a GPU.
    """
    speech_s = profile.frames * HOP / RATE_HZ - reference_s
    if speech_s <= 0:
        raise ConfigError(
            [f"the profile's {profile.frames} frames are no longer than a reference of {reference_s:g} s; "
             "say with --reference how long the reference of the profile was"]
        )  # fmt: skip
    board = next((board for board in BOARDS if board.gpu in profile.device.split()), None)
    flop_per_s = board.half_flop_per_s if board else profile.flop_per_s / given.large_product
    bytes_per_s = board.bytes_per_s if board else profile.bytes_per_s / given.large_copy
    least_s: dict[KernelKind, float] = {}
    for kernel in kernels(dit, Work(reference_s, speech_s, profile.nfe_step), OURS):
        if kernel.kind == "elementwise":
            floor_s = kernel.bytes / bytes_per_s
        elif kernel.half:
            floor_s = kernel.flop / (flop_per_s * (filling(kernel, board.sms) if board else 1.0))
        else:
            continue  # fp32 products of the text encoder: a thousandth
        least_s[kernel.kind] = least_s.get(kernel.kind, 0.0) + kernel.calls * floor_s
    measured = {kind: least_s[kind] / spent_s for kind, spent_s in profile.spent_s.items() if spent_s > 0}
    # What is elementwise may find its operands in the cache; arithmetic cannot be faster than it is.
    if any(share > _MOST_SHARE for kind, share in measured.items() if kind != "elementwise"):
        raise ConfigError(
            ["the kernels of the profile are faster than the base model's arithmetic can be; make it anew on a GPU: "
             "ishowtts bench profile --model base --json"]
        )  # fmt: skip
    learned = replace(
        given,
        name="measured",
        products=measured.get("products", given.products),
        attention=measured.get("attention", given.attention),
        convolution=measured.get("convolution", given.convolution),
        memory=measured.get("elementwise", given.memory),
    )
    return Learned(learned, tuple(measured), board)


def _is_number(value: Any, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most


def _is_kernel(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and all(isinstance(value.get(name), int | float) and 0 <= value[name] < 1e9 for name in ("spent_s", "share"))
    )
