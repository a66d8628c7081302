"""The commands as an operator types them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from ishowtts.cli import doctor as doctor_command
from ishowtts.cli.main import main
from ishowtts.inbox import Inbox, InboxLimits, wait_for
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.waiting import eventually


def ishowtts(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command; nothing that it prints may be a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "ishowtts", *map(str, arguments)],
        input=stdin, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done


def called(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one command in this process, which takes 0.4 s of computing less. A traceback fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main([*map(str, arguments)])
        except SystemExit as ended:  # wrong usage
            status = int(ended.code or 0)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def config(folder: Path, **sections: Any) -> Path:
    """A configuration file: YAML takes JSON."""
    path = folder / "cli.yaml"
    path.write_text(json.dumps({"state_dir": str(folder / "state"), "cache_dir": str(folder), **sections}))
    return path


def test_say_prints_the_outcome_and_history_remembers_it(appliance: Appliance, mqtt_client: Client) -> None:
    appliance.wait_ready(mqtt_client)
    said = ishowtts("say", "one \x1b[31m two", "--config", appliance.config_file)
    assert (said.returncode, said.stdout.split(":")[0]) == (0, "finished")
    history = called("history", "--json", "--config", appliance.config_file)
    (entry,) = json.loads(history.stdout)
    assert (entry["outcome"], entry["data"]["engine"]) == ("finished", "espeak")
    table = called("history", "--config", appliance.config_file)
    assert (entry["sent"], entry["text"]) == ("one \x1b[31m two", "one two")
    assert entry["ts"] <= entry["heard_at"] <= entry["ended_at"]
    assert table.stdout.splitlines()[0].split() == ["time", "outcome", "text"]
    details = called("history", "-v", "--config", appliance.config_file)
    assert r"\x1b[31m" in details.stdout, "a publisher's text cannot drive the terminal"


def test_say_tells_why_a_line_was_rejected(appliance: Appliance, mqtt_client: Client) -> None:
    appliance.wait_ready(mqtt_client)
    said = ishowtts("say", "hello", "--voice", "nobody", "--config", appliance.config_file)
    assert said.returncode == 1
    assert "there is no voice" in said.stdout
    assert called("history", "--config", appliance.config_file).stdout.split()[-3:-1] == ["rejected", "unknown_voice"]
    assert "there is no voice 'nobody'" in called("history", "-v", "--config", appliance.config_file).stdout
    [entry] = json.loads(called("history", "--json", "--config", appliance.config_file).stdout)
    assert json.loads(entry["sent"])["text"] == "hello"


def test_commands_steer_an_appliance_and_status_shows_it(
    appliance: Appliance, mqtt_client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str]:
        return main([*words, "--config", str(appliance.config_file)]), capsys.readouterr().out

    appliance.wait_ready(mqtt_client)
    assert run("volume", "30") == (0, "the volume is 30\n")
    assert run("mute") == (0, "muted\n")
    assert run("skip") == (1, "refused: nothing is being spoken\n")
    assert run("pause") == (0, "paused\n")
    eventually(lambda: "online, paused" in run("status")[1], "the state that is published after the answer")
    status, shown = run("status")
    assert status == 0
    assert "volume    30, not heard: the appliance is muted (sudo ishowtts unmute)" in shown
    status, said = run("say", "one", "two")
    assert (status, "is paused, and all lines wait" in said) == (3, True)
    assert run("stop") == (0, "1 line was cancelled\n")
    assert run("resume") == (0, "resumed\n")
    assert run("unmute") == (0, "unmuted\n")
    unheard = "it is not heard, because another engine speaks: engine.kind is espeak"
    assert run("voice", "default") == (0, f"the default voice is default; {unheard}\n")
    assert run("voice", "nobody") == (1, "refused: there is no voice 'nobody'; the voices are default\n")
    assert run("voice") == (0, "default\n")
    assert run("cancel", "--author", "Bob") == (
        1,
        "refused: no line of the author 'Bob' is waiting or being spoken\n",
    )
    status, answer = run("reload")
    assert (status, answer.startswith("nothing has changed; ")) == (0, True)
    appliance.stop()
    assert run("status")[0] == 1


def test_say_without_a_broker_is_one_sentence(tmp_path: Path, broker: Broker) -> None:
    broker.stop()
    said = ishowtts("say", "hello", "--config", config(tmp_path, mqtt={"host": broker.host, "port": broker.port}))
    assert said.returncode == 1
    assert f"no broker answers at {broker.host}:{broker.port}" in said.stderr


def test_say_without_an_appliance_names_it(tmp_path: Path, broker: Broker) -> None:
    settings = config(tmp_path, mqtt={"host": broker.host, "port": broker.port}, device={"name": "nobody"})
    said = called("say", "hello", "--wait", "1", "--config", settings)
    assert said.returncode == 1
    assert "ishowtts/nobody" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("say", "hello", "--wait", "nan"), 2, "'nan' is not a number of seconds"),
        (("say", "hello", "--wait", "inf"), 2, "'inf' is not a number of seconds"),
        (("say", "--wait", "hello"), 2, "the text goes before --wait"),
        (("say", "caf\udce9"), 1, "the text is not UTF-8"),
        (("history", "-n", "9" * 30), 2, "is not a whole number from 1"),
        (("history", "-n", "0"), 2, "is not a whole number from 1"),
    ],
)
def test_arguments_that_cannot_be_are_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    done = ishowtts(*arguments, "--config", config(tmp_path))
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr


def test_say_has_a_line_be_quiet_and_ring_and_tells_what_an_appliance_lacks_that_says_nothing(
    make_appliance: Callable[..., Appliance], mqtt_client: Client
) -> None:
    appliance = make_appliance(settings={"audio": {"device": "hw:CARD=Nowhere"}})
    appliance.wait_ready(mqtt_client, "degraded")
    rejected = called("say", "one", "--chime", "gong", "--volume", "0", "--config", appliance.config_file)
    assert "rejected: chime: there is no chime 'gong'" in rejected.stdout
    waits = called("say", "one", "--chime", "true", "--wait", "1", "--config", appliance.config_file)
    assert waits.returncode == 3, "the line still waits"
    assert waits.stderr.rstrip().endswith(
        "is degraded: the sound device hw:CARD=Nowhere is not there; see `ishowtts devices`"
    )
    assert called("say", "one", "--volume", "101", "--config", appliance.config_file).returncode == 2


def test_a_user_who_may_not_see_the_state_is_told_to_use_sudo(tmp_path: Path) -> None:
    settings = config(tmp_path)
    (tmp_path / "state").mkdir(mode=0)
    # Root is let in everywhere by its capabilities.
    stranger = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*stranger, sys.executable, "-m", "ishowtts"]
    for arguments in (("history",), ("check",), ("voices", "remove", "anna")):
        done = subprocess.run(
            [*command, *arguments, "--config", settings], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 1
        assert "cannot be opened by this user" in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def test_check_prints_what_is_in_force_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    mqtt = {"username": "anna", "password_file": str(tmp_path / "password")}
    done = ishowtts("check", "--config", config(tmp_path, mqtt=mqtt, device={"name": "kitchen"}))
    assert done.returncode == 0
    assert "root_topic: ishowtts/kitchen" in done.stdout
    assert "s3cret" not in done.stdout


def test_check_warns_of_a_renamed_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--config", str(config(tmp_path, mqtt={"neighbour_away_s": 70}))]) == 0
    shown, warning = capsys.readouterr()
    assert json.loads(shown)["config"]["mqtt"]["duplicate_guard"]["retry_s"] == 70
    assert "mqtt.neighbour_away_s: is now called mqtt.duplicate_guard.retry_s" in warning
    assert len(warning.splitlines()) == 1


def test_check_tells_every_fault_and_exits_with_2(tmp_path: Path) -> None:
    done = called("check", "--config", config(tmp_path, audoi={}, audio={"volume": 400}))
    assert done.returncode == 2
    assert "did you mean 'audio'" in done.stderr
    assert "audio.volume" in done.stderr


Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Doctor:
    """`doctor(*arguments)`: the command in this process, without its torch check, which takes seconds."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        capfd.readouterr()
        status = main(["doctor", *map(str, arguments)])
        shown = capfd.readouterr()
        assert shown.err == ""
        return status, shown.out

    monkeypatch.setattr(doctor_command, "_torch", lambda _: iter(()))
    return run


def test_check_and_doctor_tell_what_is_wrong_with_the_files_that_are_named(
    tmp_path: Path, broker: Broker, doctor: Doctor
) -> None:
    (tmp_path / "own.yaml").write_text("- {say: SQL}")
    (tmp_path / "blocked.txt").write_bytes(b"\xff")
    settings = config(
        tmp_path,
        mqtt={"host": broker.host, "port": broker.port},
        audio={"device": "nosuch", "when_lost": "silent", "chime": "bell"},
        engine={"kind": "espeak"},
        text={"pronunciations": str(tmp_path / "own.yaml")},
        policies={"blocked": {"file": str(tmp_path / "blocked.txt")}},
    )
    done = called("check", "--config", settings)
    assert done.returncode == 2
    assert "state_dir:" in done.stdout, "the values in use are shown all the same"
    chime, words, pronunciations = done.stderr.splitlines()
    assert chime.startswith("audio.chime: there is no chime 'bell'")
    assert "blocked.txt: is not UTF-8" in words
    assert "own.yaml, line 1: needs `as`" in pronunciations
    found = json.loads(doctor("--json", "--config", settings)[1])
    faults = {finding["part"]: finding["detail"] for finding in found if finding["verdict"] == "fault"}
    told = [f"{finding['detail']}; {finding['fix']}" for finding in found if finding["part"] == "text"]
    assert [f"policies.blocked.file: {told[0]}", f"text.pronunciations: {told[1]}"] == [words, pronunciations]
    assert faults["chime"].startswith("there is no chime 'bell'")
    sound, substitute = (finding for finding in found if finding["part"] in ("sound", "substitute device"))
    assert (sound["verdict"], sound["detail"]) == (
        "fault",
        "the sound device nosuch is not there",
    )
    assert (substitute["verdict"], substitute["part"]) == ("note", "substitute device")
    assert "nothing can be heard" in substitute["detail"]


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    done = called("check", "--config", tmp_path / "none.yaml")
    assert (done.returncode, "cannot be read" in done.stderr) == (2, True)


def test_voices_and_devices_list_what_there_is(tmp_path: Path) -> None:
    settings = config(tmp_path, engine={"f5": {"voices_dir": str(tmp_path / "voices")}})
    anna = tmp_path / "voices" / "anna"
    anna.mkdir(parents=True)
    (anna / "reference.wav").write_bytes(b"RIFF")
    (anna / "reference.txt").write_text("Hello, I am Anna.")
    (tmp_path / "voices" / "mute").mkdir()
    (tmp_path / "voices" / "mute" / "reference.wav").write_bytes(b"RIFF")
    listed = called("voices", "--json", "--config", settings)
    voices = {voice["name"]: voice for voice in json.loads(listed.stdout)}
    assert voices["anna"]["text"] == "Hello, I am Anna."
    assert (listed.returncode, "reference.txt" in voices["mute"]["fault"]) == (1, True)
    assert isinstance(json.loads(called("devices", "--json", "--config", settings).stdout), list)


def test_history_without_a_past_says_so(tmp_path: Path) -> None:
    done = called("history", "--config", config(tmp_path))
    assert "Traceback" not in done.stderr
    assert done.stdout + done.stderr


def test_fetch_does_nothing_without_consent(tmp_path: Path) -> None:
    done = ishowtts("fetch", "--config", config(tmp_path), stdin="")
    assert done.returncode == 1
    assert "CC-BY-NC-4.0" in done.stdout
    assert "--accept-licence" in done.stderr
    assert not (tmp_path / "state").exists()


def test_fetch_from_an_empty_folder_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    done = called("fetch", "--accept-licence", "--from", tmp_path / "stick", "--config", config(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path / "stick") in done.stderr


@pytest.mark.f5
def test_the_doctor_finds_a_working_machine_well(tmp_path: Path, broker: Broker) -> None:
    settings = config(
        tmp_path, mqtt={"host": broker.host, "port": broker.port}, audio={"device": "silent"}, engine={"kind": "espeak"}
    )
    done = ishowtts("doctor", "--json", "--config", settings)
    findings = {finding["part"]: finding for finding in json.loads(done.stdout)}
    assert {"board", "torch", "engine", "fallback voice", "voices", "sound", "broker", "state_dir"} <= set(findings)
    assert [part for part, finding in findings.items() if finding["verdict"] == "fault"] == []
    assert done.returncode == 0


def test_the_doctor_names_each_fault_and_its_fix(tmp_path: Path, broker: Broker, doctor: Doctor) -> None:
    broker.stop()
    settings = config(
        tmp_path,
        mqtt={"host": broker.host, "port": broker.port},
        audio={"device": "hw:CARD=Nowhere", "mixer": "PCM"},
        engine={"f5": {"weights": str(tmp_path / "none")}},
    )
    status, shown = doctor("--json", "--config", settings)
    faults = {finding["part"]: finding["detail"] for finding in json.loads(shown) if finding["verdict"] == "fault"}
    assert status == 1
    assert "no broker answers" in faults["broker"]
    assert "hw:CARD=Nowhere" in faults["sound"]
    assert "the mixer hw:CARD=Nowhere cannot be used" in faults["mixer"]
    assert str(tmp_path / "none") in faults["engine"]


def test_the_doctor_shows_markup_as_it_is_and_checks_the_folders_of_the_sound(tmp_path: Path, doctor: Doctor) -> None:
    (tmp_path / "file").write_bytes(b"")
    audio = {"device": "hw:[/x]", "record_dir": str(tmp_path / "file/rec"), "chimes_dir": str(tmp_path / "file")}
    status, shown = doctor("--config", config(tmp_path, audio=audio, engine={"kind": "espeak"}))
    assert status == 1
    found = " ".join(shown.split())
    assert "hw:[/x]" in found
    assert "audio.record_dir fault" in found
    assert "chime fault" in found


def test_the_doctor_notes_a_password_that_others_can_read_and_prints_none(tmp_path: Path, doctor: Doctor) -> None:
    password, key = tmp_path / "password", tmp_path / "key"
    for secret, mode in ((password, 0o644), (key, 0o640)):
        secret.write_text("s3cret\n")
        secret.chmod(mode)
    mqtt = {"host": "127.0.0.1", "port": 1, "password_file": str(password), "tls": {"key": str(key)}}
    _, shown = doctor("--json", "--config", config(tmp_path, mqtt=mqtt, engine={"kind": "espeak"}))
    assert [finding for finding in json.loads(shown) if finding["part"] == "secrets"] == [
        {
            "part": "secrets",
            "verdict": "note",
            "detail": f"{password} is readable by every user of this machine",
            "fix": f"chmod o= {password}",
        }
    ]
    assert "s3cret" not in shown


def test_a_word_that_is_no_command_is_wrong_usage() -> None:
    assert ishowtts("sing").returncode == 2


def test_check_names_a_volume_that_was_set_over_mqtt(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"state_dir: {tmp_path}\naudio: {{volume: 80, device: silent}}\nengine: {{kind: espeak}}\n")
    inbox = Inbox(tmp_path / "inbox.sqlite", InboxLimits())
    shown = called("check", "--config", str(file)).stdout
    assert "# volume: 80\n" in shown
    wait_for(inbox.remember("volume", "55"))
    shown = called("check", "--config", str(file)).stdout  # while the daemon has the file open
    assert "# volume: 55\n" in shown
    assert "# volume_why: set over MQTT, which wins over audio.volume" in shown
    inbox.close()
