"""The variants of each device."""

from __future__ import annotations

import pytest

from ishowtts_bench import ablation

pytestmark = pytest.mark.f5


@pytest.mark.parametrize("supported", [False, True])
def test_a_gpu_has_variants_of_its_own_and_fp8_if_it_supports_it(
    monkeypatch: pytest.MonkeyPatch, supported: bool
) -> None:
    from ishowtts.engines.f5.cuda.products import Fp8Linear

    monkeypatch.setattr(Fp8Linear, "supported", lambda _: supported)
    reported: list[str] = []
    variants = ablation.variants("cuda", reported.append)
    assert ("with fp8" in variants) is supported
    assert reported == ([] if supported else ["left out: with fp8, because this GPU has no fp8 products"])
    assert {"without graphs", "without fused_kernels", "with int8"} <= set(variants)
    assert "without cpu_kernels" not in variants


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_all_variants_differ(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    from ishowtts.engines.f5.cuda.products import Fp8Linear

    monkeypatch.setattr(Fp8Linear, "supported", lambda _: True)
    combinations = list(ablation.variants(device, lambda _: None).values())
    assert len(set(combinations)) == len(combinations)
