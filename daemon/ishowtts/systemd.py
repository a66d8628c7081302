"""What the daemon tells systemd; nothing to do where systemd does not listen."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from typing import Any

from ishowtts.util.logs import visible

log = logging.getLogger(__name__)


def _sd_notify() -> Callable[..., Any] | None:
    """systemd-python's `notify`; `None` without the package.

    In a checkout the folder systemd/ can be found in its place: it has no module `daemon`.
    """
    try:
        notify: Callable[..., Any] = importlib.import_module("systemd.daemon").notify
    except ImportError:
        return None
    return notify


class Notifier:
    """READY, STATUS, WATCHDOG, RELOADING, STOPPING over NOTIFY_SOCKET."""

    def __init__(self) -> None:
        self._notify = _sd_notify() if os.environ.get("NOTIFY_SOCKET") else None

    def ready(self, status: str) -> None:
        """The appliance works."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={_line(status)}")

    def watchdog(self) -> None:
        """Still well."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """The configuration is read again; `ready` ends it."""
        self._send("RELOADING=1")

    def stopping(self) -> None:
        """On the way down."""
        self._send("STOPPING=1")

    def watchdog_interval_s(self) -> float | None:
        """How often to say `watchdog`: half of what systemd allows; `None` where it does not ask for it."""
        usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
        if self._notify is None or not usec.isdecimal() or (pid is not None and pid != str(os.getpid())):
            return None
        return int(usec) / 2e6 or None

    def _send(self, state: str) -> None:
        if self._notify is None:
            return
        try:
            self._notify(state)
        except OSError as error:
            # Speech goes on where systemd does not listen; it ends us itself if it misses the watchdog.
            log.warning("systemd did not hear %s (%s)", state.splitlines()[0], error.strerror)


def _line(text: str) -> str:
    return visible(" ".join(text.split()))
