"""Alerts are raised and cleared with hysteresis, published once for each change, and logged without a flood."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from ishowtts.model import AlertName
from ishowtts.status.alert_rules import AlertFacts, AlertRule, RuleResult
from ishowtts.status.alerts import Alerts
from support.clock import Clock

ABSENT = RuleResult(False)
UNKNOWN = RuleResult(None)
HOT = RuleResult(True, "it is hot; cool it", 85.0)


class Board:
    """An appliance with two alerts, whose rules find what a test says."""

    def __init__(self, clear_after_s: float = 0.0) -> None:
        self.clock = Clock()
        self.wall_s = 1_700_000_000.0 - self.clock.now_s
        self.found = {AlertName.HOT: ABSENT, AlertName.DEAF: ABSENT}
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[bool] = []
        rules = [
            AlertRule(AlertName.HOT, self._hot, clear_after_s, value_step=2.0),
            AlertRule(AlertName.DEAF, lambda _facts, _active: self.found[AlertName.DEAF]),
        ]
        self.alerts = Alerts(
            lambda _active: cast("AlertFacts", None),
            lambda name, payload: self.published.append((name.value, payload)),
            rules=rules,
            now_s=self.clock,
            wall_s=lambda: self.wall_s + self.clock.now_s,
        )

    def _hot(self, _facts: AlertFacts, active: bool) -> RuleResult:
        self.asked.append(active)
        return self.found[AlertName.HOT]

    def after(self, wait_s: float, hot: RuleResult | None = None) -> list[dict[str, Any]]:
        """Let time pass, and evaluate; return what was published on `hot`."""
        self.clock.now_s += wait_s
        self.found[AlertName.HOT] = hot or self.found[AlertName.HOT]
        before = len(self.published)
        self.alerts.evaluate()
        return [payload for name, payload in self.published[before:] if name == "hot"]


@pytest.fixture
def board() -> Board:
    board = Board()
    board.alerts.evaluate()
    return board


def test_every_alert_has_a_retained_message_from_the_start(board: Board) -> None:
    inactive = {"active": False, "since": "2023-11-14T22:13:20.000Z", "detail": None, "value": None}
    assert board.published == [("hot", inactive), ("deaf", inactive)]
    assert board.after(1) == []
    assert board.alerts.active == ()


def test_an_alert_is_raised_and_cleared_once_each_with_the_time_of_the_change(board: Board) -> None:
    assert board.after(5, HOT) == [
        {"active": True, "since": "2023-11-14T22:13:25.000Z", "detail": "it is hot; cool it", "value": 85.0}
    ]
    assert board.alerts.active == (AlertName.HOT,)
    assert board.after(20) == []
    [cleared] = board.after(0, ABSENT)
    assert cleared == {"active": False, "since": "2023-11-14T22:13:45.000Z", "detail": None, "value": None}
    assert board.after(60) == []
    assert board.alerts.active == ()
    assert board.asked[:3] == [False, False, True], "a rule is told whether its alert is active"


def test_an_alert_lasts_at_least_ten_seconds(board: Board) -> None:
    board.after(1, HOT)
    assert board.after(1, ABSENT) == []
    assert board.after(8.9) == []
    assert board.after(0.1)[0]["active"] is False
    assert board.after(0.1, HOT)[0]["active"] is True


def test_a_condition_must_hold_for_its_time_without_a_break(board: Board) -> None:
    late = RuleResult(True, "unlocked; lock it", after_s=10)
    assert board.after(0, late) == board.after(9) == []
    assert board.after(1, ABSENT) == []
    assert board.after(1, late) == board.after(9) == []
    assert board.after(1)[0]["active"] is True


def test_an_alert_that_waits_for_quiet_is_cleared_only_after_its_time() -> None:
    board = Board(clear_after_s=60)
    board.after(0, HOT)
    board.after(30, ABSENT)
    assert board.after(59) == []
    assert board.after(0.5, HOT) == []
    assert board.after(0.5, ABSENT) == board.after(59) == []
    assert board.after(1)[0]["active"] is False


def test_what_is_unknown_raises_nothing_and_clears_after_thirty_seconds(board: Board) -> None:
    assert board.after(100, UNKNOWN) == []
    board.after(1, HOT)
    assert board.after(20, UNKNOWN) == []
    assert board.after(5, HOT) == []
    assert board.after(29, UNKNOWN) == []
    assert board.after(1)[0]["active"] is False


def test_a_new_sentence_or_value_is_published_seldom(board: Board) -> None:
    board.after(0, HOT)
    assert board.after(4, RuleResult(True, "it is hotter; run", 85.0)) == []
    [sentence] = board.after(1)
    assert (sentence["detail"], sentence["since"]) == ("it is hotter; run", "2023-11-14T22:13:20.000Z")
    assert board.after(100, RuleResult(True, "it is hotter; run", 86.9)) == []
    [value] = board.after(1, RuleResult(True, "it is hotter; run", 87.0))
    assert value["value"] == 87.0
    assert board.after(29, RuleResult(True, "it is hotter; run", 95.0)) == []
    assert board.after(1)[0]["value"] == 95.0
    assert board.after(30, RuleResult(True, "it is hotter; run", None))[0]["value"] is None


def test_active_alerts_are_named_in_the_order_of_the_contract(board: Board) -> None:
    board.found[AlertName.DEAF] = RuleResult(True, "refused; allow it")
    board.after(1)
    board.after(1, HOT)
    assert board.alerts.active == (AlertName.HOT, AlertName.DEAF)


def test_an_alert_that_flaps_stays_active_until_its_cause_is_absent_for_10_s(board: Board) -> None:
    changes = [board.after(1, HOT if second % 2 else ABSENT) for second in range(300)]
    assert [payload[0]["active"] for payload in changes if payload] == [True, False, True], (
        "a loose plug, for 5 minutes"
    )
    assert board.after(1, ABSENT) == []
    assert board.after(9) == []
    assert [payload["active"] for payload in board.after(1)] == [False]
    assert [payload["active"] for payload in board.after(61, HOT)] == [True]
    assert [payload["active"] for payload in board.after(10, ABSENT)] == [False], "after a minute it counts as new"


def test_the_log_has_a_warning_and_an_end_and_no_flood(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(4):
        board.after(61, HOT)
        board.after(10, ABSENT)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "alert hot: it is hot; cool it"),
        ("INFO", "the alert hot is over"),
    ]
    fields = [vars(record)["journal_fields"] for record in caplog.records]
    assert [(each["ISHOWTTS_ALERT"], each["ISHOWTTS_OUTCOME"]) for each in fields] == [
        ("hot", "raised"),
        ("hot", "over"),
    ]
    board.after(300, HOT)
    assert len(caplog.records) == 3
