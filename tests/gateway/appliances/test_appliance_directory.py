"""The records of appliances, from messages that anybody may have published."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from ishowtts_gateway.appliances.appliance_directory import MAX_DEVICES, ApplianceDirectory
from ishowtts_gateway.appliances.change_feed import ApplianceChange

ACCEPTED = {"id": "a", "event": "accepted", "ts": "2026-11-20T10:15:00.000Z", "text": "One."}
HOSTILE = {
    "nothing": b"",
    "array": b"[1, 2]",
    "text": b'"online"',
    "number": b"7",
    "null": b"null",
    "nan": b'{"volume": NaN}',
    "deep": b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deep-enough": b'{"a": ' * 20 + b"1" + b"}" * 20,
    "large-text": b'{"detail": "' + b"x" * 1_000_000 + b'"}',
    "many-values": json.dumps({"list": [0] * 5000}).encode(),
    "many-digits": b'{"a": ' + b"9" * 6000 + b"}",
    "key-twice": b'{"a": 1, "a": 2}',
    "not-utf-8": b'{"a": "\xff"}',
    "truncated": b'{"a": ',
    "bytes": bytes(range(256)),
}
TOPICS = ("availability", "state", "info", "telemetry", "event", "volume", "muted", "voice", "alert/hot")


def filled(names: list[str] | None = None) -> ApplianceDirectory:
    directory = ApplianceDirectory("ishowtts", names)
    directory.apply("ishowtts/kitchen/availability", b"online")
    for topic, value in (
        ("state", {"state": "ready"}), ("info", {"version": "1"}), ("telemetry", {"gpu": {"temp_c": 50}}),
        ("volume", 80), ("muted", False), ("voice", "anna"), ("alert/hot", {"active": False}), ("event", ACCEPTED),
    ):  # fmt: skip
        directory.apply(f"ishowtts/kitchen/{topic}", json.dumps(value).encode())
    return directory


def changes(directory: ApplianceDirectory, work: Callable[[], None]) -> list[ApplianceChange]:
    """What a watcher is told while a function works."""

    async def scenario() -> list[ApplianceChange]:
        with directory.watch() as watcher:
            work()
            directory.close()
            return [change async for change in watcher]

    return asyncio.run(scenario())


def test_a_record_has_what_an_appliance_publishes() -> None:
    record = filled(["kitchen"]).records["kitchen"]
    assert record.online
    assert record.snapshot() == {
        "name": "kitchen", "root": "ishowtts/kitchen", "availability": "online", "state": {"state": "ready"},
        "info": {"version": "1"}, "alerts": {"hot": {"active": False}}, "telemetry": {"gpu": {"temp_c": 50}},
        "volume": 80, "muted": False, "voice": "anna", "controls": None,
        "lines": [
            {"id": "a", "status": "waiting", "accepted_ts": "2026-11-20T10:15:00.000Z", "text": "One."},
        ],
    }  # fmt: skip
    assert [point[3] for point in record.series.points()] == [50]


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_payload_changes_nothing(payload: bytes) -> None:
    directory = filled(["kitchen"])
    before = directory.records["kitchen"].snapshot()
    for topic in TOPICS:
        if payload or topic == "event":
            directory.apply(f"ishowtts/kitchen/{topic}", payload)
    after = directory.records["kitchen"].snapshot()
    assert {**after, "volume": 80, "voice": "anna"} == before
    assert after["volume"] in (80, 7)
    assert after["voice"] in ("anna", "online")


@pytest.mark.parametrize(
    "topic",
    [
        "ishowtts/kitchen", "ishowtts/kitchen/", "ishowtts/kitchen/alert", "ishowtts/kitchen/alert/", "ishowtts//state",
        "ishowtts/kitchen/alert/sung", "ishowtts/kitchen/lines", "ishowtts/kitchen/__class__", "other/kitchen/state",
        "ishowtts/Kitchen/state", "ishowtts/reply/state", "ishowtts/kitchen/state/x", "ishowtts/../state", "ishowtts",
        "ishowtts/kitchen/series", "ishowtts/kitchen/snapshot", "ishowtts/attic/state", "",
    ],
)  # fmt: skip
def test_other_topics_are_ignored(topic: str) -> None:
    directory = filled(["kitchen"])
    before = directory.records["kitchen"].snapshot()
    assert changes(directory, lambda: directory.apply(topic, b'{"a": 1}')) == []
    assert (list(directory.records), directory.records["kitchen"].snapshot()) == (["kitchen"], before)


def test_what_is_kept_can_be_sent_as_json_in_utf_8() -> None:
    directory = filled(["kitchen"])
    directory.apply("ishowtts/kitchen/state", rb'{"detail": "\ud800 \u202e<script>", "a": 1e999, "\udc00": 1e400}')
    directory.apply("ishowtts/kitchen/info", b'{"limit": ' + b"9" * 400 + b', "small": -3}')
    snapshot = directory.records["kitchen"].snapshot()
    json.dumps(snapshot, ensure_ascii=False, allow_nan=False).encode()
    assert snapshot["state"] == {"detail": "? \u202e<script>", "a": None, "?": None}
    assert snapshot["info"] == {"limit": None, "small": -3}


def test_watchers_are_told_only_what_changed() -> None:
    directory = filled(["kitchen"])

    def work() -> None:
        for payload in (b"80", b"80", b"20"):
            directory.apply("ishowtts/kitchen/volume", payload)
        directory.apply("ishowtts/kitchen/alert/hot", b'{"active": true}')
        directory.apply("ishowtts/kitchen/muted", b"false")
        directory.apply("ishowtts/kitchen/voice", b"")

    assert changes(directory, work) == [
        ApplianceChange("device", "kitchen", {"volume": 20, "alerts": {"hot": {"active": True}}, "voice": None})
    ]


def test_events_and_telemetry_that_were_retained_are_old() -> None:
    directory = filled(["kitchen"])
    heard: list[dict[str, Any]] = []
    directory.add_event_listener(lambda _device, event: heard.append(event))

    def work() -> None:
        directory.apply("ishowtts/kitchen/event", json.dumps({**ACCEPTED, "id": "b"}).encode(), retained=True)
        directory.apply("ishowtts/kitchen/telemetry", b'{"gpu": {"temp_c": 90}}', retained=True)

    assert [change.kind for change in changes(directory, work)] == ["device"]
    assert len(directory.records["kitchen"].series.points()) == 1
    directory.apply("ishowtts/kitchen/event", json.dumps(ACCEPTED).encode())  # a repetition
    command = {"id": "", "event": "command", "ts": ACCEPTED["ts"], "command": "skip", "ok": True}
    directory.apply("ishowtts/kitchen/event", json.dumps(command).encode())
    assert heard == [command]


def test_appliances_appear_under_the_prefix_and_go_when_their_topics_are_cleared() -> None:
    directory = ApplianceDirectory("home/speech", None)
    directory.apply("home/speech/attic/event", json.dumps(ACCEPTED).encode())
    directory.apply("home/speech/attic/state", b"")
    directory.apply("home/speech/attic/state", b"[]")
    directory.apply("home/speech/reply/state", b'{"state": "ready"}')
    assert directory.records == {}
    told = changes(directory, lambda: directory.apply("home/speech/attic/state", b'{"state": "ready"}'))
    assert [(change.kind, change.device) for change in told] == [("device", "attic")]
    assert told[0].data == directory.records["attic"].snapshot()
    directory.apply("home/speech/attic/availability", b"offline")
    directory.apply("home/speech/attic/state", b"")
    assert list(directory.records) == ["attic"]
    directory.apply("home/speech/attic/availability", b"")
    assert directory.records == {}


def test_a_named_appliance_stays_when_its_topics_are_cleared() -> None:
    directory = ApplianceDirectory("ishowtts", ["attic", "kitchen"])
    directory.apply("ishowtts/attic/availability", b"online")
    directory.apply("ishowtts/attic/availability", b"")
    assert list(directory.records) == ["attic", "kitchen"]
    assert directory.topics[:2] == ["ishowtts/attic/availability", "ishowtts/attic/state"]


def test_ten_thousand_names_do_not_displace_what_is_online(caplog: pytest.LogCaptureFixture) -> None:
    directory = ApplianceDirectory("ishowtts", None)
    directory.apply("ishowtts/kitchen/availability", b"online")
    for number in range(10_000):
        directory.apply(f"ishowtts/n{number}/state", b'{"state": "ready"}')
    assert len(directory.records) == MAX_DEVICES
    directory.apply("ishowtts/late/availability", b"online")
    assert len(directory.records) == MAX_DEVICES
    assert {"kitchen", "late"} < directory.records.keys()
    assert caplog.text.count("name those to show in gateway.devices") == 1


def test_all_lines_together_are_bounded() -> None:
    directory = ApplianceDirectory("ishowtts", None)
    for number in range(MAX_DEVICES):
        directory.apply(f"ishowtts/n{number}/availability", b"online")
    for number in range(300):
        for event in ("accepted", "finished"):
            payload = json.dumps({**ACCEPTED, "id": f"{event}{number}", "event": event}).encode()
            directory.apply("ishowtts/n0/event", payload)
    assert len(directory.records["n0"].lines) == 100 + 100


def test_an_availability_that_the_broker_lost_becomes_unknown() -> None:
    directory = ApplianceDirectory("ishowtts", ["attic", "kitchen"])
    for name in ("attic", "kitchen"):
        directory.apply(f"ishowtts/{name}/availability", b"online")
    directory.set_broker(False, "it is away")
    directory.set_broker(True, None)
    directory.apply("ishowtts/kitchen/availability", b"online", retained=True)
    assert changes(directory, directory.forget_unconfirmed) == [
        ApplianceChange("device", "attic", {"availability": None})
    ]
    assert [record.availability for record in directory.records.values()] == [None, "online"]
