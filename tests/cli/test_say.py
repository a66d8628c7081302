"""`ishowtts say` prints what anybody may have published, and neither obeys it nor trips over it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.cli import common, say
from ishowtts.cli.main import main
from support.broker import Broker
from support.broker_scripts import refuse, then_close
from support.client import Client
from support.hostile_broker import HostileBroker
from support.mqtt_packets import PUBLISH

ROOT = "ishowtts/test"
ESCAPES = "\x1b]0;owned\x07\x9b2J\u202e\u2028\x7f"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(
    ["event", "audio_s", "queue_s", "rtf", "engine", "engines", "cached", "detail", "error", "by", "into", "of"]
)
kinds = st.sampled_from(["finished", "failed", "merged", "duplicate"])


@given(st.dictionaries(keys, json_values), kinds)
def test_any_event_is_one_printable_sentence(event: dict[str, Any], kind: str) -> None:
    assert say.sentence({**event, "event": kind}).isprintable()


@given(st.dictionaries(keys, json_values))
def test_any_event_is_json_that_can_be_printed(event: dict[str, Any]) -> None:
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", printed.append)
        common.print_json(event)
    assert printed[0].replace("\n", "").isprintable()
    assert repr(json.loads(printed[0])) == repr(event)


def test_sentences_for_people() -> None:
    finished = {"event": "finished", "audio_s": 1.5, "queue_s": 0.25, "rtf": 0.1234, "engine": "f5"}
    assert say.sentence(finished) == "finished: 1.50 s of speech by f5, RTF 0.123, waited 0.25 s"
    assert "by f5, espeak, RTF" in say.sentence(finished | {"engines": ["f5", "espeak"]})
    assert say.sentence(finished | {"cached": True}).endswith("from the cache, waited 0.25 s")
    assert say.sentence({"event": "finished", "audio_s": 10**400, "rtf": [1]}) == (
        "finished: ? s of speech by an unknown engine, RTF unknown, waited ? s"
    )
    assert say.sentence({"event": "merged", "into": "a\x1b"}) == r"merged: into a\x1b"


def forge(broker: Broker, forged: list[bytes], lines: list[dict[str, Any]]) -> None:
    """Answer the first line with forged events, and go on as the appliance would not."""
    with Client(broker.host, broker.port) as client:
        client.subscribe(f"{ROOT}/say")
        ready.set()
        line = client.wait_for(f"{ROOT}/say", lambda _: True).json
        lines.append(line)
        client.publish(f"{ROOT}/state", b'{"state": {"a": 1}, "detail": [1]}')
        for payload in forged:
            client.publish(f"{ROOT}/event", payload.replace(b"ID", line["id"].encode()))


ready = threading.Event()
NOT_FINAL = [
    b"[" * 100_000, b"\xff", b"{", b"null", b"3", b"[]", b'{"id": "ID"}', b'{"id": "ID", "event": []}',
    b'{"id": "ID", "event": {"a": 1}}', b'{"id": ["ID"], "event": "finished"}', b'{"id": "ID", "event": "\\ud800"}',
]  # fmt: skip


@pytest.mark.parametrize(
    "forged",
    [
        ({"event": "finished"}, "finished: ? s of speech by an unknown engine, RTF unknown, waited ? s"),
        ({"event": "finished", "audio_s": "x", "engine": ESCAPES}, r"\x1b]0;owned\x07\x9b2J\u202e\u2028\x7f"),
        ({"event": "rejected", "detail": {"a": ESCAPES}}, "rejected"),
        ({"event": "failed", "error": f"{ESCAPES}\ud800"}, r"failed: \x1b]0;owned\x07\x9b2J\u202e\u2028\x7f\ud800"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_forged_events_are_shown_and_not_executed(
    tmp_path: Path,
    broker: Broker,
    capsys: pytest.CaptureFixture[str],
    forged: tuple[dict[str, Any], str],
    as_json: bool,
) -> None:
    settings = {"device": {"name": "test"}, "mqtt": {"host": broker.host, "port": broker.port}}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    lines: list[dict[str, Any]] = []
    ready.clear()
    fields, printed = forged
    payloads = [*NOT_FINAL, json.dumps({"id": "ID", **fields}).encode()]
    thread = threading.Thread(target=forge, args=(broker, payloads, lines), name="forger")
    thread.start()
    assert ready.wait(10)
    options = ["--language", "PT-br", *(["--json"] if as_json else [])]
    status = main(["say", "hello", "--wait", "20", "--config", str(config), *options])
    thread.join(10)
    assert lines[0]["language"] == "pt-BR"
    told = capsys.readouterr().out
    assert status == (0 if fields["event"] == "finished" else 1)
    assert told.replace("\n", "").isprintable()
    if as_json:
        assert json.loads(told)["id"] == lines[0]["id"]
    else:
        assert printed in told


@pytest.mark.parametrize("refused", ["event", "info"])
def test_a_user_who_may_only_publish_is_told_so_after_the_line_is_sent(
    refused: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with HostileBroker(on_subscribe=refuse(0x87, f"{ROOT}/{refused}")) as broker:
        config = tmp_path / "config.yaml"
        config.write_text(
            yaml.safe_dump({"device": {"name": "test"}, "mqtt": {"host": broker.host, "port": broker.port}})
        )
        assert main(["say", "--config", str(config), "--wait", "0.2", "Tea is ready."]) != 0
        assert len(broker.received_of(PUBLISH, f"{ROOT}/say")) == 1
    said = capsys.readouterr()
    told = f"does not let anonymous users subscribe to {ROOT}/event" in said.err
    assert told == (refused == "event"), said


def test_a_connection_that_ends_after_the_line_was_sent_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with HostileBroker(on_publish=then_close()) as broker:
        config = tmp_path / "config.yaml"
        config.write_text(json.dumps({"device": {"name": "test"}, "mqtt": {"host": broker.host, "port": broker.port}}))
        assert main(["say", "--config", str(config), "--wait", "3600", "Tea is ready."]) == 1
    err = capsys.readouterr().err
    assert "the line was sent, but what becomes of it cannot be seen: " in err
    assert "closed the connection" in err
