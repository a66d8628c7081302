"""Notifies systemd of the daemon's state (sd_notify). Does nothing without a notify socket."""

from __future__ import annotations

import importlib
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from ishowtts.util.logs import visible

log = logging.getLogger(__name__)


def _sd_notify() -> Callable[..., Any] | None:
    """Returns systemd-python's `notify`; `None` without the package.

    In a checkout, Python may find the folder systemd/ instead, which has no module `daemon`.
    """
    try:
        notify: Callable[..., Any] = importlib.import_module("systemd.daemon").notify
    except ImportError:
        return None
    return notify


class Notifier:
    """Sends READY, RELOADING, STATUS, WATCHDOG and STOPPING to NOTIFY_SOCKET."""

    def __init__(self) -> None:
        self._notify = _sd_notify() if os.environ.get("NOTIFY_SOCKET") else None
        self._is_ready = False

    def ready(self, status: str) -> None:
        """Reports that the appliance is ready, with a line for `systemctl status`."""
        self._is_ready = True
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """Sets the line that `systemctl status` shows."""
        self._send(f"STATUS={_line(status)}")

    def watchdog(self) -> None:
        """Feeds the watchdog."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Reports that the configuration is being read again. `reloaded` must follow.

        Not before `ready`: the end of a reload is told by the same message, after which systemd expects the watchdog to
        be fed, and a start takes longer than that.
        """
        if self._is_ready:
            self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def reloaded(self) -> None:
        """Reports that the reload has ended."""
        if self._is_ready:
            self._send("READY=1")

    def stopping(self) -> None:
        """Reports that the daemon is stopping."""
        self._send("STOPPING=1")

    def watchdog_interval_s(self) -> float | None:
        """Seconds between two calls of `watchdog`: half of systemd's limit; `None` if systemd has no limit."""
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
            # Speech goes on without systemd. If systemd misses the watchdog, it restarts the daemon itself.
            log.warning("systemd did not receive %s (%s)", state.splitlines()[0], error.strerror)


def _line(text: str) -> str:
    return visible(" ".join(text.split()))
