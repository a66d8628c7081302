"""No acknowledgement is sent before the line is on disk, as the order of the daemon's system calls shows."""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.publisher import Publisher, split
from support.syscalls import Call, calls
from support.waiting import eventually

LINES = 100
# Without `read`, which Python calls for each module that it imports: the daemon receives with recvfrom.
CALLS = "pwrite64,write,fsync,fdatasync,recvfrom,sendto,sendmsg"
PUBLISH, PUBACK = 0x30, 0x40
TEXT = re.compile(rb"number (\d+) is kept")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_every_acknowledgement_follows_a_sync_of_its_line(
    make_appliance: Callable[..., Appliance], broker: Broker, mqtt_client: Client, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    # --seccomp-bpf: the kernel stops the daemon at these calls alone, which takes a third of the time.
    strace = ["strace", "-D", "-f", "--seccomp-bpf", "-ttt", "-yy", "-xx", "-s", "100000"]
    strace += ["-e", f"trace={CALLS}", "-o", str(trace)]
    appliance = make_appliance(wrap=strace, quick_s=0.01)
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
    eventually(lambda: b"+++ exited with 0 +++" in trace.read_bytes()[-200:], "the end of the trace")

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
    """For each line, when the call began that sent the first byte of its acknowledgement.

    Streams are put together for each connection to the broker, so it does not matter how packets lie in the calls.
    """
    received: dict[str, bytes] = {}
    sent: dict[str, bytes] = {}
    line_of: dict[tuple[str, int], int] = {}
    acknowledged: dict[int, int] = {}
    for call in sorted(found, key=lambda call: call.returned):
        if broker not in call.what or call.result <= 0:
            continue
        if call.name == "recvfrom":
            stream = received.get(call.what, b"") + call.data[: call.result]
            while packet := split(stream):
                kind, body, stream = packet
                if kind & 0xF0 == PUBLISH and (text := TEXT.search(body)):
                    start = 2 + struct.unpack(">H", body[:2])[0]
                    line_of[call.what, struct.unpack(">H", body[start : start + 2])[0]] = int(text[1])
            received[call.what] = stream
        else:
            stream = sent.get(call.what, b"") + call.data[: call.result]
            while packet := split(stream):
                kind, body, stream = packet
                if kind == PUBACK and (call.what, (number := struct.unpack(">H", body[:2])[0])) in line_of:
                    acknowledged.setdefault(line_of.pop((call.what, number)), call.began)
            sent[call.what] = stream
    return acknowledged
