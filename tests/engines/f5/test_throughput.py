"""The throughput of a device, its special kernels, and the doctor's probe."""

from __future__ import annotations

import json
import sys

import pytest

torch = pytest.importorskip("torch")


from ishowtts.engines.f5 import attention, device_probe, throughput  # noqa: E402
from ishowtts_bench import machine  # noqa: E402

pytestmark = pytest.mark.f5


def test_throughput_counts_the_work_of_product_and_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "_best_s", lambda run, device: (run(), 2.0)[1])
    found = throughput.measure("cpu", torch.float32)
    assert found.flop_per_s == 2048**3
    assert found.bytes_per_s == 256 << 20


def test_the_benches_and_the_probe_use_one_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "measure", lambda device, dtype: throughput.Throughput(3e12, 4e10))
    bench = machine.measure("cpu", torch.float32)
    assert (bench.flop_per_s, bench.bytes_per_s) == (3e12, 4e10)
    found = device_probe.measured("cpu")
    assert (found["flop_per_s"], found["bytes_per_s"], found["fault"]) == (3e12, 4e10, None)


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
