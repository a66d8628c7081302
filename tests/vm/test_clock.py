"""A board whose clock has no battery: it boots years in the past, and the time comes later, by NTP or from a person."""

from __future__ import annotations

import json
import time
from pathlib import Path

from support.booted import virtual_appliance as appliance
from support.booted.installing import main_pid
from support.booted.virtual_disk import BootFiles
from support.booted.virtual_machine import VirtualMachine
from support.certificates import Authority

TLS = """listener 1883 127.0.0.1
listener 8883 127.0.0.1
allow_anonymous true
certfile /etc/mosquitto/broker.crt
keyfile /etc/mosquitto/broker.key
"""


def test_a_jump_by_years_connects_with_tls_and_expires_no_line(boot_files: BootFiles, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    authority.issue("broker")
    with VirtualMachine(boot_files, clock="2001-01-01T00:00:00") as machine:
        # systemd sets a clock before its own release to that.
        assert int(machine.run("date", "+%s").stdout) < time.time() - 20 * 86_400
        machine.write("/etc/ishowtts/ca.crt", authority.ca.read_text())
        machine.write("/etc/mosquitto/broker.crt", authority.cert("broker").read_text())
        machine.write("/etc/mosquitto/broker.key", authority.key("broker").read_text())
        machine.write("/etc/mosquitto/conf.d/tls.conf", TLS)
        machine.run("systemctl", "restart", "mosquitto")
        appliance.configure(machine, audio={"device": "silent"})
        appliance.record_events(machine)
        machine.run("ishowtts", "pause")
        for line in ({"id": "early"}, {"id": "short", "ttl_s": 1500}):
            appliance.publish(machine, text="Accepted in the past.", **line)
            appliance.wait_for_event(machine, line["id"], "accepted")
        tls = {"host": "127.0.0.1", "port": 8883, "tls": {"ca": "/etc/ishowtts/ca.crt"}}
        appliance.configure(machine, audio={"device": "silent"}, mqtt=tls)
        machine.wait_until(lambda: "is not valid yet" in machine.journal("ishowtts"), "the refusal")
        daemon = main_pid(machine)

        machine.run("date", "-s", f"@{int(time.time())}")
        connected = "connected to the broker at 127.0.0.1:8883"
        machine.wait_until(lambda: connected in machine.journal("ishowtts"), "the connection")
        assert main_pid(machine) == daemon

        machine.run("ishowtts", "resume")
        appliance.publish(machine, id="late", text="Accepted in the present.")
        for line_id in ("early", "short", "late"):
            appliance.wait_for_event(machine, line_id, "finished")
        # The memory of ids does not forget what was spoken before the jump.
        appliance.publish(machine, id="early", text="Accepted in the past.")
        appliance.wait_for_event(machine, "early", "duplicate")
        events = [json.loads(line) for line in machine.run("cat", appliance.EVENTS).stdout.splitlines()]
        assert all(0 <= event["queue_s"] < 1500 for event in events if event.get("queue_s") is not None)
        finished = [line["id"] for line in appliance.history(machine) if line["outcome"] == "finished"]
        assert finished == ["early", "short", "late"]
