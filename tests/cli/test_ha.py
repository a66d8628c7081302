"""`ishowtts ha show` and `ishowtts ha remove`; the row of `doctor` about discovery."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from ishowtts import config
from ishowtts.cli.doctor.running_daemon import examine_daemon
from ishowtts.cli.main import main
from ishowtts.inbox import Inbox, InboxLimits, wait_for
from ishowtts.mqtt.discovery import PUBLISHED_KEY, REFUSAL_KEY
from support.fake_appliance import FakeAppliance

Capture = pytest.CaptureFixture[str]
TOPIC = "homeassistant/device/ishowtts_ishowtts_test/config"
OLD = "old/device/ishowtts_ishowtts_test/config"
OF_ANOTHER = "old/device/another/config"


def set_key(fake: FakeAppliance, **home_assistant: object) -> None:
    settings = json.loads(fake.config.read_text())
    fake.config.write_text(json.dumps({**settings, "home_assistant": home_assistant, "board": {"source": "none"}}))


def store(folder: Path, key: str, value: str) -> None:
    with closing(Inbox(folder / "inbox.sqlite", InboxLimits())) as inbox:
        wait_for(inbox.remember(key, value))


def test_show_prints_the_message(fake: FakeAppliance, capsys: Capture) -> None:
    set_key(fake)
    assert main(["ha", "show", "--config", str(fake.config)]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["device"]["name"] == "iShowTTS test"
    assert (
        printed.err == f"the daemon publishes this, retained, on {TOPIC}; `ishowtts doctor` shows whether it could:\n"
    )
    set_key(fake, discovery=False)
    assert main(["ha", "show", "--config", str(fake.config)]) == 0
    assert "home_assistant.discovery is false" in capsys.readouterr().err


@pytest.mark.parametrize("discovery", [True, False])
def test_remove_empties_our_topics_and_no_others(
    fake: FakeAppliance, capsys: Capture, tmp_path: Path, discovery: bool
) -> None:
    set_key(fake, discovery=discovery)
    store(tmp_path, PUBLISHED_KEY, json.dumps({OLD: None, OF_ANOTHER: "another board"}))
    for topic in (TOPIC, OLD, OF_ANOTHER):
        fake.client.publish(topic, "{}", retain=True)
    fake.publish_state("online")
    assert main(["ha", "remove", "--config", str(fake.config)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"removed: {TOPIC}\nremoved: {OLD}\n")
    assert ("publishes the message again" in printed) == discovery
    fake.client.subscribe("homeassistant/#").subscribe("old/#").wait_for(OF_ANOTHER)
    assert [message.topic for message in fake.client.messages] == [OF_ANOTHER]
    fake.client.publish(OF_ANOTHER, None, retain=True)


def test_remove_without_a_daemon(fake: FakeAppliance, capsys: Capture) -> None:
    set_key(fake)
    fake.publish_state("offline")
    assert main(["ha", "remove", "--config", str(fake.config)]) == 0
    assert capsys.readouterr().out == f"removed: {TOPIC}\n"


def test_remove_over_mqtt_3_claims_nothing_that_it_cannot_know(fake: FakeAppliance, capsys: Capture) -> None:
    set_key(fake)
    settings = json.loads(fake.config.read_text())
    fake.config.write_text(json.dumps({**settings, "mqtt": {**settings["mqtt"], "protocol": "3.1.1"}}))
    fake.publish_state("offline")
    assert main(["ha", "remove", "--config", str(fake.config)]) == 0
    assert "does not say whether it takes that" in capsys.readouterr().out


def test_doctor_says_whether_the_broker_has_the_message(
    fake: FakeAppliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ishowtts.cli.appliance_view.RETAINED_S", 0.05)  # not all of an appliance's topics are there
    set_key(fake)
    fake.publish_state("online")

    def verdicts() -> list[str]:
        return [found.verdict for found in examine_daemon(config.load(fake.config)) if found.part == "home assistant"]

    assert verdicts() == []
    store(tmp_path, REFUSAL_KEY, "Not authorized")
    assert verdicts() == ["note"]
    store(tmp_path, REFUSAL_KEY, "")
    assert verdicts() == ["ok"]
    set_key(fake, discovery=False)
    assert verdicts() == []
