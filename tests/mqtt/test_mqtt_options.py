"""The options of the link: from the configuration, and from what the state directory remembers."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import SecretStr

from ishowtts.config import parse
from ishowtts.inbox import Inbox, InboxLimits
from ishowtts.mqtt.mqtt_options import MqttOptions


def test_options_come_from_the_configuration() -> None:
    config = parse(
        "mqtt: {protocol: '3.1.1', prefix: a, tls: {ca: /ca.pem}, duplicate_guard: {silence_s: 3, retry_s: 4}}\n"
        "queue: {max_age_s: 60}\ntelemetry: {interval_s: 2}",
        "test",
    )
    options = MqttOptions.from_config(config, "a/b")
    assert (options.protocol, options.session_expiry_s, options.tls) == (4, 60, True)
    assert options.reply_prefix == "a/reply/"
    timeouts = options.guard_timeouts
    assert (timeouts.interval_s, timeouts.silence_s, timeouts.retry_s) == (2, 3, 4)


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(MqttOptions("h", 1, "a/b", "a", password=SecretStr("right-secret")))


def test_client_ids_differ_by_root_role_and_state_directory_and_not_by_run() -> None:
    def client_id(root: str, role: str, secret: str = "5e", instance: str = "1") -> str:
        return MqttOptions("h", 1, root, "a", client_secret=secret, instance=instance).client_id(role)

    ids = {
        client_id(root, role, secret)
        for root in ("a/b-c", "a-b/c")
        for role in ("lines", "commands")
        for secret in ("5e", "5f")
    }
    assert len(ids) == 8
    assert client_id("a/b", "lines", instance="1") == client_id("a/b", "lines", instance="2")


def test_a_run_knows_the_latest_runs_on_its_state_directory(tmp_path: Path) -> None:
    base = MqttOptions("h", 1, "a/b", "a")
    inbox = Inbox(tmp_path / "inbox.sqlite", InboxLimits.from_config(parse("", "test")))
    try:
        first = base.for_instance(inbox, "run-0")
        assert (first.instance, first.predecessors) == ("run-0", frozenset())
        assert re.fullmatch("[0-9a-f]{32}", first.client_secret)
        for number in range(1, 25):
            latest = base.for_instance(inbox, f"run-{number}")
        assert latest.predecessors == {f"run-{number}" for number in range(4, 24)}
        assert latest.client_id("lines") == first.client_id("lines"), "the broker must know the session again"
    finally:
        inbox.close()
