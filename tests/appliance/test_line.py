"""A line from end to end: published over MQTT, heard at the sink."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import soundfile

from ishowtts.mqtt.discovery_sensors import SENSORS
from support.appliance import FINAL, Appliance
from support.broker import Broker
from support.client import Client
from support.digit_recognizer import digits
from support.waiting import eventually

LONG = "One two three four five. " * 4


def test_a_published_line_is_heard(appliance: Appliance, mqtt_client: Client) -> None:
    appliance.wait_ready(mqtt_client)
    line_id = appliance.say(mqtt_client, "one two three four five")
    final = appliance.final(mqtt_client, line_id)
    assert [event["event"] for event in appliance.events(mqtt_client, line_id)] == ["accepted", "started", "finished"]
    assert final["engine"] == "espeak"
    assert final["rtf"] == pytest.approx(final["synth_s"] / final["audio_s"], abs=0.02)
    assert appliance.stop() == 0
    assert digits(appliance.sound) == "one two three four five"


def test_telemetry_counts_the_line_and_invents_nothing(appliance: Appliance, mqtt_client: Client) -> None:
    appliance.wait_ready(mqtt_client)
    final = appliance.final(mqtt_client, appliance.say(mqtt_client, "one"))
    snapshot = mqtt_client.wait_for(
        f"{appliance.root}/telemetry", lambda message: message.json["speech"]["lines_total"] == 1
    ).json
    assert snapshot["speech"]["rtf"] == pytest.approx(final["rtf"], abs=1e-3)
    assert (snapshot["speech"]["lines_per_min"], snapshot["speech"]["error_rate"]) == (1, 0.0)
    (espeak,) = snapshot["engines"]
    assert (espeak["rtf_p50"], espeak["ttfa_s_p95"]) == (snapshot["speech"]["rtf"], snapshot["speech"]["ttfa_s_p50"])
    assert snapshot["gpu"]["clock_mhz"] is None
    assert snapshot["engine"]["name"] == "espeak"
    assert snapshot["mqtt"] == {"connected": True, "reconnects": 0}
    sources = mqtt_client.wait_for(f"{appliance.root}/info", lambda message: "cpu.load_pct" in message.json["sources"])
    found = sources.json["sources"]
    assert (found["memory.total_mb"], found["cpu.load_pct"]) == ("sysfs", "sysfs")
    assert "gpu.clock_mhz" not in found
    fields = {f"{part}.{name}" for part in ("gpu", "cpu", "memory", "board") for name in snapshot[part]}
    assert found.keys() <= fields, "they have the names of telemetry"
    for sensor in SENSORS:  # Home Assistant's; a path that does not exist raises
        reduce(getitem, sensor.path.split("."), snapshot)


def test_speech_loads_a_simulated_board(make_appliance: Callable[..., Appliance], mqtt_client: Client) -> None:
    settings = {"board": {"source": "simulated"}, "telemetry": {"interval_s": 0.2}}
    appliance = make_appliance(settings=settings, quick_s=60)
    appliance.wait_ready(mqtt_client)
    mqtt_client.wait_for(f"{appliance.root}/telemetry", count=5)
    idle = [message.json["gpu"]["load_pct"] for message in mqtt_client.on(f"{appliance.root}/telemetry")]
    assert max(idle) < 10
    appliance.say(mqtt_client, "one")
    mqtt_client.wait_for(f"{appliance.root}/telemetry", lambda message: message.json["gpu"]["load_pct"] > 20)
    sources = mqtt_client.wait_for(f"{appliance.root}/info").json["sources"]
    assert (len(sources), set(sources.values())) == (14, {"simulated"})


def test_the_daemon_starts_before_its_broker(tmp_path: Path, broker: Broker) -> None:
    broker.stop()
    with Appliance(tmp_path, broker) as appliance:
        away = "started, but no line can come yet: the broker at .* cannot be reached"
        eventually(lambda: re.search(away, appliance.log), "the daemon's start", 60)
        assert "ready: lines on" not in appliance.log
        broker.start()
        with Client(broker.host, broker.port) as client:
            appliance.wait_ready(client)
            eventually(lambda: "ready: lines on ishowtts/test/say" in appliance.log, "the word ready")
            assert appliance.final(client, appliance.say(client, "one"))["event"] == "finished"


def test_a_wrong_password_is_reported_in_one_sentence(make_broker: Callable[..., Broker], tmp_path: Path) -> None:
    broker = make_broker(users={"anna": "right"})
    password = tmp_path / "password"
    password.write_text("s3cret-of-anna\n")
    mqtt = {"host": broker.host, "port": broker.port, "username": "anna", "password_file": str(password)}
    with Appliance(tmp_path, broker, {"mqtt": mqtt}) as appliance:
        eventually(lambda: "mqtt.password_file" in appliance.log, "the sentence", 60)
        assert "s3cret" not in appliance.log
        assert "Traceback" not in appliance.log


def test_bad_input_is_rejected_in_words_and_the_next_line_is_spoken(appliance: Appliance, mqtt_client: Client) -> None:
    appliance.wait_ready(mqtt_client)
    for payload, reason, names in (
        (b"", "empty", "text"),
        (b"   ", "empty", "text"),
        (b"!!! ...", "empty", "text"),
        (b"\xff\xfe", "bad_utf8", "UTF-8"),
        (b'{"text": ', "bad_json", "JSON"),
        (b'{"text": "a", "spede": 1}', "bad_field", "speed"),
        (b"x" * 1001, "too_long", "1000"),
        (b'{"text": "a", "voice": "nobody"}', "unknown_voice", "default"),
    ):
        mqtt_client.forget()
        mqtt_client.publish(f"{appliance.root}/say", payload)
        event = mqtt_client.wait_for(f"{appliance.root}/event", lambda each: each.json["event"] == "rejected").json
        assert event["reason"] == reason, payload
        assert names in event["detail"], payload
        next_line = appliance.final(mqtt_client, appliance.say(mqtt_client, "one"))
        assert next_line["event"] == "finished", payload
    assert "Traceback" not in appliance.log


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_current_line_continues_after_a_restart(
    appliance: Appliance, mqtt_client: Client, how: signal.Signals
) -> None:
    appliance.wait_ready(mqtt_client)
    line_id = appliance.say(mqtt_client, LONG)
    waiting = appliance.say(mqtt_client, "six")
    mqtt_client.wait_for(f"{appliance.root}/event", lambda message: message.json["event"] == "started")
    appliance.stop(how)
    appliance.start()
    for each in (line_id, waiting):
        assert appliance.final(mqtt_client, each, 120)["event"] == "finished"
        finals = [event for event in appliance.events(mqtt_client, each) if event["event"] == "finished"]
        assert len(finals) == 1


def test_orderly_stops_do_not_count_against_a_line(appliance: Appliance, mqtt_client: Client) -> None:
    appliance.wait_ready(mqtt_client)
    line_id = appliance.say(mqtt_client, LONG)
    for _ in range(3):  # a line that two crashes interrupt fails
        mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["state"] == "speaking")
        appliance.stop()
        mqtt_client.forget()
        appliance.start()
    assert appliance.final(mqtt_client, line_id)["event"] == "finished"


def test_an_urgent_line_interrupts_and_the_other_continues(appliance: Appliance, mqtt_client: Client) -> None:
    appliance.wait_ready(mqtt_client)
    long = appliance.say(mqtt_client, LONG)
    mqtt_client.wait_for(f"{appliance.root}/event", lambda message: message.json["event"] == "started")
    urgent = appliance.say(mqtt_client, "six", topic="urgent")
    assert appliance.final(mqtt_client, urgent)["event"] == "finished"
    assert appliance.final(mqtt_client, long, 120)["event"] == "finished"
    order = [(event["id"], event["event"]) for event in appliance.events(mqtt_client)]
    expected = [(long, "interrupted"), (urgent, "finished"), (long, "resumed"), (long, "finished")]
    assert [each for each in order if each in expected] == expected


def test_commands_work_and_are_answered(appliance: Appliance, mqtt_client: Client) -> None:
    appliance.wait_ready(mqtt_client)
    event_topic, command = f"{appliance.root}/event", f"{appliance.root}/command"

    def answer(word: str) -> dict[str, object]:
        found: dict[str, object] = mqtt_client.wait_for(
            event_topic, lambda m: m.json["event"] == "command" and m.json["command"] == word
        ).json
        return found

    first, second = appliance.say(mqtt_client, LONG), appliance.say(mqtt_client, LONG)
    mqtt_client.wait_for(event_topic, lambda message: message.json["event"] == "started")
    mqtt_client.publish(command, "skip")
    assert answer("skip")["ok"] is True
    assert appliance.final(mqtt_client, first)["by"] == "skip"
    mqtt_client.publish(command, {"command": "cancel", "id": second, "transaction": "t1"})
    assert answer("cancel")["transaction"] == "t1"
    assert answer("cancel")["detail"] == "1 line was cancelled"
    assert appliance.final(mqtt_client, second)["event"] == "cancelled"
    mqtt_client.publish(command, "pause")
    assert answer("pause")["ok"] is True
    held = appliance.say(mqtt_client, "one")
    mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["state"] == "paused")
    mqtt_client.publish(f"{appliance.root}/volume/set", "30")
    mqtt_client.wait_for(f"{appliance.root}/volume", lambda message: message.text == "30")
    mqtt_client.publish(command, "mute")
    mqtt_client.wait_for(f"{appliance.root}/muted", lambda message: message.text == "true")
    mqtt_client.publish(command, "resume")
    final = appliance.final(mqtt_client, held)
    assert (final["event"], final["audible"], final["silent"], final["volume"]) == ("finished", False, "muted", 30)
    started = [event for event in appliance.events(mqtt_client, held) if event["event"] == "started"]
    assert started[0]["muted"] is True
    mqtt_client.publish(command, "dance")
    unknown = mqtt_client.wait_for(event_topic, lambda m: m.json["event"] == "command" and not m.json["ok"]).json
    assert "one of skip, stop" in unknown["detail"]
    assert appliance.stop() == 0
    frames = soundfile.info(str(appliance.sound)).frames
    assert frames > 0


def test_volume_mute_and_pause_survive_a_restart_and_a_pause_is_reported(
    appliance: Appliance, mqtt_client: Client
) -> None:
    appliance.wait_ready(mqtt_client)
    mqtt_client.publish(f"{appliance.root}/volume/set", "30")
    mqtt_client.publish(f"{appliance.root}/command", "mute")
    mqtt_client.publish(f"{appliance.root}/command", "pause")
    state = mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["state"] == "paused").json
    assert "resume" not in (state["detail"] or "")
    # What has been answered is kept; the state may tell it a moment before.
    mqtt_client.wait_for(f"{appliance.root}/event", lambda message: message.json.get("command") == "pause")
    appliance.stop(signal.SIGKILL)
    mqtt_client.forget()
    appliance.start()
    state = mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["state"] == "paused").json
    assert (state["volume"], state["volume_configured"], state["muted"]) == (30, 100, True)
    assert (state["audible"], state["silent"]) == (False, "muted")
    assert "resume" in state["detail"]
    assert "resume" in appliance.log
    assert "muted since before the daemon was started; the command unmute" in appliance.log
    mqtt_client.wait_for(f"{appliance.root}/volume", lambda message: message.text == "30")
    mqtt_client.wait_for(f"{appliance.root}/muted", lambda message: message.text == "true")
    mqtt_client.publish(f"{appliance.root}/command", "resume")
    mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["state"] == "ready")
    mqtt_client.forget()
    mqtt_client.publish(f"{appliance.root}/command", "pause")
    state = mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["state"] == "paused").json
    assert "resume" not in state["detail"], "this one was asked for now"


@pytest.mark.slow
def test_commands_work_while_three_thousand_lines_wait(make_broker: Callable[..., Broker], tmp_path: Path) -> None:
    broker = make_broker(extra=["max_queued_messages 10000"])
    settings = {"queue": {"max_lines": 5000}, "audio": {"device": "silent"}}
    with Appliance(tmp_path, broker, settings) as appliance, Client(broker.host, broker.port) as client:
        appliance.wait_ready(client)
        event_topic, command = f"{appliance.root}/event", f"{appliance.root}/command"

        def answer(word: str) -> dict[str, Any]:
            told: dict[str, Any] = client.wait_for(
                event_topic,
                lambda message: message.json["event"] == "command" and message.json["command"] == word,
                timeout_s=60,
            ).json
            return told

        first = appliance.say(client, "one two three four five. " * 40)
        client.wait_for(event_topic, lambda message: message.json["event"] == "started")
        subprocess.run(
            ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", f"{appliance.root}/say", "-l"],
            input="\n".join(f"line number {n}" for n in range(3000)),
            text=True,
            check=True,
            timeout=60,
        )
        client.publish(command, "mute")
        assert answer("mute")["ok"]
        client.publish(f"{appliance.root}/volume/set", "40")
        assert answer("volume")["detail"] == "the volume is 40"
        client.publish(command, "replay")
        assert not answer("replay")["ok"], "nothing has ended yet"
        client.publish(command, {"command": "cancel", "id": first})
        assert appliance.final(client, first)["by"] == "cancel"
        client.wait_for(event_topic, lambda message: message.json["event"] == "accepted", count=3001, timeout_s=60)
        client.publish(command, "stop")
        assert answer("stop")["ok"]
        ended = [event["id"] for event in appliance.events(client) if event["event"] in FINAL]
        assert len(ended) == len(set(ended)) == 3001
        state = {"queue_depth": 0, "muted": True, "volume": 40}
        client.wait_for(f"{appliance.root}/state", lambda message: state.items() <= message.json.items())


def test_an_unusable_configuration_ends_with_2_and_every_fault(tmp_path: Path, broker: Broker) -> None:
    appliance = Appliance(tmp_path, broker, {"audoi": {}, "limits": {"max_chars": 0}}).start()
    assert appliance.process is not None
    assert appliance.process.wait(30) == 2
    assert "did you mean 'audio'" in appliance.log
    assert "limits.max_chars" in appliance.log
    assert "Traceback" not in appliance.log
