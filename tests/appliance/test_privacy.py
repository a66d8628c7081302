"""With `log.private` the log contains nothing that a publisher wrote, in any field."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.waiting import eventually

MARK = "zebulon"
FIELDS = ("id", "voice", "chime", "priority", "author", "ttl_s", "speed", "nfe_step", "volume", "seed")
# Complains of the text as a broken engine may.
ESPEAK = f"""#!/bin/sh
text=$(cat)
case $text in *{MARK}fails*) echo "cannot say $text" >&2; exit 1;; esac
echo "$text" | exec {{program}} "$@"
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with an espeak-ng that fails at one text and quotes it."""
    program = shutil.which("espeak-ng")
    assert program is not None
    folder = tmp_path / "bin"
    folder.mkdir()
    wrapper = folder / "espeak-ng"
    wrapper.write_text(ESPEAK.format(program=program))
    wrapper.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def publish_marks(client: Client, root: str, mark: Callable[[], str]) -> None:
    """A mark in every field, topic and property, in good lines and bad ones."""
    say = f"{root}/say"
    for field in FIELDS:
        client.publish(say, {"text": "hello", field: mark()})
        client.publish(say, {"text": mark(), "id": mark(), field: [mark()]})
    for payload in (
        {mark(): 1}, {"text": {mark(): 1}}, {"text": "…", "id": mark()}, {"text": mark(), "speed": 99},
        f'{{"text": "{mark()}", "text": ""}}', f'{{"{mark()}', f'{{"text": NaN, "{mark()}": ',
        mark().encode() + b"\xff", mark() * 2000, {"text": "hello", "id": f"{mark()}\u2028<2>{mark()}"},
    ):  # fmt: skip
        client.publish(say, payload, qos=1)
    client.publish(f"{say}/{mark()}", "hello")
    client.publish(f"{say}/{mark()}/{mark()}", "hello")
    client.publish(f"{say}/anna", {"text": "hello", "voice": mark()})
    client.publish(say, mark(), ResponseTopic=f"elsewhere/{mark()}", UserProperty=(mark(), mark()))
    client.publish(say, mark(), ResponseTopic=f"ishowtts/reply/{mark()}", CorrelationData=mark().encode())
    client.publish(say, mark(), ResponseTopic=f"ishowtts/reply/{mark()}", CorrelationData=mark().encode() * 1000)
    client.publish(say, f'{{"text": {mark()}', ContentType=f"application/json; {mark()}")
    client.publish(say, mark(), retain=True)
    client.publish(f"{say}/{mark()}", mark(), retain=True)
    for payload in (
        mark(), {"command": mark()}, {"command": "skip", "transaction": mark()}, {"command": "cancel", "id": mark()},
        {"command": "skip", mark(): 1}, f'{{"{mark()}', {"command": [mark()]},
        {"command": "stop", "id": mark(), "transaction": f"{mark()}\u2029"},
        f'{{"command": "skip", "command": "{mark()}"}}',
    ):  # fmt: skip
        client.publish(f"{root}/command", payload)
    topic = f"ishowtts/reply/{mark()}"
    client.subscribe(topic)
    for payload in (
        mark(), f'{{"{mark()}', {"text": mark(), "format": mark()}, {"text": mark(), "id": mark(), "author": mark()},
        {"text": f"{MARK}fails", "id": mark(), "format": "flac"}, {"text": f"{MARK}blocked", "id": mark()},
        {"text": mark(), "as": "segment"}, mark() * 2000,
    ):  # fmt: skip
        client.publish(f"{root}/render", payload, ResponseTopic=topic, CorrelationData=mark().encode())
    client.publish(f"{root}/render/cancel", mark(), ResponseTopic=topic, CorrelationData=mark().encode())
    client.publish(f"{root}/render", mark())
    client.publish(f"{root}/render", mark(), ResponseTopic=f"elsewhere/{mark()}")
    client.publish(f"{root}/command", mark(), retain=True)
    client.publish(f"{root}/volume/set", mark())


@pytest.mark.parametrize("private", [True, False])
def test_text_of_publishers_is_in_the_log_only_if_it_is_not_private(
    tmp_path: Path, broker: Broker, path: str, private: bool
) -> None:
    made: list[str] = []

    def mark() -> str:
        made.append(f"{MARK}{len(made)}x")
        return made[-1]

    settings: dict[str, Any] = {
        "log": {"private": private, "level": "debug"},
        "limits": {"max_chars": 200},
        "policies": {"blocked": {"words": [f"{MARK}blocked"]}, "template": "{author} says: {text}"},
    }
    with (
        Appliance(tmp_path, broker, settings, {"PATH": path}) as appliance,
        Client(broker.host, broker.port) as client,
    ):
        appliance.wait_ready(client)
        publish_marks(client, appliance.root, mark)
        eventually(lambda: appliance.log.count("rendered (") >= 3 and "the render (" in appliance.log, "the renders")
        appliance.say(client, f"{MARK}blocked", id=mark())
        last = appliance.say(client, f"{MARK}fails and says so", id=mark(), author=mark())
        assert MARK in appliance.final(client, last)["error"]
        spoken = appliance.say(client, f"{MARK} is spoken", id=mark(), author=mark())
        assert appliance.final(client, spoken)["event"] == "finished"
        appliance.say(client, f"{MARK} is spoken", id=spoken)  # a duplicate
        client.publish(f"{appliance.root}/command", {"command": "replay", "transaction": mark()})
        eventually(lambda: any(event.get("transaction") == made[-1] for event in appliance.events(client)))
        words = [event for event in appliance.events(client) if event["event"] != "command" and "text" in event]
        assert bool(words) is not private
        assert not any("author" in event for event in appliance.events(client)) or not private
        appliance.stop()
    quoted = [line for line in appliance.log.splitlines() if MARK in line]
    assert len(re.findall("(?m)rejected", appliance.log)) >= 5
    if private:
        assert quoted == []
        assert "accepted (id (private))" in appliance.log
        assert "finished (id (private)): " in appliance.log
        assert " s of speech, by espeak, RTF " in appliance.log
        assert "command ? refused: (private)" in appliance.log
    else:
        assert f"failed (id '{last}'): " in appliance.log
        assert f"accepted '{MARK} is spoken' (from '{MARK}" in appliance.log
        assert "response topic 'elsewhere/" in appliance.log
        assert all(line.isprintable() for line in appliance.log.splitlines())
