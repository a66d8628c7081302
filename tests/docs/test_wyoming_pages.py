"""What the pages say of the Wyoming server, and the file by which Avahi announces it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import yaml

from ishowtts_gateway.wyoming_server import event_reader, wyoming_connection
from ishowtts_gateway.wyoming_server.voice_list import PROGRAM
from ishowtts_gateway.wyoming_server.wyoming_server import LIMITS

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = (ROOT / "docs/gateway.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "docs/security.md").read_text(encoding="utf-8")
SERVICE = ROOT / "config/avahi/ishowtts-wyoming.service"


def test_avahi_announces_the_port_of_the_page() -> None:
    (service,) = ElementTree.parse(SERVICE).getroot().findall("service")
    assert service.findtext("type") == "_wyoming._tcp"
    (block,) = [text for text in re.findall(r"```yaml\n(.*?)```", GATEWAY, re.DOTALL) if "wyoming:" in text]
    listen = yaml.safe_load(block)["gateway"]["wyoming"]["listen"]
    assert service.findtext("port") == listen.rpartition(":")[2]
    assert f"install -m 0644 config/avahi/{SERVICE.name} /etc/avahi/services/" in GATEWAY
    assert SERVICE.name in (ROOT / "scripts/install/remove.sh").read_text(
        encoding="utf-8"
    )  # it is removed with the rest


def test_the_limits_are_those_of_the_code() -> None:
    for said in (
        f"| Connections | {LIMITS.of_address} of an address, {LIMITS.total} of all; {LIMITS.new_per_s} new ones a "
        f"second of an address, {LIMITS.all_new_per_s} of all |",
        f"| An event | header {event_reader.HEADER_BYTES >> 10} kB, data {event_reader.DATA_BYTES >> 10} kB, payload "
        f"{event_reader.PAYLOAD_BYTES >> 10} kB, which is dropped; {event_reader._EVENT_S:.0f} s;",
        f"{event_reader._EVENTS_AT_ONCE:,} at once, then {event_reader._EVENTS_PER_S} a second; "
        f"{event_reader._BYTES_AT_ONCE >> 20} MB at once, then {event_reader._BYTES_PER_S >> 10} kB a second",
        f"| {wyoming_connection._MAX_REQUESTS}, with {wyoming_connection.MAX_TEXT_CHARS:,} characters together |",
        f"| A client that sends nothing | {wyoming_connection._IDLE_S:.0f} s |",
    ):
        assert said in SECURITY
    assert f"one program, `{PROGRAM}`" in GATEWAY
