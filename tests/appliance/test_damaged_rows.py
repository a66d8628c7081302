"""The daemon with damaged rows in its queue, and the access rights of its folder."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

from ishowtts.cli import main
from support.appliance import Appliance
from support.client import Client
from support.damaged_rows import FIRST_WAITING, WAITING, make_file, put
from support.waiting import eventually


def test_the_daemon_speaks_every_line_except_those_of_damaged_rows(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    path = make_file(state)
    put(path, "outbox", "data", {0: "no JSON", 1: "[]"})
    put(path, "settings", "value", dict.fromkeys(range(20), "8p"))
    put(path, "lines", "born_s", {FIRST_WAITING: "yesterday"})
    put(path, "lines", "state", {FIRST_WAITING + 1: "spaeking"})
    put(path, "lines", "data", {0: "no JSON"})
    mqtt_client.subscribe("ishowtts/test/#")
    appliance = make_appliance(quick_s=0.01)
    appliance.wait_ready(mqtt_client)
    for name in WAITING[2:]:
        assert appliance.final(mqtt_client, name)["event"] == "finished"
    for name in WAITING[:2]:
        assert appliance.final(mqtt_client, name)["event"] == "failed"
    again = appliance.say(mqtt_client, f"text of {WAITING[1]}", id=WAITING[1])
    mqtt_client.wait_for(
        "ishowtts/test/event", lambda message: (message.json["id"], message.json["event"]) == (again, "finished")
    )
    assert "the stored volume cannot be read" in appliance.log
    assert "Traceback" not in appliance.log
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        assert main(["history", "--config", str(appliance.config_file)]) == 0
    assert WAITING[-1] in told.getvalue()


def test_a_daemon_started_by_hand_keeps_spoken_text_private(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, tmp_path: Path
) -> None:
    state, cache = tmp_path / "state", tmp_path / "cache"
    state.mkdir(mode=0o755)
    (state / "inbox.sqlite").touch(mode=0o664)  # as an earlier version left it
    (state / "inbox.sqlite.damaged-1").touch(mode=0o644)
    before = os.umask(0)
    try:
        appliance = make_appliance(settings={"audio": {"cache_mb": 10}})
    finally:
        os.umask(before)
    appliance.wait_ready(mqtt_client)
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "one"))["event"] == "finished"
    eventually(lambda: any((cache / "speech").glob("*.speech")), "the cache")
    for folder in (state, cache):
        modes = {str(each): oct(each.stat().st_mode & 0o777) for each in (folder, *folder.rglob("*"))}
        assert {path: mode for path, mode in modes.items() if mode not in ("0o700", "0o600")} == {}
        assert len(modes) > 3
