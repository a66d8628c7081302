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

    def handle(number: int) -> None:
        if number in _STOP or (number == signal.SIGHUP and terminal):
            log.info("%s: stopping", signal.Signals(number).name)
            asked.set()
        elif number == signal.SIGHUP and on_hang_up is not None:
            log.info("SIGHUP: the configuration is read again")
            on_hang_up()
        else:
            log.info("%s is ignored", signal.Signals(number).name)

    terminal = has_terminal()
    handler = _one_at_a_time(handle)
    former = {number: signal.signal(number, handler) for number in (*_STOP, *_IGNORED, signal.SIGHUP)}
    release_hang_up()
    try:
        yield asked
    finally:
        for number, former_handler in former.items():
            signal.signal(number, former_handler)


def _one_at_a_time(handle: Callable[[int], None]) -> Callable[[int, FrameType | None], None]:
    """Returns a signal handler that is never within itself.

    Python calls a handler in the middle of another one, which may hold a lock that both take. A flood of SIGHUP from
    three processes ended the daemon. What comes meanwhile is handled after that, once for each signal.
    """
    waiting: set[int] = set()
    running = False

    def handler(number: int, _frame: FrameType | None) -> None:
        nonlocal running
        waiting.add(number)
        while waiting and not running:
            running = True
            try:
                for each in tuple(waiting):
                    waiting.discard(each)
                    handle(each)
            finally:
                running = False

    return handler


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
