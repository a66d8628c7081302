"""JetsonClocks, with a stand-in for the program that behaves like the real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ishowtts.board import jetson_clocks
from ishowtts.board.clocks_state import ClocksState, read_clocks
from ishowtts.board.jetson_clocks import JetsonClocks
from ishowtts.board.nvpmodel import PowerMode, PowerModes
from ishowtts.errors import BoardError
from support.board_clocks import EMC_LOCK, GPU, PROGRAMS, add_clocks, add_core, clock_files
from support.sysfs_tree import Tree
from support.waiting import eventually

PROGRAM = PROGRAMS / "jetson_clocks"
FREE = ClocksState(612.0, 1300.5, False, 2, 0, False)
LOCKED = ClocksState(1300.5, 1300.5, True, 2, 2, True)


def clocks_of(tree: Tree, store: Path, deadline_s: float = 25.0) -> JetsonClocks:
    modes = PowerModes(etc=tree.root / "etc", var=tree.root / "var", program=str(PROGRAMS / "nvpmodel"))
    return JetsonClocks(
        store=store, sysfs_root=tree.root / "sys", power_modes=modes, program=str(PROGRAM), deadline_s=deadline_s
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "run" / "store"


@pytest.fixture
def clocks(orin: Tree, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> JetsonClocks:
    add_clocks(orin)
    monkeypatch.setenv("STANDIN_SYS", str(orin.root / "sys"))
    monkeypatch.setenv("STANDIN_MARK", str(tmp_path / "mark"))
    return clocks_of(orin, store)


def test_apply_locks_restore_unlocks_and_both_are_verified(clocks: JetsonClocks, orin: Tree, store: Path) -> None:
    before = clock_files(orin)
    assert clocks.show() == FREE
    assert clocks.apply().state == LOCKED
    assert clocks.show() == LOCKED
    assert store.stat().st_mode & 0o777 == 0o600
    assert clocks.restore().locked is False
    assert clock_files(orin) == before
    assert sorted(path.name for path in store.parent.iterdir()) == ["store.home", "store.lock"]


def test_a_second_apply_does_not_store_the_locked_clocks(clocks: JetsonClocks, orin: Tree) -> None:
    before = clock_files(orin)
    clocks.apply()
    assert clocks.apply().state == LOCKED
    clocks.restore()
    assert clock_files(orin) == before


@pytest.mark.parametrize("content", ["", "half a li", "/etc/passwd:x\n/sys/../etc/passwd:x\n", "\0\xff\n:\n"])
def test_a_store_without_usable_lines_is_written_again(
    clocks: JetsonClocks, orin: Tree, store: Path, content: str
) -> None:
    before = clock_files(orin)
    store.parent.mkdir()
    store.write_text(content)
    clocks.apply()
    clocks.restore()
    assert clock_files(orin) == before
    store.write_text(content)
    assert clocks.restore().locked is False
    assert not store.exists()


def test_what_the_program_does_not_store_is_read_from_sysfs(
    clocks: JetsonClocks, orin: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clock_files(orin)
    monkeypatch.setenv("STANDIN_FAULT", "half")
    clocks.apply()
    monkeypatch.delenv("STANDIN_FAULT")
    clocks.restore()
    assert clock_files(orin) == before


def test_the_fan_and_the_cores_that_are_online_are_left_alone(
    clocks: JetsonClocks, orin: Tree, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_FAN", "inactive")  # at boot nvfancontrol may not run yet
    clocks.apply()
    assert "jetsonclocks_fan" not in store.read_text()
    orin.write("sys/devices/system/cpu/cpu1/online", "0\n")  # another power mode switches cores off
    clocks.restore()
    assert not (tmp_path / "mark.fan").exists(), "a restore must not stop the control of the fan"
    assert (orin.root / "sys/devices/system/cpu/cpu1/online").read_text() == "0\n"


def test_a_core_that_comes_online_after_the_lock_is_restored_too(clocks: JetsonClocks, orin: Tree, store: Path) -> None:
    clocks.apply()
    add_core(orin, 2)
    add_core(orin, 3)
    # A core of a cluster that is locked already shows the locked clock: that is not a former one.
    orin.write("sys/devices/system/cpu/cpu3/cpufreq/scaling_min_freq", "2201600\n")
    added = clock_files(orin)
    assert clocks.apply().state.cpu_cores_locked == 4
    assert "cpu3/cpufreq" not in store.read_text()
    clocks.restore()
    restored = clock_files(orin)
    for name in ("cpu2/cpufreq/scaling_min_freq", "cpu2/cpuidle/state0/disable", "cpu3/cpuidle/state1/disable"):
        path = f"sys/devices/system/cpu/{name}"
        assert restored[path] == added[path], path
    assert restored[f"{GPU}/min_freq"] == "306000000\n"


def test_nothing_is_locked_if_the_clocks_cannot_be_stored(
    clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "nothing")
    with pytest.raises(BoardError, match=r"wrote nothing to .*no way back"):
        clocks.apply()
    assert clocks.show() == FREE


def test_an_exit_status_of_0_without_a_lock_is_an_error(clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "no-lock")
    with pytest.raises(BoardError, match=r"not locked \(GPU at 612 of 1300\.5 MHz, not locked.*\); run as root"):
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


def test_a_restore_that_cannot_be_verified_is_an_error_and_keeps_the_store(
    clocks: JetsonClocks, orin: Tree, store: Path
) -> None:
    clocks.apply()
    (orin.root / GPU / "max_freq").rename(orin.root / "max_freq")
    with pytest.raises(BoardError, match="no GPU clock to verify it by"):
        clocks.restore()
    store.write_text("/sys/of/another/board:1\n")
    clocks.restore()
    assert store.exists()


def test_clocks_that_were_locked_before_apply_stay_locked_after_restore(clocks: JetsonClocks, orin: Tree) -> None:
    orin.write(f"{GPU}/min_freq", "1300500000\n")
    with pytest.raises(BoardError, match="were not locked by `ishowtts clocks apply`"):
        clocks.restore()
    clocks.apply()
    assert clocks.restore().locked is True


def test_a_restore_with_nothing_to_restore_is_done(clocks: JetsonClocks) -> None:
    assert clocks.restore() == FREE


def test_a_repair_locks_only_what_was_locked_and_not_restored(clocks: JetsonClocks, orin: Tree) -> None:
    before = clock_files(orin)
    assert clocks.repair() is None
    assert clock_files(orin) == before
    clocks.apply()
    orin.write(f"{GPU}/min_freq", "306000000\n")  # as a change of the power mode does
    assert clocks.repair() == LOCKED
    assert clocks.repair() == LOCKED
    clocks.restore()
    assert clock_files(orin) == before
    assert clocks.repair() is None


def test_the_power_mode_is_set_first_and_stays_after_restore(clocks: JetsonClocks, orin: Tree) -> None:
    applied = clocks.apply("maxn")
    assert (applied.former_mode, applied.mode_problem, applied.state) == (PowerMode(2, "MODE_30W"), None, LOCKED)
    assert clocks.apply("MAXN").former_mode is None
    clocks.restore()
    assert (orin.root / "var/lib/nvpmodel/status").read_text().startswith("pmode:0000")


def test_without_its_power_mode_the_clocks_are_locked_in_the_present_one(
    clocks: JetsonClocks, orin: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_REBOOT", "0")
    applied = clocks.apply("MAXN")
    assert applied.state == LOCKED
    assert "takes a reboot" in str(applied.mode_problem)
    assert not (tmp_path / "mark.rebooted").exists()


INTERRUPTED = [
    ("apply", "mode-half"), ("apply", "store-begin"), ("apply", "store-half"), ("apply", "store-end"),
    ("apply", "lock-begin"), ("apply", "lock-half"), ("apply", "lock-end"),
    ("restore", "restore-begin"), ("restore", "restore-half"), ("restore", "restore-end"),
]  # fmt: skip


def run_and_kill(tree: Tree, store: Path, action: str, point: str, mark: Path) -> int:
    """Kills a run when its program has come to a point. Returns the process group of the program, which still runs."""
    call = "apply('MAXN')" if action == "apply" else "restore()"
    code = f"""
from pathlib import Path
from ishowtts.board.jetson_clocks import JetsonClocks
from ishowtts.board.nvpmodel import PowerModes
root = Path({str(tree.root)!r})
modes = PowerModes(etc=root / "etc", var=root / "var", program={str(PROGRAMS / "nvpmodel")!r})
JetsonClocks(store=Path({str(store)!r}), sysfs_root=root / "sys", power_modes=modes, program={str(PROGRAM)!r}).{call}
"""
    mark.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "STANDIN_PAUSE": point})
    eventually(lambda: mark.exists() and mark.read_text() == f"{point}\n")
    (program,) = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    return program.pid


def files_of(tree: Tree, store: Path) -> dict[Path, str]:
    """Everything that a run changes: clocks, power mode, and the files beside the store."""
    paths = [*map(tree.root.joinpath, clock_files(tree)), tree.root / "var/lib/nvpmodel/status"]
    return {path: path.read_text() for path in [*paths, *store.parent.glob("store*")] if path.is_file()}


def put_back(files: dict[Path, str], store: Path) -> None:
    """Undoes what was done since `files_of`."""
    for path in store.parent.glob("store*"):
        if path.is_file() and path not in files:
            path.unlink()
    for path, content in files.items():
        path.write_text(content)


def test_a_run_that_is_killed_anywhere_leaves_a_way_forward_and_a_way_back(
    clocks: JetsonClocks, orin: Tree, tmp_path: Path, store: Path
) -> None:
    clocks.apply("MAXN")
    clocks.restore()
    free = clock_files(orin)
    for action, point in INTERRUPTED:
        if point == "mode-half":
            orin.write("var/lib/nvpmodel/status", "pmode:0002 fmode:quiet\n")
        if action == "restore":
            clocks.apply()
        os.killpg(run_and_kill(orin, store, action, point, tmp_path / "mark"), signal.SIGKILL)
        interrupted = files_of(orin, store)
        clocks.restore()
        assert clock_files(orin) == free, point
        put_back(interrupted, store)
        assert clocks.apply("MAXN").state == LOCKED, point
        clocks.restore()
        assert clock_files(orin) == free, point


def test_a_program_that_outlives_its_caller_keeps_others_out(
    clocks: JetsonClocks, orin: Tree, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetson_clocks, "_OTHER_RUN_S", 0.2)
    program = run_and_kill(orin, store, "apply", "lock-half", tmp_path / "mark")
    try:
        with pytest.raises(BoardError, match=r"another run holds .*store\.lock"):
            clocks.restore()
    finally:
        os.killpg(program, signal.SIGKILL)
    monkeypatch.undo()
    monkeypatch.setenv("STANDIN_SYS", str(orin.root / "sys"))
    assert clocks.restore().locked is False


def test_the_message_of_the_program_is_passed_on(clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "words")
    with pytest.raises(BoardError, match="failed: Error: Unknown GPU Type!"):
        clocks.apply()


def test_a_program_that_hangs_is_killed_with_its_children(
    orin: Tree, store: Path, clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_FAULT", "hang")
    with pytest.raises(BoardError, match=r"did not finish within 0\.5 s and was killed"):
        clocks_of(orin, store, deadline_s=0.5).apply()
    until = time.monotonic() + 20
    while ours := [child for child in psutil.process_iter(["environ"]) if _is_of(child, orin)]:
        assert time.monotonic() < until, f"left behind: {ours}"
        time.sleep(0.05)


def _is_of(process: psutil.Process, tree: Tree) -> bool:
    environment = process.info["environ"] or {}
    return environment.get("STANDIN_FAULT") == "hang" and environment.get("STANDIN_SYS") == str(tree.root / "sys")


def test_home_is_set_if_systemd_does_not_set_it(clocks: JetsonClocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert clocks.apply().state == LOCKED


def test_a_missing_program_is_reported(tmp_path: Path, orin: Tree) -> None:
    with pytest.raises(BoardError, match="there is no jetson_clocks here: this is not a Jetson"):
        JetsonClocks(store=tmp_path / "store", sysfs_root=orin.root / "sys").apply()


def test_a_gpu_without_a_clock_to_store_is_an_error(clocks: JetsonClocks, orin: Tree) -> None:
    for name in ("min_freq", "max_freq", "cur_freq"):
        (orin.root / GPU / name).unlink()
    with pytest.raises(BoardError, match="no clock of the GPU can be stored"):
        clocks.apply()


def test_a_sleeping_gpu_still_shows_whether_it_is_locked(clocks: JetsonClocks, orin: Tree) -> None:
    orin.switch_off(f"{GPU}/cur_freq")
    (orin.root / EMC_LOCK).unlink()
    assert str(clocks.show()) == "GPU at an unknown clock of 1300.5 MHz, not locked, 0 of 2 CPU cores locked"


def test_a_thor_has_other_names(thor: Tree, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = "sys/class/devfreq/gpu-gpc-0/min_freq"
    thor.write(gpu, "315000000\n")
    for name, value in (("min_freq", "665000000"), ("max_freq", "4266000000")):
        thor.write(f"sys/class/devfreq/bwmgr/{name}", f"{value}\n")
    monkeypatch.setenv("STANDIN_SYS", str(thor.root / "sys"))
    clocks = clocks_of(thor, store)
    assert clocks.show() == ClocksState(1575.0, 1575.0, False, None, None, False)
    assert clocks.apply().state.locked is True
    assert clocks.restore().locked is False
    assert (thor.root / gpu).read_text() == "315000000\n"


def test_another_machine_has_no_clocks(tmp_path: Path) -> None:
    assert str(read_clocks(tmp_path)) == "this machine shows no GPU clock"
