"""What `ishowtts doctor` says about torch and the GPU."""

from __future__ import annotations

import json
from typing import Any

from ishowtts.board.gpu_specs import find
from ishowtts.cli.doctor.machine_parts import gpu_finding, torch_findings

ORIN = find("agx-orin")


def probed(products: float, memory: float, **changes: Any) -> dict[str, Any]:
    """Return the output of the probe on an AGX Orin that reaches these shares of its data sheet."""
    rates = {
        "flop_per_s": products * ORIN.half_flop_per_s, "bytes_per_s": memory * ORIN.bytes_per_s, "fault": None,
        "flash_fault": None, "fused_fault": None, "sms": 16, "memory_mb": 65_800.0, "clock_mhz": 1300.0,
    }  # fmt: skip
    return {"gpu": "Orin", "rates": rates | changes}


def test_a_board_is_compared_with_its_data_sheet() -> None:
    found = gpu_finding(probed(0.85, 0.80))
    assert (found.part, found.verdict, found.fix) == ("GPU", "ok", None)
    assert found.detail == (
        "products 36.2 TFLOPS (85% of the data sheet's 42.6, AGX Orin 64 GB), memory 164 GB/s (80% of 205); "
        "flash attention works"
    )


def test_a_slow_board_gets_a_note_and_a_fix() -> None:
    found = gpu_finding(probed(0.425, 0.80))
    assert found.verdict == "note"
    assert "as if accumulation in fp32 ran at half rate" in found.detail
    assert found.fix is not None
    assert "MAXN" in found.fix
    assert gpu_finding(probed(0.85, 0.3)).verdict == "note"
    assert "half rate" not in gpu_finding(probed(0.7, 0.8)).detail


def test_an_unknown_gpu_is_not_compared() -> None:
    found = gpu_finding(probed(0.1, 0.1, sms=14))
    assert found.verdict == "ok"
    assert "there is no data sheet to compare with" in found.detail


def test_a_failed_measurement_is_a_note() -> None:
    broken = gpu_finding(probed(0.85, 0.80, flash_fault="flash attention with lengths is off by 0.3"))
    assert broken.verdict == "note"
    assert "off by 0.3" in broken.detail
    slower = gpu_finding(probed(0.85, 0.80, fused_fault="Triton is not installed"))
    assert slower.verdict == "note"
    assert "Triton is not installed: synthesis is slower" in slower.detail
    assert "gcc" in (slower.fix or "")
    full = gpu_finding(probed(0.85, 0.80, flop_per_s=None, bytes_per_s=None, fault="CUDA out of memory."))
    assert full.verdict == "note"
    assert "could not be measured: CUDA out of memory." in full.detail


def test_each_way_in_which_torch_fails_has_a_fix() -> None:
    [broken] = torch_findings(1, "", "Traceback\nImportError: libcudss.so.0: cannot open shared object file\n")
    assert (broken.verdict, broken.fix) == ("fault", "run install.sh again")
    assert broken.detail == "torch does not start: ImportError: libcudss.so.0: cannot open shared object file"
    [killed] = torch_findings(-9, "", "")
    assert (killed.detail, killed.fix) == ("torch does not start: status -9, no output", "run install.sh again")
    base = {"torch": "2.9", "cuda_build": "12.6", "rates": None}
    [wrong] = torch_findings(0, json.dumps(base | {"gpu": "Orin", "cuda_fault": "no kernel image"}), "")
    assert (wrong.verdict, "install.sh --torch" in (wrong.fix or "")) == ("fault", True)
    [none] = torch_findings(0, json.dumps(base | {"gpu": None, "cuda_fault": "torch finds no CUDA device"}), "")
    assert none.verdict == "note"
