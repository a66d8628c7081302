"""jetson-stats in a child process: with its own service, emulated, and with children that misbehave."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ishowtts.board import BoardReading, jetson_stats_child
from ishowtts.board.combined_board import CombinedBoard
from ishowtts.board.jetson_stats import (
    JetsonStatsSensors,
    JetsonStatsTiming,
    child_command,
    parse_reading,
)
from support.jetson_stats import EmulatedService, emulated_service, missing
from support.sysfs_tree import Tree
from support.waiting import eventually

pytestmark = pytest.mark.xdist_group("jetson-stats")  # one service for all

PATIENT = JetsonStatsTiming(first_pause_s=0.05, longest_pause_s=0.1)
SOON = JetsonStatsTiming(start_s=0.5, silence_s=0.5, first_pause_s=0.05, longest_pause_s=0.1)
DAEMON = str(Path(__file__).parents[2] / "daemon")
ORIN = BoardReading(
    gpu_clock_mhz=1020, gpu_clock_max_mhz=1300.5, gpu_clock_locked=False, gpu_load_pct=42.3, gpu_temp_c=51.25,
    cpu_temp_c=48.5, power_w=9.5, fan_pct=40,
)  # fmt: skip


@pytest.fixture
def run() -> Iterator[Callable[..., JetsonStatsSensors]]:
    """Starts sensors, and ends them with the test."""
    running: list[JetsonStatsSensors] = []

    def start(command: list[str], timing: JetsonStatsTiming = SOON) -> JetsonStatsSensors:
        sensors = JetsonStatsSensors(lambda: command, timing)
        running.append(sensors)
        sensors.start()
        return sensors

    yield start
    for sensors in running:
        sensors.close(10)
        assert not sensors.alive()
        assert sensors.read() == BoardReading()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedService]:
    if reason := missing():
        pytest.skip(reason)
    with emulated_service(tmp_path_factory.mktemp("orin")) as emulated:
        yield emulated


@pytest.fixture
def service(board: EmulatedService) -> EmulatedService:
    """The service, running as it should."""
    board.ensure_started()
    return board


Run = Callable[..., JetsonStatsSensors]


def test_the_service_is_read(service: EmulatedService, run: Run) -> None:
    sensors = run(service.child_command(), PATIENT)
    eventually(lambda: sensors.read() == ORIN, "the reading")
    assert (sensors.name, sensors.problem) == ("jetson-stats", None)
    service.load(1000)
    eventually(lambda: sensors.read().gpu_load_pct == 100, "the load")
    service.load(423)


def test_a_service_that_is_killed_takes_only_its_own_values_away(
    service: EmulatedService, run: Run, thor: Tree
) -> None:
    sensors = run(service.child_command(), PATIENT)
    sysfs = thor.board()
    both = CombinedBoard(sysfs.identity, [sysfs, sensors])
    eventually(lambda: both.read().gpu_load_pct == 42.3, "the load, which Thor's sysfs lacks")
    assert (both.sources()["gpu_load_pct"], both.sources()["power_w"]) == ("jetson-stats", "sysfs")
    service.kill()
    eventually(lambda: both.read().gpu_load_pct is None, "the end of the load")
    assert both.read().power_w == sysfs.read().power_w != ORIN.power_w
    eventually(lambda: "jtop.service is not active" in (sensors.problem or ""), "the reason")
    service.ensure_started()
    eventually(lambda: both.read().gpu_load_pct == 42.3, "the load afterwards")
    assert sensors.problem is None


def test_a_service_that_is_frozen_has_no_values_until_it_goes_on(service: EmulatedService, run: Run) -> None:
    sensors = run(service.child_command(), replace(PATIENT, silence_s=1))
    eventually(lambda: sensors.read() == ORIN, "the reading")
    service.signal(signal.SIGSTOP)
    eventually(lambda: sensors.read() == BoardReading(), "the end of the values")
    eventually(lambda: "does not answer" in (sensors.problem or ""), "the reason")
    service.signal(signal.SIGCONT)
    eventually(lambda: sensors.read() == ORIN, "the reading afterwards")


def test_a_service_that_is_frozen_at_the_start_blocks_nobody(service: EmulatedService, run: Run) -> None:
    service.signal(signal.SIGSTOP)
    sensors = run(service.child_command(), replace(PATIENT, start_s=1))
    eventually(lambda: "does not answer" in (sensors.problem or ""), "the reason")
    assert sensors.read() == BoardReading()
    service.signal(signal.SIGCONT)


def test_a_service_of_another_version_is_refused(board: EmulatedService, run: Run) -> None:
    board.kill()
    board.start(version="4.3.1")
    sensors = run(board.child_command(), PATIENT)
    eventually(lambda: "Mismatch version jtop service: [4.3.1]" in (sensors.problem or ""), "the reason")
    assert sensors.read() == BoardReading()
    board.kill()


def test_a_user_without_the_group_is_told_so(service: EmulatedService, run: Run) -> None:
    if not Path("/usr/bin/python3").exists() or shutil.which("setpriv") is None:
        pytest.skip("there is no Python that every user may run, or no setpriv")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    child = service.readable_copy(jetson_stats_child.__file__)
    sensors = run([*service.enter, *nobody, "/usr/bin/python3", "-I", child, "1"], PATIENT)
    eventually(lambda: "it is not in the group jtop" in (sensors.problem or ""), "the reason")


def test_the_child_ends_with_a_daemon_that_is_killed(service: EmulatedService) -> None:
    code = """
import sys, time
from ishowtts.board.jetson_stats import JetsonStatsSensors
sensors = JetsonStatsSensors(lambda: sys.argv[1:])
sensors.start()
while sensors.read().fan_pct is None:
    time.sleep(0.01)
print(sensors._child._process.pid, flush=True)
time.sleep(100)
"""
    command = [sys.executable, "-c", code, *service.child_command()]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": DAEMON}, stdout=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout is not None
        child = int(daemon.stdout.readline())
        assert b"jetson_stats_child" in Path(f"/proc/{child}/cmdline").read_bytes()
        os.kill(child, signal.SIGSTOP)  # then it cannot notice the end of the pipe
        daemon.kill()
    eventually(lambda: not is_running(child), "the end of the child")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo hello; sleep 100", "writes something else than readings"),
        ("echo '[1]'; sleep 100", "writes something else than readings"),
        ("cat /dev/zero", "writes too much"),
        ("yes '{\"fan_pct\": 1}'", "writes too much"),
        ("printf '%05000d' 1; sleep 100", "writes too much"),
        ("sleep 100", "does not answer"),
        ("kill -STOP $$", "does not answer"),
        ("exit 0", "ended without saying why"),
        ("kill -KILL $$", "its process was ended by SIGKILL"),
        ('echo \'{"error": "no\\u001b service"}\'; sleep 100', "no\\x1b service"),
    ],
)
def test_a_child_that_misbehaves_is_killed_with_what_it_started(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, script: str, problem: str
) -> None:
    started = tmp_path / "started"
    sensors = run(["sh", "-c", f"sleep 100 & echo $! >>{started}; {script}"], SOON)
    eventually(lambda: problem in (sensors.problem or ""), "the reason")
    assert sensors.read() == BoardReading()
    eventually(lambda: len(started.read_text().split()) >= 2, "the second try")
    first = int(started.read_text().split()[0])
    eventually(lambda: not is_running(first), "the end of what the first one started")
    sensors.close(10)
    eventually(lambda: not any(is_running(int(pid)) for pid in started.read_text().split()), "the end of all")
    assert caplog.text.count(problem) == 1  # tries that fail alike are reported once


@pytest.mark.parametrize("end", ["kill -STOP $$", "exit 0"])
def test_a_child_that_falls_silent_or_ends_after_a_reading_has_no_values(run: Run, end: str) -> None:
    once = replace(SOON, first_pause_s=60, longest_pause_s=60)
    sensors = run(["sh", "-c", f"echo '{{\"fan_pct\": 40}}'; sleep 0.3; {end}"], once)
    eventually(lambda: sensors.read() == BoardReading(fan_pct=40), "the reading")
    eventually(lambda: sensors.read() == BoardReading(), "the end of the values")


def test_a_program_that_cannot_be_started_is_named(run: Run, tmp_path: Path) -> None:
    sensors = run([str(tmp_path / "python3")], SOON)
    eventually(lambda: "python3 cannot be started (No such file or directory)" in (sensors.problem or ""), "the reason")


def test_the_child_gets_neither_environment_nor_files_of_the_daemon(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    code = """
import json, os, time
found = [os.getcwd(), *sorted(os.environ), *sorted(os.listdir("/proc/self/fd"))]
print(json.dumps({"power_mode": " ".join(found)}), flush=True)
time.sleep(100)
"""
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        sensors = run([sys.executable, "-I", "-c", code], PATIENT)
        eventually(lambda: sensors.read() != BoardReading(), "the reading")
    assert sensors.read().power_mode == "/ LANG PATH 0 1 2 3"  # the last one is that of the listing


def test_a_value_that_is_wrong_counts_as_unknown() -> None:
    good = {
        "gpu_clock_mhz": 1300.5,
        "gpu_clock_locked": True,
        "gpu_load_pct": 0,
        "power_mode": "MAXN",
        "gpu_temp_c": -5,
    }
    assert parse_reading(json.dumps(good).encode()) == BoardReading(
        gpu_clock_mhz=1300.5, gpu_clock_locked=True, gpu_load_pct=0, power_mode="MAXN", gpu_temp_c=-5
    )
    for field, values in {
        "gpu_clock_mhz": ["0", "-1", "1e999", "NaN", "true", '"1300"', "[1300]", "{}", "null", "9" * 400],
        "gpu_load_pct": ["101", "-0.5", "Infinity"],
        "gpu_temp_c": ["-256", "201"],
        "gpu_clock_locked": ["1", '"true"', "0"],
        "power_mode": ["7", '""', '"a\\u0007"', '"a\\ud800"', json.dumps("M" * 65), '["MAXN"]'],
        "power_w": ["-1", "1e9"],
        "fan_pct": ["100.1"],
        "memory_used_mb": ["5"],
        "unknown": ["5"],
    }.items():
        for value in values:
            assert parse_reading(f'{{"{field}": {value}}}'.encode()) == BoardReading(), (field, value)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"3",
        b"{",
        b"\xff\xfe",
        b'{"a": 1} {}',
        b"[" * 4000,
        b'{"a":' * 800,
        b'{"fan_pct": 1' + b" " * 4096 + b"}",
    ],
)
def test_a_line_that_is_no_reading_ends_the_child(line: bytes) -> None:
    with pytest.raises(Exception, match="something else than readings"):
        parse_reading(line)


@pytest.mark.skipif(os.geteuid() != 0, reason="the program of jetson-stats must belong to root")
def test_the_child_runs_with_the_python_of_the_program_of_jetson_stats(tmp_path: Path) -> None:
    program, python = tmp_path / "jtop", tmp_path / "venv/bin/python3.10"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    own = sys.executable  # the tests' environment has jetson-stats too
    for first, expected in {
        f"#!{python}\n": str(python),
        f"#! {python} \n": str(python),
        "#!/usr/bin/env python3\n": shutil.which("python3", path="/usr/bin:/bin") or own,
        f"#!{tmp_path}/gone/python3\n": own,
        "#!/bin/sh\n": own,
        f"#!{python} -c 'evil'\n": own,
        "": own,
        "#!" + "/" * 10_000 + "python\n": own,
    }.items():
        program.write_text(first)
        assert child_command([tmp_path / "missing", tmp_path, program])[0] == expected, first
    program.write_text(f"#!{python}\n")
    program.chmod(0o775)
    assert child_command([program])[:2] == [own, "-I"]
    program.chmod(0o755)
    os.chown(program, 65534, 65534)
    assert child_command([program])[0] == own


def test_a_machine_without_jetson_stats_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ishowtts.board.jetson_stats.find_spec", lambda name: None)
    sensors = JetsonStatsSensors(lambda: child_command([]), SOON)
    assert sensors.run_once(last=False) == SOON.first_pause_s
    assert "not installed" in (sensors.problem or "")


class Client:
    """What a client of jetson-stats has. Properties that a board lacks are missing."""

    def __init__(self, **properties: object) -> None:
        self.__dict__.update(properties)


def test_the_clocks_of_nvml_are_megahertz_and_its_load_is_not_used() -> None:
    thor = {
        "type": "integrated",
        "status": {"load": 0.0},
        "freq": {"cur": 1575, "max": 1575, "min": 0, "governor": "nvml"},
        "power_control": "nvml",
    }
    told = jetson_stats_child.reading(Client(gpu={"Thor": thor}, temperature={}, fan={}, nvpmodel=None))
    assert {field: value for field, value in told.items() if value is not None} == {
        "gpu_clock_mhz": 1575,
        "gpu_clock_max_mhz": 1575,
    }


def test_sensors_that_are_off_and_versions_that_lack_something_are_unknown() -> None:
    assert set(jetson_stats_child.reading(Client()).values()) == {None}
    zones = {"GPU": {"temp": -256, "online": False}, "CPU-therm": {"temp": 50.5}, "gpu2": {"temp": 40}}
    rails = {"rail": {}, "tot": {"power": 0}}
    mode = Client(name="MAXN")
    told = jetson_stats_child.reading(
        Client(
            gpu={"gpu": {"freq": {"cur": 0}}}, temperature=zones, power=rails, nvpmodel=mode, fan={"f": {"speed": []}}
        )
    )
    assert {field: value for field, value in told.items() if value is not None} == {
        "cpu_temp_c": 50.5,
        "power_mode": "MAXN",
    }


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
