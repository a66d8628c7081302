"""NVML, with a library that behaves like the driver's: late, zero, lost, hanging, aborting."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ishowtts.board import BoardReading
from ishowtts.board.nvml import NvmlSensors, NvmlTiming
from ishowtts.board.sensor_child import SensorChild
from ishowtts.util import child_process
from support import nvml
from support.nvml import ABORT, FUNCTION_NOT_FOUND, HANG, FakeDriver
from support.waiting import eventually

NOT_SUPPORTED, GPU_IS_LOST, UNKNOWN = 3, 15, 999
READY = {"init": 0, "handle": 0}
CARD = {**READY, "clock": 1410, "max_clock": 1980, "load": 37, "temperature": 61, "power": 214_500, "reasons": 0}
FAST = NvmlTiming(interval_s=0.01, start_s=30, stale_s=30, first_retry_s=0.01, retry_s=0.02, reopen_s=0.03)
HANG_S = 0.2
CALLER = "the process that calls the driver of the GPU"
DAYS_S = 1e6
DAEMON = str(Path(__file__).parents[2] / "daemon")


def no_library() -> bool:
    try:
        ctypes.CDLL(nvml.LIBRARY)
    except OSError:
        return True
    return False


pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
    pytest.mark.skipif(not no_library(), reason="this machine has a real NVML"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def driver(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    monkeypatch.setenv("FAKE_NVML", str(tmp_path / "answers"))
    return FakeDriver(tmp_path / "answers")


Start = Callable[..., NvmlSensors]


@pytest.fixture
def start(driver: FakeDriver) -> Iterator[Start]:
    """Starts sensors that are ended before the driver goes away."""
    running: list[NvmlSensors] = []

    def begin(uptime_s: float = DAYS_S, start_s: float = FAST.start_s, stale_s: float = FAST.stale_s) -> NvmlSensors:
        sensors = NvmlSensors(replace(FAST, start_s=start_s, stale_s=stale_s), lambda: uptime_s)
        running.append(sensors)
        sensors.start()
        return sensors

    yield begin
    driver.unload()  # ends a call that hangs
    for sensors in running:
        sensors.close(5)
        assert not sensors.alive()


def has(sensors: NvmlSensors, **values: object) -> Callable[[], bool]:
    return lambda: all(getattr(sensors.read(), field) == value for field, value in values.items())


def test_a_graphics_card_is_read(driver: FakeDriver, start: Start) -> None:
    driver.answer(**CARD)
    sensors = start()
    eventually(lambda: sensors.read() != BoardReading(), "a reading")
    assert sensors.name == "nvml"
    assert sensors.read() == BoardReading(
        gpu_clock_mhz=1410, gpu_clock_max_mhz=1980, gpu_load_pct=37, gpu_temp_c=61, power_w=214.5, throttled=False
    )


def test_what_the_driver_does_not_answer_is_unknown_alone(driver: FakeDriver, start: Start) -> None:
    driver.answer(**READY, load=12, clock=(NOT_SUPPORTED, 0), power=(UNKNOWN, 0), temperature=0, max_clock=0xFFFFFFFF)
    sensors = start()
    eventually(has(sensors, gpu_load_pct=12), "the load")
    assert sensors.read() == BoardReading(gpu_load_pct=12)


def test_only_heat_and_power_faults_are_throttling(driver: FakeDriver, start: Start) -> None:
    driver.answer(**CARD)
    sensors = start()
    reasons = [(0x8, True), (0x1, False), (0x20, True), (0x4, False), (0x44, True), (0x104, False), (0x80, True)]
    for reason, throttled in reasons:
        driver.answer(**{**CARD, "reasons": reason})
        eventually(has(sensors, throttled=throttled), f"the reason {reason:#x}")


def test_an_old_driver_is_asked_by_the_old_names(driver: FakeDriver, start: Start) -> None:
    missing = (FUNCTION_NOT_FOUND, 0)
    old = {"old_temperature": 64, "throttle_reasons": 0x40}
    driver.answer(**{**CARD, "temperature": missing, "reasons": missing, **old})
    eventually(has(start(), gpu_temp_c=64, throttled=True), "the reading")


def test_a_driver_that_comes_late_is_used_and_reported_once(
    driver: FakeDriver, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sensors = start()
    eventually(lambda: "Driver Not Loaded" in caplog.text, "the first attempt")
    assert sensors.read() == BoardReading()
    driver.answer(**CARD)
    eventually(has(sensors, gpu_load_pct=37), "the load")
    assert caplog.text.count("Driver Not Loaded") == 1
    assert "NVML answers" in caplog.text


def test_early_at_boot_a_load_of_zero_is_unknown_until_nvml_is_opened_again(driver: FakeDriver, start: Start) -> None:
    driver.answer(**{**CARD, "init": 1, "clock": 0, "load": 40})
    sensors = start(uptime_s=20)
    eventually(has(sensors, gpu_temp_c=61), "a reading")
    assert (sensors.read().gpu_load_pct, sensors.read().gpu_clock_mhz) == (None, None)
    driver.answer(**{**CARD, "init": 0, "load": 40})
    eventually(has(sensors, gpu_load_pct=40, gpu_clock_mhz=1410), "the load")
    driver.answer(**{**CARD, "load": 0})
    eventually(has(sensors, gpu_load_pct=0), "a load of 0 that is believed")


def test_later_a_load_of_zero_is_believed_at_once(driver: FakeDriver, start: Start) -> None:
    driver.answer(**{**CARD, "load": 0})
    eventually(has(start(uptime_s=301), gpu_load_pct=0), "the load")


@pytest.mark.parametrize("fault", [{"load": (GPU_IS_LOST, 0)}, {"clock": (GPU_IS_LOST, 0)}, {"init": (UNKNOWN, 0)}])
def test_a_lost_gpu_has_no_values_and_is_tried_again(
    driver: FakeDriver, start: Start, fault: dict[str, tuple[int, int]]
) -> None:
    driver.answer(**CARD)
    sensors = start()
    eventually(has(sensors, gpu_load_pct=37), "the load")
    driver.answer(**{**CARD, "load": (GPU_IS_LOST, 0), **fault})
    eventually(lambda: sensors.read() == BoardReading(), "the loss")
    driver.answer(**CARD)
    eventually(has(sensors, gpu_load_pct=37), "the return")


@pytest.mark.parametrize("function", ["init", "power"])
def test_a_driver_that_hangs_has_no_values_and_is_left(
    driver: FakeDriver, start: Start, caplog: pytest.LogCaptureFixture, function: str
) -> None:
    caplog.set_level(logging.INFO)
    driver.answer(**{**CARD, function: (HANG, 0)})
    sensors = start(start_s=1.0)
    eventually(
        lambda: f"{CALLER} has not answered for 1 s" in (sensors.problem or ""),
        "the hang",
    )
    assert sensors.read() == sensors.read() == BoardReading()
    sensors.close(0.01)  # it does not wait for the driver


def test_a_driver_that_hangs_for_a_while_is_used_again(driver: FakeDriver, start: Start) -> None:
    driver.answer(**CARD)
    sensors = start(stale_s=HANG_S)
    eventually(has(sensors, power_w=214.5), "a reading")
    driver.answer(**{**CARD, "power": (HANG, 0)})
    eventually(lambda: sensors.read() == BoardReading(), "the hang")
    driver.answer(**CARD)
    eventually(has(sensors, power_w=214.5), "the reading after it")
    sensors.close(5)
    assert sensors.read() == BoardReading()


def test_a_driver_that_aborts_ends_its_own_process_alone(driver: FakeDriver, start: Start) -> None:
    driver.answer(**CARD)
    sensors = start()
    eventually(has(sensors, power_w=214.5), "a reading")
    driver.answer(**{**CARD, "power": (ABORT, 0)})
    eventually(
        lambda: sensors.problem == f"{CALLER} was ended by SIGABRT",
        "the end of its process",
    )
    assert sensors.read() == BoardReading()
    driver.answer(**CARD)
    eventually(has(sensors, power_w=214.5), "the reading after it")


def test_a_child_whose_parent_has_ended_already_does_not_call_the_driver(driver: FakeDriver) -> None:
    driver.answer(**{**CARD, "init": (HANG, 0)})
    command = child_process.command("ishowtts.board.nvml_child", "1" if os.getpid() != 1 else "2")
    done = subprocess.run(command, input=b"\n", stdout=subprocess.PIPE, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


def test_a_process_that_cannot_be_ended_is_not_joined_by_another(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensors = NvmlSensors(replace(FAST, start_s=0.1), command=lambda: ["sleep", "60"])
    kill = SensorChild.kill
    monkeypatch.setattr(SensorChild, "kill", lambda child: None)  # it stands still in the kernel
    sensors.run_once(last=False)
    assert sensors.problem == f"{CALLER} has not answered for 0 s"
    sensors.run_once(last=False)
    assert sensors.problem == "the driver of the GPU hangs, and the process that calls it cannot be ended"
    assert sensors._killed is not None
    kill(sensors._killed)


def test_a_process_ends_with_its_parent_although_the_driver_hangs(driver: FakeDriver, tmp_path: Path) -> None:
    driver.answer(**{**CARD, "power": (HANG, 0)})
    code = """
import time
from ishowtts.board.nvml import NvmlSensors
sensors = NvmlSensors()
sensors.start()
while sensors._child is None:
    time.sleep(0.01)
sensors.close(0.1)
print(sensors._child._process.pid, sensors.alive())
"""
    environment = {**os.environ, "PYTHONPATH": DAEMON}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=20
    )
    pid, alive = done.stdout.split()
    assert alive == "True"
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "the end of the child")


def test_a_machine_without_the_library_tries_rarely(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sensors = NvmlSensors()
    assert [sensors.run_once(last=False), sensors.run_once(last=False)] == [600.0, 600.0]
    assert sensors.absent
    sensors.run_once(last=True)
    assert caplog.text.count("libnvidia-ml.so.1 of NVIDIA's driver cannot be loaded") == 1
