"""PowerModes, with a stand-in for nvpmodel that asks questions, fails and lies as the real one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.board.nvpmodel import PowerMode, PowerModeRefused, PowerModes
from ishowtts.errors import BoardError
from support.board_clocks import GPU, PROGRAMS
from support.sysfs_tree import Tree

PROGRAM = str(PROGRAMS / "nvpmodel")


@pytest.fixture
def modes(orin: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PowerModes:
    monkeypatch.setenv("STANDIN_SYS", str(orin.root / "sys"))
    monkeypatch.setenv("STANDIN_MARK", str(tmp_path / "mark"))
    return PowerModes(etc=orin.root / "etc", var=orin.root / "var", program=PROGRAM, deadline_s=5)


@pytest.mark.parametrize("name", ["MODE_15W", "mode_15w", "15W", "15w"])
def test_a_mode_is_set_by_its_name(modes: PowerModes, orin: Tree, name: str) -> None:
    assert modes.present() == PowerMode(2, "MODE_30W")
    assert modes.choose(name) == PowerMode(2, "MODE_30W")
    assert modes.present() == PowerMode(1, "MODE_15W")
    assert (orin.root / GPU / "max_freq").read_text() == "420750000\n"


def test_the_present_mode_is_not_set_again(modes: PowerModes, orin: Tree) -> None:
    assert modes.choose("30W") is None
    assert (orin.root / GPU / "max_freq").read_text() == "1300500000\n", "setting it would unlock the clocks"


def test_a_mode_that_takes_a_reboot_is_refused_with_the_command_to_type(
    modes: PowerModes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_REBOOT", "0 1")
    with pytest.raises(PowerModeRefused, match=r"MAXN takes a reboot.*choose it once by hand: sudo nvpmodel -m 0,"):
        modes.choose("MAXN")
    assert modes.present() == PowerMode(2, "MODE_30W")
    assert not (tmp_path / "mark.rebooted").exists()


def test_an_unknown_name_lists_the_known_ones(modes: PowerModes) -> None:
    with pytest.raises(PowerModeRefused, match="this board has only the power modes MAXN, MODE_15W, MODE_30W"):
        modes.choose("50W")


def test_an_exact_name_wins_and_an_ambiguous_one_is_refused(modes: PowerModes, orin: Tree) -> None:
    orin.write("etc/nvpmodel.conf", "< POWER_MODEL ID=1 NAME=15W >\n< POWER_MODEL ID=3 NAME=MODE_15W >\n")
    assert modes.choose("MODE_15W") == PowerMode(2, "mode 2")
    with pytest.raises(PowerModeRefused, match="has only the power modes 15W, MODE_15W"):
        modes.choose("mode_15w")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nothing", "did not set the power mode MAXN: NVPM WARN: Golden image"),
        ("error", "did not set the power mode MAXN: NVPM ERROR: failed to set power mode!"),
        ("hang", r"nvpmodel -m 0 did not finish within 0\.3 s and was killed"),
    ],
)
def test_a_failure_may_be_tried_again(
    modes: PowerModes, orin: Tree, monkeypatch: pytest.MonkeyPatch, fault: str, message: str
) -> None:
    monkeypatch.setenv("STANDIN_MODE_FAULT", fault)
    hasty = PowerModes(etc=orin.root / "etc", var=orin.root / "var", program=PROGRAM, deadline_s=0.3)
    with pytest.raises(BoardError, match=message) as caught:
        hasty.choose("MAXN")
    assert not isinstance(caught.value, PowerModeRefused)


def test_another_machine_has_no_modes(tmp_path: Path, orin: Tree) -> None:
    nowhere = PowerModes(etc=tmp_path, var=tmp_path)
    assert (nowhere.known(), nowhere.present()) == ((), None)
    with pytest.raises(PowerModeRefused, match="lists no power modes: this is not a Jetson"):
        nowhere.choose("MAXN")
    with pytest.raises(PowerModeRefused, match="there is no nvpmodel here"):
        PowerModes(etc=orin.root / "etc", var=orin.root / "var").choose("MAXN")


def test_a_mode_that_the_file_does_not_name_has_its_number(modes: PowerModes, orin: Tree) -> None:
    orin.write("var/lib/nvpmodel/status", "pmode:0007 fmode:quiet\n")
    assert modes.present() == PowerMode(7, "mode 7")
    orin.write("var/lib/nvpmodel/status", "garbage\n")
    assert modes.present() is None
