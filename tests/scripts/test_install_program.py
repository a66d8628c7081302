"""install.sh: the parts that install the program, on a machine that is a folder."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from support.install_machine import InstallMachine
from support.install_parts import parts

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
    assert torch.endswith(f"--no-deps {options} torch==2.13.0")
    assert triton.endswith(f"--no-deps {options} triton==3.7.1")
    machine.install("--torch", source, "--bench")
    _, upstream, _, torch, triton, *_ = machine.called("uv")
    assert upstream.endswith("-r daemon/requirements/upstream.txt")
    assert torch.endswith(f"--no-deps {options} torch==2.11.0 torchaudio==2.11.0")
    assert triton.endswith(f"--no-deps {options} triton==3.6.0")


@pytest.mark.parametrize(
    ("release", "f5", "torch", "words"),
    [
        ("", "yes", "", "linux"),
        ("39", "yes", "", "linux"),
        ("38", "yes", "", "linux"),
        ("36", "yes", "/wheels", "jetpack6"),
        ("36", "no", "", "core"),
        ("35", "no", "", "core"),
        ("", "yes", "/wheels", "--torch is for JetPack 6 (L4T 36); here the stock wheels are right"),
        ("38", "yes", "/wheels", "--torch is for JetPack 6 (L4T 36); here the stock wheels are right"),
        ("36", "yes", "", "JetPack 6 needs NVIDIA's torch: name its folder or index with --torch"),
        ("35", "yes", "", "L4T 35, for which there is no torch: upgrade to JetPack 6 or later, or use --without-f5"),
        ("36", "no", "/wheels", "--torch is for F5, which --without-f5 leaves out"),
    ],
)
def test_the_release_of_l4t_decides_where_torch_comes_from(release: str, f5: str, torch: str, words: str) -> None:
    done = parts(
        'l4t_release() { echo "$RELEASE"; }; f5=$F5 torch=$TORCH; check_torch_choice; choose_lock; echo "$lock"',
        RELEASE=release, F5=f5, TORCH=torch,
    )  # fmt: skip
    assert words in (done.stderr if done.returncode else done.stdout)
    assert (done.returncode == 0) == (words in ("linux", "jetpack6", "core"))


@pytest.mark.parametrize(
    ("text", "release"),
    [("# R36 (release), REVISION: 4.3, GCID: 38968081\n", "36"), ("# R39 (release)\n", "39"), ("", "35"), (None, "35")],
)
def test_the_release_of_l4t_comes_from_its_file_or_its_package(tmp_path: Path, text: str | None, release: str) -> None:
    if text is not None:
        (tmp_path / "release").write_text(text)
    script = """
    eval "$(declare -f l4t_release | sed "s|/etc/nv_tegra_release|$FILE|g")"
    dpkg-query() { echo 35.4.1-20230801124926; }
    l4t_release
    """
    assert parts(script, FILE=str(tmp_path / "release")).stdout == f"{release}\n"


TRY_GPU = """
as_service() {
    if [[ $* == *device_probe ]]; then echo "{\\"cuda_fault\\": $BEFORE}" && return; fi
    echo "$SAYS" >&2
    return "$STATUS"
}
running_release() { echo /old; }
has_package() { [ -n "$BEFORE" ]; }
ignore_gpu=$IGNORE
try_gpu /new
say_gpu_fault
"""


@pytest.mark.parametrize(
    ("status", "before", "words"),
    [
        (0, "null", "the GPU works: no kernel"),
        (1, "", "F5 cannot use the GPU: no kernel"),
        (1, '"it failed before too"', "F5 cannot use the GPU: no kernel"),
        (3, "null", "the GPU was not tried: no kernel"),
        (139, "", "F5 cannot use the GPU: the check ended with status 139: no kernel"),
        (124, "", "F5 cannot use the GPU: the check did not end within 300 s"),
    ],
)
def test_an_installation_goes_on_if_it_loses_nothing(status: int, before: str, words: str) -> None:
    done = parts(TRY_GPU, STATUS=str(status), BEFORE=before, SAYS="no kernel", IGNORE="no")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(words)


def test_an_upgrade_that_would_lose_the_gpu_ends_unless_it_may() -> None:
    lost = {"STATUS": "1", "BEFORE": "null", "SAYS": "no kernel"}
    done = parts(TRY_GPU, **lost, IGNORE="no")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the new version cannot use the GPU, and the one that runs now can: no kernel" in done.stderr
    assert "--ignore-gpu" in done.stderr
    assert parts(TRY_GPU, **lost, IGNORE="yes").stdout.startswith("F5 cannot use the GPU: no kernel")


def test_the_gpu_is_tried_with_the_rights_of_the_service_before_the_release_is_complete(
    machine: InstallMachine,
) -> None:
    machine.path("/dev").mkdir()
    machine.path("/dev/nvhost-gpu").touch()
    (machine.root / "gpu").write_text("the library libcudss.so.0 is missing\n")
    (machine.root / "gpu-status").write_text("1")
    output = machine.install()
    call = machine.called("systemd-run")[-1]
    assert "--property=User=nobody --property=Group=nogroup --property=SupplementaryGroups=video render " in call
    for line in ("DevicePolicy=closed", "DeviceAllow=char-nv* rw", "SystemCallFilter=@system-service"):
        assert f"--property={line} " in call
    assert call.endswith("bin/python -m ishowtts.engines.f5.gpu_check")
    assert machine.calls.index(call) < next(n for n, done in enumerate(machine.calls) if "sysusers" in done)
    assert "F5 cannot use the GPU: the library libcudss.so.0 is missing" in "".join(output.splitlines()[-4:])
    assert "systemctl restart ishowtts.service" in machine.calls
    assert "GPU" not in machine.install("--without-f5")


def test_without_systemd_the_gpu_is_tried_without_capabilities_and_groups_of_root() -> None:
    ask = 'import os; print(os.getuid(), 0 in os.getgroups()); print(open("/proc/self/status").read())'
    done = parts(f"systemd-run() {{ false; }}; id() {{ false; }}; as_service python3 -c '{ask}'")
    assert done.stderr == ""
    who, *status = done.stdout.splitlines()
    assert who == f"{pwd.getpwnam('nobody').pw_uid} False"
    assert {"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} <= set(status)
