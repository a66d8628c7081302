"""The installed service, as its users and its operator meet it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from support.booted.installing import (
    configure,
    history,
    is_active,
    main_pid,
    publish,
    retained,
    say,
    sound,
    state,
    wait_for_outcome,
    wait_for_ready,
)
from support.booted.machine import BootedMachine

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]

LINE = "The kettle is on, and the tea will be ready in a minute."
LONG = " ".join(f"This is sentence number {number} of a line that takes long." for number in range(1, 9))
ESPEAK = {"kind": "espeak"}


def _begin_long_line(machine: BootedMachine) -> None:
    """Publish a line of about 25 s, and wait until it is heard."""
    publish(machine, "say", json.dumps({"text": LONG, "id": "long"}))
    machine.wait_until(lambda: _wav_bytes(machine) > 100_000, "the sound of the line")


def _wav_bytes(machine: BootedMachine) -> int:
    return sum(path.stat().st_size for path in machine.path("/var/lib/ishowtts/state/sounds").glob("*.wav"))


def _line(machine: BootedMachine, line_id: str) -> dict[str, Any]:
    return next(line for line in history(machine) if line["id"] == line_id)


def _stop(machine: BootedMachine) -> None:
    machine.run("systemctl", "stop", "ishowtts")


def test_a_line_of_a_user_is_heard(appliance: BootedMachine) -> None:
    assert say(appliance, LINE)["event"] == "finished"
    publish(appliance, "say", '{"text": "And then it is poured.", "id": "tea"}')
    wait_for_outcome(appliance, "tea", "finished")
    _stop(appliance)
    heard = sound(appliance)
    assert len(heard) > 24_000
    assert np.abs(heard).max() > 1000


def test_a_stop_does_not_wait_for_the_line_and_the_start_goes_on(appliance: BootedMachine) -> None:
    _begin_long_line(appliance)
    _stop(appliance)
    assert appliance.run("systemctl", "show", "-P", "Result", "ishowtts").stdout == "success\n"
    assert _line(appliance, "long")["outcome"] is None
    heard = sound(appliance)
    assert len(history(appliance)) == 1
    appliance.run("systemctl", "start", "ishowtts")
    wait_for_outcome(appliance, "long", "finished")
    _stop(appliance)
    assert len(sound(appliance)) > len(heard) + 24_000


def test_a_kill_in_mid_line_restarts_the_service_and_the_line_is_finished(appliance: BootedMachine) -> None:
    _begin_long_line(appliance)
    killed = main_pid(appliance)
    appliance.run("kill", "-9", str(killed))
    appliance.wait_until(lambda: main_pid(appliance) not in {0, killed}, "the new process")
    wait_for_outcome(appliance, "long", "finished")
    assert len(history(appliance)) == 1


def test_a_power_cut_in_mid_line_loses_no_line(appliance: BootedMachine) -> None:
    publish(appliance, "say", json.dumps({"text": LINE, "id": "before"}))
    wait_for_outcome(appliance, "before", "finished")
    _begin_long_line(appliance)
    publish(appliance, "say", json.dumps({"text": LINE, "id": "waiting"}))
    appliance.wait_until(lambda: state(appliance)["queue_depth"] == 1, "the second line")
    appliance.kill()
    appliance.boot()
    wait_for_ready(appliance)
    wait_for_outcome(appliance, "waiting", "finished")
    assert {line["id"]: line["outcome"] for line in history(appliance)} == {
        "before": "finished", "long": "finished", "waiting": "finished",
    }  # fmt: skip


def test_a_stopped_daemon_is_restarted_by_the_watchdog(appliance: BootedMachine) -> None:
    stopped = main_pid(appliance)
    appliance.run("kill", "-STOP", str(stopped))
    appliance.wait_until(lambda: main_pid(appliance) not in {0, stopped}, "the new process")
    wait_for_ready(appliance)
    assert "Watchdog timeout" in appliance.journal("ishowtts")
    assert say(appliance, LINE)["event"] == "finished"


def test_a_stopped_worker_costs_no_word_of_the_line(appliance: BootedMachine) -> None:
    configure(appliance, engine={"kind": "hibari", "deadlines": {"segment_s": 10}})
    appliance.run("systemctl", "restart", "ishowtts")
    wait_for_ready(appliance)
    daemon = main_pid(appliance)
    workers = appliance.run("pgrep", "-P", str(daemon), "-f", "worker_main").stdout.split()
    assert len(workers) == 1
    appliance.run("kill", "-STOP", workers[0])
    publish(appliance, "say", json.dumps({"text": LINE, "id": "tea"}))
    wait_for_outcome(appliance, "tea", "finished")
    assert main_pid(appliance) == daemon
    new = appliance.run("pgrep", "-P", str(daemon), "-f", "worker_main").stdout.split()
    assert new != workers


def test_a_wrong_configuration_stays_down_and_comes_back_after_the_fix(appliance: BootedMachine) -> None:
    configure(appliance, audio={"volume": 800}, engine=ESPEAK)
    assert appliance.run("systemctl", "restart", "ishowtts", check=False).returncode != 0
    shown = dict(
        line.split("=", 1)
        for line in appliance.run("systemctl", "show", "ishowtts").stdout.splitlines()
        if line.startswith(("ActiveState=", "ExecMainStatus=", "NRestarts="))
    )
    assert shown == {"ActiveState": "failed", "ExecMainStatus": "2", "NRestarts": "0"}
    assert "audio.volume" in appliance.journal("ishowtts")
    configure(appliance, engine=ESPEAK)
    appliance.user("sudo", "systemctl", "start", "ishowtts")
    wait_for_ready(appliance)


def test_a_reload_applies_what_can_change_and_keeps_all_if_the_file_is_wrong(appliance: BootedMachine) -> None:
    daemon = main_pid(appliance)
    configure(
        appliance, engine=ESPEAK, policies={"template": "{author} says: {text}", "blocked": {"words": ["coffee"]}}
    )
    appliance.user("sudo", "systemctl", "reload", "ishowtts")
    appliance.wait_until(lambda: say(appliance, "A coffee for me.")["event"] == "rejected", "the blocked word")
    configure(appliance, engine=ESPEAK, audio={"volume": 800})
    appliance.user("sudo", "systemctl", "reload", "ishowtts", check=False)
    appliance.wait_until(lambda: "audio.volume" in appliance.journal("ishowtts"), "the message")
    # Commands would read the wrong file, too.
    publish(appliance, "say", json.dumps({"text": "A coffee for me.", "id": "coffee"}))
    rejected = ("ISHOWTTS_LINE_ID=coffee", "ISHOWTTS_EVENT=rejected")
    appliance.wait_until(lambda: appliance.journal("ishowtts", *rejected).strip(), "the rejected line")
    assert main_pid(appliance) == daemon
    assert is_active(appliance)


def test_the_broker_may_come_after_the_service(appliance: BootedMachine) -> None:
    appliance.shell("systemctl disable --now mosquitto")
    appliance.reboot()
    appliance.wait_until(lambda: is_active(appliance), "the service without a broker")
    appliance.run("systemctl", "start", "mosquitto")
    appliance.wait_until(lambda: retained(appliance, "availability") == "online", "the connection")
    assert say(appliance, LINE)["event"] == "finished"


def test_the_gateway_serves_its_page(appliance: BootedMachine) -> None:
    appliance.user("sudo", "systemctl", "enable", "--now", "ishowtts-gateway")
    get = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"

    def page() -> str:
        return appliance.user("python3", "-c", get, "http://127.0.0.1:8770/", check=False).stdout

    appliance.wait_until(lambda: "<html" in page(), "the page")
    appliance.reboot()
    appliance.wait_until(lambda: "<html" in page(), "the page after a reboot")


def test_the_journal_finds_a_line_by_its_id_and_outcome(appliance: BootedMachine) -> None:
    publish(appliance, "say", json.dumps({"text": LINE, "id": "tea"}))
    wait_for_outcome(appliance, "tea", "finished")

    def found(*matches: str) -> list[dict[str, Any]]:
        text = appliance.user("sudo", "journalctl", "-o", "json", "-u", "ishowtts", *matches).stdout
        return [json.loads(line) for line in text.splitlines()]

    appliance.wait_until(lambda: found("ISHOWTTS_LINE_ID=tea", "ISHOWTTS_OUTCOME=finished"), "the entry")
    entry = found("ISHOWTTS_LINE_ID=tea", "ISHOWTTS_OUTCOME=finished")[0]
    assert entry["ISHOWTTS_ENGINE"] == "espeak"
    assert entry["SYSLOG_IDENTIFIER"] == "ishowtts"
    # The text of a line is in a message, and in no field.
    assert not [entry for entry in found() if "kettle" in json.dumps({**entry, "MESSAGE": ""})]
