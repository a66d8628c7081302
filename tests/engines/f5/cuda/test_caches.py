"""Compiled kernels are kept for the next start, but not for another machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ishowtts.engines.f5.cuda.caches import choose_assembler, keep_compiled

pytestmark = pytest.mark.f5


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        monkeypatch.setenv(name, "/nowhere")


def test_kernels_of_this_gpu_stay_and_those_of_others_are_deleted(tmp_path: Path) -> None:
    keep_compiled(tmp_path, "Orin (nvgpu)")
    kept = Path(os.environ["TRITON_CACHE_DIR"]) / "kernel.cubin"
    kept.write_bytes(b"\0")
    assert kept.is_relative_to(tmp_path / "compiled")
    assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).is_dir()
    keep_compiled(tmp_path, "Orin (nvgpu)")
    assert kept.exists()
    keep_compiled(tmp_path, "Thor")
    assert not kept.exists()
    assert len(list((tmp_path / "compiled").iterdir())) == 1


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "compiled").write_text("a file")
    keep_compiled(tmp_path, "Orin")
    assert "are not kept" in caplog.text
    assert os.environ["TRITON_CACHE_DIR"] == "/nowhere"


def test_the_name_of_a_gpu_is_not_a_path(tmp_path: Path) -> None:
    keep_compiled(tmp_path, "../../GPU/..")
    assert Path(os.environ["TRITON_CACHE_DIR"]).resolve().is_relative_to(tmp_path / "compiled")


def test_thor_gets_the_assembler_of_the_system_if_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_PTXAS_BLACKWELL_PATH", "")
    monkeypatch.delenv("TRITON_PTXAS_BLACKWELL_PATH")
    assembler = tmp_path / "ptxas"
    choose_assembler((11, 0), assembler)
    assert "TRITON_PTXAS_BLACKWELL_PATH" not in os.environ
    assembler.touch()
    choose_assembler((9, 0), assembler)
    assert "TRITON_PTXAS_BLACKWELL_PATH" not in os.environ
    choose_assembler((11, 0), assembler)
    assert os.environ["TRITON_PTXAS_BLACKWELL_PATH"] == str(assembler)
