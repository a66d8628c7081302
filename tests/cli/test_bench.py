"""`ishowtts bench` on an appliance that was installed without the benches."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def wheel(folder: str, ignored: str, tmp_path: Path) -> list[str]:
    """Build the wheel of this project folder in a copy, unpack it into tmp_path/installed, and return its files."""
    copy = tmp_path / "source"
    shutil.copytree(ROOT / folder, copy, ignore=shutil.ignore_patterns(".*", "tests", "__pycache__", ignored))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", tmp_path, copy], check=True, timeout=120)
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(tmp_path / "installed")
        return archive.namelist()


@pytest.fixture
def appliance(tmp_path: Path) -> list[str]:
    """The command line of the installed wheel, which does not see the packages of the checkout."""
    assert not [name for name in wheel(".", "docs", tmp_path) if "bench" in name and "cli/bench.py" not in name]
    # Without -S the editable installation would add the checkout to the path.
    return [sys.executable, "-S", "-W", "error", "-m", "ishowtts"]


def run(command: list[str], *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    paths = [str(folder / "installed"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return subprocess.run(
        [*command, *words], cwd=folder, env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_without_the_benches_the_command_says_how_to_install_them(appliance: list[str], tmp_path: Path) -> None:
    for words in (["parity"], ["speed", "--lengths", "1"], []):
        done = run(appliance, "bench", *words, folder=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "ishowtts: the benches are not installed; run install.sh again, with --bench\n"
    assert "not installed here" in run(appliance, "--help", folder=tmp_path).stdout
    program = [*appliance[:-2], "-c", "import ishowtts.cli.doctor, sys; sys.exit('ishowtts_bench' in sys.modules)"]
    assert run(program, folder=tmp_path).returncode == 0


def test_both_distributions_have_the_same_version() -> None:
    versions = [
        re.findall(r'^version = "(.+)"$|ishowtts==(.+)"', (ROOT / folder / "pyproject.toml").read_text(), re.MULTILINE)
        for folder in (".", "daemon/ishowtts_bench")
    ]
    appliance, benches = ({"".join(found) for found in group} for group in versions)
    assert len(appliance) == 1
    assert benches == appliance


def test_the_wheel_of_the_benches_holds_every_module(tmp_path: Path) -> None:
    folder = ROOT / "daemon/ishowtts_bench"
    wanted = {f"ishowtts_bench/{path.relative_to(folder)}" for path in folder.rglob("*.py")}
    found = wheel("daemon/ishowtts_bench", "nothing", tmp_path)
    assert {name for name in found if name.endswith(".py")} == wanted
    assert "ishowtts_bench/py.typed" in found
