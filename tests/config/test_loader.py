from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from ishowtts import config
from ishowtts.config import loader
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
        ("zzz: 1", "known here: alerts, audio, board"),
        ("mqtt: {port: 1, port: 2}", "mqtt.port: is given twice"),
        ("mqtt: {port: true}", "must be a number, not true or false"),
        ("mqtt: {prefix: 'a/#'}", "without +, #"),
        ("mqtt: {prefix: '$share/a'}", "must not begin with $"),
        ("home_assistant: {prefix: %s}" % ("x" * 201), "at most 200 characters in 10 levels"),
        ("home_assistant: {prefix: a/b/c/d/e/f/g/h/i/j/k}", "at most 200 characters in 10 levels"),
        ('mqtt: {prefix: "a\\x01b"}', "all of them printable"),
        ('mqtt: {prefix: "a\\uFFFEb"}', "all of them printable"),
        ('mqtt: {host: "\\u202eh"}', "must be only a host name"),
        ("audio: {device: 'file:/etc/hosts'}", "could overwrite any file that it names; use wav:PATH"),
        ("audio: {device: 'wav:'}", "wav: needs a path"),
        (r'audio: {device: "null\0x"}', "other control characters"),
        (r'audio: {device: "hw:0\nhw:1"}', "other control characters"),
        (r'audio: {when_lost: "\e[31m"}', "other control characters"),
        (f"audio: {{device: {5000 * 'x'}}}", "audio.device: must be 1000 characters at most"),
        ("audio: {chime: ../bell}", "audio.chime: must be true, false or the name of a chime"),
        ("audio: {chime: 1}", "audio.chime: must be true, false or the name of a chime"),
        ("audio: {chime: null}", "audio.chime: must be true, false or the name of a chime"),
        ("audio: {chimes_dir: ''}", "audio.chimes_dir: must be a path"),
        ("audio: {loudness_lufs: 16}", "less than or equal to -6"),
        ("audio: {loudness_lufs: -41}", "greater than or equal to -40"),
        ("audio: {loudness_lufs: .nan}", "audio.loudness_lufs"),
        ("audio: {peak_dbtp: 0.5}", "less than or equal to 0"),
        ("audio: {mixer: ''}", "audio.mixer"),
        ("audio: {when_lost: auto}", "auto may be the same device"),
        ("audio: {when_lost: ''}", "name of an ALSA PCM"),
        ("audio: {release_s: 0}", "greater than 0"),
        ("audio: {wake_s: 11}", "less than or equal to 10"),
        ("gateway: {devices: 5}", 'gateway.devices: must be null (this board), "+"'),
        ("gateway: {devices: reply}", "each 1 to 64 characters of a-z, 0-9, _ and -, and neither reply nor group"),
        ("gateway: {devices: [kitchen, 5]}", 'gateway.devices: must be null (this board), "+"'),
        ("audio: {devices: {card: {wake_s: true}}}", "must be a number or null, not true or false"),
        (
            "audio: {devices: {card: {volume: 5}}}",
            "card.volume: unknown key; known here: idle_s, mixer, release_s, wake_s",
        ),
        ("audio: {devices: {card: {wake: 5}}}", "audio.devices.card.wake: unknown key; did you mean 'wake_s'?"),
        ("audio: {devices: {auto: {wake_s: 1}}}", "audio.devices: must have device names as keys"),
        ("audio: {devices: {'': {wake_s: 1}}}", "audio.devices: must have device names as keys"),
        ("audio: {device: Auto}", "audio.device: must be written auto, in small letters (got 'Auto')"),
        ("audio: {device: 'auto '}", "must not begin or end with a blank"),
        ('audio: {device: "hw:0\\n"}', "must not begin or end with a blank"),
        ("audio: {device: WAV:/tmp/a.wav}", "audio.device: must be written wav:/tmp/a.wav"),
        ("audio: {device: wav:/tmp/a.mp3}", "wav: writes a .wav file, or files in a folder; it cannot write .mp3"),
        ("audio: {device: wav:/tmp/a.WAV}", "it cannot write .WAV"),
        ("audio: {device: Pipe:/run/p}", "audio.device: must be written pipe:/run/p, in small letters"),
        ("audio: {device: 'pipe:'}", "pipe: needs a path"),
        ("audio: {device: 'pipe:///run/p?name=x'}", "pipe: takes a path alone"),
        ("audio: {when_lost: Drop}", "audio.when_lost: must be written drop"),
        ("audio: {device: hw:0, when_lost: hw:0}", "audio.when_lost: must be wait, drop or another device than"),
        ("audio: {device: plughw:CARD=a,DEV=0}", "audio.DEV=0: unknown key; text with a comma needs quotes"),
        ("audio: {device: wav:}", "is not YAML: expected ',' or '}', but got ':'; indent with spaces"),
        ("audio:\n device: hw:0\n  volume: 5", "mapping values are not allowed here; indent with spaces"),
        ("audio: {chime: 'false'}", "audio.chime: must be written false, without quotes"),
        ("audio: {release_s: never}", "audio.release_s: must be a number or null (got 'never')"),
        ("audio: {loudness_lufs: off}", "audio.loudness_lufs: must be a number or null, not true or false"),
        ("audio: {pause_s: long}", "audio.pause_s: must be a number (got 'long')"),
        ("device: {name: 'Küche'}", "must be 1 to 64 characters"),
        ("device: {name: reply}", "must not be reply"),
        ("engine: {kind: f6}", "'auto', 'f5', 'hibari', 'espeak' or 'remote'"),
        ("- a", "must be a mapping"),
        ("a: [", "is not YAML"),
        ("mqtt: &a [*a]", "its aliases (*name) repeat too much"),
        ("? [a]: b", "is not YAML"),
        ("a: !!python/object/apply:os.system [id]", "is not YAML"),
        ("limits: {too_long: trim}", "limits.too_long: must be 'reject' or 'cut'"),
        ("policies: {line_per_min: 5}", "did you mean 'lines_per_min'?"),
        ("policies: {lines_per_min: 0}", "greater than or equal to 1"),
        ("policies: {lines_per_min: true}", "must be a number or null, not true or false"),
        ("policies: {author_lines_per_min: 601}", "less than or equal to 600"),
        ("policies: {work_per_min: much}", "must be a whole number or null (got 'much')"),
        ("policies: {merge_s: -1}", "greater than or equal to 0"),
        ("policies: {merge_say: '{count} times'}", "must hold {text}, and may hold {count}; no other brace"),
        ("policies: {template: '{author} says'}", "must hold {text}, and may hold {author}; no other brace"),
        ("policies: {template: '{text.__class__}'}", "policies.template: must hold {text}"),
        ("policies: {template: '{text} {0}'}", "no other brace"),
        ("policies: {template: '{text!r}'}", "no other brace"),
        ('policies: {template: "{text}\\n"}', "must not hold line breaks"),
        ("policies: {links: link}", "'keep', 'drop' or 'word'"),
        ("policies: {link_word: ''}", "at least 1 character"),
        ("policies: {emoji: names}", "'keep', 'drop' or 'name'"),
        ("policies: {emoji_language: klingon}", "'auto', 'ar', 'de'"),
        ("policies: {repeats: 1}", "greater than or equal to 2"),
        ("policies: {author_voices: {bob: ../anna}}", "policies.author_voices.bob: must be the name of a voice"),
        ("policies: {blocked: {words: bad}}", "policies.blocked.words: must be a list, as in [one, two] (got 'bad')"),
        (f"policies: {{blocked: {{words: [{'x' * 65}]}}}}", "policies.blocked.words.0: must have at most 64"),
        ("policies: {blocked: {action: beep}}", "'reject' or 'mask'"),
        ("policies: {quiet: {from: 22:00}}", "from and to belong together"),
        ("policies: {quiet: {from: 22:00, to: 22:00}}", "are the same time"),
        ("policies: {quiet: {from: 24:00, to: 07:00}}", 'policies.quiet.from: must be a local time from "00:00"'),
        ("policies: {quiet: {from: 22, to: 07:00}}", "policies.quiet.from: must be a local time"),
        ("policies: {quiet: {form: 22:00}}", "did you mean 'from'?"),
        ("device: {name: 12}", "device.name: must be text; put it into quotes (got 12)"),
        ("text: {normalise: maybe}", "text.normalise: must be true or false (got 'maybe')"),
        ("text: {decimal: dot}", "text.decimal: must be 'auto', 'point' or 'comma' (got 'dot')"),
        ("text: {pronunciations: [a]}", "text.pronunciations: must be a path (got ['a'])"),
        ("text: {pronunciations: ''}", "text.pronunciations: must be a path, or null for none (got '')"),
        ("policies: {merge_say: null}", "policies.merge_say: must be text (got null)"),
        ("mqtt: {host: ''}", "mqtt.host: must be only a host name or an address"),
        ("mqtt: {host: 'a b'}", "mqtt.host: must be only a host name or an address"),
        ("mqtt: {host: localhost/x}", "mqtt.host: must be only a host name or an address"),
        ("state_dir: /" + 256 * "a", "state_dir: must be a path, with names of at most 255 bytes"),
        (
            'mqtt: {tls: {ca: "/a\\0b"}}',
            "mqtt.tls.ca: must be a path, with names of at most 255 bytes and no zero",
        ),
        ("cache_dir: " + 2048 * "/a", "cache_dir: must be a path"),
        ("state_dir: ''", "state_dir: must be a path (got '')"),
        ("text: on", "text: must be a section with keys of its own"),
        ("policies: {author_voices: [bob]}", "must be names with values, as in {name: value}"),
        ("policies: {links: no}", "'keep', 'drop' or 'word' (got false)"),
        ("queue: {max_age_s: .inf}", "queue.max_age_s: must be a finite number (got inf)"),
        ("queue: {max_age_s: .nan}", "queue.max_age_s: must be"),
        ("queue: {dedup_s: 10m}", "queue.dedup_s: must be a number (got '10m')"),
        ("policies: {quiet: {zzz: 1}}", "known here: action, from, to, volume"),
    ],
)
def test_each_fault_names_the_key_and_the_fix(text: str, says: str) -> None:
    assert any(says in line for line in problems(text)), problems(text)


def test_the_example_holds_every_key_at_its_default() -> None:
    example = Path(__file__).resolve().parents[2] / "config/ishowtts.yaml"
    assert config.load(example) == config.Config()
    assert yaml.safe_load(example.read_text()) == config.Config().model_dump(mode="json")


def test_an_old_key_works_and_one_warning_names_the_new_key() -> None:
    old = config.parse("device: {}\nmqtt:\n  neighbour_silence_s: 5\n  neighbour_away_s: 50\n", "c.yaml")
    new = config.parse("mqtt: {duplicate_guard: {silence_s: 5, retry_s: 50}}", "c.yaml")
    assert old.mqtt == new.mqtt
    assert new.warnings == ()
    silence, retry = old.warnings
    assert silence == (
        "c.yaml:3: mqtt.neighbour_silence_s: is now called mqtt.duplicate_guard.silence_s; "
        "rename it, the next version refuses the old name"
    )
    assert retry.startswith("c.yaml:4: mqtt.neighbour_away_s: is now called mqtt.duplicate_guard.retry_s;")


def test_an_old_and_a_new_key_may_stand_in_one_section() -> None:
    for section in ("{silence_s: 5}", "null"):
        parsed = config.parse(f"mqtt: {{neighbour_away_s: 50, duplicate_guard: {section}}}", "c.yaml")
        assert parsed.mqtt.duplicate_guard.retry_s == 50


def test_a_key_under_its_old_and_its_new_name_is_a_fault_among_the_others() -> None:
    assert problems("mqtt: {neighbour_away_s: 50, duplicate_guard: {retry_s: 60}, port: 0}") == [
        "c.yaml:1: mqtt.neighbour_away_s: is the old name of mqtt.duplicate_guard.retry_s, which is given too; "
        "remove the old one",
        "c.yaml:1: mqtt.port: must be greater than or equal to 1 (got 0)",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\nmqtt: {neighbour_away_s: soon}", "c.yaml:2: mqtt.duplicate_guard.retry_s: must be a number (got 'soon')"),
        ("mqtt: {neighbour_away_s: 9, duplicate_guard: 5}", "mqtt.duplicate_guard: must be a section"),
        ("mqtt: 5", "mqtt: must be a section"),
    ],
)
def test_a_fault_in_a_renamed_key_has_its_line(text: str, says: str) -> None:
    assert any(says in line for line in problems(text)), problems(text)


def test_a_whole_section_can_be_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "RENAMED_KEYS", {"broker.encryption": "mqtt.tls"})
    parsed = config.parse("broker:\n  encryption:\n    ca: /ca.pem\n", "c.yaml")
    assert parsed.mqtt.tls.ca == Path("/ca.pem")
    assert problems("broker:\n  encryption:\n    cx: /ca.pem\n")[0].startswith("c.yaml:3: mqtt.tls.cx: unknown key")


def test_the_presets_of_the_documentation_are_configurations() -> None:
    page = Path(__file__).resolve().parents[2] / "docs/policies.md"
    presets = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(presets) == 2
    for preset in presets:
        assert config.parse(preset, "docs/policies.md").policies != config.PolicySection()


@pytest.mark.parametrize(("written", "time"), [("22:00", "22:00"), ("7:05", "07:05"), ("07:05", "07:05")])
def test_a_time_needs_no_quotes(written: str, time: str) -> None:
    parsed = config.parse(f"policies: {{quiet: {{from: {written}, to: '12:00'}}}}", "c.yaml")
    assert parsed.policies.quiet.from_ == time


def test_numbers_are_what_yaml_has_them_be() -> None:
    parsed = config.parse("{mqtt: {port: 0x75b}, limits: {max_chars: 1_000}, queue: {max_lines: +12}}", "c.yaml")
    assert (parsed.mqtt.port, parsed.limits.max_chars, parsed.queue.max_lines) == (1883, 1000, 12)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        config.load(tmp_path / "none.yaml")


def test_a_pipe_a_folder_and_a_file_without_an_end_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    with (tmp_path / "huge.yaml").open("wb") as huge:
        huge.truncate(1 << 40)
    for name, reason in [
        ("pipe.yaml", "not a regular file"),
        ("endless.yaml", "not a regular file"),
        ("huge.yaml", "larger than 1 MiB"),
        (".", "not a regular file"),
    ]:
        with pytest.raises(ConfigError, match=reason):
            config.load(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "k0: &k0 [x, x]\n" + "".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]\n" for n in range(1, 12)),
        "device: &d {name: *d}",
    ],
    ids=["growing", "endless"],
)
def test_aliases_that_grow_without_end_are_refused_at_once(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="aliases"):
        config.parse(text, "c.yaml")
    (tmp_path / "c.yaml").write_text(text)
    assert config.load_valid_part(tmp_path / "c.yaml") is None


def test_an_alias_is_the_value_that_it_names() -> None:
    parsed = config.parse("{telemetry: {interval_s: &n 5}, limits: {max_chars: *n}}", "c.yaml")
    assert parsed.limits.max_chars == 5


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


def test_what_is_said_of_one_device_goes_before_what_is_said_of_all() -> None:
    audio = config.parse(
        "audio: {idle_s: 7, devices: {card: {wake_s: 1, idle_s: null, release_s: null}}}", "c.yaml"
    ).audio
    assert audio.of("another") == audio
    own = audio.of("card")
    assert (own.wake_s, own.idle_s, own.release_s) == (1, 7, None), "null is never, where a time can be never"


@pytest.mark.parametrize(
    "written", ["mqtt://anna:s3cret@broker", "[anna:s3cret@broker]", "anna:s3cret@broker", "a s3cret"]
)
def test_a_host_that_may_hold_a_password_is_refused_without_showing_it(written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(f"mqtt: {{host: {written}}}", "file")
    [problem] = caught.value.problems
    assert problem.startswith("file:1: mqtt.host: must be")
    assert "s3cret" not in problem


@pytest.mark.parametrize("host", ["localhost", "192.168.0.1", "::1", "fe80::1%eth0", "broker.example", "bröker"])
def test_a_host_may_be_any_name_or_address(host: str) -> None:
    assert config.parse(f"mqtt: {{host: '{host}'}}", "file").mqtt.host == host


def test_weights_voices_and_chimes_are_roots_as_a_service_and_in_the_state_by_hand() -> None:
    def folder(**paths: str) -> str:
        return str(config.Config.model_validate(paths).data_folder)

    assert folder() == "/var/lib/ishowtts"
    assert folder(state_dir="/var/lib/ishowtts") == "/var/lib/ishowtts"
    assert folder(state_dir="/home/anna/state") == "/home/anna/state"
    assert folder(data_dir="/srv/voices") == "/srv/voices"
