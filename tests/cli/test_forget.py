"""`ishowtts forget` with a real broker."""

from __future__ import annotations

import pytest

from ishowtts.cli import forget
from ishowtts.cli.main import main
from support.fake_appliance import ROOT, FakeAppliance

Capture = pytest.CaptureFixture[str]
DISCOVERY = "homeassistant/device/ishowtts_ishowtts_test/config"
OTHERS = {"ishowtts/test2/state", "homeassistant/device/other/config", "ishowtts/group"}
LEFT = {f"{ROOT}/availability", f"{ROOT}/state", f"{ROOT}/alert/no_sound", DISCOVERY}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget, "RETAINED_S", 0.3)


@pytest.fixture
def gone(fake: FakeAppliance) -> FakeAppliance:
    """An appliance that is gone, and others that are not."""
    fake.publish_state("offline")
    fake.retain("alert/no_sound", {"active": True})
    for topic in (DISCOVERY, *OTHERS):
        fake.client.publish(topic, "{}", retain=True)
    return fake


def run(fake: FakeAppliance, *options: str) -> int:
    return main(["forget", "test", *options, "--config", str(fake.config)])


def kept(fake: FakeAppliance) -> set[str]:
    """The topics that the broker keeps now, of all that `gone` has published."""
    fake.client.subscribe("#")
    fake.client.publish("end", "x")
    fake.client.wait_for("end")
    return {message.topic for message in fake.client.messages if message.payload} - {"end"}


def test_a_dry_run_lists_the_topics_and_changes_nothing(gone: FakeAppliance, capsys: Capture) -> None:
    assert run(gone, "--dry-run") == 0
    *listed, last = capsys.readouterr().out.splitlines()
    assert {*listed} == {f"would remove: {topic}" for topic in LEFT}
    assert last.startswith("would empty ")
    assert kept(gone) == LEFT | OTHERS


def test_what_an_appliance_has_left_is_removed_and_nothing_else(gone: FakeAppliance, capsys: Capture) -> None:
    assert run(gone) == 0
    *listed, last = capsys.readouterr().out.splitlines()
    assert {*listed} == {f"removed: {topic}" for topic in LEFT}
    assert last.startswith("emptied ")
    assert kept(gone) == OTHERS


def test_what_this_user_may_not_read_is_removed_too(
    gone: FakeAppliance, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "_retained", lambda *_: {})
    assert run(gone) == 0
    assert "removed: " not in capsys.readouterr().out
    assert kept(gone) == OTHERS


def test_one_that_is_online_is_left_alone_without_force(gone: FakeAppliance, capsys: Capture) -> None:
    gone.client.publish(f"{ROOT}/availability", "online", retain=True)
    assert run(gone) == 1
    assert "test is online, and would publish everything again" in capsys.readouterr().err
    assert run(gone, "--force") == 0
    assert kept(gone) == OTHERS


def test_what_the_broker_keeps_is_told(gone: FakeAppliance, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over MQTT 3.1.1 a broker does not say that it has refused a message."""
    monkeypatch.setattr("ishowtts.mqtt.client.ShortLivedClient.publish", lambda *_, **__: True)
    assert run(gone) == 1
    assert f"the broker keeps {len(LEFT)} of them" in capsys.readouterr().err


def test_a_name_has_no_wildcard(fake: FakeAppliance, capsys: Capture) -> None:
    for name in ("+", "#", "a/b", ""):
        assert main(["forget", name, "--config", str(fake.config)]) == 1
        assert "not a name of an appliance" in capsys.readouterr().err
