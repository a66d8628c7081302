"""`ishowtts check`: one sentence first, then what differs from the default, then the files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ishowtts.cli import main
from ishowtts.cli.doctor.speech_parts import examine_engine
from ishowtts.cli.voices.adding import engine_note
from ishowtts.config import load
from ishowtts.engines.f5 import upstream_packages
from ishowtts.engines.hibari import hibari_package
from ishowtts.inbox import Inbox, InboxLimits, wait_for
from ishowtts.util import logs


class Check:
    """Runs `ishowtts check` on a configuration file."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = folder / "config.yaml"
        self._base = f"state_dir: {folder}/state\ncache_dir: {folder}/cache\n"
        self._capsys = capsys

    def __call__(self, text: str, *arguments: str) -> tuple[int, str, str]:
        """The exit status and what was printed. `text` is YAML in addition to the folders."""
        self.file.write_text(self._base + text)
        status = main(["check", *arguments, "--config", str(self.file)])
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def printed(self) -> str:
        return self._capsys.readouterr().out

    def json(self, text: str) -> tuple[int, dict[str, Any]]:
        status, out, err = self(text, "--json")
        assert err == ""
        return status, json.loads(out)


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    return Check(tmp_path, capsys)


def test_a_good_configuration_has_no_faults_and_its_changes_are_shown(check: Check, tmp_path: Path) -> None:
    status, out, err = check("device: {name: kitchen}\naudio: {volume: 55}\n")
    first, heading, *rest = out.splitlines()
    assert (status, err, first) == (0, "", f"no faults in {check.file}")
    assert "--all" in heading
    assert rest[:4] == [
        "  device.name: kitchen (default null)",
        "  audio.volume: 55 (default 80)",
        f"  state_dir: {tmp_path}/state (default /var/lib/ishowtts/state)",
        f"  cache_dir: {tmp_path}/cache (default /var/cache/ishowtts)",
    ]
    assert "# root_topic: ishowtts/kitchen" in rest
    assert "mqtt" not in out


def test_values_that_are_given_as_the_default_do_not_differ(check: Check) -> None:
    _, out, _ = check("audio: {volume: 80}\nmqtt: {port: 1883}\n")
    assert "audio.volume" not in out
    assert "mqtt.port" not in out


def test_times_of_day_are_quoted_alike_and_long_lists_are_counted(check: Check) -> None:
    words = json.dumps([f"word{number}" for number in range(50)])
    text = f"policies: {{quiet: {{from: 22:00, to: 07:00}}, blocked: {{words: {words}}}}}\n"
    _, out, _ = check(text)
    assert "policies.quiet.from: '22:00' (default null)" in out
    assert "policies.quiet.to: '07:00' (default null)" in out
    assert "policies.blocked.words: 50 entries (default [])" in out
    _, out, _ = check(text, "--all")
    assert "from: '22:00'" in out
    assert "to: '07:00'" in out
    values = yaml.safe_load(out)
    assert values["policies"]["quiet"] == {"from": "22:00", "to": "07:00", "action": "wait", "volume": 30}


def test_all_shows_every_value_as_yaml(check: Check) -> None:
    status, out, _ = check("", "--all")
    assert (status, out.splitlines()[0]) == (0, f"# no faults in {check.file}")
    assert yaml.safe_load(out)["audio"]["volume"] == 80


def test_faults_of_the_configuration_are_counted_first_and_told_with_their_lines(check: Check) -> None:
    status, out, err = check("audoi: {}\naudio: {volume: 400}\n")
    assert (status, out) == (2, f"2 faults in {check.file}\n")
    assert [line.removeprefix(str(check.file)).split(": ")[:2] for line in err.splitlines()] == [
        [":3", "audoi"],
        [":4", "audio.volume"],
    ]


def test_faults_are_objects_in_json(check: Check) -> None:
    status, told = check.json("audoi: {}\naudio: {volume: 400}\n")
    assert status == 2
    assert told["faults"] == [
        {"key": "audoi", "line": 3, "message": "unknown key; did you mean 'audio'?"},
        {"key": "audio.volume", "line": 4, "message": "must be less than or equal to 100 (got 400)"},
    ]
    status, told = check.json("audio: [\n")
    [fault] = told["faults"]
    assert (status, fault["key"]) == (2, None)
    assert "is not YAML" in fault["message"]
    status, told = check.json("audio: {chime: gong}\n")
    [fault] = told["faults"]
    assert (status, fault["key"], fault["line"]) == (2, "audio.chime", None)
    assert "there is no chime 'gong'" in fault["message"]
    status, told = check.json("audio: {volume: 55}\n")
    assert (status, told["faults"]) == (0, [])
    assert told["changed"]["audio.volume"] == {"value": 55, "default": 80}
    assert told["config"]["audio"]["volume"] == 55


def test_a_file_that_is_missing_is_named_in_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--config", str(tmp_path / "none")]) == 2
    [fault] = json.loads(capsys.readouterr().out)["faults"]
    assert fault["message"].startswith("cannot be read (No such file or directory)")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mqtt: {password_file: none}\n", "mqtt.password_file names a file that does not exist (its name has no /"),
        ("gateway: {http: {token_file: none}}\n", "gateway.http.token_file names a file that does not exist (its name"),
        (
            "gateway: {http: {token_file: /etc/passwd}}\n",
            "gateway.http.token_file: /etc/passwd is readable by every",
        ),
        ("audio: {chime: gong}\n", "audio.chime: there is no chime 'gong'"),
        ("audio: {device: 'wav:/nonexist/x.wav'}\n", "audio.device: the folder /nonexist of x.wav does not exist"),
        ("engine: {f5: {weights: none}}\n", "engine.f5.weights: none is not a folder"),
        ("text: {pronunciations: none}\n", "text.pronunciations: none: cannot be read (No such file or directory)"),
    ],
)
def test_files_that_the_daemon_cannot_use_are_faults(check: Check, text: str, says: str) -> None:
    status, out, err = check(text)
    assert (status, out.splitlines()[0]) == (2, f"1 fault in {check.file}")
    assert "differs from the default" in out
    [sentence] = err.splitlines()
    assert sentence.startswith(says)
    assert "; " in sentence, "and the fix"


def test_two_engines_that_are_missing_are_each_told_once(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hibari_package, "_PACKAGES", {"no_such_package": "hibari-tts"})
    status, out, err = check("engine: {kind: f5, fallback: [hibari]}\n")
    assert (status, out.splitlines()[0]) == (2, f"2 faults in {check.file}")
    assert "# engine_why: no F5-TTS weights were found; `ishowtts fetch` gets them\n" in out
    assert [line.split(":")[0] for line in err.splitlines()] == ["engine.kind", "engine.fallback"]


def test_weights_that_cannot_be_used_are_told_with_the_exact_reason(check: Check, tmp_path: Path) -> None:
    _, out, err = check(f"engine: {{f5: {{weights: {tmp_path}}}}}\n")
    assert f"# engine_why: F5 is configured, but its weights cannot be used: {tmp_path} holds neither" in out
    assert "# engines: f5, hibari, espeak\n" in out
    assert "engine.f5.weights names this folder" in err
    (tmp_path / "state/weights").mkdir(parents=True)
    (tmp_path / "state/weights/model_1250000.safetensors").write_bytes(b"")
    status, out, err = check("")
    assert status == 2, "the daemon is degraded, although espeak-ng speaks"
    assert "model_1250000.safetensors is empty" in out
    assert "model_1250000.safetensors is empty; sudo ishowtts fetch" in err


@pytest.mark.f5
def test_packages_that_f5_lacks_are_a_fault_here_and_in_the_doctor(
    check: Check, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_packages, "_PACKAGES", {"no_such_package": "vocos"})
    problem = "engine.f5.compile needs upstream's modules, but vocos is not installed"
    fix = "remove engine.f5.compile, or run install.sh again, with --bench (a checkout: scripts/setup)"
    status, out, err = check(f"engine: {{f5: {{weights: {tiny_checkpoint}, compile: max-autotune}}}}\n")
    assert (status, out.splitlines()[0]) == (2, f"1 fault in {check.file}")
    assert f"# engine_why: F5 is configured, but packages that it needs are missing: {problem}\n" in out
    assert err == f"engine.f5: {problem}; {fix}\n"
    [row] = examine_engine(load(check.file))
    assert (row.part, row.verdict, row.detail, row.fix) == ("engine", "fault", problem, fix)
    assert f"{problem}; {fix}; until then the natural voice" in (engine_note(load(check.file)) or "")


def test_what_was_set_over_mqtt_is_told(check: Check, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    inbox = Inbox(tmp_path / "state/inbox.sqlite", InboxLimits())
    for name, value in {"volume": "30", "voice": "anna", "muted": "1", "paused": "1"}.items():
        wait_for(inbox.remember(name, value))
    _, out, _ = check("audio: {volume: 80}\n")
    inbox.close()
    assert "# volume: 30\n" in out
    assert "# volume_why: set over MQTT, which wins over audio.volume (80)" in out
    assert "# muted_why: set over MQTT; the command unmute ends it" in out
    assert "# voice_why: set over MQTT, which wins over engine.f5.default_voice (default)" in out
    assert "# paused_why: set over MQTT; the command resume ends it" in out


@pytest.mark.parametrize(
    "faulty",
    [
        "audio: {volume: 120, chime: gong}\nmqtt: {password_file: none}\n",
        "audio: {chime: gong, volume: [1]}\nmqtt: {password_file: none, port: x}\nspeeed: 1\n",
        "audio: {chime: gong}\nmqtt: {password_file: none}\nengine: 5\n",
        "audio: {chime: gong}\nmqtt: {password_file: none}\npolicies: {blocked: {words: [a, {b: c}]}}\n",
        "audio: {chime: gong}\nmqtt: {password_file: none}\npolicies: {author_voices: {bob: [1]}}\n",
    ],
)
def test_files_are_examined_although_values_are_faulty(check: Check, faulty: str) -> None:
    status, out, err = check(faulty)
    *values, password, chime = err.splitlines()
    assert (status, out) == (2, f"{len(values) + 2} faults in {check.file}\n")
    assert values
    assert all(line.startswith(str(check.file)) for line in values)
    assert password.startswith("mqtt.password_file names a file that does not exist")
    assert chime.startswith("audio.chime: there is no chime 'gong'")
    faults = check.json(faulty)[1]["faults"]
    assert [fault["key"] for fault in faults[-2:]] == ["mqtt.password_file", "audio.chime"]
    assert len(faults) == len(values) + 2


@pytest.mark.parametrize("text", ["audio: [\n", "state_dir: 5\nmqtt: {password_file: none}\n", "- a\n", "5\n"])
def test_it_says_so_if_the_files_cannot_be_examined(check: Check, text: str) -> None:
    check.file.write_text(text)
    assert main(["check", "--config", str(check.file)]) == 2
    verdict, note = check.printed().splitlines()
    assert verdict == f"1 fault in {check.file}"
    assert note == "# the files that it names are examined once this is fixed"


def test_the_recipe_for_a_chat_has_no_fault(check: Check, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/policies.md").read_text(encoding="utf-8")
    chat = page.split("## Example: a chat")[1].split("\n## ")[0].replace("/etc/ishowtts", str(tmp_path))
    recipe, command = re.findall(r"```yaml\n(.*?)```|`sudo (.*?)`", chat, flags=re.S)
    assert "create it" in check(recipe[0])[2]
    subprocess.run(command[1].split(), check=True)
    assert check(recipe[0])[::2] == (0, "")


@pytest.mark.parametrize("value", ["pw-0wned", "{folder}/none"])
def test_a_password_file_that_is_missing_is_one_sentence_and_one_status_in_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, value: str
) -> None:
    value = value.format(folder=tmp_path)
    settings = {
        "state_dir": str(tmp_path / "state"),
        "cache_dir": str(tmp_path / "cache"),
        "audio": {"device": "silent"},
        "engine": {"kind": "espeak"},
        "mqtt": {"port": 1, "password_file": value},
    }
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(settings))
    told = []
    for command in (["check"], ["check", "--all"], ["check", "--json"], ["say", "x"], ["status"], ["skip"]):
        assert main([*command, "--config", str(file)]) == 2, command
        told.append(capsys.readouterr())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "set_up", lambda *_, **__: None)  # it would stay for the tests after this one
        assert main(["run", "--config", str(file)]) == 1, "systemd starts it again: the file may come"
    sentences = {printed.err.strip() for printed in told if printed.err} | {
        record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"
    }
    [sentence] = sentences
    assert sentence.startswith("mqtt.password_file names a file that does not exist")
    shown = "".join(printed.out + printed.err for printed in told) + caplog.text
    assert (value in shown) == ("/" in value)


@pytest.mark.parametrize("value", ["1234509876", "[pw-0wned]", "true"])
def test_a_password_in_place_of_its_file_is_not_repeated(check: Check, value: str) -> None:
    _, out, err = check(f"mqtt: {{password_file: {value}}}\n")
    assert "mqtt.password_file" in err
    assert value.strip("[]") not in out + err.replace("not true", "")
