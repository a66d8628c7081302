"""Reads the sensors from the service of jetson-stats (jtop), through a child process that may hang or be killed.

Only if `board.jetson_stats` is true: the child needs the group jtop, whose members can become root (docs/security.md).
The daemon never imports jetson-stats. `jetson_stats_child.py` does, and says why this must be another process.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ishowtts.board import BoardReading
from ishowtts.board.sensor_child import SensorChild, SensorChildFailed, parse_reading
from ishowtts.util.backoff import Backoff
from ishowtts.util.files import open_regular
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_PROGRAMS: Final = (Path("/usr/local/bin/jtop"), Path("/usr/bin/jtop"))
"""Where its installers place jetson-stats' program. The first is also what `jtop.service` runs."""
_CHILD = Path(__file__).with_name("jetson_stats_child.py")
# Not the environment of the daemon: it can hold secrets. jetson-stats runs programs of the system.
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_INTERVAL_S = 2.0
_POLL_S = 0.25


@dataclass(frozen=True)
class JetsonStatsTiming:
    """Deadlines and pauses, in seconds.

    Args:
        start_s: The child must have sent its first reading by then.
        silence_s: The longest time between two readings. The child sends one every 2 s.
        first_pause_s: Pause before the child is started again. It doubles with each failure.
        longest_pause_s: The limit of that pause.
    """

    start_s: float = 10.0
    silence_s: float = 10.0
    first_pause_s: float = 5.0
    longest_pause_s: float = 300.0


class JetsonStatsMissing(Exception):
    """There is no jetson-stats on this machine."""


class JetsonStatsSensors(LoopThread):
    """Keeps a child process that reads jetson-stats, and returns its latest reading.

    A child that is silent for too long, that writes anything else than readings, or that writes too much, is killed and
    started again after a growing pause. Meanwhile there are no values.

    Args:
        command: Returns the command line of the child. Raises JetsonStatsMissing.
        timing: Deadlines and pauses.
    """

    def __init__(
        self, command: Callable[[], Sequence[str]] | None = None, timing: JetsonStatsTiming = JetsonStatsTiming()
    ) -> None:
        super().__init__("jetson-stats")  # also the name of the source
        self._command = command or child_command
        self._timing = timing
        self._backoff = Backoff(timing.first_pause_s, timing.longest_pause_s)
        self._child: SensorChild | None = None
        self._due_by_s = 0.0
        self._latest = BoardReading()
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why there are no readings now, as a clause; `None` if there are, or if the first is still awaited."""
        return self._problem

    def read(self) -> BoardReading:
        """Returns the latest reading of the child; without values if it does not answer."""
        return self._latest if self.alive() else BoardReading()

    def run_once(self, last: bool) -> float:
        """Starts the child, or takes what it wrote. Returns the seconds until the next look."""
        if last:
            self._end_child()
            return 0.0
        try:
            if self._child is None:
                self._child = SensorChild(self._command(), _ENVIRONMENT)
                self._due_by_s = time.monotonic() + self._timing.start_s
            self._receive(self._child)
        except (SensorChildFailed, JetsonStatsMissing) as error:
            return self._fail(str(error))
        return _POLL_S

    def _receive(self, child: SensorChild) -> None:
        lines = child.lines()
        if lines:
            # Only the last one: the others are older. One that says why the child ends is always the last.
            self._latest = parse_reading(lines[-1])
            self._due_by_s = time.monotonic() + self._timing.silence_s
            self._backoff.reset()
            if self._problem is not None:
                log.info("jetson-stats answers")
            self._problem = None
        elif time.monotonic() > self._due_by_s:
            raise SensorChildFailed("its process does not answer; perhaps jtop.service hangs")

    def _fail(self, problem: str) -> float:
        """Ends the child. Reports the problem once. Returns the seconds until the next attempt."""
        self._end_child()
        pause_s = self._backoff.next_s()
        if problem != self._problem:
            self._problem = problem
            log.warning("there are no readings from jetson-stats: %s; it is tried again, at least every %.0f s",
                        problem, self._timing.longest_pause_s)  # fmt: skip
        return pause_s

    def _end_child(self) -> None:
        self._latest = BoardReading()
        child, self._child = self._child, None
        if child is not None:
            child.kill()


def child_command(programs: Sequence[Path] = _PROGRAMS) -> list[str]:
    """Returns the command line of the child.

    Client and service must be of one version, so it is the Python of the program that the service runs. If there is no
    such program, the daemon's own environment may have jetson-stats.

    Raises:
        JetsonStatsMissing: There is no jetson-stats.
    """
    python = next((found for path in programs if (found := _python_of(path)) is not None), None)
    if python is None and find_spec("jtop") is not None:
        python = sys.executable
    if python is None:
        raise JetsonStatsMissing("it is not installed; install it for the whole system, not for one user")
    # -I: neither variables of the environment, nor the folder of the script, nor that of a user, name what is imported.
    return [python, "-I", str(_CHILD), str(_INTERVAL_S)]


def _python_of(program: Path) -> str | None:
    """Returns the Python that a program of root names in its first line; `None` if there is none."""
    try:
        with open_regular(program) as file:
            status = os.fstat(file.fileno())
            first = file.readline(256)
    except OSError:
        return None
    named = re.fullmatch(rb"#! ?(/usr/bin/env )?(\S*python[0-9.]{0,5})\s*", first)
    if named is None or status.st_uid != 0 or status.st_mode & 0o022:
        return None
    return shutil.which(os.fsdecode(named[2]), path=_ENVIRONMENT["PATH"])
