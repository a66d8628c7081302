"""What the log and `systemctl status` say about the broker: refused, away and ready are different things."""

from __future__ import annotations

from typing import Any

import pytest

from ishowtts.status.state_report import StateReport
from ishowtts.systemd import Notifier

REFUSED = "the broker at localhost:1883 refuses us (Not authorized); check mqtt.username"
AWAY = "the broker at localhost:1883 cannot be reached (Connection refused); the appliance tries again"
DEAF = "the broker at localhost:1883 does not let us subscribe to ishowtts/test/say (Not authorized)"


class FakeLink:
    why_not_connected: str | None = None
    deaf: str | None = None


class Appliance:
    def __init__(self) -> None:
        self.link = FakeLink()
        self.state: dict[str, Any] = {"state": "ready", "detail": None, "queue_depth": 0}
        self.report = StateReport("ishowtts/test", lambda: self.state, self.link, Notifier())

    def becomes(self, state: str, detail: str | None = None) -> None:
        self.state |= {"state": state, "detail": detail}
        self.report.on_state(self.state, True)


@pytest.fixture
def appliance(caplog: pytest.LogCaptureFixture) -> Appliance:
    caplog.set_level("INFO")
    return Appliance()


def test_with_a_broker_it_is_ready(appliance: Appliance, caplog: pytest.LogCaptureFixture) -> None:
    appliance.report.ready()
    appliance.report.log_start()
    assert caplog.messages == ["ready: lines on ishowtts/test/say"]
    assert appliance.report.status_line(appliance.state) == "ready, lines waiting: 0"


@pytest.mark.parametrize("reason", [REFUSED, AWAY])
def test_without_a_broker_it_is_not_ready_and_says_why(
    appliance: Appliance, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    appliance.link.why_not_connected = reason
    appliance.report.ready()
    appliance.report.log_start()
    assert caplog.messages == [f"started, but no line can come yet: {reason}"]
    assert appliance.report.status_line(appliance.state) == f"no line can come: {reason}, lines waiting: 0"
    appliance.link.why_not_connected = None
    appliance.report.log_start()
    appliance.link.why_not_connected = reason  # the link itself logs a later loss
    appliance.report.log_start()
    assert caplog.messages[1:] == ["ready: lines on ishowtts/test/say"]


def test_a_deaf_appliance_is_not_ready(appliance: Appliance, caplog: pytest.LogCaptureFixture) -> None:
    appliance.link.deaf = DEAF
    appliance.state |= {"state": "degraded", "detail": DEAF}
    appliance.report.ready()
    assert caplog.messages == [f"started, but no line can come yet: {DEAF}"]
    assert appliance.report.status_line(appliance.state) == f"degraded ({DEAF}), lines waiting: 0"


def test_other_faults_are_shown_beside_a_missing_broker(appliance: Appliance) -> None:
    appliance.link.why_not_connected = AWAY
    appliance.state |= {"state": "paused", "queue_depth": 3}
    assert appliance.report.status_line(appliance.state) == f"no line can come: {AWAY}; paused, lines waiting: 3"


def test_the_states_of_each_line_are_not_logged(appliance: Appliance, caplog: pytest.LogCaptureFixture) -> None:
    for state in ("ready", "speaking", "ready", "speaking"):
        appliance.becomes(state)
    assert caplog.messages == []
    appliance.becomes("degraded", "the disk is full")
    appliance.becomes("ready")
    appliance.becomes("speaking")
    assert caplog.messages == ["state: degraded (the disk is full)", "state: ready"]


def test_a_detail_that_stays_is_logged_once_and_not_with_each_line(
    appliance: Appliance, caplog: pytest.LogCaptureFixture
) -> None:
    for state in ("ready", "speaking", "ready", "speaking"):
        appliance.becomes(state, "F5 is slow")
    assert caplog.messages == ["state: ready (F5 is slow)"]
