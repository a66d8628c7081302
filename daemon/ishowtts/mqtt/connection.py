"""A connection that is kept up: one session after another, with pauses that grow and vary."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import ConnectionRole, end_session
from ishowtts.mqtt.session import Session, SessionHandlers

logger = logging.getLogger(__name__)

_STEADY_S = 10.0  # a connection that held this long was a good one: the next pause is short again


class Connection:
    """Owns the thread `mqtt-<role>`.

    Args:
        handlers: told of what happens on each session.
        on_down: a session ended: the sentence says why; and whether it was the second in a row on which nothing came.
        wait_s: asked before each try: seconds until we may connect, 0 for now; `nudge` has it asked again.
        take_stale: asked before each try, once: whether what waits for us at the broker is not ours to take any more.
    """

    def __init__(
        self,
        options: MqttOptions,
        role: ConnectionRole,
        handlers: SessionHandlers,
        *,
        on_down: Callable[[str, bool], None],
        wait_s: Callable[[], float] = lambda: 0.0,
        take_stale: Callable[[], bool] = lambda: False,
    ) -> None:
        self._options = options
        self._role = role
        self._handlers = handlers
        self._on_down = on_down
        self._wait_s = wait_s
        self._take_stale = take_stale
        self._unheard = 0  # sessions in a row
        self._counts_up = False
        self._nudged = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._session: Session | None = None

    @property
    def session(self) -> Session | None:
        """The session that works now."""
        session = self._session
        return session if session is not None and session.ready else None

    def start(self) -> None:
        """Start the thread, also again after it died."""
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{self._role.name}", daemon=True)
        self._thread.start()

    def died(self) -> bool:
        """Whether the thread ended without having been told to."""
        return self._thread is not None and not self._thread.is_alive() and not self._stopping.is_set()

    def end(self) -> None:
        """Tell the thread to disconnect cleanly and end."""
        self._stopping.set()
        self.drop()

    def nudge(self) -> None:
        """Ask again whether we may connect."""
        self._nudged.set()

    def drop(self) -> None:
        """End this session cleanly; the next one waits until it may begin."""
        self.nudge()
        if (session := self._session) is not None:
            session.end()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended within the time."""
        if self._thread is not None:
            self._thread.join(max(0.0, timeout_s))
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        while self._has_turn():
            began_s = time.monotonic()
            why, unheard = self._serve()
            self._unheard = self._unheard + 1 if unheard else 0
            self._on_down(why, self._unheard > 1)
            held = time.monotonic() - began_s > self._options.connect_timeout_s + _STEADY_S
            failures = 0 if held else failures + 1
            longest_s = min(self._options.retry_max_s, self._options.retry_min_s * 2 ** min(failures, 16))
            # A hall of appliances must not come back all at once when its broker does.
            self._stopping.wait(random.uniform(longest_s / 2, longest_s))  # noqa: S311

    def _has_turn(self) -> bool:
        """Wait until we may connect; False where we are to end."""
        while not self._stopping.is_set():
            self._nudged.clear()
            if (wait_s := self._wait_s()) <= 0:
                return True
            self._nudged.wait(wait_s)
        return False

    def _serve(self) -> tuple[str, bool]:
        """One session: why it ended, and whether nothing came on it."""
        session = self._session = Session(self._options, self._role, self._handlers, counts_up=self._counts_up)
        if self._stopping.is_set():  # `end` may have looked just before there was this session
            session.end()
        try:
            if self._take_stale():
                end_session(self._options, self._role)
            return session.run(), session.unheard
        except Exception as error:
            # The boundary to paho and to handlers: whatever it was costs one connection, not the link.
            logger.exception("the MQTT connection for %s broke down", self._role.name)
            return f"the connection to {self._options.broker} broke down ({type(error).__name__})", session.unheard
        finally:
            self._counts_up = session.counts_up
            session.close()
