"""install.sh: the parts that install the program, on a machine that is a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.install_machine import InstallMachine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def machine(tmp_path: Path) -> InstallMachine:
    return InstallMachine(tmp_path)


@pytest.mark.parametrize("source", ["a folder", "https://wheels.example/jp6"])
def test_jetpack_6_takes_torch_from_nvidia(machine: InstallMachine, source: str, tmp_path: Path) -> None:
    machine.path("/etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3\n")
    done = machine.run()
    assert (done.returncode, machine.calls) == (2, [])
    assert "--torch" in done.stderr
    options = f"--index-url {source}"
    if source == "a folder":
        (tmp_path / "wheels").mkdir()
        source, options = str(tmp_path / "wheels"), "--no-index --find-links /wheels"
    machine.install("--torch", source)
    lock, _, torch, triton, *_ = machine.called("uv")
    assert lock.endswith("-r daemon/requirements/jetpack6.txt")
    assert torch.endswith(f"--no-deps {options} torch==2.11.0 torchaudio==2.11.0")
    assert triton.endswith(f"--no-deps {options} triton==3.6.0")


@pytest.mark.parametrize("release", ["# R38 (release), REVISION: 2.0\n", "# R39 (release), REVISION: 2.2\n", None])
def test_another_jetpack_takes_the_stock_torch(machine: InstallMachine, release: str | None) -> None:
    if release:
        machine.path("/etc/nv_tegra_release").write_text(release)
    machine.install()
    assert machine.called("uv")[0].endswith("-r daemon/requirements/linux.txt")
    assert len(machine.called("uv")) == 3
    refused = machine.run("--torch", "https://wheels.example/jp6")
    assert (refused.returncode, machine.calls) == (2, [])
    assert "--torch is for JetPack 6 (L4T 36)" in refused.stderr


def test_an_older_jetpack_is_refused_unless_f5_is_left_out(machine: InstallMachine) -> None:
    machine.path("/etc/nv_tegra_release").write_text("# R35 (release), REVISION: 4.1\n")
    refused = machine.run()
    assert (refused.returncode, machine.calls) == (1, [])
    assert "L4T 35, for which there is no torch: upgrade to JetPack 6 or later, or use --without-f5" in refused.stderr
    machine.install("--without-f5")
