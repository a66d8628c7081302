"""Records reach journald with fields that nobody can forge, and a journald that hangs stops nothing."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.util.journald import JournalSocket, StderrStream, encode
from ishowtts.util.logs import JournalHandler, LogFormatter, Untrusted, log_fields
from support.journald_server import NativeSocket, RealJournald, missing_journald, read_record
from support.waiting import eventually


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[NativeSocket]:
    server = NativeSocket(tmp_path / "socket")
    yield server
    server.close()


@dataclass
class Stderr:
    """A standard error of a service: what is written to `fd` can be read."""

    fd: int
    reader: socket.socket

    def lines(self) -> list[str]:
        """Takes the lines that have arrived."""
        try:
            return self.reader.recv(1 << 20, socket.MSG_DONTWAIT).decode().splitlines()
        except BlockingIOError:
            return []


@pytest.fixture
def stderr() -> Iterator[Stderr]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Stderr(ours.fileno(), theirs)


def handler(
    path: str, stderr: Stderr, *, private: bool = False, stall_s: float = 0.05, engine: str | None = None
) -> JournalHandler:
    layout = LogFormatter("%(message)s", private=private)
    fields = {"ISHOWTTS_ENGINE": engine} if engine else {}
    return JournalHandler(layout, fields, to_journald=JournalSocket(path, stall_s), to_stderr=StderrStream(stderr.fd))


def say(to: JournalHandler, message: str, *arguments: object, level: int = logging.WARNING, **fields: object) -> None:
    made = logging.LogRecord("ishowtts.part", level, "/code/part.py", 7, message, arguments, None, "spoken")
    made.__dict__.update(log_fields(**fields))  # type: ignore[arg-type]
    to.handle(made)


values = st.text(st.one_of(st.sampled_from("\n=\0"), st.characters()), max_size=20)


@given(st.lists(st.tuples(st.sampled_from(["MESSAGE", "ISHOWTTS_LINE_ID", "X"]), values), max_size=5))
def test_no_value_becomes_another_field(fields: list[tuple[str, str]]) -> None:
    found = read_record(encode(fields))
    expected: dict[str, list[str]] = {}
    for name, value in fields:
        expected.setdefault(name, []).append(value.encode("utf-8", "backslashreplace").decode())
    assert found == expected


def test_a_record_has_the_fields_by_which_it_is_found(journal: NativeSocket, stderr: Stderr) -> None:
    to = handler(journal.path, stderr)
    say(to, "done %s", 3, event="finished", outcome="finished", line_id="tea-2", engine=("hibari", "f5"), count=2)
    [found] = journal.records()
    assert found.pop("THREAD_NAME") == ["MainThread"]
    assert found == {
        "MESSAGE": ["done 3"],
        "PRIORITY": ["4"],
        "SYSLOG_IDENTIFIER": ["ishowtts"],
        "LOGGER": ["ishowtts.part"],
        "CODE_FILE": ["/code/part.py"],
        "CODE_LINE": ["7"],
        "CODE_FUNC": ["spoken"],
        "ISHOWTTS_EVENT": ["finished"],
        "ISHOWTTS_OUTCOME": ["finished"],
        "ISHOWTTS_LINE_ID": ["tea-2"],
        "ISHOWTTS_ENGINE": ["hibari", "f5"],
        "ISHOWTTS_COUNT": ["2"],
    }
    to.close()
    assert stderr.lines() == []


@pytest.mark.parametrize(
    ("level", "priority"),
    [("DEBUG", "7"), ("INFO", "6"), ("WARNING", "4"), ("ERROR", "3"), ("CRITICAL", "2")],
)
def test_each_level_has_its_priority(
    level: str, priority: str, journal: NativeSocket, stderr: Stderr, tmp_path: Path
) -> None:
    for path in (journal.path, str(tmp_path / "absent")):
        to = handler(path, stderr)
        say(to, "a message", level=logging.getLevelName(level))
        to.close()
    assert [found["PRIORITY"] for found in journal.records()] == [[priority]]
    assert stderr.lines() == [f"<{priority}>a message"]


def test_foreign_values_can_forge_neither_a_field_nor_a_line(journal: NativeSocket, stderr: Stderr) -> None:
    to = handler(journal.path, stderr)
    forged = "a\nPRIORITY=0\n\0ISHOWTTS_EVENT=command"
    say(to, "%s", forged, line_id=forged, voice=forged, reason="x" * 1000)
    say(to, "%s", "y" * 1_000_000)
    to.close()
    first, second = journal.records()
    escaped = r"a\nPRIORITY=0\n\x00ISHOWTTS_EVENT=command"
    assert first["MESSAGE"] == first["ISHOWTTS_LINE_ID"] == first["ISHOWTTS_VOICE"] == [escaped]
    assert first["PRIORITY"] == ["4"]
    assert "ISHOWTTS_EVENT" not in first
    assert len(first["ISHOWTTS_REASON"][0]) < 300
    assert 8000 <= len(second["MESSAGE"][0]) < 8010


def test_a_private_log_has_no_field_that_a_publisher_wrote(journal: NativeSocket, stderr: Stderr) -> None:
    to = handler(journal.path, stderr, private=True)
    say(to, "%s", Untrusted("secret"), event="rejected", line_id="secret", voice="secret", reason="bad_json")
    to.close()
    [found] = journal.records()
    assert "secret" not in str(found)
    assert found["MESSAGE"] == ["(private)"]
    assert (found["ISHOWTTS_EVENT"], found["ISHOWTTS_REASON"]) == (["rejected"], ["bad_json"])


def test_a_traceback_is_part_of_its_record(journal: NativeSocket, stderr: Stderr) -> None:
    to = handler(journal.path, stderr, engine="f5")
    try:
        raise ValueError("bad\n<0>forged")
    except ValueError as error:
        to.handle(logging.LogRecord("ishowtts", 50, "", 0, "it failed", (), (ValueError, error, error.__traceback__)))
    to.close()
    [found] = journal.records()
    shown = found["MESSAGE"][0].split("\n")
    assert shown[0] == "it failed"
    assert shown[-1] == r"    ValueError: bad\n<0>forged"
    assert found["ISHOWTTS_ENGINE"] == ["f5"]
    assert "CODE_FILE" not in found


def test_without_journald_the_lines_go_to_standard_error(stderr: Stderr, tmp_path: Path) -> None:
    to = handler(str(tmp_path / "absent"), stderr)
    say(to, "one")
    with NativeSocket(tmp_path / "absent").opened() as journal:
        say(to, "two")
        assert [found["MESSAGE"] for found in journal.records()] == [["two"]], "it is found when it comes"
    say(to, "three")
    to.close()
    assert stderr.lines() == ["<4>one", "<4>three"]


def test_a_journald_that_hangs_is_waited_for_once(journal: NativeSocket, stderr: Stderr) -> None:
    to = handler(journal.path, stderr, stall_s=0.2)
    began_s = time.monotonic()
    for number in range(5000):
        say(to, "%d %s", number, "x" * 1000)
    assert 0.2 <= time.monotonic() - began_s < 60, "5000 waits would take 1000 s"
    taken = [found["MESSAGE"][0] for found in journal.records()]
    written = stderr.lines()
    assert taken[0].startswith("0 ")
    assert written, "standard error takes some more"
    lost = 5000 - len(taken) - sum(line.endswith("x" * 1000) for line in written)
    say(to, "it is back")
    to.close()
    assert [found["MESSAGE"][0] for found in journal.records()] == [
        f"{lost} log records were lost: journald did not take more",
        "it is back",
    ]


def test_after_a_line_that_was_cut_the_next_one_begins_a_new_line(stderr: Stderr) -> None:
    to = StderrStream(stderr.fd)
    while to.write("x" * 100_000):
        pass
    stderr.lines()
    assert to.write("<4>whole")
    to.close()
    assert stderr.lines() == ["", "<4>whole"]


def test_a_closed_handler_is_silent(journal: NativeSocket, stderr: Stderr) -> None:
    to = handler(journal.path, stderr)
    to.close()
    say(to, "a message")
    assert journal.records() == []
    assert stderr.lines() == []


_SETTING = """
import logging, sys, threading
from ishowtts.util import journald
journald.JournalSocket.__init__.__defaults__ = (sys.argv[1], 0.5)
from ishowtts.util import logs
"""
_SERVICE = """
logs.tell("a setting is wrong\\nin two ways")
logs.set_up("info", private=False)
logging.getLogger("ishowtts.part").info("tea", extra=logs.log_fields(event="accepted", line_id="tea-2"))
logging.getLogger("ishowtts_gateway").warning("of the gateway")
raise ValueError("unexpected")
"""
_WORKER = """
logs.set_up_worker("f5")
logging.getLogger("torch").warning("a library warns")
thread = threading.Thread(target=lambda: 1 / 0, name="wire-reader")
thread.start()
thread.join()
sys.exit(1)
"""


def run_as_service(path: str, stream: int, program: str = _SERVICE) -> None:
    """Runs a program whose standard error is a stream of journald."""
    found = os.fstat(stream)
    environment = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PATH": os.environ["PATH"],
        "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}",
    }
    command = [sys.executable, "-c", _SETTING + program, path]
    assert subprocess.run(command, env=environment, stderr=stream, check=False).returncode == 1


def test_a_program_whose_standard_error_is_the_journal_logs_with_fields(journal: NativeSocket, stderr: Stderr) -> None:
    run_as_service(journal.path, stderr.fd)
    assert stderr.lines() == ["<3>a setting is wrong", "<3>in two ways"]
    found = journal.records()
    assert [(each["PRIORITY"][0], each["MESSAGE"][0].split("\n")[0]) for each in found] == [
        ("6", "tea"),
        ("4", "of the gateway"),
        ("2", "the process ends with an exception"),
    ]
    assert found[0]["ISHOWTTS_LINE_ID"] == ["tea-2"]


def test_each_entry_of_a_worker_names_its_engine(journal: NativeSocket, stderr: Stderr) -> None:
    run_as_service(journal.path, stderr.fd, _WORKER)
    assert stderr.lines() == []
    library, thread = journal.records()
    assert library["ISHOWTTS_ENGINE"] == thread["ISHOWTTS_ENGINE"] == ["f5"]
    assert (library["MESSAGE"], library["PRIORITY"]) == (["f5 worker: torch: a library warns"], ["4"])
    assert thread["MESSAGE"][0].startswith("f5 worker: ishowtts: the thread wire-reader ended with an exception\n    ")
    assert thread["PRIORITY"] == ["2"]


def test_the_page_for_operators_lists_every_field() -> None:
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    _, _, rest = page.partition("\n## Logs\n")
    [fields] = log_fields(event="accepted").values()
    assert set(re.findall("ISHOWTTS_[A-Z_]+", rest.partition("\n## ")[0])) == set(fields)


@pytest.fixture(scope="module")
def real_journald(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealJournald]:
    if (why := missing_journald()) is not None:
        pytest.skip(why)
    with RealJournald(tmp_path_factory.mktemp("journald")) as journald:
        yield journald


def test_journalctl_finds_the_records_by_their_fields(real_journald: RealJournald) -> None:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with stream:
        stream.connect(str(real_journald.stdout))
        stream.sendall(b"ishowtts\n\n6\n1\n0\n0\n0\n")  # identifier, unit, priority, whether lines have priorities, …
        run_as_service(str(real_journald.socket), stream.fileno())
    eventually(lambda: real_journald.find("PRIORITY=2"), "the last record")
    [found] = real_journald.find("ISHOWTTS_LINE_ID=tea-2", "ISHOWTTS_EVENT=accepted")
    assert found["MESSAGE"] == "tea"
    assert found["_TRANSPORT"] == "journal"
    assert real_journald.find("ISHOWTTS_EVENT=rejected") == []


def test_the_real_journald_keeps_every_value_as_it_is(real_journald: RealJournald) -> None:
    to = JournalSocket(str(real_journald.socket))
    strange = {"ISHOWTTS_LINE_ID": "strange", "MESSAGE": "a\nPRIORITY=0\n\0ISHOWTTS_EVENT=command", "X": "x" * 150_000}
    assert to.send(encode(strange.items()))
    to.close()
    eventually(lambda: real_journald.find("ISHOWTTS_LINE_ID=strange"))
    [found] = real_journald.find("ISHOWTTS_LINE_ID=strange")
    assert bytes(found["MESSAGE"]).decode() == strange["MESSAGE"], "journalctl prints a value with NUL as bytes"
    assert found["X"] == strange["X"]
    assert "ISHOWTTS_EVENT" not in found
    assert "PRIORITY" not in found


def test_if_the_real_journald_hangs_no_call_waits_for_it(real_journald: RealJournald, stderr: Stderr) -> None:
    to = handler(str(real_journald.socket), stderr)
    real_journald.pause()
    began_s = time.monotonic()
    for number in range(1000):
        say(to, "%d %s", number, "x" * 1000)
    assert time.monotonic() - began_s < 25, "1000 waits would take 50 s"
    real_journald.resume()

    def is_back() -> bool:
        say(to, "it is back", line_id="back")
        return bool(real_journald.find("ISHOWTTS_LINE_ID=back"))

    eventually(is_back)
    to.close()
    assert any("log records were lost" in str(found["MESSAGE"]) for found in real_journald.find())
