from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts import config
from ishowtts.errors import ConfigError


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.parse(text, "c.yaml")
    return caught.value.problems


def test_an_empty_file_is_the_defaults() -> None:
    assert config.parse("", "c.yaml") == config.Config()


def test_an_empty_section_is_its_defaults() -> None:
    assert config.parse("mqtt:\n", "c.yaml") == config.Config()


def test_every_fault_is_told_at_once_with_line_and_key() -> None:
    found = problems("mqtt:\n  hots: x\n  port: 99999\naudoi: {}\naudio:\n  volume: loud\n")
    assert [line.split(": ")[:2] for line in found] == [
        ["c.yaml:2", "mqtt.hots"],
        ["c.yaml:3", "mqtt.port"],
        ["c.yaml:4", "audoi"],
        ["c.yaml:6", "audio.volume"],
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mqtt: {hots: x}", "did you mean 'host'?"),
        ("engine: {f5: {nfe_stpe: 7}}", "did you mean 'nfe_step'?"),
        ("zzz: 1", "known here: audio, board"),
        ("mqtt: {port: 1, port: 2}", "mqtt.port: is given twice"),
        ("mqtt: {port: true}", "must be a number, not true or false"),
        ("mqtt: {prefix: 'a/#'}", "without +, #"),
        ("audio: {device: 'wav:'}", "wav: needs a path"),
        ("device: {name: 'Küche'}", "must be 1 to 64 characters"),
        ("engine: {kind: f6}", "'auto', 'f5' or 'espeak'"),
        ("- a", "must be a mapping"),
        ("a: [", "is not YAML"),
        ("mqtt: &a [*a]", "nested too deeply"),
        ("? [a]: b", "is not YAML"),
        ("a: !!python/object/apply:os.system [id]", "is not YAML"),
    ],
)
def test_each_fault_names_the_thing_and_the_mend(text: str, says: str) -> None:
    assert any(says in line for line in problems(text)), problems(text)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        config.load(tmp_path / "none.yaml")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"mqtt: \xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        config.load(path)


def test_the_password_comes_from_the_credential_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "mqtt-password").write_text("of systemd\n")
    (tmp_path / "file").write_text("of the file\n")
    parsed = config.parse(f"mqtt: {{password_file: {tmp_path / 'file'}}}", "c.yaml")
    by_file, by_credential = parsed.mqtt_password(None), parsed.mqtt_password(tmp_path)
    assert by_file is not None
    assert by_credential is not None
    assert (by_file.get_secret_value(), by_credential.get_secret_value()) == ("of the file", "of systemd")
    assert "of the file" not in repr(by_file)


def test_name_and_key_come_from_credentials_before_the_configuration(tmp_path: Path) -> None:
    parsed = config.parse("mqtt: {username: anna, tls: {key: /k.pem}}", "c.yaml")
    assert (parsed.mqtt_username(tmp_path), parsed.mqtt_tls_key(tmp_path)) == ("anna", Path("/k.pem"))
    (tmp_path / "mqtt-username").write_text("kitchen\n")
    (tmp_path / "mqtt-tls-key").write_text("a key")
    assert (parsed.mqtt_username(tmp_path), parsed.mqtt_tls_key(tmp_path)) == ("kitchen", tmp_path / "mqtt-tls-key")
    (tmp_path / "mqtt-username").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"mqtt-username.*not UTF-8"):
        parsed.mqtt_username(tmp_path)


def test_the_root_topic_is_folded_from_host_and_serial() -> None:
    named = config.parse("device: {name: kitchen}", "c.yaml")
    assert named.root_topic("1421x") == "ishowtts/kitchen"
    assert config.Config().root_topic("SER1234").endswith("-1234")
