"""Voices come over MQTT, with a real daemon and a real broker."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.voice_sender import WORDS, VoiceSender, parts_of, speech, wait_for_voices
from support.waiting import eventually

SETTINGS = {"engine": {"kind": "espeak", "f5": {"voices_over_mqtt": True}}}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return speech(tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the daemon that the tests of this module share. The operator has a voice there."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "broker").mkdir()
    (folder / "state/voices/carol").mkdir(parents=True)
    soundfile.write(folder / "state/voices/carol/reference.wav", np.full(72_000, 0.1), 24_000)
    (folder / "state/voices/carol/reference.txt").write_text("The words of Carol.")
    return folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[tuple[Appliance, Broker]]:
    with Broker(folder / "broker") as broker, Client(broker.host, broker.port) as client:
        client.subscribe("ishowtts/test/#")
        with Appliance(folder, broker, SETTINGS, quick_s=0.5) as appliance:
            wait_for_voices(client, appliance.root)
            yield appliance, broker


@pytest.fixture
def sender(running: tuple[Appliance, Broker]) -> Iterator[VoiceSender]:
    appliance, broker = running
    with Client(broker.host, broker.port) as client:
        appliance.wait_ready(client)
        yield VoiceSender(client, appliance.root)


def test_a_voice_is_added_used_replaced_and_removed(
    running: tuple[Appliance, Broker], sender: VoiceSender, recording: bytes, folder: Path
) -> None:
    appliance, client = running[0], sender.client
    assert client.wait_for(f"{appliance.root}/info").json["voices_over_mqtt"]
    answer = sender.add("anna", recording, language="en-GB")
    assert (answer["command"], answer["ok"], answer["voice"]) == ("voice_add", True, "anna"), answer
    assert answer["detail"].startswith("the voice anna was added, with a clip of 3.")
    assert "22050 samples per second" in answer["detail"], "the notes of the checks are in the answer"
    info = client.wait_for(f"{appliance.root}/info", lambda message: "anna" in message.json["voices"]).json
    assert (info["voices"], info["removable_voices"]) == (["anna", "carol", "default"], ["anna"])
    final = appliance.final(client, appliance.say(client, "Hello.", voice="anna"))
    assert final["event"] == "finished"
    voice = folder / "state/uploaded-voices/anna"
    assert (voice / "reference.txt").read_text().strip() == WORDS
    assert (voice / "voice.yaml").read_text() == "language: en-GB\n"
    assert not (voice.parent / ".uploads/1").exists()

    answer = sender.add("anna", recording)
    assert (answer["ok"], "already a voice 'anna'; send replace: true" in answer["detail"]) == (False, True)
    assert sender.add("anna", recording, replace=True)["ok"]
    assert not (voice / "voice.yaml").exists()

    spoken = appliance.say(client, "One sentence. And another one.", voice="anna")
    client.wait_for(f"{appliance.root}/event", lambda m: (m.json["id"], m.json["event"]) == (spoken, "started"))
    answer = sender.remove("anna")
    assert (answer["command"], answer["ok"], answer["detail"]) == ("voice_remove", True, "the voice anna was removed")
    assert appliance.final(client, spoken)["event"] == "finished", "a line is spoken to its end"
    final = appliance.final(client, appliance.say(client, "Hello again.", voice="anna"))
    assert final["reason"] == "unknown_voice"
    assert "there is no voice 'anna'" in sender.remove("anna")["detail"]


def test_the_voices_of_the_operator_cannot_be_changed(sender: VoiceSender, recording: bytes) -> None:
    for name in ("carol", "default"):
        for answer in (sender.add(name, recording, replace=True), sender.remove(name)):
            assert (answer["ok"], f"the voice '{name}' is the operator's" in answer["detail"]) == (False, True), answer


def test_a_recording_without_consent_is_refused(sender: VoiceSender, recording: bytes) -> None:
    answer = sender.add("emil", recording, consent=None)
    told = "consent: is missing; true, if the speaker has agreed"
    assert (answer["ok"], answer["voice"], answer["detail"]) == (False, "emil", told)


def test_a_name_that_leads_elsewhere_is_refused(sender: VoiceSender, recording: bytes) -> None:
    for name in ("..", "Anna", ".uploads", "a" * 65):
        sender.send(name, parts_of(recording[:100], f"of {name[:9]}")[0])
        answer = sender.answer(f"of {name[:9]}")
        assert (answer["ok"], "is not a valid name of a voice" in answer["detail"]) == (False, True)
        assert "voice" not in answer


def test_a_thousand_uploads_that_begin_at_once_leave_the_appliance_usable(
    running: tuple[Appliance, Broker], sender: VoiceSender, recording: bytes, folder: Path
) -> None:
    appliance, client = running[0], sender.client
    first = {**parts_of(b"some bytes", "")[0], "parts": 5}
    for i in range(1000):
        client.publish(f"{appliance.root}/voice/flood-{i}/set", {**first, "upload": f"flood {i}"}, qos=0)
    assert appliance.final(client, appliance.say(client, "Still here."))["event"] == "finished"
    refused = sender.answer("flood 5")
    assert "2 other uploads are not complete yet" in refused["detail"]
    assert len(list((folder / "state/uploaded-voices/.uploads").iterdir())) == 2
    for i in (0, 1):  # they end by a part that does not belong to them
        sender.send(f"flood-{i}", {"upload": f"flood {i}", "part": 1, "parts": 2, "data": "aGk="})
    assert sender.add("gina", recording)["ok"], "it has its answer, although most of the flood has none"
    assert not any(message.json.get("transaction") == "flood 999" for message in client.on(f"{appliance.root}/event"))


def test_an_upload_that_a_kill_interrupts_leaves_nothing_and_can_be_sent_again(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, recording: bytes, tmp_path: Path
) -> None:
    mqtt_client.subscribe("ishowtts/test/#")
    appliance = make_appliance(settings=SETTINGS, quick_s=0.05)
    wait_for_voices(mqtt_client, appliance.root)
    sender = VoiceSender(mqtt_client, appliance.root)
    uploaded = tmp_path / "state/uploaded-voices"
    parts = parts_of(recording, "interrupted")
    sender.send("anna", parts[0])
    eventually((uploaded / ".uploads/1/recording").exists, "the first part")
    (uploaded / ".anna.half").mkdir()
    appliance.stop(signal.SIGKILL)
    mqtt_client.forget()
    appliance.start()
    wait_for_voices(mqtt_client, appliance.root)
    eventually(lambda: list(uploaded.iterdir()) == [], "the rest, removed")
    sender.send("anna", parts[1])
    told = sender.answer("interrupted")["detail"]
    assert told == "part 0 of this upload is not here; send the recording again from part 0"
    sender.send("anna", parts[0])
    eventually((uploaded / ".uploads/1/recording").exists, "the first part again")
    assert appliance.stop() == 0
    assert list(uploaded.iterdir()) == []


def test_voices_do_not_come_over_mqtt_unless_the_operator_wants_it(
    appliance: Appliance, mqtt_client: Client, recording: bytes, tmp_path: Path
) -> None:
    appliance.wait_ready(mqtt_client)
    info = mqtt_client.wait_for(f"{appliance.root}/info").json
    assert (info["voices_over_mqtt"], info["removable_voices"]) == (False, [])
    for part in parts_of(recording, "unwanted"):
        mqtt_client.publish(f"{appliance.root}/voice/anna/set", part)
    final = appliance.final(mqtt_client, appliance.say(mqtt_client, "Hello.", voice="anna"))
    assert final["reason"] == "unknown_voice"
    assert not (tmp_path / "state/uploaded-voices").exists()
