"""The choice of kernels: on a GPU the fastest of those that run and are correct.

Here on the CPU, with a tape in place of CUDA graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ishowtts.engines.f5 import kernel_choice, throughput
from ishowtts.engines.f5.attention import ATTENTIONS, Attention
from ishowtts.engines.f5.block_steps import Activations, QuantisedRows
from ishowtts.engines.f5.cuda import kernel_candidates, kernel_timing
from ishowtts.engines.f5.cuda.kernel_candidates import BlockWeights, EightBits
from ishowtts.engines.f5.cuda.kernel_timing import CandidateGroup, KernelTiming
from ishowtts.engines.f5.cuda.tiles import INT8_TILES, TILES
from ishowtts.engines.f5.duration import BUCKETS
from ishowtts.engines.f5.elementwise import EagerElementwise
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE, KernelChoice, PlainConv
from ishowtts.f5_switches import Switches
from support.fake_cuda_graph import TapeRecorder

pytestmark = pytest.mark.f5

WIDTH, HEADS = 128, 2
PLACES = ("qkv", "out", "up", "down")
TILED = "triton-64x64x64"
FRAMES = kernel_candidates.FRAMES  # before the tests reduce it


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(kernel_timing, "CudaCapture", TapeRecorder)
    monkeypatch.setattr(kernel_candidates, "FRAMES", 48)
    monkeypatch.setattr(kernel_timing, "_REPEATS", 1)
    clock = SimpleNamespace(perf_counter=lambda: float(TapeRecorder.operators))
    for module in (throughput, kernel_timing):
        monkeypatch.setattr(module, "time", clock)


def block_weights(dtype: torch.dtype = torch.float32) -> BlockWeights:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    def pair(outputs: int, inputs: int) -> tuple[torch.Tensor, torch.Tensor]:
        return draw(outputs, inputs), draw(outputs)

    return BlockWeights(
        qkv=pair(3 * WIDTH, WIDTH), out=pair(WIDTH, WIDTH), up=pair(2 * WIDTH, WIDTH), down=pair(WIDTH, 2 * WIDTH),
        conv=draw(WIDTH, WIDTH // 16, 31), heads=HEADS,
    )  # fmt: skip


def choose(
    eight_bits: EightBits | None = None,
    *,
    fused: bool = True,
    merge_qkv: bool = True,
    dtype: torch.dtype = torch.float32,
) -> KernelChoice:
    weights = block_weights(dtype)
    with torch.inference_mode():
        return kernel_choice.choose_on_cuda(weights, eight_bits=eight_bits, fused=fused, merge_qkv=merge_qkv)


def choose_products(eight_bits: EightBits | None = None, **options: bool) -> dict[str, str]:
    """The products in half precision, which our own need."""
    return choose(eight_bits, dtype=torch.bfloat16, **options).products


def chosen(conv: str, attention: str, elementwise: str) -> KernelChoice:
    """A choice with the products that are the fastest by `Products`."""
    products = {"qkv": "mm", "out": "mm", "up": "cublasLt", "down": "mm"}
    return KernelChoice(**products, conv=conv, attention=attention, elementwise=elementwise)


def slower(run: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, but slower, in replays too."""

    def late(*given: Any) -> Any:
        for _ in range(8):
            result = run(*given)
        return result

    return late


class Products:
    """Stands for the products that a GPU has. All compute like `plain`.

    Attributes:
        costs: how often each computes its result, by its name, or by its place in a block and its name. What has no
            cost is missing on this GPU.
        errors: the relative error of some of them.
        asked: the place and the name of each that was made.
    """

    def __init__(self) -> None:
        self.costs = {"plain": 8, "mm": 4, "split": 6, "cublasLt": 1}
        self.errors: dict[str, float] = {}
        self.asked: list[str] = []

    def stand_in(self, make: Callable[..., Any], place: str | None) -> Callable[..., Any]:
        def made(name: str, weight: torch.Tensor, bias: torch.Tensor, *more: Any, **options: Any) -> Any:
            where = place or ("out" if weight.shape == (WIDTH, WIDTH) else "down")
            key = f"{where} {name}"
            self.asked.append(key)
            cost = self.costs.get(key, self.costs.get(name))
            if cost is None:
                raise RuntimeError("no such product here")
            error = 1 + self.errors.get(key, self.errors.get(name, 0.0))
            step = make("plain", weight * error, bias * error, *more, **options)

            def run(z: Activations, *given: Any) -> Any:
                z = z.restored() if isinstance(z, QuantisedRows) else z
                for _ in range(cost):
                    result = step(z, *given)
                return result

            return run

        return made


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> Products:
    made = Products()
    for name, place in (("make_qkv", "qkv"), ("make_up", "up"), ("make_residual", None)):
        monkeypatch.setattr(kernel_candidates, name, made.stand_in(getattr(kernel_candidates, name), place))
    return made


@pytest.fixture
def all_there(monkeypatch: pytest.MonkeyPatch, products: Products) -> pytest.MonkeyPatch:
    """A GPU that has every kernel, and computes like the CPU."""
    monkeypatch.setitem(ATTENTIONS, "flash", ATTENTIONS["fused"])
    monkeypatch.setitem(ATTENTIONS, "efficient", slower(ATTENTIONS["fused"]))
    monkeypatch.setitem(CONVS, TILED, PlainConv)
    monkeypatch.setitem(CONVS, "plain", lambda weight: slower(PlainConv(weight)))
    monkeypatch.setitem(ELEMENTWISE, "triton", EagerElementwise)
    monkeypatch.setitem(ELEMENTWISE, "eager", Dawdling)
    return monkeypatch


class Dawdling(EagerElementwise):
    """Norms that take eight times as long."""

    def norm(self, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return slower(super().norm)(x, scale, shift)  # type: ignore[no-any-return]


def test_the_fastest_correct_kernel_is_chosen(all_there: pytest.MonkeyPatch) -> None:
    assert choose() == chosen(TILED, "flash", "triton")


def test_our_own_kernels_can_be_excluded(all_there: pytest.MonkeyPatch) -> None:
    assert choose(fused=False) == chosen("plain", "flash", "eager")


def test_a_wrong_kernel_is_not_chosen_however_fast_it_is(
    all_there: pytest.MonkeyPatch, products: Products, caplog: pytest.LogCaptureFixture
) -> None:
    def deaf(attend: Attention) -> Attention:
        return lambda q, k, v, lengths: attend(q, k, v, None)

    class Shifted(EagerElementwise):
        def activate_second_conv(self, conv: torch.Tensor, noisy: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            return super().activate_second_conv(conv, noisy, rows) + 0.1

    all_there.setitem(ATTENTIONS, "flash", deaf(ATTENTIONS["fused"]))
    all_there.setitem(CONVS, TILED, lambda weight: PlainConv(weight * 1.1))
    all_there.setitem(ELEMENTWISE, "triton", Shifted)
    products.errors["cublasLt"] = float("nan")
    assert choose() == replace(chosen("plain", "efficient", "eager"), up="mm")
    for name in ("flash", "triton", TILED, "cublasLt"):
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


def test_each_product_gets_the_kernel_that_is_the_fastest_for_it(
    products: Products, all_there: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (f"triton-{tile.name}" for tile in TILES[:2])
    products.costs |= {first: 3, f"down {second}": 2, "qkv mm": 9}
    products.errors[f"out {first}"] = 0.2
    assert choose_products() == {"qkv": first, "out": "mm", "up": "cublasLt", "down": second}
    assert f"the kernel {first} (out) computes wrong" in caplog.text
    assert not any("int8" in key or "fp8" in key for key in products.asked)


def test_queries_keys_and_values_apart_have_pytorchs_product(products: Products, all_there: pytest.MonkeyPatch) -> None:
    products.costs |= dict.fromkeys([f"triton-{TILES[0].name}", f"int8-fused-{INT8_TILES[0].name}"], 1)
    products.costs["int8-cuda"] = 2
    assert choose_products(merge_qkv=False)["qkv"] == "plain"
    assert choose_products("int8", merge_qkv=False)["qkv"] == "int8-cuda"
    assert {key for key in products.asked if key.startswith("qkv")} == {"qkv plain", "qkv int8-cuda"}


def test_our_own_products_are_not_compiled_when_the_time_is_up(
    products: Products, all_there: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    products.costs[f"triton-{TILES[0].name}"] = 1
    all_there.setattr(kernel_candidates, "_LONGEST_COMPILE_S", -1.0)
    assert choose_products() == {"qkv": "mm", "out": "mm", "up": "cublasLt", "down": "mm"}
    assert "our own are not tried for the product 'down'" in caplog.text
    assert not any("triton" in key for key in products.asked)


def test_products_in_eight_bits_are_used_if_the_gpu_has_them(
    products: Products, all_there: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    products.costs["fp8"], products.errors["fp8"] = 1, 0.04
    assert choose_products("fp8") == dict.fromkeys(PLACES, "fp8")
    assert "fp8 products differ from exact ones by: qkv 4" in caplog.text
    assert "faster and more exact" not in caplog.text
    products.errors["up fp8"] = 0.5
    assert choose_products("fp8") == {"qkv": "fp8", "out": "fp8", "up": "cublasLt", "down": "fp8"}
    assert "this GPU has no fp8 products for up; they stay in bfloat16" in caplog.text
    del products.costs["fp8"]
    assert choose_products("fp8") == {"qkv": "mm", "out": "mm", "up": "cublasLt", "down": "mm"}
    assert "this GPU has no fp8 products for qkv, out, up, down; they stay in bfloat16" in caplog.text


def test_each_product_gets_the_fastest_int8_kernel(products: Products, all_there: pytest.MonkeyPatch) -> None:
    fused = f"int8-fused-{INT8_TILES[1].name}"
    products.costs |= {"int8-cuda": 6, fused: 1, f"out {fused}": 7}
    assert choose_products("int8") == {"qkv": fused, "out": "int8-cuda", "up": fused, "down": fused}
    assert not any("triton" in key for key in products.asked), "those are compiled only to be used"


def test_a_warning_says_that_int8_is_slower_than_half_precision(
    products: Products, all_there: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is used all the same, because the operator asked for it."""
    products.costs["int8-cuda"] = 9
    assert choose_products("int8") == dict.fromkeys(PLACES, "int8-cuda")
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert "in bfloat16, which is faster and more exact: set engine.f5.precision to auto" in told[0]


def test_the_clocks_are_up_before_anything_is_measured(all_there: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    measure = kernel_timing.measure
    all_there.setattr(throughput, "raise_clocks", events.append)
    all_there.setattr(kernel_timing, "measure", lambda group: events.append(group.name) or measure(group))
    choose()
    assert events == ["cpu", "attention", "steps between the products", "convolution", *PLACES]


def test_a_time_is_that_of_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_timing, "_REPEATS", 4)
    x = torch.ones(3)
    assert kernel_timing.times_s({"two operators": lambda: x.exp().log(), "one": x.exp}) == {
        "two operators": 2,
        "one": 1,
    }


class Clock:
    """Stands for the clock of this machine, and for graphs whose replays take time on it.

    Args:
        replay_s: the time of the first replay of each graph.
        fall: the time of a replay over that of the one before.

    Attributes:
        now_s: the time.
        captures: the number of graphs.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, replay_s: float, fall: float = 1.0) -> None:
        self.now_s, self.captures = 0.0, 0
        self._replay_s, self._fall = replay_s, fall
        for module in (throughput, kernel_timing):
            monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: self.now_s))
        monkeypatch.setattr(kernel_timing, "CudaCapture", lambda: self)

    def capture(self, run: Callable[[], None]) -> Callable[[], None]:
        self.captures += 1
        replays = count(0)

        def replay() -> None:
            self.now_s += self._replay_s * self._fall ** next(replays)

        return replay

    def spending(self, spent_s: float) -> Callable[[], torch.Tensor]:
        def run() -> torch.Tensor:
            self.now_s += spent_s
            return torch.ones(3)

        return run


def test_all_measurements_of_a_start_have_a_limit(
    products: Products, all_there: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here all kernels become faster in every round, as on a GPU whose clocks rise for ever."""
    clock = Clock(monkeypatch, 0.02, fall=0.98)
    choose()
    assert 7 * 0.6 <= clock.now_s <= 7 * (0.6 + 4 * 0.02)


def test_a_kernel_that_is_far_too_slow_is_not_timed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clock = Clock(monkeypatch, 1.0)
    runs = {"good": clock.spending(0.03), "slow": clock.spending(0.25), "hopeless": clock.spending(5.0)}
    assert set(kernel_timing.measure(CandidateGroup("steps", runs, "good", torch.float32))) == {"good", "slow"}
    assert clock.captures == 2
    assert "the kernel hopeless (steps) is not timed: one run takes 5000 ms" in caplog.text


def test_a_pause_of_the_processor_excludes_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 1.0)
    runs = {"good": clock.spending(0.001), "paused": clock.spending(0.019)}
    assert set(kernel_timing.measure(CandidateGroup("steps", runs, "good", torch.float32))) == {"good", "paused"}


def test_a_kernel_that_fails_in_its_second_run_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 1.0)
    answers = iter([torch.ones(3)])
    runs = {"good": clock.spending(0.0), "once": lambda: next(answers)}
    assert set(kernel_timing.measure(CandidateGroup("steps", runs, "good", torch.float32))) == {"good"}


def test_the_first_of_equally_fast_kernels_is_chosen() -> None:
    def best(**run_s: float) -> str | None:
        return kernel_timing.best({name: KernelTiming(spent_s, 0.0) for name, spent_s in run_s.items()})

    assert best(plain=1.01, ours=1.0) == "plain"
    assert best(plain=1.05, ours=1.0) == "ours"
    assert best() is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_one_wrong_row_is_enough_in_half_precision(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    """Of the rows that the candidates have on a GPU."""
    Clock(monkeypatch, 1.0)
    exact = torch.randn(2 * FRAMES, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    wrong = exact.clone()
    wrong[-1].zero_()
    runs = {"good": lambda: exact, "wrong": lambda: wrong}
    assert set(kernel_timing.measure(CandidateGroup("steps", runs, "good", dtype))) == {"good"}


def test_the_last_tile_of_the_rows_is_not_full() -> None:
    """So a kernel whose mask is wrong computes wrong here."""
    assert FRAMES in BUCKETS
    for tile in (*TILES, *INT8_TILES):
        assert 2 * FRAMES % tile.rows


def test_one_wrong_result_of_several_is_enough() -> None:
    good, bad = torch.ones(3), torch.tensor([1.0, float("nan"), 1.0])
    assert kernel_timing.relative_error((good, good), (good, good)) == 0.0
    for found in ((good, bad), (bad, good)):
        assert kernel_timing.relative_error(found, (good, good)) == float("inf")
    assert kernel_timing.relative_error((good, 1.5 * good), (good, good)) == pytest.approx(0.5)
    rows = QuantisedRows(torch.full((1, 2, 4), 50, dtype=torch.int8), torch.tensor([0.02, 0.04]), torch.float32)
    assert kernel_timing.relative_error(rows, torch.tensor([1.0, 2.0])[None, :, None].expand(1, 2, 4)) < 1e-6


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
    assert choose() == chosen(TILED, "flash", "eager")
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
