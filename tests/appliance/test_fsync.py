"""No acknowledgement is sent before the line is on disk, as the order of the daemon's system calls shows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.mqtt_packets import PUBACK, PUBLISH
from support.publisher import Publisher
from support.syscalls import Call, calls, packets, strace, wait_for_end

LINES = 100
# Without `read`, which Python calls for each module that it imports: the daemon receives with recvfrom.
CALLS = "pwrite64,write,fsync,fdatasync,recvfrom,sendto,sendmsg"
TEXT = re.compile(rb"number (\d+) is kept")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_every_acknowledgement_follows_a_sync_of_its_line(
    make_appliance: Callable[..., Appliance], broker: Broker, mqtt_client: Client, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    appliance = make_appliance(wrap=strace(CALLS, trace), quick_s=0.01)
    appliance.wait_ready(mqtt_client)
    publisher = Publisher(broker.host, broker.port, f"{appliance.root}/say")
    for number in range(LINES):
        publisher.publish(number, b"number %d is kept" % number)
        publisher.step(0.01 * (number % 3))
    publisher.finish(20)
    publisher.close()
    finals = '"event":"finished"'
    mqtt_client.wait_for(f"{appliance.root}/event", lambda message: finals in message.text, count=LINES, timeout_s=60)
    appliance.stop()
    wait_for_end(trace)

    found = list(calls(trace))
    safe = syncs_of_lines(found)
    acknowledged = acknowledgements(found, f":{broker.port}]")
    assert sorted(acknowledged) == list(range(LINES))
    early = [line for line, sent in acknowledged.items() if line not in safe or safe[line] > sent]
    assert early == [], "acknowledged before an fdatasync that began after the line was written had returned"


def syncs_of_lines(found: list[Call]) -> dict[int, int]:
    """For each line, when the first sync of the log returned that began after the line was written to it."""
    written: dict[int, int] = {}
    safe: dict[int, int] = {}
    for call in found:
        if not call.what.endswith("inbox.sqlite-wal"):
            continue
        if call.name in ("pwrite64", "write") and call.result == len(call.data):
            for line in TEXT.findall(call.data):
                written.setdefault(int(line), call.returned)
        elif call.name in ("fsync", "fdatasync") and call.result == 0:
            for line, at in written.items():
                if at < call.began:
                    safe.setdefault(line, call.returned)
    return safe


def acknowledgements(found: list[Call], broker: str) -> dict[int, int]:
    """For each line, when the call began that sent its acknowledgement."""
    line_of: dict[tuple[str, int], int] = {}
    acknowledged: dict[int, int] = {}
    for packet in packets(found, broker):
        kind = packet.first >> 4
        if packet.received and kind == PUBLISH and (text := TEXT.search(packet.body)):
            line_of[packet.connection, packet.number] = int(text[1])
        elif not packet.received and kind == PUBACK and (packet.connection, packet.number) in line_of:
            acknowledged.setdefault(line_of.pop((packet.connection, packet.number)), packet.at)
    return acknowledged
