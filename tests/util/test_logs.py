"""Every log record is one line, and a private log hides what publishers wrote."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.errors import EngineError, SynthesisError
from ishowtts.util.logs import LogFormatter, Untrusted, visible


def record(message: object, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    raised = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("ishowtts", logging.WARNING, "", 0, message, arguments, raised)


def formatted(
    message: object, *arguments: object, error: BaseException | None = None, private: bool = False, journal: bool = True
) -> str:
    return LogFormatter("%(message)s", private=private, priorities=journal).format(
        record(message, *arguments, error=error)
    )


@pytest.mark.parametrize(
    "char",
    ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x1b", "\x9b", "\u202e", "\u2066", "\u200f"],
)
def test_no_character_starts_a_line_or_controls_a_terminal(char: str) -> None:
    line = formatted("line %s was skipped", f"a{char}<2>CRITICAL: forged")
    assert line == f"<4>line a{repr(char)[1:-1]}<2>CRITICAL: forged was skipped"


@given(st.text(alphabet=st.characters()))
def test_every_record_is_one_printable_line(text: str) -> None:
    for journal in (True, False):
        assert formatted("%s", text, journal=journal).isprintable()
        assert formatted(Untrusted(text), journal=journal).isprintable()


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_a_traceback_is_indented_and_its_message_cannot_forge_a_line() -> None:
    error = raised(ValueError("bad\n<2>CRITICAL: forged"), raised(KeyError("the cause")))
    lines = formatted("a text could not be spoken", error=error).split("\n")
    assert lines[0] == "<4>a text could not be spoken"
    assert all(line.startswith("<4>    ") for line in lines[1:])
    assert lines[-1] == r"<4>    ValueError: bad\n<2>CRITICAL: forged"
    assert any(line == "<4>    KeyError: 'the cause'" for line in lines)
    assert any("in raised" in line for line in lines)


def test_a_line_is_shorter_than_the_limit_of_journald() -> None:
    line = formatted("%s", "\u2028" * 100_000)
    assert len(line.encode()) < 48 * 1024
    assert line.endswith("…")


def test_a_private_log_hides_untrusted_text_and_errors_that_may_quote_it() -> None:
    lines = [
        formatted("line %r %s volume=%r", Untrusted("secret"), "rejected", 30, private=True),
        formatted("the fallback voice speaks: %s", SynthesisError("secret"), private=True),
        formatted("%s", ValueError("secret"), private=True),
        formatted(ValueError("secret"), private=True),
        formatted("failed", error=raised(ValueError("secret"), raised(SynthesisError("secret"))), private=True),
    ]
    assert not any("secret" in line for line in lines)
    assert lines[0] == "<4>line (private) rejected volume=30"
    assert lines[1] == "<4>the fallback voice speaks: SynthesisError"
    assert lines[-1].split("\n")[-1] == "<4>    ValueError"


def test_a_private_log_still_says_what_is_wrong_with_the_appliance() -> None:
    assert formatted("%s", EngineError("no weights"), private=True) == "<4>no weights"
    assert formatted("no file: %s", FileNotFoundError(2, "missing"), private=True) == "<4>no file: [Errno 2] missing"
    assert formatted("worker %d: %s", 7, "killed", private=True) == "<4>worker 7: killed"


def test_a_log_that_is_not_private_shows_untrusted_text() -> None:
    assert formatted("line %r %s", Untrusted("a"), Untrusted("b")) == "<4>line 'a' b"


def test_visible_keeps_printable_text() -> None:
    assert visible("Grüße, 你好 🙂") == "Grüße, 你好 🙂"
    assert visible("a\x1b[31m\udc80") == r"a\x1b[31m\udc80"


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)],
)
def test_the_journal_gets_the_priority_of_each_level_and_a_terminal_the_time(level: str, priority: int) -> None:
    code = "import sys; from ishowtts.util import logs; import logging; logs.set_up('debug', private=False); "
    code += f"logging.getLogger('ishowtts.part').{level}('a message')"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    shown = {}
    for name, more in {"journal": {"JOURNAL_STREAM": "8:1"}, "terminal": {}}.items():
        command = [sys.executable, "-c", code]
        shown[name] = subprocess.run(command, env=environment | more, capture_output=True, text=True, check=True).stderr
    assert shown["journal"] == f"<{priority}>a message\n"
    assert re.fullmatch(rf"[-0-9]+ [:,0-9]+ {level.upper()} *a message\n", shown["terminal"])
