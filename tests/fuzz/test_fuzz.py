"""Each known input passes, and half a second of random ones does; `scripts/endure --runs fuzz` takes longer."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.fuzz_targets import TARGETS, Target
from support.fuzzing import fuzz, known_inputs
from support.service_process import DAEMON, TESTS

INPUTS = [(name, data) for name in TARGETS for data in (*TARGETS[name].seeds, *known_inputs(name))]


@pytest.mark.parametrize(("name", "data"), INPUTS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(INPUTS)])
def test_an_input_that_is_known_passes(name: str, data: bytes) -> None:
    TARGETS[name].check(data)


@pytest.mark.parametrize("name", TARGETS)
def test_half_a_second_of_random_inputs_passes(name: str) -> None:
    figures = fuzz(name, 0.5, seed=1)
    assert figures.fault is None
    assert figures.executions > 0


def test_a_fault_is_found_and_its_input_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(data: bytes) -> None:
        assert data != b"abd", "this one"

    monkeypatch.setitem(TARGETS, "made-up", Target(check, (b"abc",), (b"d",)))
    figures = fuzz("made-up", 10.0, seed=1, folder=tmp_path)
    assert figures.fault is not None
    assert "this one" in figures.fault
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"abd"]


@pytest.mark.skipif(find_spec("atheris") is None, reason="there is no atheris for this machine")
def test_atheris_fuzzes_a_target(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.fuzzing", "command", "--seconds", "1", "--folder", str(tmp_path)]
    environment = {"PYTHONPATH": f"{DAEMON}:{TESTS}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, text=True, env=environment)
    figures = json.loads(done.stdout)
    assert done.returncode == 0, figures
    assert figures["executions"] > 100
    assert figures["covered"] > 20
