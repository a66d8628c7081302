"""`ishowtts voices` as an operator types it, with real speech."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import soundfile

from ishowtts.cli import main
from ishowtts.cli.voices.adding import engine_note
from ishowtts.config import Config
from ishowtts.inbox import Inbox, InboxLimits, wait_for

WORDS = "The kettle is on, and the tea will be ready in a minute or two."


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s of real speech."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    subprocess.run(["espeak-ng", "-w", str(path), WORDS], check=True)
    return path


class Shell:
    """Runs `ishowtts voices …` and keeps what it printed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], **f5: Any) -> None:
        self.voices = folder / "state" / "voices"
        self._capsys = capsys
        self._config = folder / "cli.yaml"
        self.configure(folder, **f5)

    def configure(self, folder: Path, **f5: Any) -> None:
        settings = {"state_dir": str(folder / "state"), "cache_dir": str(folder), "engine": {"f5": f5}}
        self._config.write_text(json.dumps(settings))

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        status = main(["voices", *map(str, arguments), "--config", str(self._config)])
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def listed(self) -> dict[str, dict[str, Any]]:
        return {voice["name"]: voice for voice in json.loads(self("list", "--json")[1])}


@pytest.fixture
def voices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


@pytest.mark.f5
def test_a_voice_is_added_listed_replaced_and_removed(voices: Shell, recording: Path) -> None:
    status, out, err = voices("add", "anna", recording, "--text", WORDS, "--speed", 0.9, "--language", "en-us")
    assert (status, "22050 samples per second" in err) == (0, True)
    assert "of silence removed at the ends, 22050 Hz resampled to 24000" in out
    assert "5 s of speech are 1." in out
    assert "times as much work as with a clip of 3 s" in out
    anna = voices.listed()["anna"]
    assert (anna["text"], anna["speed"], anna["language"], anna["fault"]) == (WORDS, 0.9, "en-us", None)
    assert 3 < anna["length_s"] < 5
    assert voices()[0] == voices("list")[0] == 0
    assert voices("list")[1] == voices()[1]

    status, _, err = voices("add", "anna", recording, "--text", WORDS)
    assert (status, "add --replace" in err) == (1, True)
    status, out, _ = voices("add", "anna", recording, "--text", WORDS, "--replace", "--json")
    added = json.loads(out)
    assert (status, added["trimmed_s"] > 0, added["clipped_share"]) == (0, True, 0)
    assert added["cost_ratio"] > 1
    assert voices.listed()["anna"]["speed"] is None

    assert voices("remove", "anna")[0] == 0
    assert voices.listed().keys() == {"default"}
    status, _, err = voices("remove", "anna")
    assert (status, "there is no folder" in err) == (1, True)


@pytest.mark.f5
def test_default_can_be_ones_own_and_the_packaged_one_comes_back(voices: Shell, recording: Path) -> None:
    assert voices("add", "default", recording, "--text", WORDS)[0] == 0
    assert voices.listed()["default"]["text"] == WORDS
    assert "f5-tts includes is the default again" in voices("remove", "default")[1]
    assert voices.listed()["default"]["text"].startswith("Some call me nature")


def test_removing_the_configured_default_voice_is_told(voices: Shell, recording: Path, tmp_path: Path) -> None:
    voices.configure(tmp_path, default_voice="anna")
    assert voices("add", "anna", recording, "--text", WORDS)[0] == 0
    assert "engine.f5.default_voice still names it" in voices("remove", "anna")[1]


def test_removing_the_default_voice_that_was_set_over_mqtt_is_told(
    voices: Shell, recording: Path, tmp_path: Path
) -> None:
    for name in ("anna", "bob"):
        assert voices("add", name, recording, "--text", WORDS)[0] == 0
    inbox = Inbox(tmp_path / "state/inbox.sqlite", InboxLimits())
    wait_for(inbox.remember("voice", "anna"))
    inbox.close()
    assert "over MQTT" not in voices("remove", "bob")[1]
    assert "it is still set as the default voice over MQTT" in voices("remove", "anna")[1]


def test_voices_that_came_over_mqtt_are_listed_and_removed(voices: Shell, recording: Path, tmp_path: Path) -> None:
    for name in ("anna", "bob"):
        assert voices("add", name, recording, "--text", WORDS)[0] == 0
    uploaded = tmp_path / "state/uploaded-voices"
    uploaded.mkdir()
    shutil.copytree(voices.voices / "anna", uploaded / "anna")
    (voices.voices / "bob").rename(uploaded / "bob")
    listed = voices.listed()
    assert [(name, listed[name]["over_mqtt"]) for name in ("anna", "bob", "default")] == [
        ("anna", False), ("bob", True), ("default", False),
    ]  # fmt: skip
    out = voices("list")[1]
    assert ["over MQTT" in line for line in out.splitlines() if line.startswith(("anna", "bob"))] == [False, True]
    assert f"note: anna: the voice of this name that came over MQTT, in {uploaded}, is not used" in out

    assert voices("remove", "bob")[0] == 0
    assert "that came over MQTT is used now" in voices("remove", "anna")[1]
    assert voices.listed()["anna"]["over_mqtt"]
    assert "is used now" not in voices("remove", "anna")[1]
    assert voices.listed().keys() == {"default"}


def test_root_reads_no_voice_that_the_user_of_the_service_may_change(
    voices: Shell, recording: Path, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has other rights than the user of the service")
    assert voices("add", "anna", recording, "--text", WORDS)[0] == 0
    uploaded = tmp_path / "state/uploaded-voices"
    uploaded.mkdir()
    (voices.voices / "anna").rename(uploaded / "anna")
    (uploaded / "anna/reference.txt").chmod(0o600)  # root's
    for path in (tmp_path / "state", uploaded):
        os.chown(path, 12_345, 12_345)
    anna = voices.listed()["anna"]
    assert (anna["over_mqtt"], anna["text"], anna["fault"] is None) == (True, None, False)
    status, _, err = voices("test", "anna", "--wav", tmp_path / "out.wav")
    assert (status, "`sudo -u '#12345' ishowtts voices test" in err) == (1, True)


def test_words_may_come_from_a_file(voices: Shell, recording: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text(f"\ufeff{WORDS}\n", encoding="utf-8")
    assert voices("add", "anna", recording, "--text-file", tmp_path / "words.txt")[0] == 0
    assert voices.listed()["anna"]["text"] == WORDS
    (tmp_path / "words.txt").write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in voices("add", "bob", recording, "--text-file", tmp_path / "words.txt")[2]


def test_words_that_do_not_fit_are_refused_unless_forced(voices: Shell, recording: Path) -> None:
    status, _, err = voices("add", "anna", recording, "--text", "The kettle.")
    assert (status, "too few" in err, "--force" in err) == (1, True, True)
    assert not voices.voices.exists()
    status, _, err = voices("add", "anna", recording, "--text", "The kettle.", "--force")
    assert (status, "too few" in err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["Anna", "CLIP", "--text", WORDS], "not a valid name of a voice"),
        (["../anna", "CLIP", "--text", WORDS], "not a valid name of a voice"),
        (
            ["anna", "none.wav", "--text", WORDS],
            "none.wav cannot be read (No such file or directory); name a recording",
        ),
        (["anna", "/none/x.wav", "--text", WORDS], "name a recording that exists"),
        (
            ["anna", "/etc", "--text", WORDS],
            "/etc cannot be read (it is not a regular file); name the recording in that",
        ),
        (["anna", "/etc/passwd", "--text", WORDS], "its format is unknown); give a recording in WAV"),
        (["anna", "EMPTY", "--text", WORDS], "empty.wav is empty; record it again, or name another recording"),
        (["anna", "CLIP", "--text", " "], "--text"),
        (["anna", "CLIP", "--text", WORDS, "--speed", "3"], "speed must be a number from 0.5 to 2.0"),
        (["anna", "CLIP", "--text", WORDS, "--nfe-step", "1"], "nfe_step must be"),
        (["anna", "CLIP", "--text", WORDS, "--gain-db", "nan"], "gain_db must be"),
        (["anna", "CLIP", "--text", WORDS, "--language", "English"], "language must be"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    voices: Shell, recording: Path, arguments: list[str], fault: str
) -> None:
    empty = recording.with_name("empty.wav")
    empty.touch()
    files = {"CLIP": recording, "EMPTY": empty}
    status, out, err = voices("add", *(files.get(argument, argument) for argument in arguments))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert fault in err
    assert not voices.voices.exists()


def test_a_clip_that_cannot_be_read_is_listed_with_its_fault(voices: Shell, recording: Path) -> None:
    voices("add", "anna", recording, "--text", "[red]" + WORDS)
    assert "[red]" in voices()[1]
    (voices.voices / "anna" / "reference.flac").write_bytes(b"no sound")
    status, out, _ = voices("--json")
    anna = next(voice for voice in json.loads(out) if voice["name"] == "anna")
    assert (status, anna["length_s"], "reference.flac cannot be read" in anna["fault"]) == (1, None, True)
    (voices.voices / "anna" / "voice.yaml").write_text("speed: 9")
    assert "speed must be" in voices.listed()["anna"]["fault"]


def test_a_voice_cannot_be_tried_without_weights(voices: Shell, recording: Path, tmp_path: Path) -> None:
    voices("add", "anna", recording, "--text", WORDS)
    status, _, err = voices("test", "anna", "--wav", tmp_path / "out.wav")
    assert (status, "`ishowtts fetch` gets them" in err) == (1, True)
    assert "there is no voice 'bob'" in voices("test", "bob", "--wav", tmp_path / "out.wav")[2]
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.f5
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_voice_is_tried_through_a_worker(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    recording: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "daemon"))
    voices = Shell(tmp_path, capsys, weights=str(tiny_checkpoint), device="cpu", nfe_step=5)
    voices("add", "anna", recording, "--text", WORDS, "--nfe-step", 4)
    status, out, _ = voices("test", "anna", "One line. " * 20, "--wav", tmp_path / "out.wav", "--json")
    take = json.loads(out)
    assert (status, take["nfe_step"]) == (0, 4)
    assert take["rtf"] == pytest.approx(take["synth_s"] / take["audio_s"], abs=1e-3)
    assert soundfile.info(tmp_path / "out.wav").duration == pytest.approx(take["audio_s"], abs=1e-2)
    assert voices("test", "anna", "...", "--wav", tmp_path / "out.wav")[0] == 1


def test_a_voices_folder_that_cannot_be_read_does_not_count_as_empty(voices: Shell) -> None:
    voices.voices.parent.mkdir(parents=True)
    voices.voices.write_text("a file in the place of the folder")
    status, _, err = voices("list")
    assert status == 1
    assert "cannot be read (Not a directory)" in err


def test_files_are_looked_at_before_any_work_is_done(
    voices: Shell, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe would be waited for without end."""
    pipe, none = tmp_path / "pipe", tmp_path / "none" / "file"
    os.mkfifo(pipe)
    cases = {
        "not a regular file": (["add", "anna", recording, "--text-file", pipe], ["test", "default", "--wav", pipe]),
        "is missing": (["add", "anna", recording, "--text-file", none],),
        "is not a folder": (["test", "default", "--wav", none],),
    }
    for said, commands in cases.items():
        for words in commands:
            with pytest.raises(SystemExit) as ended:
                voices(*words)
            assert ended.value.code == 2
            assert said in capsys.readouterr().err


def test_capitals_and_figures_in_the_words_are_stored_as_they_are_spoken(voices: Shell, recording: Path) -> None:
    written = "THE KETTLE IS ON, AND THE TEA WILL BE READY IN 2 MINUTES OR SO."
    status, out, err = voices("add", "anna", recording, "--text", written, "--json")
    added = json.loads(out)
    assert (status, err) == (0, "")
    assert added["text"] == "The kettle is on, and the tea will be ready in two minutes or so."
    assert len([note for note in added["warnings"] if "stored as" in note]) == 2
    assert voices.listed()["anna"]["text"] == added["text"]
    assert "speak in its place" in added["engine_note"]


def test_without_weights_adding_and_listing_end_with_who_speaks(voices: Shell, recording: Path, tmp_path: Path) -> None:
    speakers = "the natural voice (English only) and espeak-ng speak in its place"
    note = f"note: no weights: until `sudo ishowtts fetch`, {speakers}"
    assert voices("add", "anna", recording, "--text", WORDS)[2].splitlines()[-1] == note
    assert voices()[1].splitlines()[-1] == note
    voices.configure(tmp_path, weights=str(tmp_path))
    told = voices()[1].splitlines()[-1]
    assert "engine.f5.weights names this folder" in told
    assert f"until then {speakers}" in told


@pytest.mark.parametrize(
    ("engine", "note"),
    [
        (
            {"kind": "hibari", "fallback": False},
            "engine.kind is hibari, and only F5 speaks in cloned voices: the natural",
        ),
        (
            {"kind": "espeak"},
            "engine.kind is espeak, and only F5 speaks in cloned voices: espeak-ng speaks in its place",
        ),
        ({"fallback": ["espeak"], "kind": "f5"}, "until `sudo ishowtts fetch`, espeak-ng speaks in its place"),
        ({"fallback": False, "kind": "f5"}, "no other engine speaks in its place, as engine.fallback says"),
        ({"kind": "remote"}, "other boards speak here, in their own voices"),
    ],
)
def test_who_speaks_in_place_of_a_cloned_voice_follows_the_configuration(engine: dict[str, Any], note: str) -> None:
    assert note in (engine_note(Config.model_validate({"engine": engine})) or "")


def test_folders_that_are_no_voice_are_listed_with_the_reason(voices: Shell, recording: Path) -> None:
    voices("add", "anna", recording, "--text", WORDS)
    for path in ("Bob/reference.wav", "zoe/zoe.wav", "clip.m4a"):
        (voices.voices / path).parent.mkdir(exist_ok=True)
        (voices.voices / path).write_bytes(b"RIFF")
    status, out, _ = voices()
    assert status == 1
    told = [line for line in out.splitlines() if line.startswith("not a voice: ")]
    assert [Path(line.split(": ")[1]).name for line in told] == ["Bob", "clip.m4a", "zoe"]
    assert "only a-z, 0-9, _ and -; mv" in told[0]
    assert "its clip is named zoe.wav, and must be reference.wav or reference.flac" in told[2]
    assert voices.listed()["zoe"]["fault"].startswith(f"{voices.voices}/zoe is not a voice")
    assert "did you mean 'anna'?" in voices("test", "Anna", "--wav", voices.voices.parent / "x.wav")[2]


def test_a_clip_that_was_put_there_by_hand_is_measured(voices: Shell) -> None:
    anna = voices.voices / "anna"
    anna.mkdir(parents=True)
    soundfile.write(anna / "reference.wav", [0.1] * 12_000, 24_000)
    (anna / "reference.txt").write_text("Hello.")
    assert voices.listed()["anna"]["note"] == "its clip is 0.5 s long, and should be 2 to 12 s"
    assert "note: anna: its clip is 0.5 s long" in voices()[1]


def test_the_table_has_one_line_for_each_voice(voices: Shell, recording: Path) -> None:
    for name in ("anna", "bob"):
        voices("add", name, recording, "--text", WORDS)
    lines = voices()[1].splitlines()
    assert [line.split()[0] for line in lines] == ["voice", "anna", "bob", "default", "note:"]
    assert WORDS in lines[1]


@pytest.mark.f5
def test_the_voice_of_the_package_cannot_be_removed(voices: Shell) -> None:
    status, _, err = voices("remove", "default")
    assert (status, "is a part of f5-tts and cannot be removed; `ishowtts voices add default" in err) == (1, True)


def test_a_recording_that_is_too_long_is_told_how_to_cut_it(voices: Shell, recording: Path, tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(recording)
    for times, name in ((5, "my long.wav"), (40, "longer.wav")):
        soundfile.write(tmp_path / name, [*samples] * times, rate_hz)
        status, _, err = voices("add", "anna", tmp_path / name, "--text", WORDS)
        assert status == 1
        assert " -t 9 " in err
        assert "-cut.wav" in err


def test_libraries_print_nothing_of_their_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "read.mp3").write_bytes(b"ID3\x04\0\0\0\0\0\0" + b"# A page of text, and no sound\n" * 200)
    (tmp_path / "c.yaml").write_text(f"state_dir: {tmp_path}\n")
    add = ["voices", "add", "x", str(tmp_path / "read.mp3"), "--text", WORDS]
    assert main([*add, "--config", str(tmp_path / "c.yaml")]) == 1
    [line] = capfd.readouterr().err.splitlines()
    assert "read.mp3 cannot be read" in line
