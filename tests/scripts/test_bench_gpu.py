"""scripts/bench-gpu: real steps, steps that fail or take too long, and the goals."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_gpu", ROOT / "scripts" / "bench_gpu.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_gpu"] = module
    spec.loader.exec_module(module)
    return module


def test_steps_write_output_and_figures_and_a_failed_one_does_not_stop_the_next(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "predict-figures.json").write_text("from an earlier call")
    real = [one for one in script.steps("tiny", "cpu", quick=True) if one.name.startswith("predict")]
    monkeypatch.setattr(script, "steps", lambda *_, **__: [script.Step("broken", ("false",), 10.0), *real])
    words = ["--device", "cpu", "--model", "tiny", "--quick", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["bench-gpu", *words])
    assert script.main() == 1
    out, err = capsys.readouterr()
    assert "these steps failed: broken;" in err
    assert "AGX Orin" in (tmp_path / "predict.txt").read_text()
    assert json.loads((tmp_path / "predict-figures.json").read_text())
    assert "the figures below are not judged" in (tmp_path / "goals.txt").read_text()
    assert not any(line.endswith(" reached") for line in out.splitlines())


def test_it_runs_in_any_folder_with_any_python(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "bench-gpu", "--device", "cpu", "--only", "predict", "--out", tmp_path / "figures"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "AGX Orin" in (tmp_path / "figures" / "predict.txt").read_text()


def test_a_step_that_takes_too_long_is_killed_with_every_process_that_it_started(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = "sleep 600 & echo $!; sleep 600"
    assert not script.run(script.Step("endless", ("sh", "-c", endless), 0.5), tmp_path, 60.0)
    assert "its time limit" in capsys.readouterr().out
    child = int((tmp_path / "endless.txt").read_text())
    eventually(lambda: not _is_alive(child))


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_step_does_not_start_if_no_time_is_left(script: ModuleType, tmp_path: Path) -> None:
    assert not script.run(script.Step("late", ("touch", str(tmp_path / "started")), 60.0), tmp_path, 3.0)
    assert not (tmp_path / "started").exists()


FIGURES: dict[str, Any] = {
    "speed": {"ratio_equal_nfe": 2.4, "ratio_default": 11.0, "peak_mb": None, "rtf": 0.01},
    "batches": {"batches": [{"segments": 1, "share": 0.3, "ratio": 1.0}, {"segments": 2, "share": 0.6, "ratio": 1.8},
                            {"segments": 8, "share": 0.8, "ratio": 3.5}]},
    "starts": {"starts": [{"system": "upstream", "compiled": None, "warm_s": None},
                          {"system": "ours", "compiled": False, "warm_s": 40.0},
                          {"system": "ours", "compiled": True, "warm_s": 9.0}]},
    "parity": {"rows": [{"passed": True}, {"passed": False}]},
}  # fmt: skip


def test_each_goal_is_reached_or_not_reached_or_not_measured(script: ModuleType) -> None:
    lines = {line.split("  ")[0]: line for line in script.goals(FIGURES, comparable=True)}
    verdicts = {
        "failed rows of parity, tiny": "not measured",
        "failed rows of parity, base": "not reached",
        "upstream at equal NFE over ours": "reached",
        "torch.compile of upstream over ours": "not measured",
        "upstream at its default over ours": "not reached",
        "share of the product rate": "reached",
        "8 segments in a run over single ones": "reached",
        "loaded and warm, compiled before": "reached",
        "the allocator's peak": "not measured",
    }
    for name, verdict in verdicts.items():
        assert lines[name].endswith(f" {verdict}")
        assert lines[name].endswith("not reached") is (verdict == "not reached")
    assert "0.60 with 2 in a run" in lines["share of the product rate"]
    assert not any("reached" in line for line in list(script.goals(FIGURES, comparable=False))[1:])


def test_an_unknown_step_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "bench_gpu.py", "--only", "nothing"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "unknown step nothing" in done.stderr
