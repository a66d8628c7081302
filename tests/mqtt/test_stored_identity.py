from __future__ import annotations

import re
from pathlib import Path

from ishowtts.config import parse
from ishowtts.inbox import Inbox, InboxLimits
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.stored_identity import with_stored_identity


def test_a_run_knows_the_latest_runs_on_its_state_directory(tmp_path: Path) -> None:
    base = MqttOptions("h", 1, "a/b", "a")
    inbox = Inbox(tmp_path / "inbox.sqlite", InboxLimits.from_config(parse("", "test")))
    try:
        first = with_stored_identity(base, inbox, "run-0")
        assert (first.instance, first.predecessors) == ("run-0", frozenset())
        assert re.fullmatch("[0-9a-f]{32}", first.client_secret)
        for number in range(1, 25):
            latest = with_stored_identity(base, inbox, f"run-{number}")
        assert latest.predecessors == {f"run-{number}" for number in range(4, 24)}
        assert latest.client_id("lines") == first.client_id("lines"), "the broker must know the session again"
    finally:
        inbox.close()
