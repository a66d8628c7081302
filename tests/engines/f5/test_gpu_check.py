"""The program that computes on the GPU during an installation, with a CPU in the place of the GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from ishowtts.engines.f5 import gpu_check  # noqa: E402

pytestmark = pytest.mark.f5


def _fail(message: str) -> object:
    def wrong_results(_: str) -> object:
        raise RuntimeError(message)

    return wrong_results


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of sm_87, and a torch that has code for others."""
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Orin")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 7))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_90"])


def test_a_right_device_computes_as_the_cpu_does() -> None:
    assert list(gpu_check.wrong_results("cpu")) == []


@pytest.mark.parametrize("factor", [1.02, float("nan")])
def test_a_wrong_transform_is_found(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    irfft = torch.fft.irfft

    def scaled(spectrum: torch.Tensor) -> torch.Tensor:
        return irfft(spectrum) * (factor if spectrum.dtype == torch.complex64 else 1.0)

    monkeypatch.setattr(torch.fft, "irfft", scaled)
    (found,) = gpu_check.wrong_results("cpu")
    assert found.startswith("a Fourier transform is off by ")


@pytest.mark.parametrize(
    ("message", "status", "words"),
    [
        (
            "CUDA error: no kernel image is available for execution on the device",
            1,
            "Orin (sm_87) cannot compute: CUDA error: no kernel image is available for execution on the device;",
        ),
        ("NvMapMemAllocInternalTagged: 1075072515 error 12", 3, "the memory of the GPU is taken"),
        (
            "Error: libcudnn_graph.so.9: cannot open shared object file: No",
            1,
            "the library libcudnn_graph.so.9 is missing; ",
        ),
    ],
)
@pytest.mark.usefixtures("gpu")
def test_each_fault_of_cuda_gets_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], message: str, status: int, words: str
) -> None:
    monkeypatch.setattr(gpu_check, "wrong_results", _fail(message))
    assert gpu_check.main(Path("/nonexistent")) == status
    printed = capsys.readouterr().out
    assert printed.startswith(words)
    assert len(printed.splitlines()) == 1
    if "kernel image" in message:
        assert printed.endswith(f"torch {torch.__version__} has code for sm_80, sm_90\n")


@pytest.mark.usefixtures("gpu")
def test_a_torch_without_cuda_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert gpu_check.main() == 1
    assert "is built without CUDA: it cannot use the GPU" in capsys.readouterr().out


@pytest.mark.usefixtures("gpu")
def test_device_nodes_that_the_service_may_not_open_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "nvmap").touch()
    (tmp_path / "nvhost-gpu").touch()
    monkeypatch.setattr(gpu_check.os, "access", lambda node, _: node.name != "nvmap")
    monkeypatch.setattr(gpu_check, "wrong_results", _fail("CUDA unknown error"))
    assert gpu_check.main(tmp_path) == 1
    assert capsys.readouterr().out == (
        f"the service may not open {tmp_path}/nvmap: the group of each must be video or render\n"
    )
