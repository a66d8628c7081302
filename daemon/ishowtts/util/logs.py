"""The format of the log: one line for each record. If `log.private` is set, it hides what publishers wrote."""

from __future__ import annotations

import copy
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator

_SYSLOG = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
_PRIVATE = "ISHOWTTS_LOG_PRIVATE"  # for the worker process, which reads no configuration
# journald splits lines at 48 KiB, and would look for a priority at the start of the rest.
_MAX_CHARS = 8000
_MAX_CAUSES = 8


class Untrusted:
    """Wraps an argument of a log call that a publisher wrote. It is hidden if `log.private` is set."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return str(self._value)

    def __repr__(self) -> str:
        return repr(self._value)


class _Hidden:
    """Replaces what a private log hides."""

    def __repr__(self) -> str:
        return "(private)"


def visible(text: str) -> str:
    """Makes foreign text safe for a terminal or a log: escapes control, format, bidi and line separator characters."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class LogFormatter(logging.Formatter):
    """Formats records so that no text in them can start a new line of the log.

    Args:
        layout: The format of `logging.Formatter`.
        private: Hide `Untrusted` arguments, and the messages of exceptions that may quote a line.
        priorities: Begin each line with its syslog priority, as in `<4>message` (sd-daemon(3)).
    """

    def __init__(self, layout: str, *, private: bool = False, priorities: bool = False) -> None:
        super().__init__(layout)
        self.private = private
        self._priorities = priorities

    def format(self, record: logging.LogRecord) -> str:
        """Formats the record as one line. The lines of a traceback follow, indented."""
        bare = copy.copy(record)
        bare.exc_info = bare.exc_text = bare.stack_info = None
        if self.private:
            if isinstance(record.args, tuple):
                bare.args = tuple(_shown(value) for value in record.args)
            bare.msg = _shown(record.msg)
        lines = [super().format(bare)]
        if record.exc_info and record.exc_info[1] is not None:
            lines += (f"    {line}" for line in self._traceback(record.exc_info[1]))
        start = f"<{_SYSLOG.get(record.levelno, 6)}>" if self._priorities else ""
        return "\n".join(start + _clipped(visible(line)) for line in lines)

    def _traceback(self, error: BaseException) -> Iterator[str]:
        chain = [error]
        while (cause := _cause(chain[-1])) is not None and len(chain) < _MAX_CAUSES:
            chain.append(cause)
        for one in reversed(chain):
            for entry in traceback.format_tb(one.__traceback__):
                yield from entry.rstrip("\n").split("\n")
            yield type(one).__name__ if self.private else f"{type(one).__name__}: {one}"


def set_up(level: str, *, private: bool) -> None:
    """Sends the package's log to standard error: with priorities for the journal, with times for a terminal.

    Also logs threads that end with an exception. The worker process inherits `private`.
    """
    os.environ[_PRIVATE] = str(int(private))
    journal = "JOURNAL_STREAM" in os.environ
    text = "%(message)s" if journal else "%(asctime)s %(levelname)-8s %(message)s"
    handler = _handler(LogFormatter(text, private=private, priorities=journal))
    for name in ("ishowtts", "ishowtts_gateway"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level.upper())
    threading.excepthook = _log_thread


def set_up_worker(kind: str) -> None:
    """Sends all logs of a worker process to standard error, as private as those of the daemon.

    Args:
        kind: Name of its engine; each line begins with it.
    """
    text = f"{kind} worker: " + "%(levelname)s: %(name)s: %(message)s"
    formatter = LogFormatter(text, private=is_private(), priorities="JOURNAL_STREAM" in os.environ)
    logging.basicConfig(level=logging.INFO, handlers=[_handler(formatter)])


def set_private(private: bool) -> None:
    """Hides from now on what publishers wrote, or shows it. Child processes that start later inherit it."""
    os.environ[_PRIVATE] = str(int(private))
    for name in ("", "ishowtts", "ishowtts_gateway"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler.formatter, LogFormatter):
                handler.formatter.private = private


def is_private() -> bool:
    """Whether the log of this process hides what publishers wrote."""
    return os.environ.get(_PRIVATE) == "1"


def _handler(formatter: logging.Formatter) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    return handler


def _shown(value: object) -> object:
    """Returns an argument of a log call as a private log shows it."""
    if isinstance(value, Untrusted):
        return _Hidden()
    if isinstance(value, BaseException) and getattr(value, "quotes_publisher", not isinstance(value, OSError)):
        return type(value).__name__
    return value


def _cause(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _clipped(line: str) -> str:
    return line if len(line) <= _MAX_CHARS else f"{line[:_MAX_CHARS]}…"


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    name = ended.thread.name if ended.thread is not None else "?"
    error = ended.exc_value
    logging.getLogger("ishowtts").critical("the thread %s ended with an exception", name, exc_info=error)
