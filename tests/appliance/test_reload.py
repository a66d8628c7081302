"""A reload changes the running appliance: each part that the table names takes its new value, and speech goes on."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ishowtts.mqtt.discovery_message import discovery_topic
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.quick_daemon import read_notes
from support.waiting import eventually

DISCOVERY, OTHER_DISCOVERY = (discovery_topic(prefix, Appliance.root) for prefix in ("homeassistant", "ha"))
NO_INTERVAL = "from ishowtts.status import config_reload; config_reload._MIN_INTERVAL_S = 0.0"


class Site:
    """One appliance that all tests of the module change. Each test begins with the configuration of the start."""

    def __init__(self, appliance: Appliance, client: Client) -> None:
        self.appliance = appliance
        self.client = client
        self.file = appliance.config_file
        self.at_start = yaml.safe_load(self.file.read_text(encoding="utf-8"))

    def reload(self, **sections: dict[str, Any]) -> tuple[bool, str]:
        """Write the configuration of the start with other values, and reload; whether it was taken, and the answer."""
        merged = {**self.at_start, **{name: {**self.at_start.get(name, {}), **new} for name, new in sections.items()}}
        self.file.write_text(yaml.safe_dump(merged), encoding="utf-8")
        return self.command("reload")

    def command(self, name: str) -> tuple[bool, str]:
        transaction = uuid.uuid4().hex
        self.client.publish(f"{self.appliance.root}/command", {"command": name, "transaction": transaction})
        event = self.client.wait_for(
            f"{self.appliance.root}/event", lambda message: message.json.get("transaction") == transaction
        ).json
        return event["ok"], event["detail"]

    def final(self, text: str, **fields: Any) -> dict[str, Any]:
        return self.appliance.final(self.client, self.appliance.say(self.client, text, **fields))

    def retained(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.on(f"{self.appliance.root}/{name}")[-1].json
        return found


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, place = tmp_path_factory.mktemp("reload"), tmp_path_factory.mktemp("broker")
    with (
        Broker(place) as broker,
        Client(broker.host, broker.port) as client,
        Appliance(folder, broker, {"audio": {"volume": 50}}, quick_s=0.05, site=NO_INTERVAL) as appliance,
    ):
        client.subscribe("homeassistant/#")
        client.subscribe("ha/#")
        appliance.wait_ready(client)
        yield Site(appliance, client)


@pytest.fixture
def site(module_site: Site) -> Iterator[Site]:
    yield module_site
    assert module_site.reload()[0]


def spoken(site: Site) -> list[str]:
    return [note["spoke"] for note in read_notes(site.appliance.notes) if "spoke" in note]


def test_policies_texts_and_limits_apply_to_the_next_line(site: Site) -> None:
    assert site.final("see 5 things")["event"] == "finished"
    assert site.reload(
        text={"normalise": False},
        policies={"template": "{author} says: {text}", "blocked": {"words": ["hush"]}, "lines_per_min": 3},
        limits={"max_chars": 20},
    ) == (
        True,
        "limits.max_chars is 20 now; policies.lines_per_min is 3 now; policies.blocked.words has 1 entry now; "
        "policies.template is '{author} says: {text}' now; text.normalise is false now",
    )
    assert site.final("hush now")["reason"] == "filtered"
    assert site.final("x" * 21)["reason"] == "too_long"
    assert site.final("and 6 more", author="Bob")["event"] == "finished"
    assert site.final("one")["event"] == site.final("two")["event"] == "finished"
    assert site.final("three")["reason"] == "rate_limited"
    assert site.reload(policies={"lines_per_min": 4})[0]
    assert site.final("four")["event"] == "finished"
    assert site.final("five")["reason"] == "rate_limited", "the lines before the reload count too"
    assert spoken(site)[-5:] == ["see five things", "Bob says: and 6 more", "one", "two", "four"]
    eventually(lambda: site.retained("info")["limits"]["max_chars"] == 1000, "the limits in `info`")


def test_the_current_line_goes_on_and_the_next_is_spoken_by_the_new_configuration(site: Site) -> None:
    current = site.appliance.say(site.client, "an endless hum")
    following = site.appliance.say(site.client, "count to 7")
    eventually(lambda: spoken(site)[-1:] == ["count to seven"], "the next line, prepared meanwhile")
    assert site.reload(text={"normalise": False}, policies={"blocked": {"words": ["count"]}})[0]
    eventually(lambda: (site.retained("state")["speaking"] or {}).get("id") == current, "the current line in `state`")
    assert not [event for event in site.appliance.events(site.client, current) if event["event"] == "finished"]
    site.command("skip")
    assert site.appliance.final(site.client, following)["event"] == "finished", "it was accepted before"
    assert spoken(site)[-1:] == ["count to 7"]


def test_discovery_is_announced_removed_and_moved(site: Site) -> None:
    def last(topic: str) -> bytes:
        return site.client.on(topic)[-1].payload

    eventually(lambda: site.client.on(DISCOVERY) and last(DISCOVERY), "the message")
    assert site.reload(home_assistant={"discovery": False})[0]
    eventually(lambda: not last(DISCOVERY), "its removal")
    assert site.reload(home_assistant={"prefix": "ha"})[0]
    eventually(lambda: site.client.on(OTHER_DISCOVERY) and last(OTHER_DISCOVERY), "the message at the other prefix")
    assert not last(DISCOVERY)
    assert site.reload()[0]
    eventually(lambda: last(DISCOVERY) and not last(OTHER_DISCOVERY), "the message at its first place again")


def test_a_log_becomes_private_at_once(site: Site) -> None:
    said = site.final("openly")
    assert site.reload(log={"private": True, "level": "debug"})[0]
    assert said["text"] == "openly"
    assert "text" not in site.final("zebulon", id="zebulonid", author="zebulonauthor")
    site.command("pause")
    assert "zebulon" not in site.appliance.log
    site.command("resume")
    assert site.reload()[0]
    assert site.final("openly again")["text"] == "openly again"
    eventually(lambda: "openly again" in site.appliance.log, "the text in the log")


def test_telemetry_takes_another_interval(site: Site) -> None:
    assert site.reload(telemetry={"interval_s": 3600})[0]
    eventually(lambda: site.retained("info")["telemetry_s"] == 3600, "the interval in `info`")
    assert site.reload(telemetry={"interval_s": 0.2})[0]
    count = len(site.client.on(f"{site.appliance.root}/telemetry"))
    eventually(lambda: len(site.client.on(f"{site.appliance.root}/telemetry")) > count + 2, "more telemetry")


def test_the_volume_changes_unless_it_was_set_over_mqtt(site: Site) -> None:
    assert site.reload(audio={"volume": 60}) == (True, "audio.volume is 60 now")
    eventually(lambda: (site.retained("state")["volume"], site.retained("state")["volume_configured"]) == (60, 60))
    site.client.publish(f"{site.appliance.root}/volume/set", "33")
    eventually(lambda: site.retained("state")["volume"] == 33, "the volume that was set")
    note = "the volume that was set over MQTT stays, 33"
    assert site.reload(audio={"volume": 70}) == (True, f"audio.volume is 70 now ({note})")
    eventually(lambda: (site.retained("state")["volume"], site.retained("state")["volume_configured"]) == (33, 70))


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"audio": {"chime": "gong"}}, "nothing is changed: audio.chime: there is no chime 'gong'"),
        (
            {"policies": {"blocked": {"file": "/no/such/words"}}},
            "policies.blocked.file: /no/such/words: cannot be read",
        ),
        ({"text": {"pronunciations": "/no/such/file"}}, "text.pronunciations: /no/such/file: cannot be read"),
        ({"audio": {"when_lost": "silent", "device": "silent"}}, "must be wait, drop or another device"),
        ({"audio": {"pause_s": -1}}, "audio.pause_s"),
    ],
)
def test_a_file_with_a_fault_changes_nothing_at_all(site: Site, sections: dict[str, Any], words: str) -> None:
    ok, answer = site.reload(**sections, limits={"max_chars": 5})
    assert (ok, words in answer) == (False, True), answer
    assert site.final("more than five characters")["event"] == "finished"
    eventually(lambda: "configuration file was not applied" in (site.retained("state")["detail"] or ""), "the note")
    assert site.reload()[0]
    eventually(lambda: "configuration" not in (site.retained("state")["detail"] or ""), "the end of the note")


def test_the_device_in_use_cannot_become_its_own_substitute(site: Site) -> None:
    device = site.at_start["audio"]["device"]
    ok, answer = site.reload(audio={"device": "silent", "when_lost": device})
    assert (ok, "audio.when_lost names the device that is in use" in answer) == (False, True), answer
    assert site.reload(audio={"when_lost": "silent"}) == (True, "audio.when_lost is silent now")
    assert site.final("spoken")["event"] == "finished"


def test_what_needs_a_restart_waits_for_it_while_the_rest_is_applied(site: Site) -> None:
    ok, answer = site.reload(device={"name": "other"}, gateway={"controls": "none"}, limits={"max_chars": 7})
    assert (ok, answer) == (
        True,
        "limits.max_chars is 7 now; these keys have changed and need a restart (systemctl restart ishowtts): "
        "device.name; these keys have changed and need a restart of the gateway (systemctl restart "
        "ishowtts-gateway): gateway.controls",
    )
    assert site.final("longer than that")["reason"] == "too_long"


def test_a_signal_reloads_too(site: Site) -> None:
    site.file.write_text(yaml.safe_dump({**site.at_start, "limits": {"max_chars": 9}}), encoding="utf-8")
    assert site.appliance.process is not None
    site.appliance.process.send_signal(signal.SIGHUP)
    eventually(lambda: site.retained("info")["limits"]["max_chars"] == 9, "the limits in `info`")
