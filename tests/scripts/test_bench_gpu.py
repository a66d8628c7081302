"""scripts/bench-gpu: steps that fail, hang, talk or leave processes; what is left in the folder; and the goals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ishowtts.errors import EngineError
from ishowtts_bench.gpu_suite import carried_wheels, gpu_steps
from ishowtts_bench.gpu_suite.gpu_goals import goal_lines
from ishowtts_bench.gpu_suite.gpu_steps import Plan
from support import run_bench_gpu
from support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
MOST_FILES = 8

Call = Callable[..., "Started"]


class Started:
    """A call with stand-in steps."""

    def __init__(self, folder: Path, steps: str, *options: str, **environment: str) -> None:
        self.folder = folder
        paths = [str(ROOT / "daemon"), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
        command = [sys.executable, run_bench_gpu.__file__, steps, "--device", "cpu", "--out", str(folder), *options]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, expected: int) -> str:
        """Wait for the end. Returns what was printed."""
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == expected, out + err
        return out + err

    def wait_for(self, name: str, words: str) -> None:
        """Wait until a file in the folder contains these words."""
        eventually(lambda: (self.folder / name).exists() and words in self.text(name))

    @property
    def content(self) -> dict[str, Any]:
        """What figures.json has."""
        found: dict[str, Any] = json.loads((self.folder / "figures.json").read_text())
        return found

    @property
    def steps(self) -> dict[str, Any]:
        """What figures.json has of each step."""
        found: dict[str, Any] = self.content["steps"]
        return found

    def text(self, name: str) -> str:
        """The text of a file in the folder."""
        return (self.folder / name).read_text()


@pytest.fixture
def call(tmp_path: Path) -> Iterator[Call]:
    """`call("good,hangs", …)` starts a call with these steps."""
    started: list[Started] = []

    def start(steps: str, *options: str, folder: str = "out", **environment: str) -> Started:
        (tmp_path / "tmp").mkdir(exist_ok=True)
        started.append(Started(tmp_path / folder, steps, *options, TMPDIR=str(tmp_path / "tmp"), **environment))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def test_a_step_that_fails_in_any_way_does_not_stop_the_next(call: Call, tmp_path: Path) -> None:
    made = call("raises,crashes,hangs,deaf,good")
    printed = made.finish(1)
    assert "these steps failed: raises, crashes, hangs, deaf;" in printed
    statuses = {name: (step["status"], step.get("why")) for name, step in made.steps.items()}
    assert statuses == {
        "raises": ("failed", "RuntimeError: this step is broken"),
        "crashes": ("failed", "SIGSEGV ended it: no output"),
        "hangs": ("killed", "its limit is 1 s"),
        "deaf": ("killed", "its limit is 1 s"),
        "good": ("ok", None),
        "for-a-gpu": ("not run", "it needs a GPU"),
    }
    assert made.steps["hangs"]["figures"] == {"half": True}  # what it had until then
    assert made.steps["hangs"]["spent_s"] < 3
    assert 3.9 < made.steps["deaf"]["spent_s"] < 8  # and the grace of SIGTERM
    assert made.steps["good"]["figures"]["rtf"] == 0.5
    assert "these are the words of a good step" in made.text("log.txt")
    assert "Traceback" in made.text("log.txt")
    goals = made.text("goals.txt")
    assert "the figures below are not judged" in goals
    assert "hangs: killed: its limit is 1 s" in goals
    assert not any(line.endswith(" reached") for line in goals.splitlines())
    assert not list((tmp_path / "tmp").iterdir())


def test_the_output_of_a_step_is_bounded(call: Call) -> None:
    made = call("talks,talks_for_ever")
    made.finish(1)
    log = made.text("log.txt")
    assert len(log) < 1 << 20
    assert "the beginning" in log
    assert "the end" in log
    assert "bytes left out" in log
    assert made.steps["talks_for_ever"]["status"] == "killed"


def test_figures_that_are_too_large_are_left_out(call: Call) -> None:
    made = call("writes_large_figures,writes_nan")
    made.finish(0)
    assert made.steps["writes_large_figures"]["figures"] is None


def test_no_process_of_a_step_is_left(call: Call) -> None:
    call("leaves").finish(0)
    eventually(lambda: not [words for words in _command_lines() if words[:1] == ["sleep"] and words[1][:2] == "60"])


def test_a_step_that_is_killed_leaves_no_process_either(call: Call) -> None:
    made = call("hangs")
    made.wait_for("goals.txt", "hangs: running")
    (child,) = _children(made.process.pid)
    made.process.kill()
    made.process.wait()
    eventually(lambda: not Path(f"/proc/{child}").exists())


def _command_lines() -> Iterator[list[str]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_text().split("\0")
        except OSError:
            continue


def _children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_leaves_every_file(call: Call, number: int, tmp_path: Path) -> None:
    made = call("good,hangs")
    made.wait_for("goals.txt", "hangs: running")
    time.sleep(0.2)  # until it has spoken
    made.process.send_signal(number)
    made.finish(128 + number)
    assert (made.steps["good"]["status"], made.steps["hangs"]["status"]) == ("ok", "interrupted")
    assert made.steps["hangs"]["figures"] == {"half": True}
    assert "I hang" in made.text("log.txt")
    assert f"ended by {signal.Signals(number).name}" in made.text("log.txt")
    assert "RTF of our engine" in made.text("goals.txt")
    assert {path.name for path in made.folder.iterdir()} == {"figures.json", "log.txt", "goals.txt"}
    assert not list((tmp_path / "tmp").iterdir())


def test_who_sent_a_signal_need_not_wait_until_the_step_has_ended(call: Call) -> None:
    made = call("deaf")
    made.wait_for("goals.txt", "deaf: running")
    time.sleep(0.3)  # until it has spoken
    made.process.terminate()
    time.sleep(0.4)
    made.process.kill()
    made.process.wait()
    assert "I do not listen" in made.text("log.txt")


def test_a_kill_in_the_middle_leaves_complete_files(call: Call) -> None:
    made = call("good,hangs")
    made.wait_for("goals.txt", "hangs: running")
    made.process.kill()
    made.process.wait()
    assert made.steps["good"]["status"] == "ok"
    assert made.steps["hangs"]["status"] == "running"
    assert "these are the words of a good step" in made.text("log.txt")
    assert "hangs: running" in made.text("goals.txt")


def test_the_folder_holds_few_files_after_any_number_of_steps(call: Call) -> None:
    steps = ",".join(f"step{number}=good" for number in range(30))
    for _ in range(2):
        made = call(f"{steps},makes_samples")
        made.finish(0)
        names = {path.name for path in made.folder.iterdir()}
        assert names == {"figures.json", "log.txt", "goals.txt", "samples.tar"}
        assert len(names) <= MOST_FILES
        assert all(path.stat().st_size < 16 << 20 for path in made.folder.iterdir())
    assert len(made.steps) == 32
    with tarfile.open(made.folder / "samples.tar") as tar:
        assert len(tar.getnames()) > 10


def test_the_second_call_keeps_the_steps_of_the_first(call: Call) -> None:
    call("kernels=good,speed=raises").finish(1)
    made = call("speed=good")
    made.finish(0)
    assert made.steps["kernels"] == made.steps["kernels"] | {"status": "ok", "earlier": True}
    assert made.steps["speed"]["status"] == "ok"
    assert "earlier" not in made.steps["speed"]
    assert "measured in an earlier call: kernels" in made.text("goals.txt")
    assert "kernels: ok" in made.text("log.txt")
    made = call("speed=good", "--model", "tiny")  # figures of another model are no part of this report
    made.finish(0)
    assert "kernels" not in made.steps


def test_a_step_that_failed_earlier_was_not_measured(call: Call) -> None:
    call("kernels=raises").finish(1)
    made = call("speed=good")
    made.finish(0)
    assert "kernels: failed" in made.text("goals.txt")
    assert "measured in an earlier call" not in made.text("goals.txt")


def test_steps_that_do_not_fit_into_the_time_do_not_start(call: Call) -> None:
    started = time.time()
    made = call("one=hangs,two=hangs,three=hangs", "--within", "10", "--since", str(started - 3))
    made.finish(1)
    assert time.time() - started < 9
    assert "s are left" in made.steps["three"]["why"]
    assert made.steps["three"]["status"] == "not run"


def test_a_full_disk_does_not_end_the_call(call: Call, tmp_path: Path) -> None:
    made = call("good,last=good")
    made.finish(0)
    before = {path.name: path.read_bytes() for path in made.folder.iterdir()}
    made = call("good,talks", "--model", "small", BENCH_GPU_LARGEST_FILE="300")
    printed = made.finish(1)
    assert "cannot be written: File too large" in printed
    assert "talks: ok" in printed
    after = {path.name: path.read_bytes() for path in made.folder.iterdir()}
    assert set(after) == set(before)
    assert after["goals.txt"] == before["goals.txt"]
    assert json.loads(after["figures.json"])["model"] == "small"  # of the start, when it was shorter


def test_a_folder_that_cannot_be_made_is_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "name another folder with --out" in call("good", folder="file/folder").finish(2)


def test_wheels_are_importable_here_and_in_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "/earlier")
    with pytest.raises(ValueError, match="no wheels"):
        carried_wheels.add_wheels(tmp_path, tmp_path / "site")
    with zipfile.ZipFile(tmp_path / "carried-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried_by_a_wheel.py", "VALUE = 7")
    assert carried_wheels.add_wheels(tmp_path, tmp_path / "site") == 1
    assert __import__("carried_by_a_wheel").VALUE == 7
    assert os.environ["PYTHONPATH"] == f"{tmp_path / 'site'}{os.pathsep}/earlier"
    (tmp_path / "broken.whl").write_text("no zip")
    with pytest.raises(ValueError, match=r"broken\.whl cannot be unpacked"):
        carried_wheels.add_wheels(tmp_path, tmp_path / "site")


FIGURES: dict[str, Any] = {
    "gpu-tests": {"collected": 45, "run": 40, "skipped": 5, "failed": 0},
    "speed": {"ratio_equal_nfe": 2.4, "ratio_default": 11.0, "peak_mb": None, "rtf": 0.01, "fraction_of_floor": 0.5,
              "new_length_ms": 7.1},
    "batches": {"batches": [{"segments": 1, "share": 0.3, "ratio": 1.0}, {"segments": 2, "share": 0.6, "ratio": 1.8},
                            {"segments": 8, "share": 0.8, "ratio": 3.5}]},
    "starts": {"starts": [{"system": "upstream", "compiled": None, "warm_s": None},
                          {"system": "ours", "compiled": False, "warm_s": 40.0},
                          {"system": "ours", "compiled": True, "warm_s": 9.0}]},
    "parity": {"rows": [{"passed": True}, {"passed": False}]},
}  # fmt: skip


def test_each_goal_is_reached_or_not_reached_or_not_measured() -> None:
    lines = {line.split("  ")[0]: line for line in goal_lines(FIGURES, comparable=True)}
    verdicts = {
        "failed tests of the kernels": "reached",
        "failed rows of parity, tiny": "not measured",
        "failed rows of parity, base": "not reached",
        "RTF over the arithmetic alone": "reached",
        "upstream at equal NFE over ours": "reached",
        "torch.compile of upstream over ours": "not measured",
        "upstream at its default over ours": "not reached",
        "share of the product rate": "reached",
        "a new length costs": "not reached",
        "loaded and warm, compiled before": "reached",
        "the allocator's peak": "not measured",
        "graphs and code outside the allocator": "not measured",
    }
    for name, verdict in verdicts.items():
        assert lines[name].endswith(f" {verdict}")
        assert lines[name].endswith("not reached") is (verdict == "not reached")
    assert set(lines) == {*verdicts, "RTF of our engine"}
    assert "0.60 with 2 in a run" in lines["share of the product rate"]
    assert not any("reached" in line for line in list(goal_lines(FIGURES, comparable=False))[1:])


def test_tests_that_did_not_run_reach_no_goal() -> None:
    for failed, verdict in ((0, "not measured"), (1, "not reached")):
        part = {"gpu-tests": {"collected": 45, "run": 30, "skipped": 5, "failed": failed}}
        (line,) = (line for line in goal_lines(part, comparable=True) if line.startswith("failed tests"))
        assert line.endswith(verdict)


def test_a_fault_of_the_measurement_reaches_no_goal() -> None:
    wrong = {"speed": {"fraction_of_floor": 1.4, "measure_fault": "other programs ran"}}
    (line,) = (line for line in goal_lines(wrong, comparable=True) if line.startswith("RTF over"))
    assert line.endswith("not measured")


def test_the_first_call_has_what_shows_faults_and_the_second_everything_else() -> None:
    plan = Plan("base", "cuda")
    assert [step.name for step in gpu_steps.first_steps(plan)] == [
        "device", "weights", "kernels", "gpu-tests", "speed",
    ]  # fmt: skip
    assert [step.name for step in gpu_steps.all_steps(plan, Path())] == [
        "device", "weights", "speed", "profile", "compiled", "parity-tiny", "starts", "batches", "parity", "ablate",
        "vocoder", "sweep",
    ]  # fmt: skip


_PRELOAD = """
import torch
def refuse(*_, **__): raise AssertionError("CUDA is touched")
for name in ("is_available", "_lazy_init", "device_count", "current_device", "get_device_properties"):
    setattr(torch.cuda, name, refuse)
from ishowtts_bench.gpu_suite import gpu_steps
print(gpu_steps.preload("cuda"))
"""


@pytest.mark.f5
@pytest.mark.slow
def test_the_imports_do_not_touch_cuda() -> None:
    done = subprocess.run([sys.executable, "-c", _PRELOAD], capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.f5
def test_an_import_that_fails_in_any_way_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise EngineError("upstream's modules cannot be imported")

    upstream = ModuleType("upstream_infer")
    upstream.__dict__["utils_infer"] = fails
    monkeypatch.setitem(sys.modules, "ishowtts_bench.upstream_infer", upstream)
    monkeypatch.setattr(gpu_steps, "_SHARED", ("ishowtts_bench.no_such_module",))
    missing, broken = gpu_steps.preload("cpu")
    assert missing.startswith("ishowtts_bench.no_such_module cannot be imported: No module")
    assert broken == "f5-tts cannot be imported: upstream's modules cannot be imported"


def test_an_unknown_step_is_refused() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "bench-gpu", "--only", "nothing"],
        env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "unknown step nothing" in done.stderr


@pytest.mark.parametrize("written", ["nan", "inf", "0", "-5", "soon"])
def test_a_time_limit_that_is_not_one_is_refused(call: Call, written: str) -> None:
    """With NaN no limit held at all."""
    assert f"'{written}' is not a number of seconds above 0" in call("good", f"--within={written}").finish(2)
