"""What the configuration says about a line, from its arrival to its sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ishowtts.config import Config
from ishowtts.errors import OperatorFileError
from ishowtts.inbox import DequeuedLine
from ishowtts.model import Line, Priority, Rejection
from ishowtts.speech.speech_policy import SpeechPolicy
from support.appliance import Appliance
from support.client import Client
from support.service_process import DAEMON, TESTS

NIGHT, DAY = datetime(2026, 11, 21, 23, 30), datetime(2026, 11, 21, 12, 0)
LONG = "This one waits. This one is far too long to be said as a whole."
HOURS = {"from": "22:00", "to": "07:00"}


def policy_at(local_time: datetime = DAY, **policies: Any) -> SpeechPolicy:
    config = Config.model_validate({"policies": policies})
    return SpeechPolicy.from_config(config, lambda: ["anna"], lambda voice: None, local_time=lambda: local_time)


def with_chime(folder: Path, chime: bool | str) -> SpeechPolicy:
    config = Config.model_validate({"audio": {"chime": chime}, "state_dir": folder})
    return SpeechPolicy.from_config(config, list, lambda voice: None)


@pytest.mark.parametrize(
    ("priority", "waits"),
    [(Priority.LOW, True), (Priority.NORMAL, True), (Priority.HIGH, False), (Priority.URGENT, False)],
)
def test_in_quiet_hours_low_and_normal_lines_wait_and_are_told_so(priority: Priority, waits: bool) -> None:
    policy = policy_at(NIGHT, quiet=HOURS)
    admitted = policy.admit(Line("a", "hello", priority=priority))
    assert isinstance(admitted, Line)
    assert (priority < policy.min_priority()) == waits
    assert admitted.done == (("quiet",) if waits else ())
    assert policy.quiet_until() == "07:00"


def test_outside_quiet_hours_nothing_waits() -> None:
    policy = policy_at(DAY, quiet=HOURS)
    assert policy.min_priority() is Priority.LOW
    assert policy.quiet_until() is None
    assert policy.admit(Line("a", "hello")) == Line("a", "hello")


@pytest.mark.parametrize(
    ("decimal", "spoken"),
    [("point", "one point two three four"), ("comma", "one thousand two hundred and thirty four")],
)
def test_a_line_is_read_with_the_decimal_sign_of_the_configuration(decimal: str, spoken: str) -> None:
    config = Config.model_validate({"text": {"decimal": decimal}})
    policy = SpeechPolicy.from_config(config, list, lambda voice: None)
    assert policy.spoken_text(DequeuedLine(1, Line("a", "1.234"), 0.0, 0, None, 1, times=1)) == spoken


def test_in_quieter_hours_lines_are_not_louder_than_their_volume() -> None:
    policy = policy_at(NIGHT, quiet={**HOURS, "action": "quieter", "volume": 30})
    assert policy.min_priority() is Priority.LOW
    line = Line("a", "hello")
    assert policy.volume(line, 80) == 30
    assert policy.volume(line, 20) == 20, "no louder than it was"
    assert policy.volume(replace(line, volume=80), 80) == 30
    assert policy.volume(replace(line, volume=10), 80) == 10
    assert policy.volume(replace(line, volume=80, priority=Priority.HIGH), 80) == 80
    assert policy_at(DAY, quiet={**HOURS, "action": "quieter"}).volume(line, 80) is None


@pytest.mark.parametrize(
    ("configured", "of_the_line", "heard"),
    [
        (False, None, None),
        (False, True, "default"),
        (False, "bell", "bell"),
        (True, None, "default"),
        (True, False, None),
        ("bell", None, "bell"),
        ("bell", True, "default"),
        ("bell", False, None),
        ("bell", "default", "default"),
    ],
)
def test_a_line_gets_the_chime_that_it_asks_for_or_else_the_configured_one(
    tmp_path: Path, configured: bool | str, of_the_line: bool | str | None, heard: str | None
) -> None:
    (tmp_path / "chimes").mkdir()
    soundfile.write(tmp_path / "chimes/bell.wav", np.zeros(7, np.int16), 48_000)
    policy = with_chime(tmp_path, configured)
    assert policy.chime_names() == ["bell", "default"]
    found = policy.chime(Line("a", "hello", chime=of_the_line))
    assert (found and found[1]) == {None: None, "default": 24_000, "bell": 48_000}[heard]
    assert policy.problems == ()


def test_a_chime_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    (tmp_path / "chimes").mkdir()
    soundfile.write(tmp_path / "chimes/bell.wav", np.zeros(7, np.int16), 48_000)
    with pytest.raises(OperatorFileError, match="the chimes are bell, default"):
        with_chime(tmp_path, True).chime(Line("a", "hello", chime="gone"))


def test_a_broken_chime_is_left_out_and_reported_once_it_was_wanted(tmp_path: Path) -> None:
    (tmp_path / "chimes").mkdir()
    broken = tmp_path / "chimes/bell.wav"
    broken.write_text("no sound")
    policy = with_chime(tmp_path, "bell")
    policy.prepare()
    with pytest.raises(OperatorFileError, match="is not a sound"):
        policy.chime(Line("a", "hello"))
    [problem] = policy.problems
    assert problem.startswith(f"{broken}: is not a sound")
    broken.unlink()
    [problem] = policy.problems
    assert problem.startswith("audio.chime: there is no chime 'bell'")


@pytest.mark.parametrize(("wanted", "told"), [(False, 0), (True, 1), ("default", 1)])
def test_a_chimes_folder_that_is_a_file_is_reported_if_a_chime_is_wanted(
    tmp_path: Path, wanted: bool | str, told: int
) -> None:
    (tmp_path / "chimes").write_text("no folder")
    problems = with_chime(tmp_path, wanted).problems
    assert len(problems) == told
    assert all("the chimes cannot be read" in problem for problem in problems)


def test_missing_chimes_and_grammars_are_in_the_state_and_lines_are_spoken(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/wetext.py").write_text("raise OSError('no grammar')")
    appliance = make_appliance(
        settings={"audio": {"device": "silent", "chime": "bell"}},
        environment={"PYTHONPATH": f"{tmp_path}/broken:{DAEMON}:{TESTS}"},
    )
    appliance.wait_ready(mqtt_client, "degraded")
    degraded = mqtt_client.wait_for(f"{appliance.root}/state", lambda m: "wetext" in (m.json["detail"] or "")).json
    assert "numbers are not read out: wetext cannot be loaded (no grammar)" in degraded["detail"]
    assert "audio.chime: there is no chime 'bell'" in degraded["detail"]
    refused = appliance.final(mqtt_client, appliance.say(mqtt_client, "one", chime="gong"))
    assert (refused["reason"], "there are: default" in refused["detail"]) == ("bad_field", True)
    spoken = appliance.final(mqtt_client, appliance.say(mqtt_client, "two", chime=True))
    assert spoken["event"] == "finished"


def test_a_merged_line_is_said_with_its_count() -> None:
    taken = DequeuedLine(1, Line("a", "Hello!"), 0.0, 0, None, 1, times=4)
    assert policy_at().spoken_text(taken) == "Hello, four times"
    assert policy_at().spoken_text(replace(taken, times=1)) == "Hello!"


def test_a_rejection_holds_the_line() -> None:
    refused = policy_at(blocked={"words": ["darn"]}).admit(Line("a", "Darn it"))
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.line) == ("filtered", Line("a", "Darn it"))


def test_a_whole_appliance_applies_the_policies(make_appliance: Callable[..., Appliance], mqtt_client: Client) -> None:
    policies = {
        "author_lines_per_min": 2,
        "merge_s": 60,
        "blocked": {"words": ["darn"]},
        "template": "{author} says: {text}",
    }
    appliance = make_appliance(settings={"policies": policies, "limits": {"max_chars": 40, "too_long": "cut"}})
    appliance.wait_ready(mqtt_client)

    def reason(line_id: str) -> str | None:
        return appliance.final(mqtt_client, line_id).get("reason")

    first = appliance.say(mqtt_client, "Look: https://example.com/cat 😀", author="anna")
    assert appliance.final(mqtt_client, first)["event"] == "finished"
    [accepted] = [event for event in appliance.events(mqtt_client, first) if event["event"] == "accepted"]
    assert accepted["done"] == ["links", "emoji", "template"]
    assert reason(appliance.say(mqtt_client, "D A R N")) == "filtered"

    mqtt_client.publish(f"{appliance.root}/command", "pause")
    mqtt_client.wait_for(f"{appliance.root}/state", lambda message: message.json["state"] == "paused")
    host = appliance.say(mqtt_client, LONG, author="bert")
    repeat = appliance.say(mqtt_client, LONG, author="bert")
    assert appliance.final(mqtt_client, repeat)["into"] == host
    assert reason(appliance.say(mqtt_client, "one more", author="bert")) == "rate_limited"

    # A publisher that repeats an accepted line, for want of an answer, is never told that it was rejected.
    appliance.say(mqtt_client, LONG, author="bert", id=host)
    told = mqtt_client.wait_for(
        f"{appliance.root}/event", lambda message: message.json["id"] == host and message.json["event"] == "duplicate"
    ).json
    assert told["of"] == host
    mqtt_client.publish(f"{appliance.root}/command", "resume")
    assert appliance.final(mqtt_client, host)["event"] == "finished"
