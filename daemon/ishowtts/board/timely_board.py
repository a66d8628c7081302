"""Reads a board in a thread of its own: a driver that hangs must not keep the daemon from reporting, or from ending."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping

from ishowtts.board import Board, BoardIdentity, BoardReading
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_IDLE_S = 3600.0
_WARN_INTERVAL_S = 600.0
_CLOSE_S = 1.0  # the thread may be stuck in the kernel, and what it does at its end is not needed


class TimelyBoard(LoopThread):
    """The thread `board`. It reads when somebody asks, and whoever asks waits for a short time only.

    A read of a sensor can take seconds or never return, for example if its bus hangs. Values that are a few seconds old
    are better than none, so the last reading counts for `stale_s`. After that, everything is unknown.

    Any thread may call `read`. Before `start`, it reads in the calling thread.

    Args:
        board: The board whose sensors may be slow. Only this thread reads it after `start`.
        wait_s: How long `read` waits for the sensors. Most boards take 5 ms.
        stale_s: The oldest reading that `read` returns.
    """

    def __init__(self, board: Board, *, wait_s: float = 0.5, stale_s: float = 10.0) -> None:
        super().__init__("board", daemon=True)  # the process must end even if the kernel hangs
        self._board = board
        self._wait_s = wait_s
        self._stale_s = stale_s
        self._begun = False
        self._answered = threading.Condition()  # for the next three
        self._asked_s: float | None = None  # when somebody asked for the reading that is due
        self._latest = BoardReading()
        self._latest_s = -math.inf
        self._hangs = False
        self._hung_s = self._warned_s = -math.inf  # when they last hung, and when that was last logged
        self._failure = ""

    def identity(self) -> BoardIdentity:
        """Returns model, JetPack and serial number."""
        return self._board.identity()

    def sources(self) -> Mapping[str, str]:
        """Returns the source of each field, as of the last reading in which it had a value."""
        return self._board.sources()

    def start(self) -> None:
        """Starts the sources and takes a first reading, so that `sources` knows what answers at once."""
        self._begun = True
        self._asked_s = time.monotonic()
        super().start()
        self.read()

    def read(self) -> BoardReading:
        """Returns the values now, or the last ones if the sensors do not answer in time. Old ones are unknown."""
        if not self._begun:
            return self._board.read()
        with self._answered:
            if self._asked_s is None:
                self._asked_s = time.monotonic()
                self.wake()
            left_s = self._asked_s + self._wait_s - time.monotonic()
            self._answered.wait_for(lambda: self._asked_s is None, max(0.0, left_s))
            age_s = time.monotonic() - self._latest_s
            hangs = self._asked_s is not None and time.monotonic() - self._asked_s > self._stale_s
            latest = self._latest if age_s <= self._stale_s else BoardReading()
        if hangs != self._hangs:
            self._hangs = hangs
            self._log_change(hangs)
        return latest

    def run_once(self, last: bool) -> float:
        """Takes a reading, if somebody waits for one."""
        if last or self._asked_s is None:
            return _IDLE_S
        reading = self._read_board()
        with self._answered:
            self._latest, self._latest_s = reading, time.monotonic()
            self._asked_s = None
            self._answered.notify_all()
        return _IDLE_S

    def close(self, timeout_s: float) -> None:
        """Ends the thread, unless the kernel holds it, and the sources."""
        ends_s = time.monotonic() + timeout_s
        super().close(min(timeout_s, _CLOSE_S))
        self._board.close(max(0.0, ends_s - time.monotonic()))

    def _log_change(self, hangs: bool) -> None:
        """Log that the sensors hang or answer again. Some hang at each read: that is logged from time to time."""
        now_s = time.monotonic()
        if not hangs:
            log.log(
                logging.INFO if self._warned_s == self._hung_s else logging.DEBUG, "the board's sensors answer again"
            )
            return
        self._hung_s = now_s
        if now_s - self._warned_s < _WARN_INTERVAL_S:
            return
        self._warned_s = now_s
        log.warning(
            "the board's sensors have not answered for %.0f s, so they are unknown until they do: a driver or a bus "
            "hangs, see dmesg",
            self._stale_s,
        )

    def _read_board(self) -> BoardReading:
        try:
            if self._latest_s == -math.inf:
                self._board.start()
            return self._board.read()
        except Exception as error:
            # The boundary to drivers of any kind: without readings, lines are still spoken.
            if (failure := repr(error)) != self._failure:
                self._failure = failure
                log.exception("the sensors of the board cannot be read")
            return BoardReading()
