"""Signal handlers of the daemon: two signals stop it in order, others that would kill it are ignored."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

_STOP = (signal.SIGTERM, signal.SIGINT)
_IGNORED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


@contextmanager
def stop_asked(on_hang_up: Callable[[], None] | None = None) -> Iterator[threading.Event]:
    """Yields an event that SIGTERM and SIGINT set. Restores the former handlers at the end.

    SIGUSR1, SIGUSR2 and SIGALRM are ignored: they would kill the process, which costs the current line an attempt.
    With a controlling terminal, SIGHUP means that the terminal is gone, and stops the daemon.

    Args:
        on_hang_up: Called at SIGHUP without a terminal, in the signal handler. `None`: it is ignored.
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
        elif on_hang_up is None:
            ignore(number, frame)
        else:
            log.info("SIGHUP: the configuration is read again")
            on_hang_up()

    terminal = has_terminal()
    handlers = {**dict.fromkeys(_STOP, stop), **dict.fromkeys(_IGNORED, ignore), signal.SIGHUP: hang_up}
    former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    release_hang_up()
    try:
        yield asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def release_hang_up() -> None:
    """Lets SIGHUP come, which `__main__` holds back until somebody handles it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
