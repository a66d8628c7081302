"""The call that measures everything: real steps, what becomes of one that fails, and what the goals are read from."""

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


@pytest.mark.f5
@pytest.mark.slow
def test_steps_leave_words_and_figures_and_a_failed_one_does_not_stop_the_next(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    (tmp_path / "vocoder.json").write_text("of an earlier call")
    words = ["--device", "cpu", "--model", str(tiny_checkpoint), "--quick", "--only", "predict,vocoder"]
    done = subprocess.run(
        [ROOT / "scripts" / "bench-gpu", *words, "--out", tmp_path],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr  # the prediction has no profile to read
    assert "these steps failed: predict;" in done.stderr
    figures = json.loads((tmp_path / "vocoder.json").read_text())
    ours = [one for one in figures["decoders"] if one["name"] == "ours, backbone in fp32"]
    assert [one["length_s"] for one in ours] == [1.0, 3.0, 10.0, 30.0]
    assert all(one["deviation"] < 1e-5 for one in ours)
    assert all(0 < part["share"] < 1 for part in figures["parts"])
    assert figures["tensorrt"] is None
    assert "not built in this version" in (tmp_path / "vocoder.txt").read_text()
    assert "nothing below is a verdict" in (tmp_path / "goals.txt").read_text()
    assert not any(line.endswith(" reached") for line in done.stdout.splitlines())


def test_a_step_that_takes_too_long_is_ended_with_all_that_it_started(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = "sleep 600 & echo $!; sleep 600"
    assert not script.run(script.Step("endless", ("sh", "-c", endless), 1.0), tmp_path, 60.0)
    assert "which is its limit" in capsys.readouterr().out
    child = int((tmp_path / "endless.txt").read_text())
    assert not _lives(child)


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_without_time_a_step_is_not_begun(script: ModuleType, tmp_path: Path) -> None:
    assert not script.run(script.Step("late", ("touch", str(tmp_path / "begun")), 60.0), tmp_path, 3.0)
    assert not (tmp_path / "begun").exists()


FIGURES: dict[str, Any] = {
    "speed": {"ratio_equal_nfe": 2.4, "ratio_default": 11.0, "peak_mb": None, "rtf": 0.01},
    "batches": {"batches": [{"lines": 1, "share": 0.3, "ratio": 1.0}, {"lines": 2, "share": 0.6, "ratio": 1.8},
                            {"lines": 8, "share": 0.8, "ratio": 3.5}]},
    "starts": {"starts": [{"who": "stock", "compiled": None, "warm_s": None},
                          {"who": "ours", "compiled": False, "warm_s": 40.0},
                          {"who": "ours", "compiled": True, "warm_s": 9.0}]},
    "parity": {"rows": [{"passed": True}, {"passed": False}]},
}  # fmt: skip


def test_goals_are_reached_missed_or_were_not_measured(script: ModuleType) -> None:
    lines = {line.split("  ")[0]: line for line in script.goals(FIGURES, comparable=True)}
    verdicts = {
        "rows of parity that fail, tiny": "not measured",
        "rows of parity that fail, base": "not reached",
        "stock at equal NFE over ours": "reached",
        "the earlier recipe over ours": "not measured",
        "stock at its default over ours": "not reached",
        "share of the product rate": "reached",
        "8 lines in one run over single lines": "reached",
        "loaded and warm, compiled before": "reached",
        "the allocator's peak": "not measured",
    }
    for name, verdict in verdicts.items():
        assert lines[name].endswith(f" {verdict}")
        assert lines[name].endswith("not reached") is (verdict == "not reached")
    assert "0.60 with 2 in a run" in lines["share of the product rate"]
    assert not any("reached" in line for line in list(script.goals(FIGURES, comparable=False))[1:])


@pytest.mark.parametrize(("words", "said"), [(["--only", "nothing"], "there is no step nothing here")])
def test_wrong_usage_is_told(words: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "bench_gpu.py", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
