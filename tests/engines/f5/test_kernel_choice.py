"""The choice of kernels: on a GPU the fastest of those that run and are correct.

Here on the CPU, with a tape in place of CUDA graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ishowtts.engines.f5 import kernel_choice
from ishowtts.engines.f5.attention import ATTENTIONS, Attention
from ishowtts.engines.f5.cuda import kernel_candidates, kernel_timing
from ishowtts.engines.f5.cuda.kernel_candidates import BlockWeights
from ishowtts.engines.f5.elementwise import EagerElementwise
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE, LINEARS, KernelChoice, PlainConv, PlainLinear
from ishowtts.f5_switches import Switches
from support.fake_cuda_graph import TapeRecorder

pytestmark = pytest.mark.f5

WIDTH, HEADS = 128, 2


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(kernel_timing, "CudaCapture", TapeRecorder)
    monkeypatch.setattr(kernel_candidates, "_FRAMES", 96)
    monkeypatch.setattr(kernel_timing, "_REPEATS", 1)
    clock = SimpleNamespace(perf_counter=lambda: float(TapeRecorder.operators))
    monkeypatch.setattr(kernel_timing, "time", clock)


def block_weights() -> BlockWeights:
    generator = torch.Generator().manual_seed(0)

    def pair(outputs: int, inputs: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(outputs, inputs, generator=generator), torch.randn(outputs, generator=generator)

    return BlockWeights(
        qkv=pair(3 * WIDTH, WIDTH), out=pair(WIDTH, WIDTH), up=pair(2 * WIDTH, WIDTH), down=pair(WIDTH, 2 * WIDTH),
        conv=torch.randn(WIDTH, WIDTH // 16, 31, generator=generator), heads=HEADS,
    )  # fmt: skip


def choose(linear: str | None = None, *, fused: bool = True) -> KernelChoice:
    with torch.inference_mode():
        return kernel_choice.choose_on_cuda(block_weights(), linear=linear, fused=fused)


def chosen(conv: str, attention: str, elementwise: str, up: str = "cublasLt") -> KernelChoice:
    return KernelChoice(up=up, conv=conv, attention=attention, elementwise=elementwise)


def slower(run: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, but slower, in replays too."""

    def late(*given: Any) -> Any:
        for _ in range(20):
            result = run(*given)
        return result

    return late


@pytest.fixture
def all_there(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A GPU that has every kernel, and computes like the CPU."""
    monkeypatch.setitem(ATTENTIONS, "flash", ATTENTIONS["fused"])
    monkeypatch.setitem(ATTENTIONS, "efficient", slower(ATTENTIONS["fused"]))
    monkeypatch.setitem(LINEARS, "cublasLt", PlainLinear)
    monkeypatch.setitem(LINEARS, "plain", lambda *given, **options: slower(PlainLinear(*given, **options)))
    monkeypatch.setitem(CONVS, "triton", PlainConv)
    monkeypatch.setitem(CONVS, "plain", lambda weight: slower(PlainConv(weight)))
    monkeypatch.setitem(ELEMENTWISE, "triton", EagerElementwise)
    monkeypatch.setitem(ELEMENTWISE, "eager", Dawdling)
    return monkeypatch


class Dawdling(EagerElementwise):
    """Norms that take twenty times as long."""

    def norm(self, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return slower(super().norm)(x, scale, shift)  # type: ignore[no-any-return]


def test_the_fastest_correct_kernel_is_chosen(all_there: pytest.MonkeyPatch) -> None:
    assert choose() == chosen("triton", "flash", "triton")


def test_our_own_kernels_can_be_excluded(all_there: pytest.MonkeyPatch) -> None:
    assert choose(fused=False) == chosen("plain", "flash", "eager")


def test_a_wrong_kernel_is_not_chosen_however_fast_it_is(
    all_there: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def deaf(attend: Attention) -> Attention:
        return lambda q, k, v, lengths: attend(q, k, v, None)

    class Shifted(EagerElementwise):
        def activate_second_conv(self, conv: torch.Tensor, noisy: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            return super().activate_second_conv(conv, noisy, rows) + 0.1

    all_there.setitem(ATTENTIONS, "flash", deaf(ATTENTIONS["fused"]))
    all_there.setitem(CONVS, "triton", lambda weight: PlainConv(weight * 1.1))
    all_there.setitem(ELEMENTWISE, "triton", Shifted)
    all_there.setitem(
        LINEARS, "cublasLt", lambda weight, bias, gelu=False: PlainLinear(weight, bias * float("nan"), gelu)
    )
    assert choose() == chosen("plain", "efficient", "eager", up="plain")
    for name in ("flash", "triton", "cublasLt"):
        assert f"the kernel {name} (" in caplog.text


def test_a_kernel_that_cannot_be_captured_is_not_chosen(
    all_there: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fused = ATTENTIONS["fused"]

    def waiting(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: Any) -> torch.Tensor:
        float(q.sum())
        return fused(q, k, v, lengths)

    all_there.setitem(ATTENTIONS, "flash", waiting)
    assert choose().attention == "efficient"
    assert "the kernel flash cannot be captured" in caplog.text


def test_a_gpu_without_special_kernels_runs_the_plain_ones(caplog: pytest.LogCaptureFixture) -> None:
    """This CPU is such a device: it has no flash attention and no driver for Triton."""
    found = choose()
    assert (found.conv, found.attention, found.elementwise) == ("plain", "math", "eager")
    assert "no fused attention" in caplog.text


def test_products_in_eight_bits_are_used_if_the_gpu_has_them(all_there: pytest.MonkeyPatch) -> None:
    all_there.setitem(LINEARS, "fp8", lambda weight, bias, gelu=False: PlainLinear(weight * 1.02, bias, gelu))
    assert choose("fp8").products == dict.fromkeys(("qkv", "out", "up", "down"), "fp8")

    def refused(*_: object, **__: object) -> PlainLinear:
        raise RuntimeError("no such product here")

    all_there.setitem(LINEARS, "fp8", refused)
    assert choose("fp8").up == "plain"


class NoCompiler(EagerElementwise):
    """Fails like Triton without gcc."""

    def norm(self, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("Failed to find C compiler")


class Wrong(EagerElementwise):
    """Computes wrong, like a miscompiled kernel."""

    def norm(self, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return super().norm(x, scale, shift) + 0.1


@pytest.mark.parametrize(
    ("elementwise", "why"), [(NoCompiler, "Failed to find C compiler"), (Wrong, "a Triton kernel is off by 0.1")]
)
def test_one_sentence_says_that_triton_does_not_work(
    all_there: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, elementwise: type[EagerElementwise], why: str
) -> None:
    all_there.setitem(ELEMENTWISE, "triton", elementwise)
    assert choose() == chosen("plain", "flash", "eager")
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert "synthesis is slower without our own kernels" in told[0]
    assert why in told[0]


@pytest.mark.parametrize("step", ["activate_first_conv", "advance"])
def test_kernels_that_are_wrong_only_without_padding_are_not_chosen(
    all_there: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    class Careless(EagerElementwise):
        def activate_first_conv(
            self, noisy: torch.Tensor, rows: torch.Tensor, keep: torch.Tensor | None
        ) -> torch.Tensor:
            off = 1.0 if keep is None and step == "activate_first_conv" else 0.0
            return super().activate_first_conv(noisy, rows, keep) + off

        def advance(self, y: torch.Tensor, *given: Any, keep: torch.Tensor | None, **options: Any) -> None:
            super().advance(y, *given, keep=keep, **options)
            if keep is None and step == "advance":
                y.add_(1.0)

    all_there.setitem(ELEMENTWISE, "triton", Careless)
    assert choose() == chosen("triton", "flash", "eager")
    assert "the kernel triton (steps between the products) computes wrong" in caplog.text


@pytest.mark.parametrize("graphs", [False, True])
def test_runs_on_static_buffers_get_an_attention_that_reads_lengths_there(
    monkeypatch: pytest.MonkeyPatch, graphs: bool
) -> None:
    chosen: list[bool] = []
    monkeypatch.setattr(kernel_choice, "choose_on_cpu", lambda *_, fixed, **__: chosen.append(fixed) or KernelChoice())
    kernel_choice.choose_kernels(block_weights(), Switches(exact_padding=graphs, graphs=graphs))
    assert chosen == [graphs]


def test_switches_of_the_cpu_are_followed_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    off = Switches.off()
    assert kernel_choice.choose_kernels(block_weights(), off) == KernelChoice()
    assert kernel_choice.choose_kernels(block_weights(), replace(off, int8=True)) == KernelChoice.of_linear("int8")
    assert not caplog.records
    assert kernel_choice.choose_kernels(block_weights(), replace(off, fp8=True)) == KernelChoice()
    assert "this machine has no fp8 products" in caplog.text
