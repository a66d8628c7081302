"""The options of the link, from the configuration."""

from __future__ import annotations

from pydantic import SecretStr

from ishowtts.config import parse
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
