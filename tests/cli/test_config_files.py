"""The files that a configuration names: each way in which one is broken has its sentence and its fix."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from ishowtts.cli import config_files
from ishowtts.cli.config_files import examine_files
from ishowtts.cli.findings import Finding
from ishowtts.config import Config

Nested = dict[str, Any]


def examined(folder: Path, **sections: Any) -> list[Finding]:
    """What is not ok with this configuration."""
    base = {"state_dir": str(folder / "state"), "cache_dir": str(folder / "cache")}
    settings = Config.model_validate({**base, **sections})
    return [finding for finding in examine_files(settings) if finding.verdict != "ok"]


def test_a_configuration_without_files_has_no_faults(tmp_path: Path) -> None:
    assert examined(tmp_path) == []


def write(path: Path, content: bytes | str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def link(path: Path, to: Path) -> Path:
    path.symlink_to(to)
    return path


CASES: dict[str, tuple[Callable[[Path], Nested], str, str, str]] = {
    "password missing": (
        lambda at: {"mqtt": {"password_file": str(at / "none")}},
        "mqtt.password_file", "names a file that does not exist: /", "fix mqtt.password_file",
    ),
    "password is a folder": (
        lambda at: {"mqtt": {"password_file": str(at)}},
        "mqtt.password_file", "not a regular file", "must name a regular file",
    ),
    "authority missing": (
        lambda at: {"mqtt": {"tls": {"ca": str(at / "none")}}}, "mqtt.tls.ca", "No such file", "fix mqtt.tls.ca",
    ),
    "key missing": (
        lambda at: {"mqtt": {"tls": {"key": str(at / "none")}}}, "mqtt.tls.key", "No such file", "fix mqtt.tls.key",
    ),
    "weights missing": (
        lambda at: {"engine": {"f5": {"weights": str(at / "none")}}},
        "engine.f5.weights", "none is not a folder", "set engine.f5.weights",
    ),
    "weights empty": (
        lambda at: {"engine": {"f5": {"weights": str(at)}}},
        "engine.f5.weights", "holds neither model.yaml nor", "engine.f5.weights names this folder",
    ),
    "weights without vocabulary": (
        lambda at: {"engine": {"f5": {"weights": str(Path(write(at / "w/model.yaml", "")).parent)}}},
        "engine.f5.weights", "model.safetensors is missing", "or remove the key and run `sudo ishowtts fetch`",
    ),
    "f5 without weights": (lambda at: {"engine": {"kind": "f5"}}, "engine.kind", "no F5-TTS weights", "ishowtts fetch"),
    "voice of espeak-ng missing": (
        lambda at: {"engine": {"espeak_voice": "xx-yy"}},
        "engine.espeak_voice", "espeak-ng has no voice 'xx-yy'", "set engine.espeak_voice to en-us",
    ),
    "chime missing": (
        lambda at: {"audio": {"chime": "gong"}},
        "audio.chime", "there is no chime 'gong'", "put gong.wav there, or set audio.chime to default",
    ),
    "chime is garbage": (
        lambda at: {"audio": {"chime": "gong", "chimes_dir": str(Path(write(at / "c/gong.wav", "x")).parent)}},
        "audio.chime", "c/gong.wav: is not a sound", "save it as WAV, FLAC or OGG",
    ),
    "chimes are a file": (
        lambda at: {"audio": {"chime": True, "chimes_dir": write(at / "c", "x")}},
        "audio.chime", "the chimes cannot be read (Not a directory)", "fix audio.chimes_dir",
    ),
    "wav in no folder": (
        lambda at: {"audio": {"device": f"wav:{at}/none/x.wav"}},
        "audio.device", "/none of x.wav does not exist", "create that folder",
    ),
    "wav is a folder": (
        lambda at: {"audio": {"device": f"wav:{Path(write(at / 'x.wav/y', '')).parent}"}},
        "audio.device", "x.wav is a folder", "name a file in it",
    ),
    "wav below a file": (
        lambda at: {"audio": {"device": f"wav:{write(at / 'x', '')}/y"}},
        "audio.device", "x is not a folder", "fix audio.device",
    ),
    "wav as a substitute": (
        lambda at: {"audio": {"device": "silent", "when_lost": f"wav:{at}/none/x.wav"}},
        "audio.when_lost", "does not exist", "fix audio.when_lost",
    ),
    "pipe is missing": (
        lambda at: {"audio": {"device": f"pipe:{at}/none"}}, "audio.device", "none does not exist", "or run mkfifo",
    ),
    "pipe is a file": (
        lambda at: {"audio": {"device": "silent", "when_lost": f"pipe:{write(at / 'x', '')}"}},
        "audio.when_lost", "x is not a named pipe", "name another path",
    ),
    "pipe is a link": (
        lambda at: {"audio": {"device": f"pipe:{link(at / 'x', fifo(at / 'y'))}"}},
        "audio.device", "x is a link", "name the pipe itself",
    ),
    "state below a file": (
        lambda at: {"state_dir": write(at / "x", "") + "/state"}, "state_dir", "x is not a folder", "in state_dir",
    ),
    "recordings below a file": (
        lambda at: {"audio": {"record_dir": write(at / "x", "") + "/rec"}}, "audio.record_dir", "not a folder", "name",
    ),
    "voices missing": (
        lambda at: {"engine": {"f5": {"voices_dir": str(at / "none")}}},
        "engine.f5.voices_dir", "none does not exist", "fix engine.f5.voices_dir",
    ),
    "words are not UTF-8": (
        lambda at: {"policies": {"blocked": {"file": write(at / "w.txt", b"\xff")}}},
        "policies.blocked.file", "w.txt: is not UTF-8", "save it as UTF-8",
    ),
    "words are missing": (
        lambda at: {"policies": {"blocked": {"file": str(at / "none")}}},
        "policies.blocked.file", "No such file", "create it, or fix its path",
    ),
    "pronunciations are missing": (
        lambda at: {"text": {"pronunciations": str(at / "none")}},
        "text.pronunciations", "No such file", "create it, or fix its path",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_broken_file_is_a_fault_with_its_key_and_a_fix(tmp_path: Path, name: str) -> None:
    make, key, says, fix = CASES[name]
    faults = [finding for finding in examined(tmp_path, **make(tmp_path)) if finding.verdict == "fault"]
    assert [finding.part for finding in faults if finding.part != "audio.chimes_dir"] == [key]
    assert says in faults[0].detail
    assert fix in (faults[0].fix or "")


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp"])
def test_a_pipe_in_a_folder_that_each_service_has_for_itself_is_a_fault_of_the_service_only(
    tmp_path: Path, folder: str
) -> None:
    assert not examined(tmp_path, audio={"device": f"pipe:{fifo(tmp_path / 'pipe')}"})
    service = Config.model_validate({"audio": {"device": f"pipe:{folder}/pipe"}})
    found = config_files.examine_pipe("audio.device", service.audio.device, service)
    assert (found.verdict, found.detail) == ("fault", f"the service cannot see {folder}/pipe: it has its own {folder}")
    assert "Snapcast in docs/sound.md" in (found.fix or "")


def test_a_pipe_that_this_user_may_not_write_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_files.os, "access", lambda *_, **__: False)
    found = config_files.examine_pipe("audio.device", f"pipe:{fifo(tmp_path / 'p')}", Config(state_dir=tmp_path))
    assert (found.verdict, found.fix) == ("fault", "let this user read and write that pipe")


def test_every_faulty_entry_of_the_pronunciations_is_told_at_once(tmp_path: Path) -> None:
    entries = [
        "{say: SQL}",
        "{say: ok, as: fine}",
        '{pattern: "(", as: x}',
        "{say: a, sya: b}",
        "{say: ok, as: again}",
        "5",
    ]
    path = write(tmp_path / "own.yaml", "".join(f"- {entry}\n" for entry in entries))
    faults = examined(tmp_path, text={"pronunciations": path})
    lines = [finding.detail.partition("line ")[2].partition(":")[0] for finding in faults]
    assert lines == ["1", "3", "4", "5", "6"]
    assert all(finding.fix for finding in faults)


def test_broken_fetched_weights_are_a_fault_even_if_espeak_may_speak(tmp_path: Path) -> None:
    write(tmp_path / "state/weights/model_1250000.safetensors", "")
    [problem] = examined(tmp_path)
    assert (problem.part, problem.verdict, problem.fix) == ("engine.kind", "fault", "sudo ishowtts fetch")
    assert "is empty" in problem.detail
    [problem] = examined(tmp_path, engine={"kind": "f5"})
    assert (problem.part, problem.verdict) == ("engine.kind", "fault")


@pytest.mark.parametrize(
    ("engine", "key", "why"),
    [
        ({"f5": {"languages": ["en"]}}, "engine.f5.languages", "there are no weights"),
        ({"kind": "hibari", "f5": {"languages": ["en"]}}, "engine.f5.languages", "engine.kind is hibari"),
        (
            {"kind": "hibari", "f5": {"max_rtf": 2}},
            "engine.f5.max_rtf",
            "engine.kind is hibari, which leads at any speed",
        ),
        ({"kind": "remote", "f5": {"languages": ["en"]}}, "engine.f5.languages", "engine.kind is remote"),
        ({"kind": "espeak", "remote": {"segment_s": 5}}, "engine.remote", "engine.kind is espeak"),
        (
            {"kind": "remote", "f5": {"voices_over_mqtt": True}},
            "engine.f5.voices_over_mqtt",
            "the boards speak, each with its own voices",
        ),
    ],
)
def test_keys_without_effect_are_notes(tmp_path: Path, engine: dict[str, Any], key: str, why: str) -> None:
    [note] = examined(tmp_path, engine=engine)
    assert (note.part, note.verdict, note.detail) == (key, "note", f"it has no effect: {why}")
    assert key in (note.fix or "") or note.fix == "add voices on the boards"


def test_other_boards_render_over_mqtt_5_only(tmp_path: Path) -> None:
    [problem] = examined(tmp_path, engine={"kind": "remote"}, mqtt={"protocol": "3.1.1"})
    assert (problem.part, problem.verdict, problem.fix) == ("mqtt.protocol", "fault", "set mqtt.protocol to 5")


def test_a_stage_cannot_render_for_itself(tmp_path: Path) -> None:
    remote = {"kind": "remote", "remote": {"boards": ["hall"]}}
    [problem] = examined(tmp_path, engine=remote, device={"name": "hall"})
    assert (problem.part, problem.verdict) == ("engine.remote.boards", "fault")
    assert not examined(tmp_path, engine=remote, device={"name": "kitchen"})


@pytest.mark.parametrize(
    ("listen", "what"),
    [
        ("ishowtts9:10200", "network interface ishowtts9"),
        ("192.0.2.1:10200", "address 192.0.2.1"),
        ("127.0.0.5:10200", None),
        ("lo:10200", None),
        ("kitchen.local:10200", None),
        (None, None),
    ],
)
def test_an_address_of_wyoming_that_this_machine_does_not_have_is_a_note(
    tmp_path: Path, listen: str | None, what: str | None
) -> None:
    found = examined(tmp_path, gateway={"wyoming": {"listen": listen}})
    assert [(each.part, each.verdict) for each in found] == [("gateway.wyoming.listen", "note")] * (what is not None)
    assert all(f"has no {what} now" in each.detail for each in found)


@pytest.mark.parametrize(
    ("engine", "detail"),
    [
        ({"kind": "espeak", "fallback": ["hibari"]}, "hibari does not come after espeak"),
        ({"kind": "hibari", "fallback": ["hibari", "espeak"]}, "hibari does not come after hibari"),
    ],
)
def test_an_engine_that_cannot_follow_is_named_and_not_the_whole_list(
    tmp_path: Path, engine: dict[str, Any], detail: str
) -> None:
    [note] = examined(tmp_path, engine=engine)
    assert (note.part, note.verdict) == ("engine.fallback", "note")
    assert note.detail == f"hibari in it has no effect: {detail}"
    assert note.fix == "remove hibari from engine.fallback, or change engine.kind"


def test_a_default_language_that_nobody_speaks_is_a_note(tmp_path: Path) -> None:
    only_hibari = {"kind": "hibari", "fallback": False}
    [note] = examined(tmp_path, engine={**only_hibari, "espeak_voice": "de"})
    assert (note.part, note.verdict) == ("engine.espeak_voice", "note")
    assert "lines in its language, de, fail" in note.detail
    for engine in ({**only_hibari, "espeak_voice": "en-gb"}, {"kind": "hibari", "espeak_voice": "de"}):
        assert not examined(tmp_path, engine=engine)


def test_other_files_among_the_chimes_are_notes(tmp_path: Path) -> None:
    for file in ("Gong.wav", "two words.ogg", "bell.mp3", "readme.txt", ".hidden", "bell.WAV"):
        write(tmp_path / "chimes" / file, "x")
    soundfile.write(tmp_path / "chimes/good.wav", [0.1] * 4800, 48_000)
    write(tmp_path / "chimes/bad.wav", "x")
    notes = examined(tmp_path, audio={"chime": "good", "chimes_dir": str(tmp_path / "chimes")})
    assert {finding.verdict for finding in notes} == {"note"}
    told = {
        finding.detail.partition(" is not a chime")[0].rpartition("/")[2]: finding.fix or "" for finding in notes[1:]
    }
    assert "bad.wav: is not a sound" in notes[0].detail
    assert "rename it to gong.wav" in told["Gong.wav"]
    assert "rename it to two-words.ogg" in told["two words.ogg"]
    assert "ffmpeg -i bell.mp3 bell.wav" in told["bell.mp3"]
    assert "rename it to bell.wav" in told["bell.WAV"]
    assert not {".hidden", "readme.txt"} & told.keys()


def test_a_password_that_others_can_read_is_a_note(tmp_path: Path) -> None:
    path = write(tmp_path / "password", "s3cret")
    Path(path).chmod(0o644)
    [note] = examined(tmp_path, mqtt={"password_file": path})
    assert (note.verdict, note.fix) == ("note", f"chmod o= {path}")
    assert "s3cret" not in note.detail


def test_a_relative_folder_is_told_with_what_it_resolves_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [note] = examined(tmp_path, state_dir="state")
    assert note.verdict == "note"
    assert f"here it is {tmp_path}/state" in note.detail
    assert note.fix == f"write state_dir: {tmp_path}/state"


def test_a_read_only_file_system_is_remounted_and_not_given_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(tmp_path)
    fields = list(real)
    fields[8] |= os.ST_RDONLY  # f_flag
    monkeypatch.setattr(config_files.os, "statvfs", lambda _: os.statvfs_result(fields))
    state, _ = examined(tmp_path)
    assert (state.part, state.verdict) == ("state_dir", "fault")
    assert "is a read-only file system" in state.detail
    assert "mount -o remount,rw" in (state.fix or "")
    assert "chown" not in (state.fix or "")


@pytest.mark.parametrize(("path", "says"), [("/proc/x", "cannot be created"), ("/proc", "cannot hold files")])
@pytest.mark.parametrize("key", ["state_dir", "cache_dir", "audio.record_dir"])
def test_a_folder_where_none_can_be_created_is_not_a_full_disk(tmp_path: Path, key: str, path: str, says: str) -> None:
    section, _, name = key.rpartition(".")
    [finding] = examined(tmp_path, **({section: {name: path}} if section else {name: path}))
    assert (finding.part, finding.verdict) == (key, "fault")
    assert finding.detail.startswith(f"{path} {says}: /proc is not a disk")
    assert finding.fix == f"name another folder in {key}"


def test_a_full_disk_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = config_files.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(config_files.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    state, _ = examined(tmp_path)
    assert state.detail.endswith("only 1 MB free")
    assert state.fix == "make room on that disk"


def test_the_disk_of_the_queue_is_full_when_the_daemon_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = config_files.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(config_files.shutil, "disk_usage", lambda _: usage._replace(free=2_000_000_000))
    [found] = examined(tmp_path, limits={"min_free_mb": 3000})
    assert (found.part, found.verdict) == ("state_dir", "fault"), "the alert disk_short is active"


def test_lists_are_shown_with_the_number_of_their_entries(tmp_path: Path) -> None:
    pronunciations = write(tmp_path / "own.yaml", "- {say: SQL, as: sequel}\n")
    words = write(tmp_path / "words.txt", "one\ntwo\n")
    blocked = {"words": ["three"], "file": words}
    settings = Config.model_validate({"text": {"pronunciations": pronunciations}, "policies": {"blocked": blocked}})
    told = [finding.detail for finding in config_files.examine_words(settings)]
    assert told == [f"{words}, 3 entries", f"{pronunciations}, 1 entry"]
