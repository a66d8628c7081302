"""Efficiencies from a measured list of kernels."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import ishowtts
from ishowtts.board.gpu_specs import find
from ishowtts.engines.f5.architecture import BASE
from ishowtts.errors import ConfigError
from ishowtts_bench import kernel_times
from ishowtts_bench.roofline import LIKELY, filling, segment
from ishowtts_bench.workload import OURS, Work, kernels

CUDA = Path(ishowtts.__file__).parent / "engines/f5/cuda"
DIT = BASE.arch
H200 = find("h200")
NAMES = {
    "products": "nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NTT",
    "attention": "void flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128, 128, 4>>",
    "convolution": "sm80_xmma_fprop_implicit_gemm_f16f16_f16f32_f32_nhwckrsc_nhwc",
    "elementwise": "triton_red_fused_native_layer_norm_3",
}


def profile(efficiencies: dict[str, float], **changes: Any) -> dict[str, Any]:
    """Make the profile of an H200 on which each kind of kernel reaches this efficiency."""
    spent: dict[str, float] = {}
    for kernel in kernels(DIT, Work(5, 8, 7), OURS):
        if kernel.kind == "elementwise":
            least_s = kernel.bytes / H200.bytes_per_s
        elif kernel.half:
            least_s = kernel.flop / (H200.half_flop_per_s * filling(kernel, H200.sms))
        else:
            continue
        spent[kernel.kind] = spent.get(kernel.kind, 0.0) + kernel.calls * least_s / efficiencies[kernel.kind]
    whole_s = sum(spent.values()) / 0.9
    listed = [{"name": NAMES[kind], "spent_s": s, "share": s / whole_s, "calls": 7} for kind, s in spent.items()]
    return {
        "stages": [], "kernels": listed, "frames": 1219, "nfe_step": 7, "device": "NVIDIA H200",
        "flop_per_s": 7e14, "bytes_per_s": 4e12,
    } | changes  # fmt: skip


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "profile.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


REACHED = {"products": 0.61, "attention": 0.37, "convolution": 0.11, "elementwise": 0.68}


def test_a_profile_gives_back_its_efficiencies(tmp_path: Path) -> None:
    found = kernel_times.read(written(tmp_path, profile(REACHED)))
    assert found.listed == pytest.approx(0.9)
    learned = kernel_times.measured_efficiencies(found, DIT, LIKELY, 5.0)
    assert learned.board == H200
    assert set(learned.kinds) == set(REACHED)
    reached = learned.assumptions
    assert (reached.products, reached.attention, reached.convolution, reached.memory) == pytest.approx(
        tuple(REACHED.values()), rel=0.01
    )
    estimate = segment(DIT, Work(5, 8, 7), OURS, find("agx-orin"), reached)
    assert estimate.rtf > segment(DIT, Work(5, 8, 7), OURS, find("agx-orin"), LIKELY).rtf


def test_an_unknown_gpu_is_compared_with_its_measured_rates(tmp_path: Path) -> None:
    known = kernel_times.measured_efficiencies(kernel_times.read(written(tmp_path, profile(REACHED))), DIT, LIKELY, 5.0)
    slow = profile(REACHED, device="NVIDIA L20", flop_per_s=0.85 * H200.half_flop_per_s / 2)
    learned = kernel_times.measured_efficiencies(kernel_times.read(written(tmp_path, slow)), DIT, LIKELY, 5.0)
    assert learned.board is None
    # Without its number of processors, the filling is in the efficiency; at half the rate it reached twice as much.
    assert known.assumptions.products < learned.assumptions.products < 4 * known.assumptions.products


ORIN_NX = {"device": "Orin", "sms": 8, "memory_mb": 16_000.0}


@pytest.mark.parametrize(
    ("described", "board"),
    [
        ({"device": "Orin", "sms": 16, "memory_mb": 64_000.0, "clock_mhz": 1300.0}, "agx-orin"),
        (ORIN_NX | {"clock_mhz": 1173.0}, "orin-nx-super"),
        (ORIN_NX | {"clock_mhz": 918.0}, "orin-nx"),
        ({"device": "Orin", "sms": 8, "memory_mb": 7_990.0, "clock_mhz": None}, "orin-nano-super"),
        ({"device": "NVIDIA Thor", "sms": None}, "thor"),  # of an earlier version, with a name that says enough
        ({}, "h200"),
    ],
)
def test_boards_of_one_name_are_told_apart(tmp_path: Path, described: dict[str, Any], board: str) -> None:
    found = kernel_times.read(written(tmp_path, profile(dict.fromkeys(REACHED, 0.01), **described)))
    learned = kernel_times.measured_efficiencies(found, DIT, LIKELY, 5.0)
    assert learned.board == find(board)


def test_the_efficiencies_of_orin_nx_are_its_own(tmp_path: Path) -> None:
    """Compared with AGX Orin, which has 2.2 times its rate, they would be 2.2 times too low."""
    nx = find("orin-nx-super")
    products_s = sum(
        kernel.calls * kernel.flop / (nx.half_flop_per_s * filling(kernel, nx.sms))
        for kernel in kernels(DIT, Work(5, 8, 7), OURS)
        if kernel.kind == "products" and kernel.half
    )
    listed = [{"name": NAMES["products"], "spent_s": products_s / 0.5, "share": 1.0, "calls": 7}]
    found = kernel_times.read(written(tmp_path, profile(REACHED, **ORIN_NX, clock_mhz=1173.0, kernels=listed)))
    assert kernel_times.measured_efficiencies(found, DIT, LIKELY, 5.0).assumptions.products == pytest.approx(0.5)


def test_an_old_profile_that_may_be_of_several_boards_is_refused(tmp_path: Path) -> None:
    found = kernel_times.read(written(tmp_path, profile(REACHED, device="Orin")))
    with pytest.raises(ConfigError, match=r"does not say which Orin it is from: AGX Orin 64 GB, .*; make it again"):
        kernel_times.measured_efficiencies(found, DIT, LIKELY, 5.0)


def test_a_board_whose_clock_is_unknown_is_compared_with_its_measured_rates(tmp_path: Path) -> None:
    rates = {"flop_per_s": 0.85 * H200.half_flop_per_s, "bytes_per_s": 0.8 * H200.bytes_per_s}
    found = kernel_times.read(written(tmp_path, profile(REACHED, **ORIN_NX, clock_mhz=None, **rates)))
    assert kernel_times.measured_efficiencies(found, DIT, LIKELY, 5.0).board is None


def test_a_kind_that_the_list_lacks_keeps_its_assumption(tmp_path: Path) -> None:
    content = profile(REACHED)
    content["kernels"] = [one for one in content["kernels"] if "flash" not in one["name"]]
    learned = kernel_times.measured_efficiencies(kernel_times.read(written(tmp_path, content)), DIT, LIKELY, 5.0)
    assert "attention" not in learned.kinds
    assert learned.assumptions.attention == LIKELY.attention


OUR_KERNELS = {
    "attention": {"_flash_attention"},
    "convolution": {"_convolve"},
    "products": {"multiply"},
    "elementwise": {
        "_norm", "_gate_norm", "_rotate", "_activate_first_conv", "_activate_second_conv", "_advance", "_quantise",
        "_norm_quantised", "_finish",
    },
}  # fmt: skip


def test_our_own_kernels_are_known_by_their_names() -> None:
    launched: set[str] = set()
    for path in Path(kernel_times.__file__).parents[1].glob("ishowtts/engines/f5/cuda/*.py"):
        source = path.read_text()
        kernels_here = re.findall(r"@triton\.jit.*\n(?:@.*\n)*def (\w+)", source)
        launched |= {name for name in kernels_here if re.search(rf"\b{name}\[", source)}
    assert launched == set().union(*OUR_KERNELS.values())
    assert {kind: {name for name in launched if kernel_times.classify(name) == kind} for kind in OUR_KERNELS} == (
        OUR_KERNELS
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for kind, name in NAMES.items()),
        ("ampere_fp16_s16816gemm_fp16_128x128_ldg8_f2f_stages_32x5_tn", "products"),
        ("void cutlass::Kernel2<cutlass_80_tensorop_f16_s16816gemm_relu_f16_128x64>", "products"),
        ("fmha_cutlassF_f16_aligned_64x64_rf_sm80(PyTorchMemEffAttention)", "attention"),
        ("fmha_v2_fp16_64_S_64_sm87_kernel_nl", "attention"),
        ("void cudnn::cnn::conv2d_grouped_direct_kernel<false>", "convolution"),
        ("_norm_modulate_kernel", "elementwise"),
        ("void at::native::vectorized_elementwise_kernel<4>", "elementwise"),
        ("Memcpy HtoD (Pinned -> Device)", "elementwise"),
    ],
)
def test_the_kind_of_a_kernel_follows_from_its_name(name: str, kind: str) -> None:
    assert kernel_times.classify(name) == kind


def test_every_kernel_of_ours_has_its_kind() -> None:
    """By their names alone, `multiply` would be elementwise, and what follows a convolution a convolution."""
    kinds = {name: kernel_times.classify(name) for name in own_kernels()}
    assert {name: kind for name, kind in kinds.items() if kind != "elementwise"} == {
        "multiply": "products",
        "_convolve": "convolution",
        "_flash_attention": "attention",
    }
    assert kernel_times._OWN_KERNELS.keys() <= kinds.keys()


def own_kernels() -> set[str]:
    """Names of the Triton kernels that our engine launches, as a profile lists them."""
    sources = "".join(path.read_text(encoding="utf-8") for path in CUDA.glob("*.py"))
    functions = set(re.findall(r"^@triton\.jit[^\n]*\ndef (\w+)\(", sources, re.MULTILINE))
    launched = set(re.findall(r"(\w+)\[[^\]]*\]\(", sources))
    assert len(functions & launched) >= 8
    return functions & launched


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a profile"),
        ("[" * 100_000, "is not a profile"),
        ([1], "is not a profile"),
        ({"kernels": [], "stages": []}, "lacks frames, nfe_step, flop_per_s, bytes_per_s, device, kernels"),
        (profile(REACHED, frames=None), "lacks frames"),
        (profile(REACHED, frames=1e300, nfe_step=float("inf")), "lacks frames, nfe_step;"),
        (profile(REACHED, flop_per_s=0), "lacks flop_per_s"),
        (profile(REACHED, sms="8", clock_mhz=-1), "lacks sms, clock_mhz;"),
        (profile(REACHED, frames=True), "lacks frames"),
        (profile(REACHED, kernels=[{"name": "x", "spent_s": "1", "share": 1}]), "lacks kernels"),
        (profile(REACHED, kernels=[{"name": "x", "spent_s": float("nan"), "share": 1}]), "lacks kernels"),
        (profile(REACHED, kernels=[{"name": "x", "spent_s": 0, "share": 0}]), "lacks kernels"),
        (profile(REACHED, nfe_step=0.5, frames=1219.0), "lacks frames, nfe_step;"),
        (profile(REACHED, device="\x1b[2J"), "lacks device"),
        (profile(REACHED, device="\ud800"), "lacks device"),
        (profile(REACHED, device=""), "lacks device"),
        (profile(REACHED, device="cpu"), "is of a CPU; make the profile on a GPU"),
        ({"steps": {"speed": {}}}, "has no figures of a profile; run scripts/bench-gpu --only profile"),
        ({"steps": {"profile": {"figures": {"frames": 1}}}}, "lacks nfe_step"),
    ],
)
def test_one_sentence_names_what_a_file_lacks(tmp_path: Path, content: object, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigError) as error:
        kernel_times.read(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_the_figures_of_bench_gpu_contain_a_profile(tmp_path: Path) -> None:
    figures = {"model": "base", "steps": {"profile": {"status": "ok", "figures": profile(REACHED)}}}
    assert kernel_times.read(written(tmp_path, figures)).device == "NVIDIA H200"


def test_a_profile_shorter_than_its_reference_is_refused(tmp_path: Path) -> None:
    found = kernel_times.read(written(tmp_path, profile(REACHED, frames=400)))
    with pytest.raises(
        ConfigError, match="400 frames are not longer than a reference of 5 s; give the length of its reference"
    ):
        kernel_times.measured_efficiencies(found, DIT, LIKELY, 5.0)


def test_a_profile_of_another_model_is_refused(tmp_path: Path) -> None:
    found = kernel_times.read(written(tmp_path, profile({**REACHED, "attention": 1.5})))
    with pytest.raises(ConfigError, match="faster than those of the base model"):
        kernel_times.measured_efficiencies(found, DIT, LIKELY, 5.0)
    in_cache = kernel_times.read(written(tmp_path, profile({**REACHED, "elementwise": 2.0})))
    assert kernel_times.measured_efficiencies(in_cache, DIT, LIKELY, 5.0).assumptions.memory > 1
    impossible = kernel_times.read(written(tmp_path, profile({**REACHED, "elementwise": 1e9})))
    with pytest.raises(ConfigError, match="faster than those of the base model"):
        kernel_times.measured_efficiencies(impossible, DIT, LIKELY, 5.0)
