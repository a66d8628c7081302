"""`ishowtts history`: one row a line at any width, and every line can be found."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ishowtts.cli import history
from ishowtts.cli.main import main
from ishowtts.inbox import Inbox, InboxLimits, wait_for
from ishowtts.inbox.queue_types import HistoryEntry
from ishowtts.model import Arrival, Line, Outcome, Priority, Reason, Rejection

ESCAPES = "\x1b]0;owned\x07\x9b2J\u202e\u2028\x7f"
Capture = pytest.CaptureFixture[str]


class Kept:
    """A state folder with a queue that a test fills."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.yaml"
        self.config.write_text(json.dumps({"state_dir": str(folder)}))
        self.inbox = Inbox(folder / "inbox.sqlite", InboxLimits())

    def reject(self, payload: str, reason: Reason = Reason.BAD_JSON) -> None:
        rejection = Rejection("r", reason, f"the sentence about {reason.value}", sent=payload)
        wait_for(self.inbox.accept([Arrival(rejection)]))

    def speak(self, line: Line, **data: Any) -> None:
        wait_for(self.inbox.accept([Arrival(line)]))
        pending = self.inbox.take(Priority.LOW, ())
        taken = wait_for(pending.future)
        assert taken is not None
        wait_for(self.inbox.started(taken.seq, {}))
        known = {"engine": "espeak", "audio_s": 1.5, "rtf": 0.1, "ttfa_s": 0.25, "voice": "default"}
        wait_for(self.inbox.finish(taken.seq, Outcome.FINISHED, known | data, line.text.upper()))

    def show(self, capsys: Capture, *options: str) -> list[str]:
        assert main(["history", *options, "--config", str(self.config)]) == 0
        return capsys.readouterr().out.splitlines()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    kept.inbox.close()


def test_one_row_a_line_in_a_pipe_with_the_whole_text(kept: Kept, capsys: Capture) -> None:
    long = "The tea is ready. " * 20
    kept.speak(Line("a", long.strip()))
    kept.reject('{"text": ,\n}')
    title, spoken, rejected = kept.show(capsys)
    assert title.split() == ["time", "outcome", "reason", "text"]
    assert spoken.endswith(f"finished            {long.strip()}")
    assert rejected.split(maxsplit=3)[1:] == ["rejected", "bad_json", '{"text": ,\\n}']
    assert datetime.strptime(spoken.split()[0], "%H:%M:%S")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_one_row_a_line_in_a_terminal(kept: Kept, capsys: Capture, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    for number in range(5):
        kept.speak(Line(str(number), f"{number} " + "The tea is ready. " * 20))
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("ishowtts.cli.tables.sys.stdout.isatty", lambda: True)
    shown = kept.show(capsys)
    assert len(shown) == 6
    assert all(len(line) <= width and line.endswith("…") for line in shown[1:])
    details = kept.show(capsys, "-v")
    assert details[0] == shown[0]
    assert [line for line in details[1:] if not line.startswith("    ")] == shown[1:]
    assert all(len(line) <= width for line in details)
    assert details.count("    engine: espeak") == 5


def test_heard_lines_are_found_after_a_flood_of_rejections(kept: Kept, capsys: Capture) -> None:
    kept.speak(Line("a", "heard", author="Bob"))
    for number in range(30):
        kept.reject(f"no {number}")
    assert all("rejected" in line for line in kept.show(capsys)[1:])
    assert [line.split()[-1] for line in kept.show(capsys, "--heard")[1:]] == ["heard"]
    assert [line.split()[-1] for line in kept.show(capsys, "--author", "bob")[1:]] == ["heard"]
    assert [line.split()[-1] for line in kept.show(capsys, "--outcome", "finished,failed")[1:]] == ["heard"]
    assert len(kept.show(capsys, "--since", "15m", "-n", "99")) == 32
    assert kept.show(capsys, "--since", "2099-01-01") == ["no line of the history is like that"]
    assert kept.show(capsys, "--author", "nobody", "--json") == ["[]"]


def test_of_a_rejected_object_the_row_has_the_text_and_verbose_the_object(kept: Kept, capsys: Capture) -> None:
    sent = '{"text": "hello", "voice": "nobody"}'
    kept.reject(sent, Reason.UNKNOWN_VOICE)
    assert kept.show(capsys)[1].endswith("rejected  unknown_voice  hello")
    assert sent in kept.show(capsys, "-v")[1]
    assert json.loads("\n".join(kept.show(capsys, "--json")))[0]["sent"] == sent
    for odd in ("[1]", "3", "null", '{"text": 3}', '{"text": ""}', "{" * 400):
        kept.reject(odd)
        assert kept.show(capsys)[-1].endswith(odd)


def test_authors_have_a_column_if_a_line_has_one(kept: Kept, capsys: Capture) -> None:
    kept.speak(Line("a", "alone"))
    assert kept.show(capsys)[0].split() == ["time", "outcome", "text"]
    line = Line("b", "Zed says: bad", author="★Zed★", sent_text="bad")
    wait_for(kept.inbox.accept([Arrival(Rejection("b", Reason.RATE_LIMITED, "too many", line=line))]))
    sent = '{"text": "hi", "author": "Eve_99", "speed": 99}'
    wait_for(kept.inbox.accept([Arrival(Rejection("c", Reason.BAD_FIELD, "speed", sent=sent, author="Eve_99"))]))
    title, alone, limited, malformed = kept.show(capsys)
    assert title.split() == ["time", "outcome", "reason", "author", "text"]
    assert alone.split()[1:] == ["finished", "alone"]
    assert limited.split()[1:] == ["rejected", "rate_limited", "★Zed★", "bad"]
    assert malformed.split()[1:] == ["rejected", "bad_field", "Eve_99", "hi"]


def test_a_spoken_line_is_shown_as_spoken_and_a_rejected_one_as_sent(kept: Kept, capsys: Capture) -> None:
    changed = Line("a", "Bob says: see link", author="Bob", sent_text="see https://x.com")
    kept.speak(changed)
    limited = Rejection("b", Reason.RATE_LIMITED, "too many", line=replace(changed, id="b"))
    wait_for(kept.inbox.accept([Arrival(limited)]))
    spoken, rejected = kept.show(capsys)[1:]
    assert spoken.endswith("Bob     Bob says: see link")
    assert rejected.endswith("Bob     see https://x.com")
    assert "see https://x.com" in kept.show(capsys, "-v")[1]
    assert kept.show(capsys, "-v")[2].count("see https://x.com") == 1


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("Zed", "1 2"), ("zed", "1 2"), ("★Zed★", "1 2"), ("Eve 99", "3"), ("eve_99", "3"), ("EVE_99", "3"),
        ("ｚｅｄ", "1 2"), ("☃☃", "4"), ("☃", ""), ("Ze", ""), ("", ""), ("xX Bob Xx", "5"), ("%", ""),
    ],
)  # fmt: skip
def test_an_author_is_found_by_the_name_that_was_heard(kept: Kept, capsys: Capture, typed: str, found: str) -> None:
    for number, author in enumerate(["★Zed★", "Zed", "Eve_99", "☃☃", "xX_Bob_Xx"], 1):
        kept.speak(Line(str(number), str(number), author=author))
    shown = json.loads("\n".join(kept.show(capsys, "--author", typed, "--json")))
    assert " ".join(row["id"] for row in shown) == found


def test_rows_beyond_the_usual_number_are_shown_or_counted(kept: Kept, capsys: Capture) -> None:
    for number in range(21):
        kept.reject(f"no {number}")
    for options, rows, told in [
        ((), 20, "1 more line: -n 21\n"), (("--outcome", "rejected"), 20, "1 more line: -n 21\n"),
        (("--since", "10m"), 21, ""), (("--since", "10m", "-n", "5"), 5, ""), (("-n", "21"), 21, ""),
    ]:  # fmt: skip
        for as_json in (False, True):
            assert main(["history", *options, *["--json"] * as_json, "--config", str(kept.config)]) == 0
            out, err = capsys.readouterr()
            assert (len(json.loads(out)) if as_json else len(out.splitlines()) - 1, err) == (rows, told)
    for number in range(72):
        kept.reject(f"more {number}")
    assert main(["history", "--config", str(kept.config)]) == 0
    assert capsys.readouterr().err == "73 more lines: -n 93\n"


def test_json_has_words_utc_and_all_texts(kept: Kept, capsys: Capture) -> None:
    kept.speak(Line("a", "alice says: 3 kg", priority=Priority.LOW, author="alice", sent_text="3 kg", voice="x"))
    kept.reject("{")
    spoken, rejected = json.loads("\n".join(kept.show(capsys, "--json")))
    assert list(spoken) == [
        *("id", "ts", "heard_at", "ended_at", "outcome", "reason", "priority", "author", "voice", "sent", "text"),
        *("read", "data"),
    ]
    assert {name: spoken[name] for name in ("sent", "text", "read", "author", "priority", "voice", "reason")} == {
        "sent": "3 kg",
        "text": "alice says: 3 kg",
        "read": "ALICE SAYS: 3 KG",
        "author": "alice",
        "priority": "low",
        "voice": "default",
        "reason": None,
    }
    for name in ("ts", "heard_at", "ended_at"):
        assert abs(datetime.now(timezone.utc) - datetime.fromisoformat(spoken[name].replace("Z", "+00:00"))) < (
            timedelta(minutes=5)
        )
    assert (rejected["sent"], rejected["reason"], rejected["heard_at"], rejected["read"]) == (
        "{",
        "bad_json",
        None,
        None,
    )


def test_verbose_rows_have_the_rest(kept: Kept, capsys: Capture) -> None:
    kept.speak(Line("tea-2", "The tea.", author="Bob", sent_text="The tea!!!!!!!"), silent="muted", note="it was muted")
    title, row = kept.show(capsys, "-v")
    assert "first sound s" in title
    for word in ("muted", "normal", "default", "espeak", "1.50", "0.100", "0.25", "Bob", "tea-2", "The tea!!!!!!!"):
        assert word in row
    assert row.endswith("The tea.")


def test_follow_prints_each_line_when_it_has_ended(kept: Kept) -> None:
    kept.speak(Line("a", "before"))
    wait_for(kept.inbox.accept([Arrival(Line("b", "open"))]))
    # Tests that run in the background inherit an ignored SIGINT.
    program = ["env", "--default-signal=INT", sys.executable, "-m", "ishowtts"]
    command = [*program, "history", "--follow", "--config", str(kept.config)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        ExitStack() as stack,
    ):
        stack.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline().split() == ["time", "outcome", "reason", "author", "text"]
        assert process.stdout.readline().split()[1:] == ["finished", "before"]
        kept.reject("new")
        assert process.stdout.readline().split()[1:] == ["rejected", "bad_json", "new"]
        wait_for(kept.inbox.cancel_waiting("stop"))
        assert process.stdout.readline().split()[1:] == ["cancelled", "stop", "open"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


NOW = datetime(2026, 11, 30, 10, 0, 0).astimezone()


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("15m", datetime(2026, 11, 30, 9, 45)), ("2h", datetime(2026, 11, 30, 8)), ("3d", datetime(2026, 11, 27, 10)),
        ("90s", datetime(2026, 11, 30, 9, 58, 30)), ("1h30m", datetime(2026, 11, 30, 8, 30)),
        ("1w", datetime(2026, 11, 23, 10)), ("today", datetime(2026, 11, 30)),
        ("Yesterday", datetime(2026, 11, 29)), ("2H", datetime(2026, 11, 30, 8)),
        ("07:30", datetime(2026, 11, 30, 7, 30)), ("7:30", datetime(2026, 11, 30, 7, 30)),
        ("23:15", datetime(2026, 11, 29, 23, 15)), ("09:59:59", datetime(2026, 11, 30, 9, 59, 59)),
        ("2026-11-29", datetime(2026, 11, 29)), ("2026-11-29T07:30", datetime(2026, 11, 29, 7, 30)),
        ("2026-11-29 07:30:05", datetime(2026, 11, 29, 7, 30, 5)),
    ],
)  # fmt: skip
def test_times_since(written: str, moment: datetime) -> None:
    assert history.since(written, NOW) == moment.astimezone()


def test_a_time_with_a_zone_is_taken_as_it_is() -> None:
    assert history.since("2026-11-29T07:30:00Z", NOW) == datetime(2026, 11, 29, 7, 30, tzinfo=timezone.utc)
    assert history.since("2026-11-29T07:30:00+02:00", NOW) == datetime(2026, 11, 29, 5, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "written", ["", "15", "m", "25:00", "07:60", "tomorrow", "999999d" * 9, "999999d", "2026-13-01"]
)
def test_a_time_that_cannot_be_is_one_sentence(written: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a time; write 15m"):
        history.since(written, NOW)


def test_an_unknown_outcome_is_wrong_usage(kept: Kept, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["history", "--outcome", "spoken", "--config", str(kept.config)])
    assert "'spoken' is not an outcome; there are: finished, rejected" in capsys.readouterr().err


def entry(**fields: Any) -> HistoryEntry:
    known = {"id": "a", "ts": "2026-01-01T00:00:00Z", "text": "hello", "outcome": Outcome.FINISHED, "data": {}}
    return HistoryEntry(**{"priority": Priority.NORMAL, "voice": None, **known, **fields})


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, ""), ({"data": {"silent": "muted"}}, "muted"), ({"data": {"substituted_for": "f5"}}, "fallback"),
        ({"outcome": Outcome.REJECTED, "data": {"reason": "rate_limited"}}, "rate_limited"),
        ({"outcome": Outcome.CANCELLED, "data": {"by": "skip"}}, "skip"), ({"outcome": Outcome.EXPIRED}, "too_old"),
        ({"outcome": Outcome.EVICTED}, "queue_full"), ({"outcome": Outcome.MERGED, "data": {"into": "b"}}, "repeated"),
        ({"outcome": Outcome.FAILED, "data": {"error": "long"}}, "error"), ({"outcome": None}, ""),
    ],
)  # fmt: skip
def test_the_reason_is_one_word(fields: dict[str, Any], word: str) -> None:
    assert history.reason_of(entry(**fields)) == word


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ESCAPES, "ts": ESCAPES, "data": {"engine": ESCAPES, "detail": ESCAPES}},
        {"data": [1]}, {"data": "x"}, {"data": {"audio_s": "x", "rtf": 10**400, "detail": {"a": "[bold]"}}},
        {"text": "[bold red]", "ts": "[/nothing]"}, {"outcome": None, "text": "[bold]"},
        {"sent_text": ESCAPES, "author": ESCAPES, "heard_at": ESCAPES, "ended_wall_s": 1e300, "voice": ESCAPES},
        {"ended_wall_s": float("nan"), "heard_at": "9999-12-31T23:59:59Z"}, {"ended_wall_s": float("inf")},
    ],
)  # fmt: skip
def test_any_row_is_shown(kept: Kept, capsys: Capture, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]) -> None:
    monkeypatch.setattr("ishowtts.inbox.read_history", lambda *_: [entry(**fields)])
    for options in ((), ("-v",), ("--json",)):
        assert all(line.isprintable() for line in kept.show(capsys, *options))
