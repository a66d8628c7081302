"""NVML, with a library that behaves like the driver's: late, zero, lost, hanging."""

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
from support import nvml
from support.nvml import FUNCTION_NOT_FOUND, HANG, FakeDriver
from support.waiting import eventually

NOT_SUPPORTED, GPU_IS_LOST, UNKNOWN = 3, 15, 999
READY = {"init": 0, "handle": 0}
CARD = {**READY, "clock": 1410, "max_clock": 1980, "load": 37, "temperature": 61, "power": 214_500, "reasons": 0}
FAST = NvmlTiming(interval_s=0.01, stale_s=30, first_retry_s=0.01, retry_s=0.02, reopen_s=0.03)
HANG_S = 0.2
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
    path = nvml.build(tmp_path_factory.mktemp("nvml"))
    nvml.load(path)
    return path


@pytest.fixture
def driver(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    monkeypatch.setenv("FAKE_NVML", str(tmp_path / "answers"))
    return FakeDriver(tmp_path / "answers")


Start = Callable[..., NvmlSensors]


@pytest.fixture
def start(driver: FakeDriver) -> Iterator[Start]:
    """Starts sensors that are ended before the driver goes away."""
    running: list[NvmlSensors] = []

    def begin(uptime_s: float = DAYS_S, stale_s: float = FAST.stale_s) -> NvmlSensors:
        sensors = NvmlSensors(replace(FAST, stale_s=stale_s), lambda: uptime_s)
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


@pytest.mark.parametrize(
    ("reasons", "throttled"),
    [(0x1, False), (0x4, False), (0x104, False), (0x8, True), (0x20, True), (0x44, True), (0x80, True)],
)
def test_only_heat_and_power_faults_are_throttling(
    driver: FakeDriver, start: Start, reasons: int, throttled: bool
) -> None:
    driver.answer(**{**CARD, "reasons": reasons})
    eventually(has(start(), throttled=throttled), "the reason")


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
def test_a_driver_that_hangs_has_no_values_and_blocks_nobody(
    driver: FakeDriver, start: Start, caplog: pytest.LogCaptureFixture, function: str
) -> None:
    driver.answer(**{**CARD, function: (HANG, 0)})
    sensors = start(stale_s=HANG_S)
    eventually(lambda: sensors.overdue_s() > HANG_S, "the hang")
    assert sensors.read() == sensors.read() == BoardReading()
    assert caplog.text.count("the driver of the GPU hangs") == 1
    sensors.close(0.01)
    assert sensors.alive()  # a daemon thread: the process can end
    driver.answer(**CARD)


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


def test_a_process_ends_although_the_driver_hangs(driver: FakeDriver, library: Path) -> None:
    driver.answer(**{**CARD, "power": (HANG, 0)})
    code = f"""
import ctypes, time
from ishowtts.board.nvml import NvmlSensors
ctypes.CDLL({str(library)!r})
sensors = NvmlSensors()
sensors.start()
while sensors.overdue_s() < 0.1:
    time.sleep(0.01)
sensors.close(0.1)
print("closed", sensors.alive())
"""
    environment = {"PYTHONPATH": DAEMON, "FAKE_NVML": os.environ["FAKE_NVML"]}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=20
    )
    assert done.stdout == "closed True\n"


def test_a_machine_without_the_library_tries_rarely_and_loads_no_package() -> None:
    code = """
import logging, sys
from ishowtts.board.nvml import NvmlSensors
logging.basicConfig(stream=sys.stdout, level=logging.INFO)
sensors = NvmlSensors()
print(sensors.run_once(last=False), sensors.run_once(last=False), "pynvml" in sys.modules)
sensors.run_once(last=True)
"""
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": DAEMON},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout.count("libnvidia-ml.so.1 of NVIDIA's driver cannot be loaded") == 1
    assert told.stdout.endswith("60.0 60.0 False\n")
