"""ClockRepair: how often it asks, and when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.board.clock_repair import REQUEST_FILE, ClockRepair
from support.clock import Clock


class Repair:
    """A repair in a folder of its own, with a clock that stands still."""

    def __init__(self, tmp_path: Path) -> None:
        self.clock = Clock()
        self.file = tmp_path / REQUEST_FILE
        self.store = tmp_path / "store"
        self.store.touch()
        self.repair = ClockRepair(tmp_path, store=self.store, now_s=self.clock)

    def asked(self, *, after_s: float = 0.0, unlocked: bool = True) -> bool:
        """Whether an update asks, so many seconds after the one before."""
        self.clock.now_s += after_s
        self.file.unlink(missing_ok=True)
        self.repair.update(unlocked)
        return self.file.exists()


@pytest.fixture
def loose(tmp_path: Path) -> Repair:
    return Repair(tmp_path)


def test_it_asks_at_once_and_then_every_five_minutes(loose: Repair) -> None:
    assert loose.asked()
    assert not loose.asked(after_s=1)
    assert not loose.asked(after_s=298)
    assert loose.asked(after_s=1)
    assert loose.file.stat().st_mode & 0o777 == 0o600


def test_it_gives_up_and_says_so_once(loose: Repair, caplog: pytest.LogCaptureFixture) -> None:
    assert [loose.asked(after_s=300) for _ in range(9)] == [True] * 6 + [False] * 3
    assert caplog.text.count("the clocks are still not locked after 6 requests") == 1


def test_it_asks_again_after_the_clocks_were_locked(loose: Repair) -> None:
    for _ in range(2):
        assert loose.asked(after_s=75)
        assert not loose.asked(after_s=1, unlocked=False)
    assert not loose.asked(unlocked=False)


def test_clocks_that_come_loose_again_and_again_do_not_exceed_what_systemd_takes(loose: Repair) -> None:
    asked_s = [loose.clock.now_s for turn in range(240) if loose.asked(after_s=10, unlocked=turn % 2 == 0)]
    assert len(asked_s) > 25, "it goes on"
    for at_s in asked_s:
        assert sum(at_s <= other_s < at_s + 600 for other_s in asked_s) < 10, "StartLimitBurst of the unit"


def test_it_does_not_ask_for_clocks_that_were_restored_or_never_locked(loose: Repair) -> None:
    loose.store.unlink()
    assert not loose.asked()
    loose.store.touch()
    assert loose.asked(), "an operator who locks them again gets the repair back"


def test_it_does_not_follow_a_link_and_goes_on(loose: Repair, caplog: pytest.LogCaptureFixture) -> None:
    target = loose.file.with_name("target")
    loose.file.symlink_to(target)
    loose.repair.update(unlocked=True)
    assert not target.exists()
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize(("environment", "enabled"), [("", True), ("{}", False)])
def test_without_the_unit_or_if_switched_off_it_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str, enabled: bool
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", environment.format(tmp_path))
    monkeypatch.setattr("ishowtts.board.clock_repair.STORE", tmp_path)
    ClockRepair.of_service(enabled=enabled).update(unlocked=True)
    assert not (tmp_path / REQUEST_FILE).exists()


def test_in_the_service_it_asks_in_the_folder_of_the_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}:/run/another")
    repair = ClockRepair.of_service(enabled=True)
    monkeypatch.setattr(repair, "_store", tmp_path)
    repair.update(unlocked=True)
    assert (tmp_path / REQUEST_FILE).exists()
