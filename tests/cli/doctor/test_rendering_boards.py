"""What `ishowtts doctor` says about the boards that render for this appliance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ishowtts.cli.doctor.rendering_boards import board_findings, examine_boards
from ishowtts.cli.doctor.speech_parts import examine_voices
from ishowtts.config import Config
from ishowtts.mqtt.renders.board_watch import BoardWatch

INFO = {"engines": ["f5"], "voices": ["anna"], "limits": {"renders": 32}}
STATE = {"state": "ready", "engines": ["f5"]}


def publish(watch: BoardWatch, name: str, **values: Any) -> None:
    for kind, value in {"availability": "online", "info": INFO, "state": STATE, **values}.items():
        watch.take(f"home/{name}/{kind}", (value if isinstance(value, str) else json.dumps(value)).encode())


def test_the_boards_that_render_are_named_and_each_other_says_why_not() -> None:
    watch = BoardWatch("home", "hall", None)
    [row] = board_findings(watch)
    assert (row.part, row.verdict, row.detail, row.fix) == (
        "boards",
        "fault",
        "no appliance under home/ renders for others",
        "start one on this broker whose limits.renders is not 0",
    )
    publish(watch, "attic", availability="offline")
    fault, note = board_findings(watch)
    assert (fault.verdict, fault.detail) == ("fault", "no board renders now: attic is offline")
    assert (note.verdict, note.detail) == ("note", "attic is offline")
    publish(watch, "kitchen")
    ok, note = board_findings(watch)
    assert (ok.verdict, ok.detail) == ("ok", "ready to render: kitchen; their voices: anna")
    assert note.detail == "attic is offline"


def test_there_is_a_row_only_if_others_render(tmp_path: Path) -> None:
    assert not list(examine_boards(Config.model_validate({"state_dir": tmp_path})))
    remote: dict[str, Any] = {"state_dir": tmp_path, "engine": {"kind": "remote"}, "mqtt": {"port": 1}}
    [row] = examine_boards(Config.model_validate(remote))
    assert (row.verdict, row.detail) == ("note", "not known, because the broker cannot be asked")
    assert not list(examine_voices(Config.model_validate(remote))), "its voices are those of the boards"
    [row] = examine_boards(Config.model_validate({**remote, "mqtt": {"protocol": "3.1.1"}}))
    assert (row.verdict, row.fix) == ("fault", "set mqtt.protocol to 5")
