"""What signals do to the daemon: two stop it in order, the others that would end it are ignored."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

_STOP = (signal.SIGTERM, signal.SIGINT)
_IGNORED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


@contextmanager
def stop_asked() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; the former handlers are put back at the end.

    SIGHUP, SIGUSR1, SIGUSR2 and SIGALRM would end the process and cost the line on the air an attempt, so they are
    ignored. Started from a terminal, SIGHUP says that the terminal is gone, and stops the daemon.
    """
    asked = threading.Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        log.info("%s: stopping", signal.Signals(number).name)
        asked.set()

    def ignore(number: int, _frame: FrameType | None) -> None:
        log.info("%s is ignored", signal.Signals(number).name)

    def hang_up(number: int, frame: FrameType | None) -> None:
        if terminal:
            stop(number, frame)
        else:
            log.info("SIGHUP is ignored: a changed configuration needs a restart (systemctl restart ishowtts)")

    terminal = _has_terminal()
    handlers = {**dict.fromkeys(_STOP, stop), **dict.fromkeys(_IGNORED, ignore), signal.SIGHUP: hang_up}
    former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
