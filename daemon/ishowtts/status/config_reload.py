"""Compares the configuration file with the configuration in use, on SIGHUP (`systemctl reload`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ishowtts import config
from ishowtts.config import Config
from ishowtts.errors import ConfigError
from ishowtts.systemd import Notifier
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_IDLE_S = 3600.0
_MAX_CHANGES = 20  # log lines of one reload
_RESTART = "systemctl restart ishowtts"
_LIVE = "lists of blocked words, pronunciations, voices and chimes are read by themselves when their files change"


class ConfigReload(LoopThread):
    """The thread `reload`. It applies `log.level`, and says which other changes need a restart.

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
        self._path = path
        self._notifier = notifier
        self._read_configuration = read_configuration
        self._asked = False

    def ask(self) -> None:
        """Compare soon. Never blocks; a signal handler may call it."""
        self._asked = True
        self.wake()

    def run_once(self, last: bool) -> float:
        """Compare if somebody asked for it."""
        if self._asked and not last:
            self._asked = False
            self._notifier.reloading()
            try:
                self._compare()
            except Exception:
                # The boundary to a file that anybody may have broken: speech does not end for it.
                log.exception("the configuration could not be read again; the daemon goes on as before")
            finally:
                self._notifier.reloaded()
        return _IDLE_S

    def _compare(self) -> None:
        try:
            found = self._read_configuration(self._path)
        except ConfigError as error:
            for problem in error.problems:
                log.error("%s", problem)
            log.error("the configuration has faults: the daemon goes on with the one that it has")
            return
        for warning in found.warnings:
            log.warning("%s", warning)
        file = found.model_dump(mode="json")
        if file["log"]["level"] != self._in_use["log"]["level"]:
            self._in_use["log"]["level"] = file["log"]["level"]
            logging.getLogger("ishowtts").setLevel(found.log.level.upper())
            log.info("log.level is %s now", found.log.level)
        changed = list(_differences(self._in_use, file))
        for key in changed[:_MAX_CHANGES]:
            log.warning("%s has changed in %s: this needs a restart (%s)", key, self._path, _RESTART)
        if len(changed) > _MAX_CHANGES:
            log.warning("%d more keys have changed: they need a restart", len(changed) - _MAX_CHANGES)
        if not changed:
            log.info("%s has no change that needs a restart; %s", self._path, _LIVE)


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """The keys whose values differ, in the order of the file."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield key
        return
    for name in dict.fromkeys((*old, *new)):
        yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
