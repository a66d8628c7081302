"""Reads the configuration again, on SIGHUP (`systemctl reload`) and on the command `reload`, and has it applied."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path, PurePath
from typing import Any

from ishowtts import config
from ishowtts.config import Config
from ishowtts.config.reload_table import TakesEffect, changes, takes_effect, with_reloaded
from ishowtts.errors import CommandError, ConfigError
from ishowtts.systemd import Notifier
from ishowtts.util.logs import log_fields, visible
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_IDLE_S = 3600.0
_MIN_INTERVAL_S = 1.0  # a flood of `reload` must not keep a core busy: one takes 50 ms
_MAX_CHANGES = 20  # log lines of one reload, for each kind of change
_MAX_ANSWERED = 5  # keys or faults in the answer to a command
_MAX_FAULT_CHARS = 300
_MAX_VALUE_CHARS = 80
_FIELDS = log_fields(event="reload")
_RESTART = "a restart (systemctl restart ishowtts)"
_RESTARTS = {
    TakesEffect.RESTART: _RESTART,
    TakesEffect.GATEWAY_RESTART: "a restart of the gateway (systemctl restart ishowtts-gateway)",
}
_LIVE = "lists of blocked words, pronunciations, voices and chimes are read by themselves when their files change"
_AS_BEFORE = "the daemon goes on with the former one"
_NOTE = "the configuration file was not applied, and the next start may refuse it; `sudo ishowtts check` says why"

Apply = Callable[[Config, Config], Mapping[str, str]]
"""Applies the second configuration instead of the first. Returns by key what a user should know about its new value.

Raises:
    CommandError: It cannot be applied. Nothing has changed.
"""


class ConfigReload(LoopThread):
    """The thread `reload`. It applies what can change while the daemon runs, and says what needs a restart.

    A file with a fault changes nothing at all.

    Args:
        in_use: The configuration that the daemon was started with.
        path: Its file.
        read_configuration: Reads the file. Raises ConfigError.

    Attributes:
        config: The configuration in use. Any thread may read it.
        apply: Set before `start`.
        note: What an operator should know until the next reload; `None` if the last one was applied.
    """

    def __init__(
        self,
        in_use: Config,
        path: Path,
        notifier: Notifier,
        read_configuration: Callable[[Path], Config] = config.load,
    ) -> None:
        super().__init__("reload")
        self.config = in_use
        self.apply: Apply = lambda _former, _config: {}
        self.note: str | None = None
        self._path = path
        self._notifier = notifier
        self._read_configuration = read_configuration
        self._asked = False
        self._last_s = -math.inf
        self._lock = threading.Lock()  # for the next two
        self._answers: list[Future[str]] = []
        self._closed = False

    def ask(self) -> None:
        """Reload soon. Never blocks; a signal handler may call it."""
        self._asked = True
        self.wake()

    def request(self) -> Future[str]:
        """Reload soon. Never blocks. The future gives sentences, or raises CommandError if nothing was changed."""
        answer: Future[str] = Future()
        with self._lock:
            if self._closed:
                answer.set_exception(CommandError("the daemon stops"))
                return answer
            self._answers.append(answer)
        self.ask()
        return answer

    def run_once(self, last: bool) -> float:
        """Reload if somebody asked for it, at most once a second."""
        if last:
            with self._lock:
                self._closed = True
            self._answer(lambda answer: answer.set_exception(CommandError("the daemon stops")))
        elif self._asked:
            wait_s = self._last_s + _MIN_INTERVAL_S - time.monotonic()
            if wait_s > 0:
                return wait_s
            self._reload()
            self._last_s = time.monotonic()
        return _IDLE_S

    def _reload(self) -> None:
        self._asked = False
        self._notifier.reloading()
        try:
            sentences = self._take_file()
        except CommandError as error:
            refused, self.note = error, _NOTE
            self._answer(lambda answer: answer.set_exception(refused))
        except Exception:
            # The boundary to a file that anybody may have broken: speech does not end for it.
            log.exception("the configuration could not be read again; the daemon goes on as before")
            self.note = _NOTE
            unknown = CommandError("the configuration could not be read again; the daemon's log says more")
            self._answer(lambda answer: answer.set_exception(unknown))
        else:
            self.note = None
            self._answer(lambda answer: answer.set_result(sentences))
        finally:
            self._notifier.reloaded()

    def _answer(self, give: Callable[[Future[str]], None]) -> None:
        with self._lock:
            answers, self._answers = self._answers, []
        for answer in answers:
            give(answer)

    def _take_file(self) -> str:
        """Apply the file, log what has changed, and return it in sentences. Raises CommandError if nothing changes."""
        found = self._read()
        for warning in found.warnings:
            log.warning("%s", warning, extra=_FIELDS)
        former, new = self.config, with_reloaded(self.config, found)
        applied = list(changes(former, new))
        try:
            notes = self.apply(former, new) if applied else {}
        except CommandError as error:
            log.error("%s", error, extra=_FIELDS)
            log.error("the configuration cannot be applied: %s", _AS_BEFORE, extra=_FIELDS)
            raise CommandError(f"nothing is changed: {error}") from error
        except Exception as error:
            log.exception("the configuration may have been applied only in part")
            raise CommandError(f"the configuration may have been applied only in part; it needs {_RESTART}") from error
        self.config = new
        told = [_sentence(key, value, notes.get(key)) for key, _, value in applied]
        _log_some(logging.INFO, told)
        waiting: dict[TakesEffect, list[str]] = {TakesEffect.RESTART: [], TakesEffect.GATEWAY_RESTART: []}
        for key, _, _ in changes(new, found):
            waiting[takes_effect(key)].append(key)
        for effect, keys in waiting.items():
            _log_some(
                logging.WARNING,
                [f"{key} has changed in {self._path}: this needs {_RESTARTS[effect]}" for key in keys],
            )
        if not told and not any(waiting.values()):
            log.info("%s has no change; %s", self._path, _LIVE, extra=_FIELDS)
            return f"nothing has changed; {_LIVE}"
        answer = [_first(told)] if told else []
        for effect, keys in waiting.items():
            if keys:
                answer.append(f"these keys have changed and need {_RESTARTS[effect]}: {_first(keys, ', ')}")
        return "; ".join(answer)

    def _read(self) -> Config:
        """The configuration of the file. Raises CommandError with its faults, which are logged."""
        try:
            return self._read_configuration(self._path)
        except ConfigError as error:
            _log_some(logging.ERROR, error.problems)
            log.error("the configuration has faults: %s", _AS_BEFORE, extra=_FIELDS)
            faults = [problem[:_MAX_FAULT_CHARS] for problem in error.problems]
            raise CommandError(f"the configuration has faults, so nothing is changed: {_first(faults)}") from error


def _log_some(level: int, sentences: Sequence[str]) -> None:
    for sentence in sentences[:_MAX_CHANGES]:
        log.log(level, "%s", sentence, extra=_FIELDS)
    if (more := len(sentences) - _MAX_CHANGES) > 0:
        log.log(level, "and %d more, as `sudo ishowtts check` shows", more, extra=_FIELDS)


def _first(sentences: Sequence[str], separator: str = "; ") -> str:
    """The first few, and the number of the others."""
    more = len(sentences) - _MAX_ANSWERED
    return separator.join(sentences[:_MAX_ANSWERED]) + (f"{separator}and {more} more" if more > 0 else "")


def _sentence(key: str, value: Any, note: str | None) -> str:
    """What a key is now. Of a list only the length is told: a blocked word, or the name of an author, is private."""
    if isinstance(value, (list, dict)):
        told = f"{key} has {len(value)} {'entry' if len(value) == 1 else 'entries'} now"
    else:
        told = f"{key} is {_written(value)} now"
    return f"{told} ({note})" if note else told


def _written(value: Any) -> str:
    """A value as YAML writes it, shortened."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:.10g}"
    text = visible(str(value))
    shown = text if len(text) <= _MAX_VALUE_CHARS else f"{text[: _MAX_VALUE_CHARS - 1]}…"
    return shown if isinstance(value, PurePath) or shown.isidentifier() else repr(shown)
