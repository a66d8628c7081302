"""A measured kernel list in place of assumptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ishowtts.board.gpu_specs import find
from ishowtts.engines.f5.architecture import BASE
from ishowtts.errors import ConfigError
from ishowtts_bench import kernel_times
from ishowtts_bench.roofline import LIKELY, filling, segment
from ishowtts_bench.workload import OURS, Work, kernels

DIT = BASE.arch
H200 = find("h200")
NAMES = {
    "products": "nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NTT",
    "attention": "void flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128, 128, 4>>",
    "convolution": "sm80_xmma_fprop_implicit_gemm_f16f16_f16f32_f32_nhwckrsc_nhwc",
    "elementwise": "triton_red_fused_native_layer_norm_3",
}


def profile(efficiencies: dict[str, float], **changes: Any) -> dict[str, Any]:
    """What an H200 would print that reached these efficiencies in everything of each kind."""
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


def test_the_efficiencies_of_a_list_come_back(tmp_path: Path) -> None:
    found = kernel_times.read(written(tmp_path, profile(REACHED)))
    assert found.listed == pytest.approx(0.9)
    learned = kernel_times.learn(found, DIT, LIKELY, 5.0)
    assert learned.board == H200
    assert set(learned.kinds) == set(REACHED)
    given = learned.given
    assert (given.products, given.attention, given.convolution, given.memory) == pytest.approx(
        tuple(REACHED.values()), rel=0.01
    )
    estimate = segment(DIT, Work(5, 8, 7), OURS, find("agx-orin"), given)
    assert estimate.rtf > segment(DIT, Work(5, 8, 7), OURS, find("agx-orin"), LIKELY).rtf


def test_on_a_gpu_that_we_do_not_know_its_own_rates_stand_for_its_peak(tmp_path: Path) -> None:
    known = kernel_times.learn(kernel_times.read(written(tmp_path, profile(REACHED))), DIT, LIKELY, 5.0)
    slow = profile(REACHED, device="NVIDIA L20", flop_per_s=0.85 * H200.half_flop_per_s / 2)
    learned = kernel_times.learn(kernel_times.read(written(tmp_path, slow)), DIT, LIKELY, 5.0)
    assert learned.board is None
    # Without its number of processors, the filling is in the efficiency; at half the rate it reached twice as much.
    assert known.given.products < learned.given.products < 4 * known.given.products


def test_what_is_not_in_the_list_is_as_it_was_assumed(tmp_path: Path) -> None:
    content = profile(REACHED)
    content["kernels"] = [one for one in content["kernels"] if "flash" not in one["name"]]
    learned = kernel_times.learn(kernel_times.read(written(tmp_path, content)), DIT, LIKELY, 5.0)
    assert "attention" not in learned.kinds
    assert learned.given.attention == LIKELY.attention


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
def test_kernels_are_known_by_their_names(name: str, kind: str) -> None:
    assert kernel_times.classify(name) == kind


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no profile"),
        ("[" * 100_000, "is no profile"),
        ([1], "is no profile"),
        ({"kernels": [], "stages": []}, "does not say frames, nfe_step, flop_per_s, bytes_per_s, device, kernels"),
        (profile(REACHED, frames=None), "does not say frames"),
        (profile(REACHED, frames=1e300, nfe_step=float("inf")), "does not say frames, nfe_step;"),
        (profile(REACHED, flop_per_s=0), "does not say flop_per_s"),
        (profile(REACHED, frames=True), "does not say frames"),
        (profile(REACHED, kernels=[{"name": "x", "spent_s": "1", "share": 1}]), "does not say kernels"),
        (profile(REACHED, kernels=[{"name": "x", "spent_s": float("nan"), "share": 1}]), "does not say kernels"),
    ],
)
def test_what_a_file_lacks_is_told_in_one_sentence(tmp_path: Path, content: object, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigError) as told:
        kernel_times.read(path)
    assert said in str(told.value)
    assert str(path) in str(told.value)


def test_a_profile_shorter_than_the_voice_is_told(tmp_path: Path) -> None:
    found = kernel_times.read(written(tmp_path, profile(REACHED, frames=400)))
    with pytest.raises(ConfigError, match="400 frames are no longer than a reference of 5 s; say with --reference"):
        kernel_times.learn(found, DIT, LIKELY, 5.0)


def test_a_profile_of_another_model_is_refused(tmp_path: Path) -> None:
    found = kernel_times.read(written(tmp_path, profile({**REACHED, "attention": 1.5})))
    with pytest.raises(ConfigError, match="faster than the base model's arithmetic"):
        kernel_times.learn(found, DIT, LIKELY, 5.0)
    in_cache = kernel_times.read(written(tmp_path, profile({**REACHED, "elementwise": 2.0})))
    assert kernel_times.learn(in_cache, DIT, LIKELY, 5.0).given.memory > 1
