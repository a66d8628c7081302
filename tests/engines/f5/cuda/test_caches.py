"""The assembler for a Thor, and compiled kernels, which are kept for the next start, but not for another machine."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from ishowtts.engines.f5.cuda import caches  # noqa: E402
from ishowtts.engines.f5.cuda.caches import choose_assembler, keep_compiled  # noqa: E402

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


THOR = (11, 0)
PTXAS = ("TRITON_PTXAS_PATH", "TRITON_PTXAS_BLACKWELL_PATH", "TRITON_PTXAS_THOR_PATH")


class Machine:
    """A machine with places for a ptxas: the toolkit's, torch's, and folders of NVIDIA's wheels. All are empty."""

    def __init__(self, folder: Path) -> None:
        self.toolkit = folder / "cuda" / "bin" / "ptxas"
        self.torch = folder / "torch" / "bin" / "ptxas"
        self.wheel = folder / "nvidia" / "cu13" / "bin" / "ptxas"
        self.older_wheel = folder / "nvidia" / "cuda_nvcc" / "bin" / "ptxas"

    @staticmethod
    def put(ptxas: Path, release: str) -> None:
        ptxas.parent.mkdir(parents=True)
        ptxas.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {release}, V{release}.88'\n")
        ptxas.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    for variable in PTXAS:
        monkeypatch.setenv(variable, "")  # so that what the test sets is taken back
        monkeypatch.delenv(variable)
    machine = Machine(tmp_path)
    monkeypatch.setattr(caches, "_TOOLKIT", machine.toolkit)
    monkeypatch.setattr(torch, "__file__", str(machine.torch.parents[1] / "__init__.py"))
    wheels = SimpleNamespace(submodule_search_locations=[str(tmp_path / "nvidia")])
    monkeypatch.setattr(caches, "find_spec", lambda name: wheels if name == "nvidia" else None)
    return machine


def chosen() -> list[str | None]:
    return [os.environ.get(variable) for variable in PTXAS]


def test_every_triton_finds_the_toolkit_of_a_thor(machine: Machine) -> None:
    for ptxas in (machine.toolkit, machine.torch, machine.wheel):
        machine.put(ptxas, "13.0")
    assert choose_assembler(THOR) is None
    assert chosen() == [str(machine.toolkit)] * 3


def test_without_a_toolkit_torch_or_a_wheel_has_the_assembler(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.put(machine.wheel, "13.1")
    choose_assembler(THOR)
    assert chosen() == [str(machine.wheel)] * 3
    for variable in PTXAS:
        monkeypatch.delenv(variable)
    machine.put(machine.torch, "13.0")
    choose_assembler(THOR)
    assert chosen() == [str(machine.torch)] * 3


def test_an_assembler_that_does_not_know_thor_is_passed_over(machine: Machine) -> None:
    machine.put(machine.toolkit, "12.9")
    machine.put(machine.older_wheel, "12.9")
    machine.put(machine.wheel, "13.0")
    assert choose_assembler(THOR) is None
    assert chosen() == [str(machine.wheel)] * 3


def test_without_any_assembler_the_packages_that_have_one_are_named(machine: Machine) -> None:
    machine.put(machine.toolkit, "12.9")
    machine.torch.parent.mkdir(parents=True)
    machine.torch.write_bytes(b"not a program")
    missing = choose_assembler(THOR)
    assert missing is not None
    assert "without the ptxas of CUDA 13, which the apt package cuda-nvcc-13-0 or the wheel nvidia-cuda-nvcc" in missing
    assert chosen() == [None] * 3


def test_an_assembler_that_hangs_is_passed_over(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "_VERSION_S", 0.1)
    machine.put(machine.toolkit, "13.0")
    machine.toolkit.write_text("#!/bin/sh\nexec sleep 20\n")
    begun = time.monotonic()
    assert choose_assembler(THOR) is not None
    assert time.monotonic() - begun < 10


def test_a_variable_that_is_set_stays(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.put(machine.toolkit, "13.0")
    monkeypatch.setenv("TRITON_PTXAS_PATH", "/my/ptxas")
    choose_assembler(THOR)
    assert chosen() == ["/my/ptxas", str(machine.toolkit), str(machine.toolkit)]


@pytest.mark.parametrize("capability", [(8, 7), (9, 0), (10, 1), (12, 0)])
def test_other_gpus_use_the_assembler_of_triton(machine: Machine, capability: tuple[int, int]) -> None:
    machine.put(machine.toolkit, "13.0")
    assert choose_assembler(capability) is None
    assert chosen() == [None] * 3
