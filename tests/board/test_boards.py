"""Each board of the trees, and each fault of each of its files."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from ishowtts.board import BoardIdentity, BoardReading
from support.clock import Clock
from support.sysfs_tree import Tree

TREES = Path(__file__).parent / "trees"
ALL = {field.name for field in fields(BoardReading)}

BOARDS = {
    "orin-nano-jetpack5": (
        BoardIdentity("NVIDIA Orin Nano Developer Kit", "JetPack 5.1.2 (L4T 35.4.1)", "1422523000101"),
        BoardReading(
            gpu_clock_mhz=306.0, gpu_clock_max_mhz=624.75, gpu_clock_locked=False, gpu_load_pct=12.3, gpu_temp_c=42.25,
            cpu_temp_c=43.125, power_mode="7W", power_w=5.18976, fan_pct=30.196, throttle_events=13, throttled=False,
            memory_used_mb=2496.332, memory_total_mb=7821.132,
        ),
    ),
    "orin-nano-jetpack6": (
        BoardIdentity(
            "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
            "JetPack 6.2.1 (L4T 36.4.7)",
            "1423224000102",
        ),
        BoardReading(
            gpu_clock_mhz=1020.0, gpu_clock_max_mhz=1020.0, gpu_clock_locked=False, gpu_load_pct=98.7,
            gpu_temp_c=81.25, cpu_temp_c=78.531, power_mode="MAXN_SUPER", power_w=23.2055, fan_pct=80.0,
            throttle_events=52, throttled=False, memory_used_mb=4921.295, memory_total_mb=7993.295,
        ),
    ),
    "orin-nx-jetpack6-super": (
        BoardIdentity(
            "NVIDIA Jetson Orin NX Engineering Reference Developer Kit Super",
            "JetPack 6.2.3 (L4T 36.5.2)",
            "1423524000103",
        ),
        BoardReading(
            gpu_clock_mhz=1173.0, gpu_clock_max_mhz=1173.0, gpu_clock_locked=True, gpu_load_pct=64.0,
            gpu_temp_c=99.25, cpu_temp_c=96.75, power_mode="MAXN_SUPER", power_w=28.56, fan_pct=100.0,
            throttle_events=205, throttled=True, memory_used_mb=7086.08, memory_total_mb=16302.08,
        ),
    ),
    "agx-orin-jetpack5": (
        BoardIdentity("Jetson AGX Orin Developer Kit", "JetPack 5.1.5 (L4T 35.6.1)", "1420922000104"),
        BoardReading(
            gpu_clock_mhz=1301.0, gpu_clock_max_mhz=1301.0, gpu_clock_locked=True, gpu_load_pct=1.5,
            gpu_temp_c=47.875, cpu_temp_c=51.468, power_mode="MAXN", power_w=13.80173, fan_pct=21.961,
            throttle_events=0, throttled=False, memory_used_mb=6471.68, memory_total_mb=32071.68,
        ),
    ),
    "agx-orin-jetpack6": (
        BoardIdentity("NVIDIA Jetson AGX Orin Developer Kit", "JetPack 6.2 (L4T 36.4.3)", "1421220000001"),
        BoardReading(
            gpu_clock_mhz=612.0, gpu_clock_max_mhz=1300.5, gpu_clock_locked=False, gpu_load_pct=71.0,
            gpu_temp_c=46.531, cpu_temp_c=49.062, power_mode="MODE_30W", power_w=15.4, fan_pct=40.0,
            throttle_events=7, throttled=False, memory_used_mb=8192.0, memory_total_mb=65536.0,
        ),
    ),
    "agx-orin-jetpack7": (
        BoardIdentity("NVIDIA Jetson AGX Orin Developer Kit", "JetPack 7.2 (L4T 39.2.0)", "1421222000105"),
        BoardReading(
            gpu_clock_mhz=918.0, gpu_clock_max_mhz=1301.0, gpu_clock_locked=False, gpu_load_pct=33.3,
            gpu_temp_c=53.968, cpu_temp_c=55.031, power_mode="MODE_50W", power_w=20.306, fan_pct=50.196,
            throttle_events=8, throttled=False, memory_used_mb=13670.4, memory_total_mb=65894.4,
        ),
    ),
    "agx-thor-jetpack7": (  # its GPU's temperature sensor is off, and the load is in NVML only
        BoardIdentity("NVIDIA Jetson AGX Thor Developer Kit", "JetPack 7.0 (L4T 38.2.0)", "1421325000002"),
        BoardReading(
            gpu_clock_mhz=1575.0, gpu_clock_max_mhz=1575.0, gpu_clock_locked=True, cpu_temp_c=41.5,
            power_mode="MAXN", power_w=34.1, fan_pct=20.0, throttle_events=821, throttled=False,
            memory_used_mb=8192.0, memory_total_mb=131072.0,
        ),
    ),
    "thor-t4000-jetpack7": (  # its GPU is powered off, and the carrier board has no meter
        BoardIdentity("NVIDIA Jetson T4000", "JetPack 7.1 (L4T 38.4.0)", "1425325000106"),
        BoardReading(
            gpu_clock_max_mhz=1530.0, gpu_clock_locked=False, cpu_temp_c=53.7, power_mode="70W", power_w=12.62024,
            fan_pct=22.745, throttle_events=821, throttled=False, memory_used_mb=4500.527, memory_total_mb=65940.527,
        ),
    ),
    "agx-xavier-jetpack5": (
        BoardIdentity("Jetson-AGX", "JetPack 5.1.4 (L4T 35.6.0)", "1421819000107"),
        BoardReading(
            gpu_clock_mhz=675.75, gpu_clock_max_mhz=1377.0, gpu_clock_locked=False, gpu_load_pct=40.2,
            gpu_temp_c=43.0, cpu_temp_c=44.5, power_mode="MODE_30W_ALL", power_w=6.94, fan_pct=35.294,
            memory_used_mb=3379.2, memory_total_mb=32051.2,
        ),
    ),
}  # fmt: skip

# Which fields of the reading depend on a file, by its path.
DEPENDS = {
    r"gpu[^/]*/cur_freq|\.ga10b/cur_freq|\.gv11b/cur_freq": {"gpu_clock_mhz"},
    r"(gpu-gpc-0|\.gpu|\.ga10b|\.gv11b)/min_freq": {"gpu_clock_locked"},
    r"(gpu-gpc-0|\.gpu|\.ga10b|\.gv11b)/max_freq": {"gpu_clock_locked", "gpu_clock_max_mhz"},
    r"/runtime_status": {"gpu_clock_mhz", "gpu_load_pct"},
    r"/load$": {"gpu_load_pct"},
    r"thermal_zone\d+/": {"gpu_temp_c", "cpu_temp_c"},
    r"cooling_device\d+/": {"throttled"},
    r"/oc\d_event_cnt": {"throttle_events"},
    r"/hwmon\d+/name": {"power_w", "fan_pct"},
    r"/hwmon\d+/(in|curr|power)\d_": {"power_w"},
    r"/hwmon\d+/pwm1": {"fan_pct"},
    r"proc/stat": {"cpu_load_pct"},
    r"proc/meminfo": {"memory_used_mb", "memory_total_mb"},
    r"nvpmodel": {"power_mode"},
}
FAILURES = ("missing", "EAGAIN", "EIO", "EISDIR")
CONTENTS = ("", "\n", "\0\0", "abc", "N/A", "nan", "inf", "1e99", "1_0", "12 34", "-256000", "-2147483648",
            "2147483647", "4294967295", "18446744073709551615", "9" * 400, "\x7fELF\x01\x02",
            "\u0661\u0662")  # fmt: skip
# These are constants of the device tree: they may be unreadable, but not wrong.
CONSTANT = re.compile(r"_label$|/name$|/type$|_enable$|nv_tegra_release|device-tree|osrelease|nvpmodel.conf")


def rounded(reading: BoardReading) -> BoardReading:
    floats: dict[str, Any] = {name: round(value, 6) for name, value in vars(reading).items() if type(value) is float}
    return replace(reading, **floats)


def depending(path: str) -> set[str]:
    return set().union(*(names for pattern, names in DEPENDS.items() if re.search(pattern, path)))


def files(name: str) -> Iterator[tuple[str, str]]:
    """Yield path and content of each file of a board that can be read and that a reading depends on."""
    for path, content in json.loads((TREES / f"{name}.json").read_text(encoding="utf-8")).items():
        if isinstance(content, str) and depending(path):
            yield path, content


@pytest.mark.parametrize("name", BOARDS)
def test_each_board_is_read_in_the_units_of_the_contract(name: str, tmp_path: Path) -> None:
    identity, expected = BOARDS[name]
    with Tree(tmp_path, TREES / f"{name}.json") as tree:
        assert tree.board().identity() == identity
        reading = tree.board().read()
    for field in sorted(ALL):
        value = getattr(expected, field)
        assert getattr(reading, field) == (pytest.approx(value, rel=1e-4) if type(value) is float else value), field


def test_every_tree_is_read() -> None:
    assert {file.stem for file in TREES.glob("*.json")} == BOARDS.keys()


@pytest.mark.parametrize("name", ["agx-orin-jetpack6", "agx-thor-jetpack7"])
def test_a_file_that_fails_costs_only_its_own_fields(name: str, tmp_path: Path) -> None:
    clock = Clock()
    with Tree(tmp_path, TREES / f"{name}.json") as tree:
        started = tree.board(clock)
        healthy = rounded(started.read())
        for path, content in files(name):
            for how in FAILURES:
                tree.fail(path, how)
                for board in (started, tree.board()):
                    assert_unknown(differing(healthy, rounded(board.read())), path, how)
                tree.restore(path, content)
                clock.now_s += 31.0  # within that time a driver that is loaded again is found
                assert rounded(started.read()) == healthy, f"{path} answers again"


@pytest.mark.parametrize("name", ["orin-nano-jetpack6", "agx-thor-jetpack7"])
def test_a_file_with_an_impossible_content_costs_only_its_own_fields(name: str, tmp_path: Path) -> None:
    with Tree(tmp_path, TREES / f"{name}.json") as tree:
        board = tree.board()
        healthy = rounded(board.read())
        for path, content in files(name):
            if CONSTANT.search(path):
                continue
            for wrong in CONTENTS:
                tree.write(path, wrong)
                assert_unknown(differing(healthy, rounded(board.read())), path, wrong)
            tree.write(path, content)


def differing(healthy: BoardReading, reading: BoardReading) -> dict[str, object]:
    return {name: getattr(reading, name) for name in ALL if getattr(reading, name) != getattr(healthy, name)}


def assert_unknown(changed: dict[str, object], path: str, how: str) -> None:
    """What changed depends on this file, and is unknown now: it has no wrong value."""
    assert changed.keys() <= depending(path), (path, how, changed)
    if how == "missing" and "_event_cnt" in path:
        return  # boards differ in the number of counters
    if how in FAILURES and re.search(r"(cooling_device\d+/type|hwmon\d+/name|in\d_enable|nvpmodel.conf)$", path):
        return  # without these, the node is not found, or the mode has only a number
    if path.endswith("runtime_status"):
        return  # a GPU whose status is not known is taken to be on
    assert set(changed.values()) <= {None}, (path, how, changed)


@pytest.mark.parametrize("seed", range(2))
def test_random_faults_raise_nothing_and_leave_only_plausible_values(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for name in BOARDS:
        with Tree(tmp_path / name, TREES / f"{name}.json") as tree:
            board = tree.board()
            for _ in range(4):
                for path, content in files(name):
                    if chance.random() < 0.2:
                        noise = "".join(chance.choices("0123456789-.eE \n\0kB:abc\u20ac<>=", k=chance.randrange(30)))
                        tree.write(path, chance.choice([*CONTENTS, noise, content]))
                reading = board.read()
                for field, (low, high) in PLAUSIBLE.items():
                    value = getattr(reading, field)
                    assert value is None or low <= value <= high, (field, value)
                tree.board().identity()


PLAUSIBLE = {
    "gpu_clock_mhz": (1e-6, 1e4), "gpu_clock_max_mhz": (1e-6, 1e4), "gpu_load_pct": (0, 100), "gpu_temp_c": (-40, 150),
    "cpu_load_pct": (0, 100), "cpu_temp_c": (-40, 150), "power_w": (1e-6, 1000), "fan_pct": (0, 100),
    "throttle_events": (0, 1e20), "memory_used_mb": (0, 1e15), "memory_total_mb": (1, 1e15),
}  # fmt: skip
