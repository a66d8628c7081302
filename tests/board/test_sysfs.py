"""The sensor reader, on boards as trees of files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import pytest

from ishowtts.board import BoardIdentity, BoardReading, sysfs
from ishowtts.board.combined_board import CombinedBoard
from ishowtts.board.detect import detect_board
from ishowtts.board.sysfs import SysfsBoard
from ishowtts.board.sysfs_nodes import SysfsNodes
from ishowtts.board.timely_board import TimelyBoard
from support.clock import Clock
from support.sysfs_tree import Tree

GPU = "sys/class/devfreq/17000000.gpu"
HWMON = "sys/class/hwmon"
THERMAL = "sys/class/thermal"


def test_the_cpu_load_is_computed_between_two_readings(orin: Tree) -> None:
    board = orin.board()
    orin.write("proc/stat", "cpu  1200 0 550 8600 650 0 0 0 0 0\n")  # 250 of 1000 ticks busy
    assert board.read().cpu_load_pct == pytest.approx(25.0)
    assert board.read().cpu_load_pct is None, "no tick passed, so the load is unknown"


def test_zones_of_older_kernels_in_capitals_are_read(orin: Tree) -> None:
    orin.write("sys/class/thermal/thermal_zone0/type", "CPU-therm\n")
    orin.write("sys/class/thermal/thermal_zone1/type", "GPU-therm\n")
    assert (orin.board().read().cpu_temp_c, orin.board().read().gpu_temp_c) == (49.062, 46.531)


def test_a_sensor_that_is_off_has_no_temperature(orin: Tree) -> None:
    orin.write("sys/class/thermal/thermal_zone1/temp", "-256000\n")
    assert orin.board().read().gpu_temp_c is None


def test_a_zone_below_zero_is_a_temperature(orin: Tree) -> None:
    orin.write("sys/class/thermal/thermal_zone1/temp", "-5500\n")
    assert orin.board().read().gpu_temp_c == -5.5


def test_the_rail_of_the_whole_board_is_not_added_to_its_parts(orin: Tree) -> None:
    orin.write("sys/class/hwmon/hwmon2/in1_label", "VDD_IN\n")
    orin.write("sys/class/hwmon/hwmon2/in1_input", "5000\n")
    orin.write("sys/class/hwmon/hwmon2/curr1_input", "4000\n")
    assert orin.board().read().power_w == pytest.approx(20.0)


def test_a_sum_without_one_of_the_rails_is_not_reported(orin: Tree) -> None:
    orin.switch_off("sys/class/hwmon/hwmon1/curr2_input")
    assert orin.board().read().power_w is None


def test_a_channel_that_is_not_connected_does_not_hide_the_sum(orin: Tree) -> None:
    for name in ("in1_input", "curr1_input", "in3_input", "curr3_input"):
        orin.switch_off(f"sys/class/hwmon/hwmon2/{name}")
    assert orin.board().read().power_w == pytest.approx(15.4)


def test_the_gpu_load_is_also_found_in_the_folder_of_its_clock(orin: Tree) -> None:
    (orin.root / "sys/devices/platform/gpu.0/load").unlink()
    orin.write(f"{GPU}/device/load", "125\n")
    assert orin.board().read().gpu_load_pct == 12.5


def test_a_gpu_that_is_powered_off_has_no_clock_and_no_load_but_keeps_its_bounds(orin: Tree) -> None:
    orin.write(f"{GPU}/device/power/runtime_status", "suspended\n")
    reading = orin.board().read()
    assert (reading.gpu_clock_mhz, reading.gpu_load_pct) == (None, None)
    assert (reading.gpu_clock_max_mhz, reading.gpu_clock_locked) == (1300.5, False)


def test_a_driver_that_is_loaded_after_the_start_is_found(orin: Tree) -> None:
    clock = Clock()
    hidden = {folder: orin.root / "hidden" / folder.name for folder in (orin.root / GPU, orin.root / HWMON / "hwmon0")}
    (orin.root / "hidden").mkdir()
    for folder, away in hidden.items():
        folder.rename(away)
    board = orin.board(clock)
    assert (board.read().gpu_clock_mhz, board.read().fan_pct) == (None, None)
    for folder, away in hidden.items():
        away.rename(folder)
    assert board.read().gpu_clock_mhz == 612.0, "the GPU is looked for at each reading"
    (orin.root / GPU).rename(hidden[orin.root / GPU])
    assert board.read().gpu_clock_mhz is None
    clock.now_s += 31.0
    assert board.read().fan_pct == 40.0


def test_a_driver_that_gets_another_number_is_found_at_once(orin: Tree) -> None:
    board = orin.board(Clock())
    assert board.read().fan_pct == 40.0
    (orin.root / HWMON / "hwmon0").rename(orin.root / HWMON / "hwmon9")
    assert board.read().fan_pct == 40.0


def test_a_sensor_that_takes_seconds_is_read_every_minute(
    orin: Tree, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    reads = []

    def read_power(nodes: SysfsNodes) -> float:
        reads.append(clock.now_s)
        clock.now_s += 6.0
        return 15.0

    monkeypatch.setattr(sysfs, "_power_w", read_power)
    board = orin.board(clock)
    powers = []
    for _ in range(15):
        reading = board.read()
        powers.append(reading.power_w)
        assert reading.gpu_temp_c == 46.531, "the others are read"
        clock.now_s += 5.0
    assert powers == [15.0, *[None] * 10, 15.0, None, None, None]
    assert reads == [1000.0, 1061.0]
    assert caplog.text.count("the sensor for power took 6 s to answer") == 1


def test_a_mode_that_is_added_to_the_file_gets_its_name(orin: Tree) -> None:
    board = orin.board()
    assert board.read().power_mode == "MODE_30W"
    orin.write("etc/nvpmodel.conf", "< POWER_MODEL ID=2 NAME=MODE_40W >\n")
    assert board.read().power_mode == "MODE_40W"


def test_one_part_of_the_chip_that_is_too_hot_is_enough(orin: Tree) -> None:
    alert = next(path for path in (orin.root / THERMAL).glob("*/type") if path.read_text() == "soc1-throttle-alert\n")
    assert orin.board().read().throttled is False
    orin.write(str(alert.relative_to(orin.root).with_name("cur_state")), "1\n")
    assert orin.board().read().throttled is True
    fan = next(path for path in (orin.root / THERMAL).glob("*/type") if path.read_text() == "pwm-fan\n")
    assert fan.with_name("cur_state").read_text() != "0\n", "a fan that cools does not throttle"


def test_a_power_mode_without_a_name_is_reported_by_number(orin: Tree) -> None:
    (orin.root / "etc/nvpmodel.conf").unlink()
    assert orin.board().read().power_mode == "mode 2"


@pytest.mark.parametrize("content", ["", "\n", "abc", "nan", "inf", "1e99", "12 34", "\0\0", "\x7fELF\udcff"])
def test_invalid_content_of_any_file_is_unknown_and_not_an_error(orin: Tree, content: str) -> None:
    for file in orin.root.rglob("*"):
        if file.is_file():
            file.write_bytes(content.encode("utf-8", "surrogateescape"))
    reading = orin.board().read()
    assert set(astuple(reading)) == {None}


def test_an_unreadable_file_is_unknown_and_not_an_error(orin: Tree) -> None:
    for file in [file for file in orin.root.rglob("*") if file.is_file()]:
        file.unlink()
        file.mkdir()  # EISDIR is an OSError that root gets too
    assert orin.board().read() == BoardReading()
    assert orin.board().identity() == BoardIdentity()


def test_a_sensor_that_is_off_is_unknown_and_does_not_block(orin: Tree) -> None:
    for file in [file for file in orin.root.rglob("*") if file.is_file()]:
        orin.switch_off(str(file.relative_to(orin.root)))
    assert orin.board().read() == BoardReading()


def test_a_board_that_disappears_between_two_readings_is_unknown(orin: Tree) -> None:
    board = orin.board()
    orin.root.rename(orin.root.with_name("gone"))
    assert board.read() == BoardReading()


def test_a_machine_that_is_not_a_jetson_reports_what_it_has(tmp_path: Path) -> None:
    reading = SysfsBoard(tmp_path, Path("/proc"), tmp_path, tmp_path).read()
    assert reading.memory_total_mb is not None
    assert reading.gpu_clock_mhz is None
    assert reading.gpu_clock_locked is None


def test_only_a_simulated_board_says_that_it_is_simulated(tmp_path: Path) -> None:
    assert detect_board("simulated", tmp_path).identity().model == "simulated"
    assert None not in astuple(detect_board("simulated", tmp_path).read())
    assert detect_board("none", tmp_path).read() == BoardReading()
    assert detect_board("auto", tmp_path).read().gpu_clock_mhz is None


def test_nvml_and_jetson_stats_are_asked_for_this_machine_only(tmp_path: Path) -> None:
    def sources(source: str, sysfs_root: Path, *, jetson_stats: bool = True) -> list[str]:
        board = detect_board(source, sysfs_root, jetson_stats=jetson_stats)
        board = board._board if isinstance(board, TimelyBoard) else board
        assert isinstance(board, CombinedBoard)
        return [found.name for found in board._sources]

    assert sources("auto", Path("/sys")) == ["sysfs", "nvml", "jetson-stats"]
    assert sources("auto", Path("/sys"), jetson_stats=False) == ["sysfs", "nvml"]
    assert sources("auto", tmp_path) == sources("sysfs", Path("/sys")) == ["sysfs"]
    assert sources("simulated", Path("/sys")) == ["simulated"]
    assert sources("none", Path("/sys")) == []


def test_reading_a_board_loads_no_torch_and_no_jtop() -> None:
    code = (
        "import sys; from ishowtts.board.detect import detect_board; from pathlib import Path;"
        "detect_board('auto', Path('/sys')).read();"
        "sys.exit(bool({'torch', 'jtop'} & sys.modules.keys()))"
    )
    daemon = Path(__file__).parents[2] / "daemon"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(daemon)}, check=True, timeout=60)
