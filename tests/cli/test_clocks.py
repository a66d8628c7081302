"""`ishowtts clocks` on a board on paper, with stand-ins for jetson_clocks and nvpmodel on PATH."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ishowtts.board.nvpmodel import PowerModes
from ishowtts.cli import clocks as clocks_command
from ishowtts.cli import main
from support.board_clocks import GPU, PROGRAMS, add_clocks
from support.sysfs_tree import Tree

TREES = Path(__file__).parents[1] / "board" / "trees"
Clocks = Callable[..., int]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    with Tree(tmp_path / "orin", TREES / "agx-orin-jetpack6.json") as tree:
        add_clocks(tree)
        return tree


@pytest.fixture
def clocks(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Runs the command, as the unit does."""
    monkeypatch.setenv("STANDIN_SYS", str(tree.root / "sys"))
    monkeypatch.setenv("STANDIN_MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
    monkeypatch.setattr(clocks_command, "PowerModes", partial(PowerModes, etc=tree.root / "etc", var=tree.root / "var"))
    monkeypatch.setattr(clocks_command, "_FIRST_RETRY_S", 0.01)

    def run(action: str, *options: str, power_mode: str | None = None) -> int:
        settings = tmp_path / "cli.yaml"
        board = {"sysfs_root": str(tree.root / "sys"), "power_mode": power_mode}
        settings.write_text(json.dumps({"board": board}))
        return main(["clocks", action, "--config", str(settings), "--store", str(tmp_path / "store"), *options])

    return run


def test_the_clocks_are_locked_and_restored(clocks: Clocks, capsys: pytest.CaptureFixture[str]) -> None:
    assert clocks("show") == 0
    shown = capsys.readouterr().out
    assert "GPU at 612 of 1300.5 MHz, not locked, 0 of 2 CPU cores locked, memory not locked\n" in shown
    assert "power mode MODE_30W\n" in shown
    assert "lock them: sudo systemctl restart ishowtts-clocks" in shown
    assert clocks("apply") == 0
    assert "1300.5 MHz, locked" in capsys.readouterr().out
    clocks("show")
    shown = capsys.readouterr().out
    assert "locked by `ishowtts clocks apply` since 20" in shown
    assert "undo: sudo systemctl stop ishowtts-clocks" in shown
    assert clocks("restore") == 0
    clocks("show", "--json")
    assert json.loads(capsys.readouterr().out.partition("\n")[2]) == {
        "gpu_clock_mhz": 1300.5, "gpu_clock_max_mhz": 1300.5, "locked": False, "cpu_cores": 2, "cpu_cores_locked": 0,
        "emc_locked": False, "power_mode": "MODE_30W", "power_mode_configured": None, "locked_by_us_since": None,
    }  # fmt: skip


def test_a_program_that_only_says_that_it_did_is_found_out(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "no-lock")
    assert clocks("apply") == 1
    assert "is not locked" in capsys.readouterr().err


def test_off_a_jetson_the_fix_is_named_at_once(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert clocks("apply", "--wait", "3600") == 1
    assert "this is not a Jetson" in capsys.readouterr().err


def test_apply_tries_until_a_late_driver_is_there_and_tells_systemd(
    clocks: Clocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    late = tmp_path / "late"
    late.write_text("3\n")
    monkeypatch.setenv("STANDIN_LATE", str(late))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert clocks("apply", "--wait", "60") == 0
        heard = [systemd.recv(4096).decode() for _ in range(4)]
    assert heard[0].startswith("STATUS=waiting for the clocks: ")
    assert "No GPU found!" in heard[0]
    assert heard[3].startswith("STATUS=GPU at 1300.5 of 1300.5 MHz, locked")
    assert capsys.readouterr().err.count("No GPU found!") == 1, "the same reason is logged once"


def test_after_the_time_the_last_reason_is_the_error(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "words")
    assert clocks("apply", "--wait", "0.05") == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("failed: Error: Unknown GPU Type!")


@pytest.mark.parametrize("wait", ["-1", "x", "nan", "1e9"])
def test_a_time_that_is_none_is_refused(clocks: Clocks, wait: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        clocks("apply", f"--wait={wait}")
    assert "is not a number of seconds from 0 to 86400" in capsys.readouterr().err


def test_the_power_mode_is_set_and_the_way_back_is_named(clocks: Clocks, capsys: pytest.CaptureFixture[str]) -> None:
    assert clocks("apply", power_mode="MAXN") == 0
    assert "the power mode was MODE_30W, and is now MAXN; undo: sudo nvpmodel -m 2" in capsys.readouterr().err
    clocks("show", power_mode="MAXN")
    assert "power mode MAXN (board.power_mode is MAXN)" in capsys.readouterr().out


def test_a_mode_that_takes_a_reboot_has_an_exit_status_of_its_own(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STANDIN_REBOOT", "0")
    assert clocks("apply", "--wait", "3600", power_mode="MAXN") == clocks_command.OTHER_MODE
    printed = capsys.readouterr()
    assert "1300.5 MHz, locked" in printed.out
    assert "are locked in the present power mode: the power mode MAXN takes a reboot" in printed.err


def test_repair_locks_again_what_came_loose(clocks: Clocks, tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert clocks("repair") == 0
    assert "are not to be locked" in capsys.readouterr().out
    clocks("apply")
    tree.write(f"{GPU}/min_freq", "306000000\n")
    clocks("show")
    assert "they were unlocked since: sudo ishowtts clocks repair" in capsys.readouterr().out
    assert clocks("repair") == 0
    assert "1300.5 MHz, locked" in capsys.readouterr().out
