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


def formatted(message: object, *arguments: object, error: BaseException | None = None, private: bool = False) -> str:
    return LogFormatter("%(message)s", private=private).format(record(message, *arguments, error=error))


@pytest.mark.parametrize(
    "char",
    ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x1b", "\x9b", "\u202e", "\u2066", "\u200f"],
)
def test_no_character_starts_a_line_or_controls_a_terminal(char: str) -> None:
    line = formatted("line %s was skipped", f"a{char}<2>CRITICAL: forged")
    assert line == f"line a{repr(char)[1:-1]}<2>CRITICAL: forged was skipped"


@given(st.text(alphabet=st.characters()))
def test_every_record_is_one_printable_line(text: str) -> None:
    assert formatted("%s", text).isprintable()
    assert formatted(Untrusted(text)).isprintable()


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_a_traceback_is_indented_and_its_message_cannot_forge_a_line() -> None:
    error = raised(ValueError("bad\n<2>CRITICAL: forged"), raised(KeyError("the cause")))
    lines = formatted("a text could not be spoken", error=error).split("\n")
    assert lines[0] == "a text could not be spoken"
    assert all(line.startswith("    ") for line in lines[1:])
    assert lines[-1] == r"    ValueError: bad\n<2>CRITICAL: forged"
    assert any(line == "    KeyError: 'the cause'" for line in lines)
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
    assert lines[0] == "line (private) rejected volume=30"
    assert lines[1] == "the fallback voice speaks: SynthesisError"
    assert lines[-1].split("\n")[-1] == "    ValueError"


def test_a_private_log_still_says_what_is_wrong_with_the_appliance() -> None:
    assert formatted("%s", EngineError("no weights"), private=True) == "no weights"
    assert formatted("no file: %s", FileNotFoundError(2, "missing"), private=True) == "no file: [Errno 2] missing"
    assert formatted("worker %d: %s", 7, "killed", private=True) == "worker 7: killed"


def test_a_log_that_is_not_private_shows_untrusted_text() -> None:
    assert formatted("line %r %s", Untrusted("a"), Untrusted("b")) == "line 'a' b"


def test_visible_keeps_printable_text() -> None:
    assert visible("Grüße, 你好 🙂") == "Grüße, 你好 🙂"
    assert visible("a\x1b[31m\udc80") == r"a\x1b[31m\udc80"


def test_of_a_deep_traceback_the_first_and_the_last_frames_are_shown() -> None:
    def down(depth: int) -> None:
        (down if depth % 2 else up)(depth + 1)

    def up(depth: int) -> None:
        (down if depth % 2 else up)(depth + 1)

    with pytest.raises(RecursionError) as caught:
        down(0)
    lines = formatted("failed", error=caught.value).split("\n")
    assert "test_of_a_deep_traceback" in lines[1]
    assert any(re.fullmatch(r"      … \d+ more …", line) for line in lines)
    assert "in down" in lines[-3] or "in up" in lines[-3]
    assert len(lines) < 200


def test_a_terminal_gets_the_time_and_the_level() -> None:
    code = "from ishowtts.util import logs; import logging; logs.set_up('info', private=False); "
    code += "logging.getLogger('ishowtts.part').warning('a message')"
    # The variable of a parent whose standard error is the journal: that of the child is a pipe.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"], "JOURNAL_STREAM": "8:1"}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"[-0-9]+ [:,0-9]+ WARNING *a message\n", shown.stderr)


def test_a_second_call_changes_the_level_and_the_privacy(capfd: pytest.CaptureFixture[str]) -> None:
    code = """
import logging
from ishowtts.util import logs
log = logging.getLogger("ishowtts.part")
for level, private in (("info", False), ("warning", True), ("debug", False)):
    logs.set_up(level, private=private)
    log.debug("debug %s", logs.Untrusted("a"))
    log.info("info %s", logs.Untrusted("b"))
    log.warning("warning %s", logs.Untrusted("c"))
"""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    shown = [line.split(maxsplit=3)[3] for line in capfd.readouterr().err.splitlines()]
    assert shown == ["info b", "warning c", "warning (private)", "debug a", "info b", "warning c"]
