from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ishowtts.cli.main import main
from ishowtts.inbox import Inbox, InboxLimits, wait_for

Read = Callable[..., tuple[int, str, str]]


def config(folder: Path, **sections: Any) -> str:
    path = folder / "cli.yaml"
    path.write_text(json.dumps({"state_dir": str(folder), "cache_dir": str(folder), **sections}))
    return str(path)


@pytest.fixture
def read(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Read:
    """Run `ishowtts read` in this process; the status and both outputs."""

    def read(*arguments: str, stdin: str | None = None, **sections: Any) -> tuple[int, str, str]:
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = main(["read", *arguments, "--config", config(tmp_path, **sections)])
        return status, *capsys.readouterr()

    return read


def voice(folder: Path, name: str, language: str) -> None:
    (folder / "voices" / name).mkdir(parents=True)
    (folder / "voices" / name / "reference.wav").write_bytes(b"RIFF")
    (folder / "voices" / name / "reference.txt").write_text("Hello.")
    (folder / "voices" / name / "voice.yaml").write_text(f"language: {language}")


CHAT = {
    "template": "{author} says: {text}",
    "blocked": {"words": ["darn"]},
    "emoji": "name",
    "author_voices": {"greta": "greta"},
    "lines_per_min": 1,
}


def test_it_prints_what_the_engine_would_be_given(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ishowtts", "read", "It costs $3.50，我买了3个", "--config", config(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "It costs three dollars and fifty cents，我买了三个\n",
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "spoken"),
    [
        (["Watch https://example.com/a?b=1 now, I love it ❤️ 👍👍👍"], "Watch link now, I love it"),
        (["The", "tea", "is", "ready"], "The tea is ready"),
        (["noooooo"], "nooo"),
        (["The ASP.NET service has stopped."], "The A S P dot net service has stopped."),
        (["Your Amazon.de parcel is here."], "Your Amazon dot de parcel is here."),
        (["Dinner is ready.De kids eat first."], "Dinner is ready. De kids eat first."),
        (["Replace the AAAA battery."], "Replace the AAAA battery."),
        (["--author", "bob", "hello"], "hello"),
    ],
)
def test_the_policies_come_first(read: Read, arguments: list[str], spoken: str) -> None:
    assert read(*arguments) == (0, f"{spoken}\n", "")


@pytest.mark.parametrize(
    ("arguments", "spoken"),
    [
        (["--author", "bob", "party 🎉"], "bob says: party party popper"),
        (["--author", "Bob. Police!", "it is 5 km"], "Bob Police says: it is five kilometers"),
        (["party 🎉"], "party party popper"),
        (["--author", "greta", "5 km"], "greta says: 5 km"),
    ],
)
def test_the_author_is_named_and_has_a_voice(read: Read, tmp_path: Path, arguments: list[str], spoken: str) -> None:
    voice(tmp_path, "greta", "de")
    assert read(*arguments, policies=CHAT) == (0, f"{spoken}\n", "")


@pytest.mark.parametrize(
    ("arguments", "rejected"),
    [
        (["what a d.a.r.n shame"], "filtered: the text holds 'darn', which is blocked (policies.blocked)"),
        (["what a 𝐝𝐚𝐫𝐧 shame"], "filtered: the text holds 'darn', which is blocked (policies.blocked)"),
        (["--author", "darn", "hi"], "filtered: the author's name holds 'darn', which is blocked (policies.blocked)"),
        (["?!"], "empty: the text has no letter and no digit; send words"),
        (["one two " * 250], "too_long: the text has 1999 characters; at most 1000 are spoken"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_spoken_is_rejected_with_the_reason(read: Read, arguments: list[str], rejected: str) -> None:
    status, out, err = read(*arguments, policies=CHAT)
    assert (status, err) == (1, "")
    assert out.startswith(f"rejected: {rejected}")
    assert out.count("\n") == 1


def test_each_step_that_changed_the_text_is_shown_on_standard_error(read: Read) -> None:
    status, out, err = read("-v", "--author", "bob", "Watch https://x.com/y noooooo 🎉 5 km", policies=CHAT)
    assert (status, out) == (0, "bob says: Watch link nooo party popper five kilometers\n")
    assert err.splitlines() == [
        "sent      Watch https://x.com/y noooooo 🎉 5 km",
        "links     Watch link noooooo 🎉 5 km",
        "emoji     Watch link noooooo party popper 5 km",
        "repeats   Watch link nooo party popper 5 km",
        "template  bob says: Watch link nooo party popper 5 km",
        "words     bob says: Watch link nooo party popper five kilometers",
    ]


def test_the_steps_before_a_rejection_and_the_segments_of_a_long_text_are_shown(read: Read) -> None:
    _, _, err = read("-v", "www.example.org", policies={"links": "drop"})
    assert err.splitlines() == ["sent   www.example.org", "links"]
    _, _, err = read("-v", "This is a sentence. " * 30)
    assert [line.split("  ")[0] for line in err.splitlines()] == ["sent", "cleaned", "segment 1 of 2", "segment 2 of 2"]


def test_each_language_is_shown_if_there_is_another_one_than_english(read: Read) -> None:
    status, out, err = read("-v", "It is 3 km. Es sind 3,5 °C draußen. 今天25度。")
    assert (status, out) == (0, "It is three kilometers. Es sind 3,5 °C draußen. 今天二十五度。\n")
    assert err.splitlines()[-3:] == [
        "in en  It is three kilometers.",
        "in de  Es sind 3,5 °C draußen.",
        "in zh  今天二十五度。",
    ]
    _, out, err = read("-v", "--language", "pt-br", "It is 3 km.")
    assert (out, err.splitlines()[-1]) == ("It is 3 km.\n", "in pt  It is 3 km.")
    _, out, _ = read("--json", "--language", "pt-br", "It is 3 km.")
    found = json.loads(out)
    assert (found["language"], found["languages"]) == ("pt-BR", [{"language": "pt", "text": "It is 3 km."}])


def test_a_language_must_be_a_tag(read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--language", "german", "Guten Tag")
    assert "'german' is not the tag of a language, as in de or pt-BR" in capsys.readouterr().err


def test_a_voice_without_a_language_has_that_of_the_appliance(read: Read) -> None:
    assert read("3 km", engine={"kind": "espeak", "espeak_voice": "de+f3"})[1] == "3 km\n"
    assert read("3 km", engine={"kind": "espeak", "espeak_voice": "en-us+f3"})[1] == "three kilometers\n"


def test_control_characters_and_broken_text_cannot_harm_a_terminal(read: Read) -> None:
    status, out, err = read("-v", "red \x07alert \u202e\ud800!")
    assert (status, out) == (0, "red alert !\n")
    assert err.splitlines()[0] == r"sent     red \x07alert \u202e\ud800!"


def test_lines_of_standard_input_give_a_result_each(read: Read) -> None:
    stdin = "It is 5 km.\n\nwhat a darn shame\r\nnoooooo"
    status, out, err = read(stdin=stdin, policies=CHAT)
    assert (status, err) == (1, "")
    assert out.splitlines() == [
        "It is five kilometers.",
        "rejected: empty: the text has no letter and no digit; send words",
        "rejected: filtered: the text holds 'darn', which is blocked (policies.blocked); leave it out",
        "nooo",
    ]
    assert read("-", stdin="5 km\n" * 3, policies=CHAT) == (0, "five kilometers\n" * 3, "")


def test_json_has_what_each_step_did(read: Read) -> None:
    status, out, _ = read("--json", "--author", "bob", "noooooo 5 km", policies=CHAT)
    assert status == 0
    assert json.loads(out) == {
        "text": "noooooo 5 km",
        "author": "bob",
        "voice": None,
        "language": None,
        "steps": [
            {"step": "repeats", "before": "noooooo 5 km", "after": "nooo 5 km"},
            {"step": "template", "before": "nooo 5 km", "after": "bob says: nooo 5 km"},
            {"step": "words", "before": "bob says: nooo 5 km", "after": "bob says: nooo five kilometers"},
        ],
        "read": "bob says: nooo five kilometers",
        "done": ["repeats", "template"],
        "languages": [{"language": "en", "text": "bob says: nooo five kilometers"}],
        "segments": ["bob says: nooo five kilometers"],
        "rejected": None,
        "fault": None,
    }
    status, out, _ = read("--json", stdin="darn\n5 km\n", policies=CHAT)
    refused, spoken = map(json.loads, out.splitlines())
    assert (status, refused["read"], refused["rejected"]["reason"]) == (1, None, "filtered")
    assert (spoken["read"], spoken["rejected"]) == ("five kilometers", None)


def test_it_reads_in_the_language_of_the_voice_and_with_its_pronunciations(read: Read, tmp_path: Path) -> None:
    voice(tmp_path, "greta", "de")
    (tmp_path / "own.yaml").write_text("- {say: SQL, as: Ess Ku Ell, voice: greta}")
    text = {"pronunciations": str(tmp_path / "own.yaml")}
    _, out, _ = read("3 SQL", "--voice", "greta", "--json", text=text)
    reading = json.loads(out)
    assert (reading["voice"], reading["read"], reading["fault"]) == ("greta", "3 Ess Ku Ell", None)
    assert reading["steps"] == [{"step": "pronunciations", "before": "3 SQL", "after": "3 Ess Ku Ell"}]
    assert read("3 SQL", text=text) == (0, "three SQL\n", "")


def test_it_reads_in_the_language_of_the_voice_that_was_set_over_mqtt(read: Read, tmp_path: Path) -> None:
    voice(tmp_path, "greta", "de")
    voice(tmp_path, "anna", "en")
    inbox = Inbox(tmp_path / "inbox.sqlite", InboxLimits())
    wait_for(inbox.remember("voice", "greta"))
    inbox.close()
    assert read("3 SQL") == (0, "3 SQL\n", "")
    assert json.loads(read("3 SQL", "--json")[1])["voice"] == "greta"
    assert read("3 SQL", "--voice", "anna") == (0, "three SQL\n", "")
    shutil.rmtree(tmp_path / "voices/greta")
    status, out, told = read("3 SQL")
    assert (status, out, "set over MQTT is not used" in told) == (0, "three SQL\n", True)


def test_it_tells_what_is_wrong_with_the_files_that_the_configuration_names(read: Read, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("- {say: SQL}")
    status, out, err = read("3 SQL", text={"pronunciations": str(tmp_path / "own.yaml")})
    assert (status, out) == (1, "three SQL\n")
    assert "own.yaml, line 1: needs `as`" in err
    assert len(err.splitlines()) == 1
    status, out, err = read("3 SQL", policies={"blocked": {"file": str(tmp_path / "absent.txt")}})
    assert (status, out) == (1, "three SQL\n")
    assert "absent.txt" in err


def test_a_text_that_the_pronunciations_drop_is_rejected(read: Read, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text('- {say: hm, as: ""}')
    status, out, _ = read("hm", text={"pronunciations": str(tmp_path / "own.yaml")})
    assert (status, out) == (1, "rejected: empty: text.pronunciations leaves nothing that can be spoken\n")


def test_it_leaves_figures_where_reading_out_is_off(read: Read) -> None:
    assert read("3  km", text={"normalise": False}) == (0, "3 km\n", "")


def test_an_unknown_voice_is_one_sentence(read: Read) -> None:
    status, out, err = read("hello", "--voice", "nobody")
    assert (status, out) == (1, "")
    assert "there is no voice 'nobody'" in err
