from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def layers(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts/layers.py", folder], capture_output=True, text=True, check=False
    )


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """Every module of the package, empty except for one class: to read the real ones takes a second each time."""
    paths = [path for name in ("ishowtts", "ishowtts_gateway") for path in (ROOT / "daemon" / name).rglob("*.py")]
    for path in paths:
        module = tmp_path / path.relative_to(ROOT / "daemon")
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("class Scheduler:\n    pass\n" if path.name == "scheduler.py" else "")
    return tmp_path


def test_modules_without_imports_keep_the_layers(skeleton: Path) -> None:
    """scripts/check looks at the real ones."""
    assert layers(skeleton).returncode == 0


@pytest.mark.parametrize(
    ("module", "line", "told"),
    [
        ("errors.py", "from ishowtts.speech import anything", "errors imports speech, which comes after it"),
        ("text/breach.py", "def f():\n    import ishowtts.cli", "text imports cli, which comes after it"),
        ("engines/breach.py", "from ..playback import player", "engines imports playback, which comes after it"),
        ("status/breach.py", "def f():\n    import torch.nn", "imports torch; only"),
        ("status/breach.py", "def f():\n    from hibari import dsp", "imports hibari; only"),
        ("speech/breach.py", "import onnxruntime", "imports onnxruntime; only"),
        ("engines/f5/__init__.py", "import vocos", "imports vocos; only"),
        ("speech/breach.py", "from paho.mqtt import client", "imports paho; only mqtt and the gateway"),
        ("board/breach.py", "def f():\n    from jtop import jtop", "imports jtop; only"),
        ("status/breach.py", "from ishowtts.board import jetson_stats_child", "which is a program of its own"),
        ("inbox/breach.py", "from ishowtts.inbox import breach_too\n", "cycle: "),
        ("attic.py", "", "attic: has no layer"),
        ("mqtt/scheduler.py", "", "the module name scheduler stands more than once"),
        ("mqtt/breach.py", "class Scheduler:\n    pass", "the class name Scheduler stands more than once"),
        ("speech/breach.py", "def f():\n    import ishowtts_bench", "imports ishowtts_bench; only"),
        ("cli/breach.py", "import ishowtts_bench", "imports ishowtts_bench; only"),
        ("status/breach.py", "def f():\n    import ishowtts_gateway", "imports ishowtts_gateway; only"),
        ("cli/breach.py", "import ishowtts_gateway", "imports ishowtts_gateway; only"),
        ("cli/breach.py", "def f():\n    import starlette", "imports starlette; only"),
        ("../ishowtts_gateway/breach.py", "from ishowtts.inbox import anything", "which the gateway does without"),
        ("../ishowtts_gateway/breach.py", "import paho.mqtt.client", "imports paho; only"),
        (
            "../ishowtts_gateway/http/page_files.py",
            "def f():\n    import ishowtts_gateway.openai.speech_routes",
            "cycle of the gateway's folders: http <- openai <- http",
        ),
        ("f5_switches.py", "from ishowtts.util import files", "f5_switches imports util, which comes after it"),
    ],
)
def test_each_rule_fires(skeleton: Path, module: str, line: str, told: str) -> None:
    (skeleton / "ishowtts/inbox/breach_too.py").write_text("import ishowtts.inbox.breach\n")
    (skeleton / "ishowtts/inbox/breach.py").write_text("")
    (skeleton / "ishowtts_gateway/openai/speech_routes.py").write_text("import ishowtts_gateway.http.page_files\n")
    with (skeleton / "ishowtts" / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = layers(skeleton)
    assert done.returncode == 1
    assert told in done.stdout


def test_an_index_host_in_a_file_is_found(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    command = [sys.executable, str(ROOT / "scripts/hosts.py"), str(tmp_path)]
    (tmp_path / "lock.txt").write_text("numpy==2.0\n")
    assert subprocess.run(command, check=False).returncode == 0
    (tmp_path / "lock.txt").write_text("--index-" + "url https://registry.example/simple\nnumpy==2.0\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split(":")[:2]) == (1, ["lock.txt", "1"])
