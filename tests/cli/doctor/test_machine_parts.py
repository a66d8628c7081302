"""What `ishowtts doctor` says about the board, torch and the GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ishowtts.board import BoardIdentity, BoardReading
from ishowtts.board.combined_board import CombinedBoard
from ishowtts.board.gpu_specs import find
from ishowtts.board.nvpmodel import PowerMode
from ishowtts.board.simulated import SimulatedSensors
from ishowtts.cli.doctor import machine_parts
from ishowtts.cli.doctor.machine_parts import (
    board_findings,
    examine_board,
    gpu_finding,
    power_mode_findings,
    torch_findings,
)
from ishowtts.cli.findings import Finding
from ishowtts.config import Config
from support.sysfs_tree import Tree

TREES = Path(__file__).parents[2] / "board" / "trees"
ORIN = find("agx-orin")


def probed(products: float, memory: float, **changes: Any) -> dict[str, Any]:
    """Return the output of the probe on an AGX Orin that reaches these shares of its data sheet."""
    rates = {
        "flop_per_s": products * ORIN.half_flop_per_s, "bytes_per_s": memory * ORIN.bytes_per_s, "fault": None,
        "flash_fault": None, "fused_fault": None, "no_assembler": False, "sms": 16, "memory_mb": 65_800.0,
        "clock_mhz": 1300.0,
    }  # fmt: skip
    return {"gpu": "Orin", "rates": rates | changes}


def test_a_board_is_compared_with_its_data_sheet() -> None:
    found = gpu_finding(probed(0.70, 0.61))
    assert (found.part, found.verdict, found.fix) == ("GPU", "ok", None)
    assert found.detail == (
        "products 29.8 TFLOPS (70% of the data sheet's 42.6, AGX Orin 64 GB; expected 70%), "
        "memory 125 GB/s (61% of 205; expected 61%); "
        "flash attention works"
    )


def test_a_slow_board_gets_a_note_and_a_fix() -> None:
    found = gpu_finding(probed(0.425, 0.80))
    assert found.verdict == "note"
    assert "42% of the data sheet's 42.6, AGX Orin 64 GB; expected 70%" in found.detail
    assert found.fix is not None
    assert "MAXN" in found.fix
    assert gpu_finding(probed(0.85, 0.3)).verdict == "note"
    assert gpu_finding(probed(0.55, 0.50)).verdict == "ok"


def test_an_unknown_gpu_is_not_compared() -> None:
    found = gpu_finding(probed(0.1, 0.1, sms=14))
    assert found.verdict == "ok"
    assert "there is no data sheet to compare with" in found.detail


def test_a_failed_measurement_is_a_note() -> None:
    broken = gpu_finding(probed(0.85, 0.80, flash_fault="flash attention with lengths is off by 0.3"))
    assert broken.verdict == "note"
    assert "off by 0.3" in broken.detail
    slower = gpu_finding(probed(0.85, 0.80, fused_fault="Triton is not installed"))
    assert slower.verdict == "note"
    assert "Triton is not installed: synthesis is slower" in slower.detail
    assert "gcc" in (slower.fix or "")
    no_ptxas = "Triton cannot compile for this GPU without the ptxas of CUDA 13, which a package brings"
    thor = gpu_finding(probed(0.85, 0.80, fused_fault=no_ptxas, no_assembler=True))
    assert f"{no_ptxas}: synthesis is slower" in thor.detail
    assert thor.fix == "sudo apt-get install cuda-nvcc-13-0"
    failing_ptxas = "a Triton kernel could not be started, which needs gcc and this Python's headers (ptxas fatal)"
    assert "gcc" in (gpu_finding(probed(0.85, 0.80, fused_fault=failing_ptxas)).fix or "")
    full = gpu_finding(probed(0.85, 0.80, flop_per_s=None, bytes_per_s=None, fault="CUDA out of memory."))
    assert full.verdict == "note"
    assert "could not be measured: CUDA out of memory." in full.detail


def test_each_way_in_which_torch_fails_has_a_fix() -> None:
    [broken] = torch_findings(1, "", "Traceback\nImportError: libcudss.so.0: cannot open shared object file\n")
    assert (broken.verdict, broken.fix) == ("fault", "sudo apt-get install cudss, and run install.sh again")
    assert broken.detail == "torch does not start: ImportError: libcudss.so.0: cannot open shared object file"
    [killed] = torch_findings(-9, "", "")
    assert (killed.detail, killed.fix) == ("torch does not start: status -9, no output", "run install.sh again")
    base = {"torch": "2.9", "cuda_build": "12.6", "rates": None}
    [wrong] = torch_findings(0, json.dumps(base | {"gpu": "Orin", "cuda_fault": "no kernel image"}), "")
    assert (wrong.verdict, "install.sh --torch" in (wrong.fix or "")) == ("fault", True)
    [none] = torch_findings(0, json.dumps(base | {"gpu": None, "cuda_fault": "torch finds no CUDA device"}), "")
    assert none.verdict == "note"


@pytest.fixture
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_parts, "_SENSORS_S", 0.0)


def of_tree(folder: Path, name: str, *, thor: bool = False) -> list[Finding]:
    with Tree(folder / name, TREES / f"{name}.json") as tree:
        board = tree.board()
        return list(board_findings(CombinedBoard(board.identity, [board]), thor=thor))


@pytest.mark.usefixtures("without_waiting")
def test_a_healthy_jetson_is_named_with_its_sources(tmp_path: Path) -> None:
    board, clocks = of_tree(tmp_path, "orin-nx-jetpack6-super")
    assert (board.verdict, board.detail) == (
        "ok",
        "NVIDIA Jetson Orin NX Engineering Reference Developer Kit Super, JetPack 6.2.3 (L4T 36.5.2), "
        "power mode MAXN_SUPER, readings from sysfs",
    )
    assert (clocks.part, clocks.verdict, clocks.detail) == ("clocks", "ok", "GPU at 1173 of 1173 MHz, locked")


@pytest.mark.usefixtures("without_waiting")
def test_what_a_thor_lacks_without_nvml_is_named_with_the_fix(tmp_path: Path) -> None:
    rows = of_tree(tmp_path, "agx-thor-jetpack7", thor=True)
    [load] = [row for row in rows if "GPU load" in row.detail]
    assert load.detail == "the GPU load is unknown: on Thor it comes from NVML, which has none now"
    assert "nvidia-ml-py" in (load.fix or "")
    assert len(rows) == 3, "a sensor of a GPU without work is no fault"


@pytest.mark.usefixtures("without_waiting")
def test_a_gpu_that_is_powered_off_is_not_reported_as_broken(tmp_path: Path) -> None:
    rows = of_tree(tmp_path, "thor-t4000-jetpack7", thor=True)
    assert "the GPU is powered off until it has work: its clock is unknown now" in [row.detail for row in rows]
    assert rows[-1].detail == "GPU at an unknown clock of 1530 MHz, not locked"
    with Tree(tmp_path / "orin", TREES / "agx-orin-jetpack6.json") as tree:
        tree.write("sys/class/devfreq/17000000.gpu/device/power/runtime_status", "suspended\n")
        board = tree.board()
        _, off, clocks = board_findings(CombinedBoard(board.identity, [board]), thor=False)
    assert (off.detail, clocks.part) == (rows[1].detail, "clocks")


@pytest.mark.usefixtures("without_waiting")
def test_each_reading_that_a_jetson_lacks_has_a_row() -> None:
    board, *rows = board_findings(CombinedBoard(lambda: BoardIdentity("NVIDIA Jetson X", None, None), []), thor=False)
    assert board.detail == "NVIDIA Jetson X, unknown JetPack, power mode unknown, readings from no source"
    assert len(rows) == 8
    assert all(row.verdict == "note" for row in rows)
    assert sum(row.fix is None for row in rows) == 2, "an old kernel cannot be helped"


def test_a_machine_that_is_no_jetson_is_told_so(tmp_path: Path) -> None:
    board = {"source": "sysfs", "sysfs_root": str(tmp_path)}
    [row] = examine_board(Config.model_validate({"board": board}))
    assert (row.verdict, row.fix) == ("note", None)
    assert row.detail.startswith("there is no Jetson here")
    for source in ("none", "simulated"):
        [off] = examine_board(Config.model_validate({"board": {"source": source}}))
        assert (off.verdict, off.fix) == ("note", "set board.source: auto")


def test_a_source_that_is_late_is_waited_for() -> None:
    class Late:
        name = "nvml"
        reads = 0

        def start(self) -> None: ...

        def close(self, timeout_s: float) -> None: ...

        def read(self) -> BoardReading:
            self.reads += 1
            return SimulatedSensors().read() if self.reads > 3 else BoardReading()

    board, _ = board_findings(CombinedBoard(lambda: BoardIdentity("x", "JetPack 9", None), [Late()]), thor=True)
    assert board.detail.endswith("readings from nvml")


@pytest.mark.parametrize(
    ("name", "present", "noted"),
    [
        ("MAXN", PowerMode(2, "MODE_30W"), True),
        ("30W", PowerMode(2, "MODE_30W"), False),
        (None, PowerMode(2, "MODE_30W"), False),
        ("MAXN", None, False),
    ],
)
def test_a_power_mode_that_is_not_the_configured_one_is_noted(
    name: str | None, present: PowerMode | None, noted: bool
) -> None:
    rows = list(power_mode_findings(name, present))
    assert bool(rows) == noted
    assert not noted or rows[0].detail == "the power mode is MODE_30W, but board.power_mode is MAXN"
