"""Replaces assumed efficiencies by those of kernels that `bench profile --json` measured. Imports no torch.

The efficiency of a kind of kernel is its minimum time divided by its measured time. For a known GPU, the minimum comes
from the rates of the data sheet and the filling of the SMs, otherwise from the rates that the profile contains.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ishowtts.board.gpu_specs import BOARDS, GpuSpec, identify
from ishowtts.engines.f5.architecture import HOP, RATE_HZ, DitConfig
from ishowtts.errors import ConfigError
from ishowtts_bench.roofline import Assumptions, filling
from ishowtts_bench.workload import OURS, KernelKind, Work, kernels

_MAX_CHARS = 4 << 20
_MAX_SHARE = 1.2  # of the rate, because clocks may exceed those of the data sheet
_MAX_CACHED_SHARE = 5.0  # of the memory's rate: second-level caches are up to three times as fast
_MAX_NAME_CHARS = 200
_MAX_COUNTS: Final = {"frames": 1e6, "nfe_step": 1e3}
_MAX_RATES: Final = {"flop_per_s": 1e19, "bytes_per_s": 1e16}
_MAX_OPTIONAL: Final = {"sms": 1e4, "memory_mb": 1e9, "clock_mhz": 1e5}

# The order matters: the name of a fused attention may contain "gemm", and that of a convolution "xmma".
_WORDS: Final[tuple[tuple[KernelKind, tuple[str, ...]], ...]] = (
    ("attention", ("flash", "fmha", "attention", "softmax_warp")),
    ("convolution", ("conv", "implicit", "winograd", "wgrad", "dgrad")),
    ("products", ("gemm", "gemv", "cutlass", "xmma", "nvjet", "sm80_", "sm90_", "ampere_", "cublas", "splitk",
                  "addmm", "::mm", "aten::bmm", "matmul")),
)  # fmt: skip
_OWN_KERNELS: Final[dict[str, KernelKind]] = {
    "multiply": "products",  # with its epilogue
    "_activate_first_conv": "elementwise",  # what follows a convolution
    "_activate_second_conv": "elementwise",
}
"""Our own Triton kernels whose names would be mistaken for another kind."""


@dataclass(frozen=True)
class KernelProfile:
    """A measured profile.

    Args:
        sms, memory_mb, clock_mhz: What the driver reported beside the name; `None` if the profile lacks it.
        spent_s: Time of each kind of kernel in a whole segment.
        listed: Share of the time of all kernels that the list contains.
    """

    device: str
    frames: int
    nfe_step: int
    flop_per_s: float
    bytes_per_s: float
    spent_s: dict[KernelKind, float]
    listed: float
    sms: int | None = None
    memory_mb: float | None = None
    clock_mhz: float | None = None


@dataclass(frozen=True)
class MeasuredEfficiencies:
    """Assumptions with measured efficiencies.

    Args:
        kinds: Kinds that were measured. The others keep their assumed efficiency.
        board: Board whose data sheet the efficiencies refer to; `None` if they refer to the rates of the profile.
    """

    assumptions: Assumptions
    kinds: tuple[KernelKind, ...]
    board: GpuSpec | None


def classify(name: str) -> KernelKind:
    """Find the kind of a kernel from its name. A name without a known word is elementwise."""
    if name in _OWN_KERNELS:
        return _OWN_KERNELS[name]
    lower = name.lower()
    return next((kind for kind, words in _WORDS if any(word in lower for word in words)), "elementwise")


def read(path: Path) -> KernelProfile:
    """Read a profile, or the one in `figures.json` of `scripts/bench-gpu`.

    Raises ConfigError with one sentence that says what is missing.
    """
    try:
        with path.open(encoding="utf-8") as file:
            content = json.loads(file.read(_MAX_CHARS))
    except OSError as error:
        raise ConfigError([f"{path} cannot be read ({error.strerror}); name a profile"]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path} is not a profile; `ishowtts bench profile --json` makes one"]) from error
    if not isinstance(content, dict):
        raise ConfigError([f"{path} is not a profile; `ishowtts bench profile --json` makes one"])
    content = _of_suite(content, path)
    missing = [name for name, limit in _MAX_COUNTS.items() if not _is_count(content.get(name), limit)]
    missing += [name for name, limit in _MAX_RATES.items() if not _is_number(content.get(name), limit)]
    missing += [] if _is_name(content.get("device")) else ["device"]
    listed = content.get("kernels")
    found = listed if isinstance(listed, list) and all(_is_kernel(kernel) for kernel in listed) else []
    missing += [] if any(kernel["spent_s"] for kernel in found) else ["kernels"]
    missing += [name for name, limit in _MAX_OPTIONAL.items() if not _is_optional(content.get(name), limit)]
    if missing:
        raise ConfigError(
            [f"{path} lacks {', '.join(missing)}; make the profile again with `ishowtts bench profile --json`"]
        )
    if content["device"] == "cpu":
        raise ConfigError(
            [f"{path} is of a CPU; make the profile on a GPU: ishowtts bench profile --model base --json"]
        )
    spent: dict[KernelKind, float] = {}
    for kernel in found:
        kind = classify(kernel["name"])
        spent[kind] = spent.get(kind, 0.0) + kernel["spent_s"]
    return KernelProfile(
        content["device"], content["frames"], content["nfe_step"], content["flop_per_s"], content["bytes_per_s"], spent,
        min(1.0, sum(kernel["share"] for kernel in found)),
        **{name: content.get(name) for name in _MAX_OPTIONAL},
    )  # fmt: skip


def measured_efficiencies(
    profile: KernelProfile, dit: DitConfig, assumptions: Assumptions, reference_s: float
) -> MeasuredEfficiencies:
    """Compute the efficiencies of our implementation on the GPU of the profile.

    Raises:
        ConfigError: The profile is not longer than the reference, or not of the base model on a GPU, or does not
            tell which of several boards it is from.
    """
    speech_s = profile.frames * HOP / RATE_HZ - reference_s
    if speech_s <= 0:
        raise ConfigError(
            [f"the profile's {profile.frames} frames are not longer than a reference of {reference_s:g} s; "
             "give the length of its reference with --reference"]
        )  # fmt: skip
    board = _board(profile)
    flop_per_s = board.half_flop_per_s if board else profile.flop_per_s / assumptions.large_product
    bytes_per_s = board.bytes_per_s if board else profile.bytes_per_s / assumptions.large_copy
    least_s: dict[KernelKind, float] = {}
    for kernel in kernels(dit, Work(reference_s, speech_s, profile.nfe_step), OURS):
        if kernel.kind == "elementwise":
            minimum_s = kernel.bytes / bytes_per_s
        elif kernel.half:
            minimum_s = kernel.flop / (flop_per_s * (filling(kernel, board.sms) if board else 1.0))
        else:
            continue  # fp32 products of the text encoder are a thousandth
        least_s[kernel.kind] = least_s.get(kernel.kind, 0.0) + kernel.calls * minimum_s
    measured = {kind: least_s[kind] / spent_s for kind, spent_s in profile.spent_s.items() if spent_s > 0}
    # Elementwise kernels may find their operands in the cache. Other kernels cannot exceed the rate.
    most = {kind: _MAX_CACHED_SHARE if kind == "elementwise" else _MAX_SHARE for kind in measured}
    if any(share > most[kind] for kind, share in measured.items()):
        raise ConfigError(
            ["the kernels of the profile are faster than those of the base model can be; make it again on a GPU: "
             "ishowtts bench profile --model base --json"]
        )  # fmt: skip
    measured_assumptions = replace(
        assumptions,
        name="measured",
        products=measured.get("products", assumptions.products),
        attention=measured.get("attention", assumptions.attention),
        convolution=measured.get("convolution", assumptions.convolution),
        memory=measured.get("elementwise", assumptions.memory),
    )
    return MeasuredEfficiencies(measured_assumptions, tuple(measured), board)


def _board(profile: KernelProfile) -> GpuSpec | None:
    """The board of the profile; `None` if there is no data sheet of it, or if its driver reports too little."""
    board = identify(profile.device, profile.sms, profile.memory_mb, profile.clock_mhz)
    boards = [board for board in BOARDS if board.gpu in profile.device.replace("_", " ").split()]
    if board is None and boards and profile.sms is None:
        raise ConfigError(
            [f"the profile does not say which {boards[0].gpu} it is from: "
             f"{', '.join(board.title for board in boards)}; make it again with `ishowtts bench profile --json`"]
        )  # fmt: skip
    return board


def _of_suite(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The profile in the figures of `scripts/bench-gpu`; what is not such figures is returned as it is."""
    steps = content.get("steps")
    if not isinstance(steps, dict):
        return content
    step = steps.get("profile")
    figures = step.get("figures") if isinstance(step, dict) else None
    if not isinstance(figures, dict):
        raise ConfigError([f"{path} has no figures of a profile; run scripts/bench-gpu --only profile"])
    return figures


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= _MAX_NAME_CHARS


def _is_count(value: Any, limit: float) -> bool:
    return isinstance(value, int) and _is_number(value, limit)


def _is_optional(value: Any, limit: float) -> bool:
    return value is None or _is_number(value, limit)


def _is_number(value: Any, limit: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= limit


def _is_kernel(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and all(isinstance(value.get(name), int | float) and 0 <= value[name] < 1e9 for name in ("spent_s", "share"))
    )
