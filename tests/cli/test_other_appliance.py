"""Commands tell an appliance of the same name on another board from the one of the local `state_dir`."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts import config
from ishowtts.cli import other_appliance as module
from ishowtts.cli.doctor.running_daemon import examine_daemon
from ishowtts.cli.main import main
from ishowtts.cli.other_appliance import other_appliance
from ishowtts.config import Config
from ishowtts.inbox import Inbox, InboxLimits
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.stored_identity import with_stored_identity
from support.fake_appliance import ROOT, FakeAppliance

Capture = pytest.CaptureFixture[str]


def test_status_doctor_and_say_tell_an_appliance_of_the_same_name_from_this_one(
    fake: FakeAppliance, capsys: Capture, tmp_path: Path
) -> None:
    settings = config.load(fake.config)
    said = "another appliance (instance 0123456789ab, host attic, board Orin) answers on ishowtts/test, not this one"
    fake.retain("info", {"host": "attic", "board": "Orin", "instance": "0123456789abcdef"})
    fake.publish_state("online")

    def told(*words: str) -> bool:
        main([*words, "--config", str(fake.config)])
        printed = capsys.readouterr()
        return said in printed.out + printed.err

    def says() -> list[bool]:
        doctor = [finding for finding in examine_daemon(settings) if finding.detail == said]
        assert all(found.verdict == "fault" and "device.name" in (found.fix or "") for found in doctor)
        return [bool(doctor), told("status"), told("status", "--json"), told("say", "hello", "--wait", "0.2")]

    assert not any(says()), "no local state_dir"
    store = InboxLimits.from_config(settings)
    for root, instance, others in [
        (ROOT, "0123456789abcdef", False),
        ("ishowtts/attic", "feed", False),
        (ROOT, "feed", True),
    ]:
        (tmp_path / "inbox.sqlite").unlink(missing_ok=True)
        with closing(Inbox(tmp_path / "inbox.sqlite", store)) as inbox:
            with_stored_identity(MqttOptions("host", 1, root, "a"), inbox, instance)
        assert says() == [others] * 4, f"{root} {instance}"
    fake.publish_state("offline")
    assert not any(says()), "nobody answers"


@given(st.dictionaries(st.sampled_from(["instance", "host", "board"]), st.text() | st.integers() | st.none()))
def test_any_info_gives_one_printable_sentence_or_none(info: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_local_instances", lambda *_: ["feed"])
        sentence = other_appliance(Config.model_validate({"state_dir": folder}), ROOT, info)
    assert sentence is None or sentence.isprintable()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_user_who_may_not_read_the_state_is_told_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0)
    settings = Config.model_validate({"state_dir": str(tmp_path / "state")})
    assert other_appliance(settings, ROOT, {"instance": "feed"}) is None
