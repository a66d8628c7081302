"""The log: lines for a terminal or a file, records with fields for journald.

If `log.private` is set, it hides what publishers wrote.
"""

from __future__ import annotations

import copy
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from types import TracebackType

from ishowtts.util import journald

_SYSLOG = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
_PRIVATE = "ISHOWTTS_LOG_PRIVATE"  # for the worker process, which reads no configuration
# journald splits lines of standard error at 48 KiB, and would look for a priority at the start of the rest.
_MAX_CHARS = 8000
_MAX_CAUSES = 8
# Of a traceback: the first frames say which thread it was, the last ones what failed. A datagram has 200 KiB at most.
_FIRST_FRAMES = 10
_LAST_FRAMES = 40
_MAX_FIELD_CHARS = 256
_FIELDS = "journal_fields"
_IDENTIFIER = "ishowtts"  # as systemd names what the program prints


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
    """

    def __init__(self, layout: str, *, private: bool = False) -> None:
        super().__init__(layout)
        self.private = private

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
        return "\n".join(_clipped(visible(line), _MAX_CHARS) for line in lines)

    def _traceback(self, error: BaseException) -> Iterator[str]:
        chain = [error]
        while (cause := _cause(chain[-1])) is not None and len(chain) < _MAX_CAUSES:
            chain.append(cause)
        for one in reversed(chain):
            for entry in _frames(one):
                yield from entry.rstrip("\n").split("\n")
            yield type(one).__name__ if self.private else f"{type(one).__name__}: {one}"


class JournalHandler(logging.Handler):
    """Sends records to journald with fields. If journald does not take one, it is written to standard error.

    Args:
        formatter: Makes the message, and says whether the log is private.
        fields: Fields of every record, besides those of `log_fields`.
        to_journald: Where records go.
        to_stderr: Where records go that journald does not take.
    """

    def __init__(
        self,
        formatter: LogFormatter,
        fields: Mapping[str, str],
        *,
        to_journald: journald.JournalSocket,
        to_stderr: journald.StderrStream,
    ) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._log_format = formatter
        self._fields = [("SYSLOG_IDENTIFIER", _IDENTIFIER), *fields.items()]
        self._to_journald = to_journald
        self._to_stderr = to_stderr
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record. If others before it were lost, send their number first."""
        try:
            message, priority = self.format(record), _SYSLOG.get(record.levelno, 6)
            fields = [*self._fields, *self._fields_of(record)]
        except Exception:
            self.handleError(record)
            return
        if self._lost and self._send(_lost_sentence(self._lost), _SYSLOG[logging.WARNING], self._fields):
            self._lost = 0
        self._lost += not self._send(message, priority, fields)

    def close(self) -> None:
        """Close the sockets."""
        super().close()
        self._to_journald.close()
        self._to_stderr.close()

    def _send(self, message: str, priority: int, fields: list[tuple[str, str]]) -> bool:
        if self._to_journald.send(journald.encode([("MESSAGE", message), ("PRIORITY", str(priority)), *fields])):
            return True
        return self._to_stderr.write("\n".join(f"<{priority}>{line}" for line in message.split("\n")))

    def _fields_of(self, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
        found: dict[str, object] = {"LOGGER": record.name, "THREAD_NAME": record.threadName}
        if record.lineno:
            found |= {"CODE_FILE": record.pathname, "CODE_LINE": record.lineno, "CODE_FUNC": record.funcName}
        found |= getattr(record, _FIELDS, {})
        for name, value in found.items():
            for one in value if isinstance(value, tuple) else (value,):
                if one not in (None, "") and not (self._log_format.private and isinstance(one, Untrusted)):
                    yield name, _clipped(visible(str(one)), _MAX_FIELD_CHARS)


def log_fields(
    *,
    event: str | None = None,
    outcome: str | None = None,
    line_id: str | None = None,
    engine: str | tuple[str, ...] | None = None,
    voice: str | None = None,
    reason: str | None = None,
    command: str | None = None,
    alert: str | None = None,
    count: int | None = None,
) -> dict[str, dict[str, object]]:
    """Returns fields of a record in the journal, as the argument `extra` of a log call.

    Args:
        event: What happened, as in the events of the contract: `accepted`, `finished`, `command`, …
        outcome: How it ended: the outcome of a line or of a render; `executed` or `refused` for a command.
        line_id: The id of the line. A publisher may have chosen it, so a private log leaves it out.
        engine: The engine that spoke, or that the record is about. If there are several, the field comes several times.
        voice: The voice. A publisher may have named it, so a private log leaves it out.
        reason: Why, as a word of the contract.
        command: The command, as a word of the contract.
        alert: The alert, as a word of the contract.
        count: How many lines the record is about, if it sums up several.
    """
    return {
        _FIELDS: {
            "ISHOWTTS_EVENT": event,
            "ISHOWTTS_OUTCOME": outcome,
            "ISHOWTTS_LINE_ID": line_id and Untrusted(line_id),
            "ISHOWTTS_ENGINE": engine,
            "ISHOWTTS_VOICE": voice and Untrusted(voice),
            "ISHOWTTS_REASON": reason,
            "ISHOWTTS_COMMAND": command,
            "ISHOWTTS_ALERT": alert,
            "ISHOWTTS_COUNT": count,
        }
    }


def set_up(level: str, *, private: bool) -> None:
    """Sends the package's log to the journal or to standard error. A later call changes level and privacy.

    Also logs exceptions that end a thread or the process. Worker processes that start later inherit `private`.
    """
    set_private(private)
    package, gateway = logging.getLogger("ishowtts"), logging.getLogger("ishowtts_gateway")
    present = any(isinstance(handler.formatter, LogFormatter) for handler in package.handlers)
    handler = None if present else _handler("", private=private)
    for logger in (package, gateway):
        if handler is not None:
            logger.addHandler(handler)
        logger.setLevel(level.upper())
    threading.excepthook, sys.excepthook = _log_thread, _log_process


def set_up_worker(kind: str) -> None:
    """Sends all logs of a worker process to the journal or to standard error, as private as those of the daemon.

    Args:
        kind: Name of its engine; each line begins with it.
    """
    handler = _handler(f"{kind} worker: ", private=is_private(), engine=kind)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    threading.excepthook, sys.excepthook = _log_thread, _log_process


def tell(text: str, level: int = logging.ERROR) -> None:
    """Writes a message of a command to standard error, with control characters escaped; in the journal with its level.

    It does not go to journald's socket: if a process ends at once, journald no longer finds the unit of a datagram.

    Args:
        text: It may have several lines.
    """
    start = f"<{_SYSLOG[level]}>" if journald.is_stderr() else ""
    print("\n".join(start + visible(line) for line in text.split("\n")), file=sys.stderr, flush=True)


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


def _handler(start: str, *, private: bool, engine: str | None = None) -> logging.Handler:
    """Makes the handler for the standard error that this process has."""
    handler: logging.Handler
    if journald.is_stderr():
        names = "%(name)s: " if engine else ""
        fields = {"ISHOWTTS_ENGINE": engine} if engine else {}
        handler = JournalHandler(
            LogFormatter(f"{start}{names}%(message)s", private=private),
            fields,
            to_journald=journald.JournalSocket(),
            to_stderr=journald.StderrStream(sys.stderr.fileno()),
        )
    else:
        layout = "%(levelname)s: %(name)s: %(message)s" if engine else "%(asctime)s %(levelname)-8s %(message)s"
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(LogFormatter(f"{start}{layout}", private=private))
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


def _frames(error: BaseException) -> list[str]:
    entries = traceback.format_tb(error.__traceback__)
    more = len(entries) - _FIRST_FRAMES - _LAST_FRAMES
    if more <= 0:
        return entries
    return [*entries[:_FIRST_FRAMES], f"  … {more} more …", *entries[-_LAST_FRAMES:]]


def _clipped(line: str, most_chars: int) -> str:
    return line if len(line) <= most_chars else f"{line[:most_chars]}…"


def _lost_sentence(count: int) -> str:
    records = "log record was" if count == 1 else "log records were"
    return f"{count} {records} lost: journald did not take more"


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    name = ended.thread.name if ended.thread is not None else "?"
    error = ended.exc_value
    logging.getLogger("ishowtts").critical("the thread %s ended with an exception", name, exc_info=error)


def _log_process(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, frames)
    else:
        logging.getLogger("ishowtts").critical("the process ends with an exception", exc_info=error)
