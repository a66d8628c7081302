"""While no engine can speak, lines wait. They do not fail, and the daemon need not be restarted."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from support.appliance import Appliance
from support.client import Client
from support.fake_espeak import FakeEspeak
from support.waiting import eventually

MakeAppliance = Callable[..., Appliance]


@pytest.fixture
def fake(tmp_path: Path) -> FakeEspeak:
    return FakeEspeak(tmp_path / "bin")


def state_of(appliance: Appliance, client: Client) -> dict[str, Any]:
    states = client.on(f"{appliance.root}/state")
    state: dict[str, Any] = states[-1].json if states else {}
    return state


def await_state(appliance: Appliance, client: Client, word: str, detail: str = "") -> None:
    def reached() -> bool:
        state = state_of(appliance, client)
        return state.get("state") == word and detail in (state.get("detail") or "")

    eventually(reached, f"the state {word} ({detail})", 30)


def test_lines_wait_while_the_only_engine_fails(
    make_appliance: MakeAppliance, mqtt_client: Client, fake: FakeEspeak
) -> None:
    appliance = make_appliance(environment={"PATH": fake.path})
    appliance.wait_ready(mqtt_client)
    mqtt_client.publish(f"{appliance.root}/command", {"command": "pause"})
    await_state(appliance, mqtt_client, "paused")
    ids = [appliance.say(mqtt_client, f"{n}", id=f"line-{n}") for n in range(8)]
    eventually(lambda: state_of(appliance, mqtt_client).get("queue_depth") == len(ids), "all lines")
    fake.behave("exit", 1)
    mqtt_client.publish(f"{appliance.root}/command", {"command": "resume"})
    await_state(appliance, mqtt_client, "degraded", "espeak-ng does not work (espeak-ng failed with exit status 1: the")
    eventually(lambda: state_of(appliance, mqtt_client)["queue_depth"] == len(ids), "the line that was tried, put back")
    fake.behave("real")
    finals = [appliance.final(mqtt_client, line_id) for line_id in ids]
    assert {event["event"] for event in finals} == {"finished"}
    events = [event["id"] for event in appliance.events(mqtt_client) if event["event"] == "finished"]
    assert events == ids, "in the order in which they came"
    await_state(appliance, mqtt_client, "ready")


def test_one_text_that_cannot_be_spoken_fails_alone(
    make_appliance: MakeAppliance, mqtt_client: Client, fake: FakeEspeak
) -> None:
    fake.behave("refuse", "badger")
    appliance = make_appliance(environment={"PATH": fake.path})
    appliance.wait_ready(mqtt_client)
    ids = [appliance.say(mqtt_client, text) for text in ("a stoat", "a badger", "another stoat")]
    finals = [appliance.final(mqtt_client, line_id) for line_id in ids]
    assert [event["event"] for event in finals] == ["finished", "failed", "finished"]
    assert "the fake refuses" in finals[1]["error"]
    assert state_of(appliance, mqtt_client)["state"] != "degraded"


@pytest.mark.parametrize("fault", ["missing", "hang"])
def test_a_daemon_without_a_working_espeak_speaks_once_it_works(
    fault: str, make_appliance: MakeAppliance, mqtt_client: Client, fake: FakeEspeak, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"engine": {"kind": "espeak"}}
    path, site = fake.path, None
    if fault == "hang":
        fake.behave("hang")
        site = "from ishowtts.engines import espeak\nespeak._DEADLINE_S = 1.0\n"
    else:
        fake.program.unlink()
        path = str(fake.folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(0.1)
        heard = ""

        def is_ready() -> bool:
            nonlocal heard
            with contextlib.suppress(TimeoutError):
                heard += systemd.recv(4096).decode() + "\n"
            return "READY=1" in heard

        environment = {"PATH": path, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        appliance = make_appliance(settings=settings, environment=environment, site=site)
        appliance.wait_ready(mqtt_client, "degraded")
        line_id = appliance.say(mqtt_client, "one")
        eventually(is_ready, "READY")
    await_state(appliance, mqtt_client, "degraded", "espeak-ng does not work")
    assert [event["event"] for event in appliance.events(mqtt_client, line_id)] in ([], ["accepted"])
    if fault == "hang":
        fake.behave("real")
    else:
        fake.install()
    assert appliance.final(mqtt_client, line_id)["event"] == "finished"
    await_state(appliance, mqtt_client, "ready")


def test_a_voice_that_espeak_does_not_have_is_replaced_and_reported(
    make_appliance: MakeAppliance, mqtt_client: Client, fake: FakeEspeak
) -> None:
    appliance = make_appliance(
        settings={"engine": {"kind": "espeak", "espeak_voice": "xx-yy"}}, environment={"PATH": fake.path}
    )
    appliance.wait_ready(mqtt_client, "degraded")
    await_state(appliance, mqtt_client, "degraded", "espeak-ng has no voice 'xx-yy'")
    await_state(appliance, mqtt_client, "degraded", "speaks with 'en-us'; set engine.espeak_voice to en-us")
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "one"))["event"] == "finished"
    assert "Traceback" not in appliance.log


@pytest.mark.f5
def test_lines_in_an_unusable_voice_wait_for_espeak_and_others_overtake_them(
    make_appliance: MakeAppliance, mqtt_client: Client, fake: FakeEspeak, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    voice = tmp_path / "voices" / "empty"
    voice.mkdir(parents=True)
    soundfile.write(voice / "reference.wav", np.random.default_rng(0).normal(0, 0.05, 48_000), 24_000)
    (voice / "reference.txt").write_text("")
    f5 = {"weights": str(tiny_checkpoint), "device": "cpu", "nfe_step": 4, "voices_dir": str(voice.parent)}
    appliance = make_appliance(settings={"engine": {"kind": "f5", "f5": f5}}, environment={"PATH": fake.path})
    appliance.wait_ready(mqtt_client)
    fake.behave("exit", 1)
    bad = [appliance.say(mqtt_client, f"bad {n}", voice="empty") for n in range(3)]
    good = appliance.final(mqtt_client, appliance.say(mqtt_client, "good"))
    assert (good["event"], good["engine"]) == ("finished", "f5")
    await_state(appliance, mqtt_client, "degraded", "must hold the words of reference.wav")
    fake.behave("real")
    finals = [appliance.final(mqtt_client, line_id) for line_id in bad]
    assert {(event["event"], event["engine"]) for event in finals} == {("finished", "espeak")}


@pytest.mark.f5
def test_lines_wait_while_both_engines_fail(
    make_appliance: MakeAppliance, mqtt_client: Client, fake: FakeEspeak, tiny_checkpoint: Path
) -> None:
    """The worker of F5 cannot start and espeak-ng fails; then espeak-ng works again."""
    fake.behave("exit", 1)
    appliance = make_appliance(
        settings={"engine": {"kind": "f5", "f5": {"weights": str(tiny_checkpoint), "device": "cpu"}}},
        environment={"PATH": fake.path},
        site="import sys\nif 'ishowtts.engines.worker.worker_main' in ' '.join(sys.orig_argv): sys.exit(3)\n",
    )
    appliance.wait_ready(mqtt_client, "degraded")
    ids = [appliance.say(mqtt_client, f"{n}") for n in range(5)]
    await_state(appliance, mqtt_client, "degraded", "the f5 engine is")
    await_state(appliance, mqtt_client, "degraded", "espeak-ng does not work")
    fake.behave("real")
    finals = [appliance.final(mqtt_client, line_id) for line_id in ids]
    assert [(event["event"], event["engine"]) for event in finals] == [("finished", "espeak")] * 5
