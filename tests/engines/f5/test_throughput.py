"""The throughput of a device, its special kernels, and the doctor's probe."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")


from torch import Tensor  # noqa: E402

from ishowtts.engines.f5 import attention, device_probe, throughput  # noqa: E402
from ishowtts.engines.f5.elementwise import EagerElementwise  # noqa: E402
from ishowtts.engines.f5.kernels import ELEMENTWISE  # noqa: E402
from ishowtts_bench import machine  # noqa: E402

pytestmark = pytest.mark.f5


def test_throughput_counts_the_work_of_product_and_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_two_seconds(runs: dict[str, Callable[[], object]], device: str) -> dict[str, float]:
        for run in runs.values():
            run()
        return dict.fromkeys(runs, 2.0)

    monkeypatch.setattr(throughput, "best_times_s", in_two_seconds)
    found = throughput.measure("cpu", torch.float32)
    assert found.flop_per_s == 2048**3
    assert found.bytes_per_s == 256 << 20


def test_the_benches_and_the_probe_use_one_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "measure", lambda device, dtype: throughput.Throughput(3e12, 4e10))
    bench = machine.measure("cpu", torch.float32)
    assert (bench.flop_per_s, bench.bytes_per_s) == (3e12, 4e10)
    found = device_probe.measured("cpu")
    assert (found["flop_per_s"], found["bytes_per_s"], found["fault"]) == (3e12, 4e10, None)


class Clock:
    """A clock that only moves while something runs. Its seconds are eighths, which floats add exactly."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    def run(self, eighths: Iterator[float]) -> Callable[[], None]:
        def spend() -> None:
            self.now_s += next(eighths) / 8

        return spend


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throughput, "time", clock)
    monkeypatch.setattr(throughput, "_MOST_S", 1000.0)
    return clock


def test_rounds_go_on_until_the_best_time_has_not_moved_for_three_rounds(clock: Clock) -> None:
    noise = 1 - 2**-8  # a fall of less than 1 %
    times = iter([8, 8, 4, 6, 6, 2, 2, 2 * noise, 4, 1.0])
    assert throughput.best_times_s({"a": clock.run(times)}, "cpu", least_s=0.0) == {"a": 2 * noise / 8}
    assert next(times) == 1.0


def test_rounds_interleave_the_runs_and_wait_for_the_last_that_moves(clock: Clock) -> None:
    order: list[str] = []
    times: dict[str, list[float]] = {"a": [2] * 6, "b": [8, 6, 4, 4, 4, 4]}

    def run(name: str) -> Callable[[], None]:
        spend = clock.run(iter(times[name]))

        def named() -> None:
            order.append(name)
            spend()

        return named

    assert throughput.best_times_s({name: run(name) for name in "ab"}, "cpu", least_s=0.0) == {"a": 0.25, "b": 0.5}
    assert order == ["a", "b"] * 6


def test_rounds_have_a_least_and_a_longest_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    throughput.best_times_s({"a": clock.run(iter([1.0] * 20))}, "cpu")
    assert clock.now_s == 0.5
    monkeypatch.setattr(throughput, "_MOST_S", 3.0)
    clock.now_s = 0.0
    throughput.best_times_s({"a": clock.run(0.98**count for count in range(100))}, "cpu")
    assert 3.0 <= clock.now_s <= 3.0 + 1 / 8


@pytest.mark.parametrize(
    ("device", "integrated", "raised"), [("cuda", 1, [("cuda", 2.5)]), ("cuda", 0, []), ("cpu", 1, [])]
)
def test_the_clocks_of_an_integrated_gpu_are_raised_once_before_the_first_measurement(
    device: str, integrated: int, raised: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: SimpleNamespace(is_integrated=integrated))
    monkeypatch.setattr(throughput, "_multiply", lambda device, spent_s: done.append((device, spent_s)))
    throughput.raise_clocks.cache_clear()
    throughput.raise_clocks(device)
    throughput.raise_clocks(device)
    throughput.raise_clocks.cache_clear()
    assert done == raised


def test_a_measurement_raises_the_clocks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def timed(runs: dict[str, Callable[[], object]], device: str) -> dict[str, float]:
        order.extend(runs)
        return dict.fromkeys(runs, 1.0)

    monkeypatch.setattr(throughput, "raise_clocks", order.append)
    monkeypatch.setattr(throughput, "best_times_s", timed)
    throughput.measure("cpu", torch.float32)
    assert order == ["cpu", "product", "copy"]


def test_multiplying_takes_its_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "mm", lambda a, b: clock.run(iter([4.0]))())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    throughput._multiply("cpu", 2.4)
    assert clock.now_s == 2.5


def test_without_memory_the_probe_reports_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(device: str, dtype: torch.dtype) -> throughput.Throughput:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 128 MiB.\nmore")

    monkeypatch.setattr(throughput, "measure", full)
    found = device_probe.measured("cpu")
    assert found["flop_per_s"] is None
    assert found["fault"].startswith("CUDA out of memory.")
    assert "\n" not in found["fault"]


def test_the_reason_for_no_flash_attention_is_reported() -> None:
    assert throughput.flash_fault("cpu") == "this torch has no flash attention for cpu"


def test_the_reason_for_no_triton_kernel_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = throughput.fused_fault("cpu")
    assert fault is not None
    assert "\n" not in fault
    monkeypatch.setitem(sys.modules, "ishowtts.engines.f5.cuda.fused_elementwise", None)
    assert throughput.fused_fault("cpu") == "Triton is not installed"


@pytest.fixture
def thor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Thor whose kernels run on the CPU here, without an assembler that knows it."""
    to = torch.Tensor.to
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (11, 0))
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device, dtype: to(tensor, dtype))
    monkeypatch.setattr(throughput, "choose_assembler", lambda capability: f"no ptxas for {capability}")


@pytest.mark.usefixtures("thor")
def test_the_assembler_is_chosen_before_the_first_triton_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(EagerElementwise):
        def norm(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
            raise OSError("Internal Triton PTX codegen error")

    monkeypatch.setitem(ELEMENTWISE, "triton", Failing)
    assert throughput.fused_fault("cuda") == throughput.no_assembler("cuda") == "no ptxas for (11, 0)"
    assert throughput.fused_fault("cpu") == (
        "a Triton kernel could not be started, which needs gcc and this Python's headers "
        "(Internal Triton PTX codegen error)"
    )
    # A later Triton may have an assembler of its own that knows a Thor.
    monkeypatch.setitem(ELEMENTWISE, "triton", EagerElementwise)
    assert throughput.fused_fault("cuda") is None


def test_a_wrong_result_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "flash", attention.fused)
    assert throughput.flash_fault("cpu") is None
    # Like a kernel that ignores the number of keys.
    monkeypatch.setattr(attention, "flash", lambda q, k, v, lengths: attention.fused(q, k, v, None))
    fault = throughput.flash_fault("cpu")
    assert fault is not None
    assert "is off by" in fault


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_has_flash_attention_and_a_throughput() -> None:
    found = device_probe.probe()
    assert found["cuda_fault"] is None
    assert found["rates"]["fault"] is None
    assert found["rates"]["flash_fault"] is None
    assert found["rates"]["flop_per_s"] > 1e12
    assert found["rates"]["sms"] > 0


def test_the_probe_prints_one_line_of_json() -> None:
    found = json.loads(json.dumps(device_probe.probe()))
    assert set(found) == {"torch", "cuda_build", "gpu", "cuda_fault", "rates"}
    assert (found["rates"] is None) == (found["cuda_fault"] is not None)
