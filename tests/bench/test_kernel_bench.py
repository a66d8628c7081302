"""`ishowtts bench kernels`: candidates that break their process, and the real ones on a CPU."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from ishowtts.cli import main
from ishowtts.engines.f5.cuda import kernel_candidates, kernel_timing
from ishowtts.engines.f5.cuda.kernel_timing import CandidateGroup
from ishowtts.errors import EngineError
from ishowtts_bench import bench_candidates, candidate_timing, kernel_bench
from ishowtts_bench.bench_env import BenchEnv
from ishowtts_bench.json_files import write_atomically
from ishowtts_bench.kernel_bench import KernelFigures

pytestmark = pytest.mark.f5


def measure(figures: KernelFigures) -> bool:
    """Measures candidates of which some end this process, break the device, or never end."""
    for name in ("good", "crashes", "breaks the device", "hangs", "last"):
        if figures.is_known("group", name):
            continue
        figures.begin("group", name, flop=1.0)
        if name == "crashes":
            os._exit(7)
        if name == "hangs":
            time.sleep(600)
        figures.finish(**({"fault": "illegal access"} if name == "breaks the device" else {"us": 1.0}))
        if name == "breaks the device":
            return False
    return True


def test_a_candidate_that_ends_its_process_does_not_stop_the_next(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "kernels.json"
    path.write_text("from an earlier call")
    found = kernel_bench.run(path, measure, told.append, longest_s=1.0)
    assert found.content["groups"]["group"]["candidates"] == {
        "good": {"us": 1.0},
        "crashes": {"fault": "its process ended with 7"},
        "breaks the device": {"fault": "illegal access"},
        "hangs": {"fault": "it takes longer than 1 s"},
        "last": {"us": 1.0},
    }
    assert told == ["group | crashes: its process ended with 7", "group | hangs: it takes longer than 1 s"]
    assert json.loads(path.read_text()) == found.content


def test_a_file_that_cannot_be_written_is_the_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError):
        kernel_bench.run(tmp_path / "missing" / "kernels.json", measure, print)
    assert not capfd.readouterr().err  # no process has started
    folder = tmp_path / "folder"
    folder.mkdir()

    def lose_folder(figures: KernelFigures) -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return measure(figures)

    with pytest.raises(FileNotFoundError):
        kernel_bench.run(folder / "kernels.json", lose_folder, print)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "figures.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "figures.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


def test_the_time_before_a_candidate_starts_does_not_count(tmp_path: Path) -> None:
    def slow(figures: KernelFigures) -> bool:
        time.sleep(1.5)  # as for imports on a busy machine
        figures.begin("group", "first")
        figures.finish(us=1.0)
        return True

    found = kernel_bench.run(tmp_path / "kernels.json", slow, print, longest_s=0.2)
    assert found.count == 1


def test_kernels_are_compiled_side_by_side_and_faults_wait_until_they_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_share(number: int, count: int) -> None:
        if number == 1:
            os._exit(7)
        if number == 2:
            time.sleep(600)
        (tmp_path / f"{number} of {count}").write_text("")

    monkeypatch.setattr(kernel_bench, "side_by_side", lambda: 4)
    started = time.monotonic()
    kernel_bench.compile_ahead(compile_share, longest_s=1.0)
    assert {path.name for path in tmp_path.iterdir()} == {"0 of 4", "3 of 4"}
    assert time.monotonic() - started < 10


def test_a_process_that_cannot_measure_anything_is_an_error(tmp_path: Path) -> None:
    def fails(_: KernelFigures) -> bool:
        raise RuntimeError("no weights")

    with pytest.raises(EngineError, match="no kernel can be measured"):
        kernel_bench.run(tmp_path / "kernels.json", fails, print)


def test_figures_are_written_after_each_candidate(tmp_path: Path) -> None:
    path = tmp_path / "kernels.json"
    figures = KernelFigures(path)
    figures.begin("group", "first", part="qkv", flop=2.0)
    assert json.loads(path.read_text())["running"] == ["group", "first"]
    figures.finish(us=3.0)
    assert json.loads(path.read_text())["groups"] == {
        "group": {"part": "qkv", "flop": 2.0, "candidates": {"first": {"us": 3.0}}}
    }
    assert KernelFigures(path).is_known("group", "first")


def test_every_candidate_runs_to_the_end_on_a_cpu(
    env: BenchEnv, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (bench_candidates, kernel_candidates):
        monkeypatch.setattr(module, "FRAMES", 96)  # the forked process inherits it
    monkeypatch.setattr(bench_candidates, "_VOCODER_FRAMES", 40)
    path = tmp_path / "kernels.json"
    status = main(["bench", "kernels", "--model", str(env.folder), "--device", "cpu", "--precision", "fp32",
                   "--figures", str(path)])  # fmt: skip
    printed = capfd.readouterr()
    assert status == 0
    found: dict[str, Any] = json.loads(path.read_text())
    groups: dict[str, Any] = {name: about["candidates"] for name, about in found["groups"].items()}
    assert "attention" not in groups  # its candidates need CUDA
    assert "fault" not in str(groups["attention of a CPU"])
    assert {"convolution", "steps between the products", "qkv", "out", "up", "down"} <= set(groups)
    measured = groups["qkv"]["plain"]
    assert measured["us"] > 0
    assert measured["tflops"] > 0
    assert measured["error"] == 0
    assert groups["qkv, product and bias"]["int8"]["error"] < 0.1
    assert groups["norm"]["eager"]["gb_per_s"] > 0
    assert groups["vocoder, 8 s of sound"]["float32"]["error"] == 0
    assert found["chosen"]["qkv"] in groups["qkv, product and bias"]
    assert found["chosen"]["conv"] in groups["convolution of a CPU"]
    assert "running" not in found
    last = printed.out.splitlines()[-1]
    assert last.startswith("ok: ")
    assert "do not run here" in last
    assert "chosen" in printed.out
    assert "qkv | plain: us" in printed.err


def test_a_candidate_that_is_wrong_shows_its_error(tmp_path: Path) -> None:
    x = torch.ones(4)
    runs = {"plain": lambda: x, "wrong": lambda: 2 * x, "broken": lambda: x / 0}
    group = CandidateGroup("group", runs, "plain", torch.float32, flop=8.0, bytes=16.0)
    cpu = torch.device("cpu")
    found = {name: candidate_timing.time_and_error(group, name, run, x, cpu) for name, run in runs.items()}
    assert [found[name]["error"] for name in runs] == [0.0, 1.0, None]
    assert [found[name]["finite"] for name in runs] == [True, True, False]


def test_on_a_gpu_a_candidate_is_timed_as_at_load_or_without_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(4)
    group = CandidateGroup("group", {"plain": lambda: x}, "plain", torch.float32, flop=8e6, bytes=16e3)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    gpu = torch.device("cuda")
    for captured in ({"plain": 2e-6}, {}):
        monkeypatch.setattr(kernel_timing, "times_s", lambda _, captured=captured: captured)
        found = candidate_timing.time_and_error(group, "plain", group.runs["plain"], x, gpu)
        assert found["captured"] is bool(captured)
        if captured:
            assert (found["us"], found["tflops"], found["gb_per_s"]) == (2.0, 4.0, 8.0)
