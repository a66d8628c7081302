"""The sensor reader, on boards as trees of files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from ishowtts.board import BoardIdentity, BoardReading
from ishowtts.board.detect import detect_board
from ishowtts.board.sysfs import SysfsBoard
from support.sysfs_tree import Tree

GPU = "sys/class/devfreq/17000000.gpu"


def rounded(reading: BoardReading) -> BoardReading:
    floats = {name: round(value, 6) for name, value in vars(reading).items() if isinstance(value, float)}
    return replace(reading, **floats)


def test_an_orin_is_read_in_the_units_of_the_contract(orin: Tree) -> None:
    board = orin.board()
    assert board.identity() == BoardIdentity(
        "NVIDIA Jetson AGX Orin Developer Kit", "JetPack 6 (L4T 36.4.3)", "1421220000001"
    )
    assert rounded(board.read()) == BoardReading(
        gpu_clock_mhz=612.0,
        gpu_clock_max_mhz=1300.5,
        gpu_clock_locked=False,
        gpu_load_pct=71.0,
        gpu_temp_c=46.531,
        cpu_load_pct=None,
        cpu_temp_c=49.062,
        power_mode="MODE_30W",
        power_w=16.4,
        fan_pct=40.0,
        throttle_events=7,
        memory_used_mb=8192.0,
        memory_total_mb=65536.0,
    )


def test_a_thor_has_no_load_and_a_meter_for_its_input_and_a_sensor_may_be_off(thor: Tree) -> None:
    board = thor.board()
    assert board.identity().jetpack == "JetPack 7 (L4T 38.2.0)"
    reading = board.read()
    assert (reading.gpu_clock_mhz, reading.gpu_clock_max_mhz, reading.gpu_clock_locked) == (1575.0, 1575.0, True)
    assert (reading.gpu_load_pct, reading.gpu_temp_c, reading.throttle_events) == (None, None, None)
    assert (reading.cpu_temp_c, reading.power_w, reading.power_mode) == (41.5, 34.1, "MAXN")


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
    assert orin.board().read().power_w == pytest.approx(16.4)


def test_the_gpu_load_is_also_found_in_the_folder_of_its_clock(orin: Tree) -> None:
    (orin.root / "sys/devices/platform/gpu.0/load").unlink()
    orin.write(f"{GPU}/device/load", "125\n")
    assert orin.board().read().gpu_load_pct == 12.5


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


def test_reading_a_board_loads_no_torch_and_no_jtop() -> None:
    code = (
        "import sys; from ishowtts.board.detect import detect_board; from pathlib import Path;"
        "detect_board('auto', Path('/sys')).read();"
        "sys.exit(bool({'torch', 'jtop'} & sys.modules.keys()))"
    )
    daemon = Path(__file__).parents[2] / "daemon"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(daemon)}, check=True, timeout=60)
