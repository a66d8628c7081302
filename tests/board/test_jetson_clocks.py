"""JetsonClocks, with a stand-in for the program that behaves like the real one."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from ishowtts.board.jetson_clocks import ClocksState, JetsonClocks
from ishowtts.errors import BoardError
from support.sysfs_tree import Tree

PROGRAM = Path(__file__).parents[1] / "support" / "jetson_clocks"
GPU = "sys/class/devfreq/17000000.gpu"
FREE = ClocksState(612.0, 1300.5, False)
LOCKED = ClocksState(1300.5, 1300.5, True)


@pytest.fixture
def clocks(orin: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JetsonClocks:
    monkeypatch.setenv("STANDIN_SYS", str(orin.root / "sys"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return JetsonClocks(store=tmp_path / "run" / "store", sysfs_root=orin.root / "sys", program=str(PROGRAM))


def test_apply_locks_restore_unlocks_and_both_are_verified(clocks: JetsonClocks, orin: Tree, tmp_path: Path) -> None:
    assert clocks.show() == FREE
    assert clocks.apply() == LOCKED
    assert clocks.show() == LOCKED
    assert clocks.restore().locked is False
    assert (orin.root / GPU / "min_freq").read_text() == "306000000\n"
    assert not (tmp_path / "run" / "store").exists()


def test_a_second_apply_does_not_store_the_locked_clocks(clocks: JetsonClocks) -> None:
    clocks.apply()
    assert clocks.apply() == LOCKED
    assert clocks.restore().locked is False


def test_an_empty_store_is_written_again(clocks: JetsonClocks, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "store").touch()
    clocks.apply()
    assert clocks.restore().locked is False


def test_an_exit_status_of_0_without_a_lock_is_an_error(clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "nothing")
    with pytest.raises(BoardError, match=r"not locked \(GPU at 612 of 1300\.5 MHz, not locked\); run as root"):
        clocks.apply()


def test_a_restore_that_does_not_unlock_is_an_error_and_keeps_the_store(
    clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks.apply()
    monkeypatch.setenv("STANDIN_FAULT", "nothing")
    with pytest.raises(BoardError, match="still locked"):
        clocks.restore()
    monkeypatch.delenv("STANDIN_FAULT")
    assert clocks.restore().locked is False


def test_clocks_that_were_locked_before_apply_stay_locked_after_restore(clocks: JetsonClocks, orin: Tree) -> None:
    orin.write(f"{GPU}/min_freq", "1300500000\n")
    clocks.apply()
    assert clocks.restore().locked is True


def test_nothing_is_locked_if_the_clocks_cannot_be_stored(
    clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "store")
    with pytest.raises(BoardError, match=r"wrote nothing to .*no way back"):
        clocks.apply()
    assert clocks.show() == FREE


def test_a_restore_without_stored_clocks_is_refused(clocks: JetsonClocks) -> None:
    with pytest.raises(BoardError, match=r"there is no .*store: the clocks were not locked by `ishowtts clocks apply`"):
        clocks.restore()


def test_the_message_of_the_program_is_passed_on(clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "words")
    with pytest.raises(BoardError, match="failed: Error: Unknown GPU Type!"):
        clocks.apply()


def test_a_program_that_hangs_is_killed_with_its_children(
    orin: Tree, tmp_path: Path, clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "hang")
    hasty = JetsonClocks(store=tmp_path / "store", sysfs_root=orin.root / "sys", program=str(PROGRAM), deadline_s=0.5)
    with pytest.raises(BoardError, match=r"did not finish within 0\.5 s and was killed"):
        hasty.apply()
    until = time.monotonic() + 20
    while ours := [child for child in psutil.process_iter(["environ"]) if _is_of(child, orin)]:
        assert time.monotonic() < until, f"left behind: {ours}"
        time.sleep(0.05)


def _is_of(process: psutil.Process, tree: Tree) -> bool:
    environment = process.info["environ"] or {}
    return environment.get("STANDIN_FAULT") == "hang" and environment.get("STANDIN_SYS") == str(tree.root / "sys")


def test_home_is_set_if_systemd_does_not_set_it(clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert clocks.apply() == LOCKED


def test_a_missing_program_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="there is no jetson_clocks here: this is not a Jetson"):
        JetsonClocks(store=tmp_path / "store", sysfs_root=tmp_path).apply()


def test_a_lock_that_cannot_be_verified_is_an_error(tmp_path: Path, clocks: JetsonClocks, orin: Tree) -> None:
    blind = JetsonClocks(store=tmp_path / "store", sysfs_root=tmp_path / "nothing", program=str(PROGRAM))
    with pytest.raises(BoardError, match="no GPU clock to verify it by"):
        blind.apply()


def test_a_sleeping_gpu_still_shows_whether_it_is_locked(clocks: JetsonClocks, orin: Tree) -> None:
    orin.switch_off(f"{GPU}/cur_freq")
    assert str(clocks.show()) == "GPU at an unknown clock of 1300.5 MHz, not locked"
