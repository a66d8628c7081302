"""The engine speaks without the packages of upstream's modules, and says in one sentence when it needs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.f5

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = ROOT / "daemon/requirements"
MODULES = ("torchaudio", "vocos", "torchdiffeq", "x_transformers", "matplotlib", "librosa", "numba", "scipy", "einops")

# An appliance has none of MODULES. What the process prints last is a JSON list.
PROGRAM = """
import json, sys
from importlib.machinery import PathFinder
find_spec = PathFinder.find_spec
def find_others(name, path=None, target=None):
    return None if name.split(".")[0] in sys.argv[2].split(",") else find_spec(name, path, target)
PathFinder.find_spec = find_others

from ishowtts.cli.main import main
from ishowtts.engines.f5.engine import F5Engine, F5Options
from ishowtts.errors import PackageError
from ishowtts.model import Segment

options = json.loads(sys.argv[1])
engine = F5Engine(F5Options.from_dict(options))
engine.load(lambda _: None)
said = engine.synthesize(Segment("one", 0, 1, "Good morning", seed=1), lambda: False)
try:
    F5Engine(F5Options.from_dict(options | {"switches": {"compile": "max-autotune"}})).load(lambda _: None)
    fault = None
except PackageError as error:
    fault = str(error)
status = main(["bench", "vocoder", "--model", options["weights"], "--device", "cpu"])
print(json.dumps([said.audio_s, fault, status]))
"""
FIX = "run install.sh again, with --bench (a checkout: scripts/setup)"


def test_the_engine_speaks_and_names_what_upstreams_modules_need(checkpoint: Path, tmp_path: Path) -> None:
    voice = tmp_path / "voices/high"
    voice.mkdir(parents=True)
    soundfile.write(voice / "reference.wav", 0.1 * np.random.default_rng(1).standard_normal(66_150), 44_100)
    (voice / "reference.txt").write_text("These are the words of a clip")
    options = {
        "weights": str(checkpoint), "device": "cpu", "precision": "fp32", "nfe_step": 7,
        "voices_dir": str(tmp_path / "voices"), "default_voice": "high",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(options), ",".join(MODULES)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "daemon")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    length_s, fault, status = json.loads(done.stdout.splitlines()[-1])
    assert length_s > 0.4
    assert fault is not None
    assert re.fullmatch(rf"upstream's modules cannot be imported \(No module named '\w+'\); {re.escape(FIX)}", fault)
    assert status == 1
    sentence = f"ishowtts: a bench needs the package vocos, which is not installed; {FIX}"
    assert done.stderr.splitlines()[-1] == sentence
    assert "Traceback" not in done.stderr


def test_a_library_for_another_torch_is_named(tmp_path: Path) -> None:
    (tmp_path / "x_transformers.py").write_text("raise OSError('libtorchaudio.so: undefined symbol: aoti_torch_cat')\n")
    program = (
        "from ishowtts.errors import PackageError\n"
        "try:\n    import ishowtts.engines.f5.upstream_model\nexcept PackageError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT / 'daemon'}"},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout == (
        "upstream's modules cannot be imported (torch and another library do not belong together: "
        f"the symbol aoti_torch_cat is missing); {FIX}\n"
    )


@pytest.mark.parametrize("lock", ["linux", "jetpack6"])
def test_the_lock_of_an_appliance_has_none_of_them(lock: str) -> None:
    pinned = re.findall(r"^([\w.-]+)==", (REQUIREMENTS / f"{lock}.txt").read_text(), re.MULTILINE)
    assert "f5-tts" in pinned
    assert {name.replace("-", "_") for name in pinned} & set(MODULES) == set()


def test_a_checkout_and_the_benches_have_them_with_torch_of_the_same_version() -> None:
    locks = "".join((REQUIREMENTS / f"{name}.txt").read_text() for name in ("linux", "upstream", "torchaudio"))
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", locks, re.MULTILINE))
    assert {"vocos", "torchdiffeq", "x-transformers", "matplotlib"} <= set(pins)
    assert pins["torchaudio"] == pins["torch"]
