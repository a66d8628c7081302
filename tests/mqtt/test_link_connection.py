"""The link reports each problem with the broker once, and reconnects."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from support.broker import Broker
from support.client import Client
from support.waiting import eventually


def test_a_link_that_starts_before_its_broker_connects_later(
    make_link, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.stop()
    link = make_link()
    link.link.start()
    eventually(lambda: link.recorder.connection, "the sentence about the broker")
    connected, why = link.recorder.connection[0]
    assert not connected
    assert f"{broker.host}:{broker.port}" in why
    assert "Connection refused" in why
    broker.start()
    eventually(lambda: link.link.connected)
    assert link.link.reconnects == 0
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warnings == [why], "one sentence for all tries"


@pytest.mark.parametrize("protocol", [5, 4])
@pytest.mark.parametrize("password", [None, "wrong"])
def test_a_wrong_password_is_one_sentence(
    make_broker, make_link, caplog: pytest.LogCaptureFixture, protocol: int, password: str | None
) -> None:
    guarded = make_broker(users={"tts": "right"})
    secret = SecretStr(password) if password else None
    link = make_link(port=guarded.port, protocol=protocol, username="tts", password=secret)
    link.link.start()
    eventually(lambda: guarded.log.count("not authorised") >= 6, "several attempts")
    assert len(link.recorder.connection) == 1
    connected, why = link.recorder.connection[0]
    assert not connected
    assert "mqtt.password_file" in why
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [why]
    assert "wrong" not in caplog.text


def test_the_right_password_lets_us_in(make_broker, make_link) -> None:
    guarded = make_broker(users={"tts": "right-secret"})
    link = make_link(port=guarded.port, username="tts", password=SecretStr("right-secret")).start()
    assert link.recorder.connection[-1][0] is True


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_link_reconnects_after_a_restart_of_the_broker(link, broker: Broker, how: str) -> None:
    getattr(broker, how)()
    eventually(lambda: not link.link.connected)
    broker.start()
    eventually(lambda: link.link.connected)
    eventually(lambda: link.recorder.connection[-1][0] is True)
    with Client(broker.host, broker.port) as client:
        client.publish("ishowtts/unit/say", "hello again")
        client.publish("ishowtts/unit/command", "skip")
        eventually(lambda: link.recorder.texts == ["hello again"] and link.recorder.commands)
