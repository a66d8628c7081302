"""`ishowtts voices add` without --text: Whisper writes the words down, and a person checks them."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ishowtts.cli import main
from ishowtts.engines.voices import transcription
from ishowtts.engines.voices.transcription import Transcription
from ishowtts.engines.voices.voice_library import f5_tts_data

WORDS = "The kettle is on, and the tea will be ready in a minute or two."
HEARD = Transcription(WORDS, "en", 0.98, 0.9)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "my speech.wav"
    subprocess.run(["espeak-ng", "-w", str(path), WORDS], check=True)
    return path


class Adder:
    """Runs `ishowtts voices add anna CLIP …`, with what Whisper heard."""

    def __init__(
        self, folder: Path, clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.voice = folder / "voices" / "anna"
        self.heard: Transcription = HEARD
        self.calls = 0
        self._words = ["voices", "add", "anna", str(clip), "--config", str(folder / "c.yaml")]
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        (folder / "c.yaml").write_text(json.dumps({"state_dir": str(folder), "cache_dir": str(folder)}))
        monkeypatch.setattr(transcription, "missing_package", lambda: None)
        monkeypatch.setattr(transcription, "transcribe", self._transcribe)

    def _transcribe(self, clip: object, language: str | None) -> Transcription:
        self.calls += 1
        return self.heard if language is None else replace(self.heard, language=language, language_share=None)

    def __call__(self, *options: str) -> tuple[int, str, str]:
        status = main([*self._words, *options])
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def answer(self, *answers: str) -> tuple[int, str, str]:
        """Run on a terminal whose user types these answers, and then ends the input."""
        typed = iter(answers)

        def type_next(prompt: str) -> str:
            print(prompt)
            if (answer := next(typed, None)) is None:
                raise EOFError
            return answer

        with self._monkeypatch.context() as patch:
            patch.setattr("builtins.input", type_next)
            patch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
            patch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
            return self()

    @property
    def stored(self) -> str:
        return (self.voice / "reference.txt").read_text().strip()


@pytest.fixture
def add(tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Adder:
    return Adder(tmp_path, recording, capsys, monkeypatch)


def test_without_speech_recognition_one_sentence_says_how_to_get_it(
    add: Adder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "faster_whisper" else find(name, *rest)
    )
    status, out, err = add()
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "give them with --text, or install speech recognition" in err
    assert "sudo ./install.sh --with-transcription" in err


def test_without_a_terminal_the_words_are_printed_and_nothing_is_added(add: Adder) -> None:
    status, out, err = add()
    assert (status, out) == (1, f"{WORDS}\n")
    assert "nobody has checked these words" in err
    assert f"my speech.wav' --text '{WORDS}'" in err
    status, out, err = add("--json")
    assert (status, json.loads(out)["transcription"]["words"]) == (1, WORDS)
    assert not add.voice.exists()


def test_yes_adds_the_words_that_were_heard(add: Adder) -> None:
    status, out, _ = add("--yes", "--json")
    added = json.loads(out)
    assert (status, added["text"], added["transcription"]["language"]) == (0, WORDS, "en")
    assert add.stored == WORDS
    assert not (add.voice / "voice.yaml").exists()


@pytest.mark.parametrize(
    ("doubtful", "sentence"),
    [({"language_share": 0.3}, "the language is not certain"), ({"confidence": 0.3}, "the words are not certain")],
)
def test_yes_does_not_accept_uncertain_words(add: Adder, doubtful: dict[str, Any], sentence: str) -> None:
    add.heard = replace(HEARD, **doubtful)
    status, _, err = add("--yes")
    assert (status, sentence in err, WORDS in err) == (1, True, True)
    assert not add.voice.exists()
    assert add("--yes", "--force")[0] == 0


def test_heard_words_are_checked_as_given_ones(add: Adder) -> None:
    add.heard = replace(HEARD, words="The kettle.")
    status, _, err = add("--yes")
    assert (status, "too few" in err) == (1, True)
    add.heard = replace(HEARD, words=WORDS.replace("two", "2"))
    status, out, _ = add("--yes")
    assert (status, f"words: {WORDS}\n" in out) == (0, True)
    assert add.stored == WORDS


def test_the_language_that_was_heard_is_stored_unless_it_is_the_usual_one(add: Adder) -> None:
    add.heard = replace(HEARD, language="de")
    assert add("--yes")[0] == 0
    assert (add.voice / "voice.yaml").read_text() == "language: de\n"
    assert add("--yes", "--replace", "--language", "nl")[0] == 0
    assert (add.voice / "voice.yaml").read_text() == "language: nl\n"


def test_a_voice_that_exists_is_told_before_the_work(add: Adder) -> None:
    assert add("--yes")[0] == 0
    status, _, err = add("--yes")
    assert (status, "add --replace" in err, add.calls) == (1, True, 1)


@pytest.mark.parametrize("answers", [("n",), ("",), ("what",), (), ("e", "Another word.", "no")])
def test_refused_words_add_nothing(add: Adder, answers: Sequence[str]) -> None:
    status, out, err = add.answer(*answers)
    assert (status, f"words: {WORDS}" in out) == (1, True)
    assert "the words were refused" in err
    assert not add.voice.exists()


@pytest.mark.parametrize(
    ("answers", "stored"),
    [
        (("Y",), WORDS),
        (("what", "yes"), WORDS),
        (("e", WORDS.replace("tea", "coffee"), "y"), WORDS.replace("tea", "coffee")),
        (("e", "", "y"), WORDS),
        (("e", "Too short.", "y", "e", WORDS.upper(), "y"), WORDS),
    ],
)
def test_accepted_and_edited_words_are_stored(add: Adder, answers: Sequence[str], stored: str) -> None:
    status, out, _ = add.answer(*answers)
    assert (status, add.stored) == (0, stored)
    if "Too short." in answers:
        assert "too few" in out
        assert "edit the words, or answer no" in out


@pytest.fixture
def terminal() -> Iterator[Callable[..., tuple[int, str]]]:
    """Runs a program on a terminal and types a line each time that its output ends with a prompt."""
    processes: list[subprocess.Popen[bytes]] = []

    def run(command: Sequence[str], environment: dict[str, str], typed: Sequence[tuple[str, str]]) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | environment)
        processes.append(process)
        os.close(theirs)
        printed, waiting = "", list(typed)
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:  # the program has closed the terminal
                break
            printed += data.decode("utf-8", "replace")
            if waiting and printed.endswith(waiting[0][0]):
                os.write(ours, waiting.pop(0)[1].encode())
                printed += "\n"
        os.close(ours)
        return process.wait(timeout=30), printed

    yield run
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.f5
@pytest.mark.skipif(transcription.missing_package() is not None, reason="needs speech recognition")
def test_on_a_terminal_whisper_hears_a_real_clip_and_a_person_edits_the_words(
    tmp_path: Path, terminal: Callable[..., tuple[int, str]]
) -> None:
    clip = f5_tts_data("infer/examples/basic/basic_ref_en.wav")
    (tmp_path / "c.yaml").write_text(json.dumps({"state_dir": str(tmp_path), "cache_dir": str(tmp_path)}))
    command = [sys.executable, "-m", "ishowtts", "voices", "add", "anna", str(clip), "--config", f"{tmp_path}/c.yaml"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "daemon"), "TERM": "dumb"}
    heard = "Some call me nature. Others call me Mother Nature."
    backspaces = "\b" * len("Mother Nature.")
    typed = [("[n]o: ", "e\r"), (heard, f"{backspaces}mother nature.\r"), ("[n]o: ", "y\r")]
    status, printed = terminal(command, environment, typed)
    assert (status, f"words: {heard}" in printed) == (0, True), printed
    stored = (tmp_path / "voices" / "anna" / "reference.txt").read_text()
    assert stored == "Some call me nature. Others call me mother nature.\n"
