"""Which variants there are where."""

from __future__ import annotations

import pytest

from ishowtts_bench import ablation

pytestmark = pytest.mark.f5


@pytest.mark.parametrize("supported", [False, True])
def test_a_gpu_has_variants_of_its_own_and_fp8_where_it_multiplies_that(
    monkeypatch: pytest.MonkeyPatch, supported: bool
) -> None:
    from ishowtts.engines.f5.cuda.products import Fp8Linear

    monkeypatch.setattr(Fp8Linear, "supported", lambda _: supported)
    told: list[str] = []
    variants = ablation.variants("cuda", told.append)
    assert ("with fp8" in variants) is supported
    assert told == ([] if supported else ["left out: with fp8, since this GPU has no such products"])
    assert {"without graphs", "without fused_kernels", "with int8"} <= set(variants)
    assert "without cpu_kernels" not in variants


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_variant_is_another_setting(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    from ishowtts.engines.f5.cuda.products import Fp8Linear

    monkeypatch.setattr(Fp8Linear, "supported", lambda _: True)
    settings = list(ablation.variants(device, lambda _: None).values())
    assert len(set(settings)) == len(settings)
