"""A thousand hostile payloads: each gets exactly one answer, and the daemon continues."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from support.appliance import FINAL, Appliance
from support.client import Client
from support.endurance.hostile_payloads import send_hostile_payloads
from support.waiting import eventually

LINES, COMMANDS = 900, 100
ODD: list[Any] = [
    None, True, False, 0, -1, 1e308, -1e-308, 10**400, 2**63, "", " ", "\0", "a\0b", "\u202eevil", "\ud800",
    "\udfff\ud800", "x" * 5000, "../../etc/passwd", "-f/etc/passwd", "$(reboot)", "'; DROP TABLE lines; --",
    "[[phonemes]]", "<speak>", [], {}, [[]], {"text": "a"}, "😀" * 300, "\u0301" * 900, "line\nbreak", "\x1b[2J",
    "%s%n", "{0.__class__}",
]  # fmt: skip
FIELDS = (
    "text", "id", "voice", "priority", "ttl_s", "speed", "nfe_step", "volume", "chime", "author", "seed", "spede",
)  # fmt: skip
RAW = [
    b"", b" ", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\x80", b"\xf8\x88\x80\x80\x80", b"{", b'{"',
    b"{}", b"[]", b"null", b'{"text": NaN}', b'{"text": "a", "speed": NaN}', b'{"text": "a", "speed": -Infinity}',
    b'{"text": "a", "text": "b"}', b'{"text": "\\ud800"}', b'{"text": "ok", "id": "\\udc00"}', b'{"text": "a\\u0000b"}',
    b'{"text": "a", "seed": ' + b"9" * 5000 + b"}", b'{"text": "a", "speed": 1e999999}', b'{"text": "\xed\xa0\x80"}',
    b'{"text":' + b"[" * 100_000, b'{"a":' * 20_000, b'{"text": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    b"x" * 900_000, b'{"text": "' + b"a" * 900_000 + b'"}', b"\xff" * 900_000, b"{" * 900_000,
    b"9" * 20_000, b"!" * 1000,
]  # fmt: skip
VOICES = ["", ".", "..", "$SYS", "%2e%2e", "nobody", "a b", "\u202e", "😀", "x" * 500, "'", '"', "-v", "b\\", "~root"]


def odd_payload(chance: random.Random) -> bytes:
    """Raw rubbish, an object with odd fields, random bytes, or a good object with random damage."""
    kind = chance.randrange(4)
    if kind == 0:
        return chance.choice(RAW)
    if kind == 1:
        line: dict[str, Any] = {} if chance.random() < 0.3 else {"text": f"hostile line {chance.random()}"}
        line |= {name: chance.choice(ODD) for name in chance.sample(FIELDS, chance.randint(1, 3))}
        return json.dumps(line, ensure_ascii=chance.random() < 0.7).encode("utf-8", "surrogatepass")
    if kind == 2:
        return chance.randbytes(chance.choice([1, 2, 7, 100, 5000]))
    whole = bytearray(json.dumps({"text": f"damaged line {chance.random()}", "speed": 1.5, "priority": "low"}).encode())
    for _ in range(chance.randint(1, 4)):
        whole[chance.randrange(len(whole))] = chance.randrange(256)
    return bytes(whole)


def hostile_lines(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Topic tails and payloads: every raw one at least once."""
    for raw in RAW:
        yield "say", raw
    while True:
        voice = chance.choice(VOICES)
        yield chance.choice(["say", "say", "urgent", f"say/{voice}"]), odd_payload(chance)


def hostile_commands(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """The same for the command topics; none of them is a valid command."""
    small = [raw for raw in RAW if len(raw) < 100_000]
    while True:
        kind = chance.randrange(4)
        if kind == 0:
            payload = chance.choice(RAW if chance.random() < 0.2 else small)
        elif kind == 1:
            fields = {name: chance.choice(ODD) for name in ("command", "id", "transaction", "spede")}
            payload = json.dumps(fields).encode()
        elif kind == 2:
            payload = chance.randbytes(chance.choice([1, 30, 5000]))
        else:
            payload = chance.choice([b"101", b"-1", b"1e2", b"0x10", "٣".encode(), b"50%%", b"9" * 4000, b"loud"])
        yield chance.choice(["command", "volume/set"]), payload


@pytest.mark.slow
def test_each_of_a_thousand_hostile_payloads_gets_one_answer(
    make_appliance: Callable[..., Appliance], mqtt_client: Client
) -> None:
    chance = random.Random(20)
    client, appliance = mqtt_client, make_appliance(quick_s=0.01)
    appliance.wait_ready(client)
    client.subscribe("ishowtts/reply/#")
    for number, (tail, payload) in enumerate(islice(hostile_lines(chance), LINES)):
        client.publish(f"{appliance.root}/{tail}", payload, **answered(number, payload, chance))
    for tail, payload in islice(hostile_commands(chance), COMMANDS):
        client.publish(f"{appliance.root}/{tail}", payload)

    good = appliance.say(client, "and this one is spoken")
    assert appliance.final(client, good)["event"] == "finished"
    eventually(lambda: len(answers(client)) >= LINES, "an answer to each line", 60)
    eventually(lambda: commands(appliance, client) >= COMMANDS, "an answer to each command", 40)
    assert {number: count for number, count in answers(client).items() if count != 1} == {}
    assert answers(client).keys() == {str(number) for number in range(LINES)}
    assert commands(appliance, client) == COMMANDS
    finals = Counter(event["event"] for event in appliance.events(client) if event["event"] in FINAL | {"duplicate"})
    assert finals.total() == LINES + 1
    assert finals["rejected"] > LINES / 2
    assert finals["failed"] == 0

    assert appliance.stop() == 0
    assert "Traceback" not in appliance.log
    rejections = [line for line in appliance.log.splitlines() if " WARNING  rejected " in line]
    assert len(rejections) < finals["rejected"] / 2
    summed = [line for line in appliance.log.splitlines() if re.search(r"more lines? (was|were) rejected \(", line)]
    assert len(rejections) + sum(int(line.split(" more ")[0].split()[-1]) for line in summed) == finals["rejected"]


def test_a_flood_of_rejected_lines_is_summed_up_and_leaves_room_for_others(
    make_appliance: Callable[..., Appliance], mqtt_client: Client
) -> None:
    client, appliance = mqtt_client, make_appliance(quick_s=0.01)
    appliance.wait_ready(client)
    for _ in range(400):
        client.publish(f"{appliance.root}/say", "...")
    good = appliance.say(client, "and this one is spoken")
    assert appliance.final(client, good)["event"] == "finished"

    def rejected() -> list[int]:
        """How many lines each event counts."""
        events = [event for event in appliance.events(client) if event["event"] == "rejected"]
        return [event.get("count", 1) for event in events if event["reason"] == "empty"]

    eventually(lambda: sum(rejected()) >= 400, "each refused line is told of", 30)
    assert sum(rejected()) == 400
    assert len(rejected()) < 350


def answered(number: int, payload: bytes, chance: random.Random) -> dict[str, Any]:
    """MQTT 5 properties that name where the answer goes, now and then with the Content Type of an object."""
    declared = {"ContentType": "application/json"} if chance.random() < 0.2 else {}
    return {"ResponseTopic": f"ishowtts/reply/{number}", "CorrelationData": payload[:8], **declared}


def answers(client: Client) -> Counter[str]:
    """How many answers came for each payload."""
    prefix = "ishowtts/reply/"
    return Counter(m.topic.removeprefix(prefix) for m in list(client.messages) if m.topic.startswith(prefix))


def commands(appliance: Appliance, client: Client) -> int:
    """How many commands were answered, one by one or of a flood together; all of them are refused."""
    events = [event for event in appliance.events(client) if event["event"] == "command"]
    assert not any(event["ok"] for event in events)
    together = [re.fullmatch(r"of more such commands within 10 s, (\d+) refused; .*", e["detail"]) for e in events]
    assert sum(one is None for one in together) < COMMANDS
    return sum(1 if one is None else int(one[1]) for one in together)


@pytest.mark.slow
def test_hostile_payloads_on_all_topics_are_accounted_for(tmp_path: Path) -> None:
    """The short form of `scripts/endure --runs payloads`."""
    figures = send_hostile_payloads(tmp_path, 500, seed=1)
    assert figures.faults == {}
    assert figures.accepted > 20
    assert figures.rejected > 100
    assert figures.renders > 10
    assert figures.commands_unread > 20
