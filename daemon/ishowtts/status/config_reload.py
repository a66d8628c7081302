"""Compares the configuration file with the configuration in use, on SIGHUP (`systemctl reload`) and on `reload`."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ishowtts import config
from ishowtts.config import Config
from ishowtts.config.schema import AlertsSection
from ishowtts.errors import CommandError, ConfigError
from ishowtts.systemd import Notifier
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_IDLE_S = 3600.0
_MIN_INTERVAL_S = 1.0  # a flood of `reload` must not keep a core busy: one takes 50 ms
_MAX_CHANGES = 20  # log lines of one reload
_MAX_ANSWERED = 5  # keys or faults in the answer to a command
_MAX_FAULT_CHARS = 300
_RESTART = "systemctl restart ishowtts"
_LIVE = "lists of blocked words, pronunciations, voices and chimes are read by themselves when their files change"


class ConfigReload(LoopThread):
    """The thread `reload`. It applies `log.level` and `alerts`, and says which other changes need a restart.

    Args:
        in_use: The configuration that the daemon was started with.
        path: Its file.
        read_configuration: Reads the file. Raises ConfigError.
    """

    def __init__(
        self,
        in_use: Config,
        path: Path,
        notifier: Notifier,
        read_configuration: Callable[[Path], Config] = config.load,
    ) -> None:
        super().__init__("reload")
        self._in_use = in_use.model_dump(mode="json")
        self._alerts = in_use.alerts
        self._path = path
        self._notifier = notifier
        self._read_configuration = read_configuration
        self._asked = False
        self._last_s = -math.inf
        self._lock = threading.Lock()  # for the next two
        self._answers: list[Future[str]] = []
        self._closed = False

    def alerts(self) -> AlertsSection:
        """The section `alerts` that holds now. Any thread may call."""
        return self._alerts

    def ask(self) -> None:
        """Compare soon. Never blocks; a signal handler may call it."""
        self._asked = True
        self.wake()

    def request(self) -> Future[str]:
        """Compare soon. Never blocks. The future gives a sentence, or raises CommandError if the file has faults."""
        answer: Future[str] = Future()
        with self._lock:
            if self._closed:
                answer.set_exception(CommandError("the daemon stops"))
                return answer
            self._answers.append(answer)
        self.ask()
        return answer

    def run_once(self, last: bool) -> float:
        """Compare if somebody asked for it, at most once a second."""
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
            sentence = self._compare()
        except CommandError as error:
            refused = error
            self._answer(lambda answer: answer.set_exception(refused))
        except Exception:
            # The boundary to a file that anybody may have broken: speech does not end for it.
            log.exception("the configuration could not be read again; the daemon goes on as before")
            unknown = CommandError("the configuration could not be read again; the daemon's log says more")
            self._answer(lambda answer: answer.set_exception(unknown))
        else:
            self._answer(lambda answer: answer.set_result(sentence))
        finally:
            self._notifier.reloaded()

    def _answer(self, give: Callable[[Future[str]], None]) -> None:
        with self._lock:
            answers, self._answers = self._answers, []
        for answer in answers:
            give(answer)

    def _compare(self) -> str:
        """Compare, log what was found, and return it in a sentence. Raises CommandError if the file has faults."""
        try:
            found = self._read_configuration(self._path)
        except ConfigError as error:
            for problem in error.problems:
                log.error("%s", problem)
            log.error("the configuration has faults: the daemon goes on with the one that it has")
            faults = [problem[:_MAX_FAULT_CHARS] for problem in error.problems]
            raise CommandError(f"the configuration has faults, so nothing is changed: {_first(faults)}") from error
        for warning in found.warnings:
            log.warning("%s", warning)
        file = found.model_dump(mode="json")
        applied = "".join(f"{sentence}; " for sentence in self._apply(found, file))
        changed = list(_differences(self._in_use, file))
        for key in changed[:_MAX_CHANGES]:
            log.warning("%s has changed in %s: this needs a restart (%s)", key, self._path, _RESTART)
        if len(changed) > _MAX_CHANGES:
            log.warning("%d more keys have changed: they need a restart", len(changed) - _MAX_CHANGES)
        if changed:
            return f"{applied}these keys have changed and need a restart ({_RESTART}): {_first(changed, ', ')}"
        log.info("%s has no change that needs a restart; %s", self._path, _LIVE)
        return f"{applied}no other key has changed" if applied else f"nothing has changed that needs a restart; {_LIVE}"

    def _apply(self, found: Config, file: dict[str, Any]) -> list[str]:
        """Apply what can change while the daemon runs. Returns a sentence for each key that has changed.

        Args:
            file: The same as `found`, as plain values.
        """
        changed = [key for key in _differences(self._in_use, file) if key == "log.level" or key.startswith("alerts.")]
        self._in_use["log"]["level"], self._in_use["alerts"] = file["log"]["level"], file["alerts"]
        self._alerts = found.alerts
        logging.getLogger("ishowtts").setLevel(found.log.level.upper())
        sentences = []
        for key in changed:
            section, _, name = key.partition(".")
            value = file[section][name]
            sentences.append(f"{key} is {value if isinstance(value, str) else f'{value:g}'} now")
            log.info("%s", sentences[-1])
        return sentences


def _first(sentences: Sequence[str], separator: str = "; ") -> str:
    """The first few, and the number of the others."""
    more = len(sentences) - _MAX_ANSWERED
    return separator.join(sentences[:_MAX_ANSWERED]) + (f"{separator}and {more} more" if more > 0 else "")


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """The keys whose values differ, in the order of the file."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield key
        return
    for name in dict.fromkeys((*old, *new)):
        yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
