"""Asks root to lock the clocks again after a power mode change, or a resume from suspend, has unlocked them.

The daemon has no rights over the clocks. It touches a file in its own folder. systemd sees that, and starts
ishowtts-clocks-repair.service, which trusts nothing in the folder.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from ishowtts.board.jetson_clocks import STORE

log = logging.getLogger(__name__)

REQUEST_FILE = "clocks-requested"
_INTERVAL_S = 300.0
_MAX_REQUESTS = 6
_SHORTEST_S = 75.0  # also if they come loose again: after 10 requests in 10 minutes, systemd takes no more


class ClockRepair:
    """Asks at once, then every 5 minutes, at most 6 times until the clocks are locked again.

    If something unlocks them again and again, it asks every 75 s at most.

    Does nothing if the clocks were never locked by `ishowtts clocks apply`, or were restored since. Not thread-safe.

    Args:
        folder: The daemon's folder that systemd watches; `None` if it runs without that unit.
        store: The file of the former clocks. While it exists, the clocks are to be locked.
        now_s: A monotonic clock.
    """

    def __init__(
        self, folder: Path | None, *, store: Path = STORE, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._store = store
        self._now_s = now_s
        self._requests = 0
        self._next_s = 0.0
        self._last_s = -math.inf

    @classmethod
    def of_service(cls, *, enabled: bool) -> ClockRepair:
        """Returns the repair with the folder of the systemd unit (RUNTIME_DIRECTORY), if there is one."""
        folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        return cls(Path(folder) if enabled and folder else None)

    def update(self, unlocked: bool) -> None:
        """Takes the present state of the clocks. Asks for a repair if that is due. Never raises.

        Args:
            unlocked: Whether the GPU's clock is known to be unlocked.
        """
        if not unlocked:
            self._requests = 0
            return
        if self._folder is None or not self._is_to_be_locked():
            return
        now_s = self._now_s()
        if self._requests > _MAX_REQUESTS or (self._requests and now_s < self._next_s):
            return
        if now_s - self._last_s < _SHORTEST_S:
            return
        self._last_s, self._next_s = now_s, now_s + _INTERVAL_S
        self._requests += 1
        if self._requests > _MAX_REQUESTS:
            log.warning(
                "the clocks are still not locked after %d requests, and no more follow: "
                "see journalctl -u ishowtts-clocks-repair, then sudo systemctl restart ishowtts-clocks",
                _MAX_REQUESTS,
            )
        else:
            self._request(self._folder / REQUEST_FILE)

    def _is_to_be_locked(self) -> bool:
        try:
            return self._store.exists()
        except OSError:
            return False

    def _request(self, file: Path) -> None:
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, b"\n")
            finally:
                os.close(handle)  # systemd's PathChanged= looks at this
        except OSError as error:
            log.warning("the clocks are not locked any more, and %s cannot be written (%s)", file, error.strerror)
            return
        log.warning("the clocks are not locked any more; ishowtts-clocks-repair.service was asked to lock them again")
