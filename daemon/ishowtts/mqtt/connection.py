"""Keeps a connection up: one session after another, with reconnect pauses that grow and vary."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import ConnectionRole, discard_session
from ishowtts.mqtt.session import Session, SessionHandlers

log = logging.getLogger(__name__)

_STABLE_S = 10.0  # after a connection that lasted this long, the next pause is short again


class Connection:
    """Owns the thread `mqtt-<role>`.

    Args:
        handlers: The callbacks of each session.
        on_down: A session ended. Takes the reason, and whether two sessions in a row brought no message.
        wait_s: Called before each try. Returns the seconds until we may connect, 0 for now. `wake` makes us ask again.
        take_session_stale: Called once before each try. Returns whether the lines that wait for us at the broker are no
            longer ours.
    """

    def __init__(
        self,
        options: MqttOptions,
        role: ConnectionRole,
        handlers: SessionHandlers,
        *,
        on_down: Callable[[str, bool], None],
        wait_s: Callable[[], float] = lambda: 0.0,
        take_session_stale: Callable[[], bool] = lambda: False,
    ) -> None:
        self._options = options
        self._role = role
        self._handlers = handlers
        self._on_down = on_down
        self._wait_s = wait_s
        self._take_session_stale = take_session_stale
        self._sessions_without_message = 0  # in a row
        self._ascending_ids = False
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._session: Session | None = None
        self._serving = False

    def set_options(self, options: MqttOptions) -> None:
        """Take other options from the next session on."""
        self._options = options

    @property
    def thread_name(self) -> str:
        """Name of the thread."""
        return f"mqtt-{self._role.name}"

    def overdue_s(self) -> float:
        """How long the present step of the session has taken, in seconds; 0 between two sessions."""
        session = self._session if self._serving else None
        return 0.0 if session is None else time.monotonic() - session.stepped_s

    @property
    def session(self) -> Session | None:
        """The session, if it is ready."""
        session = self._session
        return session if session is not None and session.ready else None

    def start(self) -> None:
        """Start the thread. Also starts it again after it died."""
        self._thread = threading.Thread(target=self._run, name=self.thread_name, daemon=True)
        self._thread.start()

    def died(self) -> bool:
        """Whether the thread ended although nobody called `stop`."""
        return self._thread is not None and not self._thread.is_alive() and not self._stopping.is_set()

    def stop(self) -> None:
        """Tell the thread to disconnect cleanly and end."""
        self._stopping.set()
        self.disconnect()

    def wake(self) -> None:
        """Ask `wait_s` again whether we may connect."""
        self._woken.set()

    def disconnect(self) -> None:
        """End the current session cleanly. The next one starts when `wait_s` allows it."""
        self.wake()
        if (session := self._session) is not None:
            session.end()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread. Returns whether it has ended."""
        if self._thread is not None:
            self._thread.join(max(0.0, timeout_s))
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        while self._may_connect():
            began_s = time.monotonic()
            reason, without_message = self._serve()
            self._sessions_without_message = self._sessions_without_message + 1 if without_message else 0
            self._on_down(reason, self._sessions_without_message > 1)
            stable = time.monotonic() - began_s > self._options.connect_timeout_s + _STABLE_S
            failures = 0 if stable else failures + 1
            self._stopping.wait(self._pause_s(failures))

    def _pause_s(self, failures: int) -> float:
        """The pause before the next try. It is random: many appliances must not reconnect at the same moment."""
        longest_s = min(self._options.retry_max_s, self._options.retry_min_s * 2 ** min(failures, 16))
        return random.uniform(longest_s / 2, longest_s)  # noqa: S311

    def _may_connect(self) -> bool:
        """Wait until we may connect. False if we must end."""
        while True:
            self._woken.clear()  # before the checks: a call of `stop` or `wake` after them must end the wait
            if self._stopping.is_set():
                return False
            if (wait_s := self._wait_s()) <= 0:
                return True
            self._woken.wait(wait_s)

    def _serve(self) -> tuple[str, bool]:
        """Run one session. Returns why it ended, and whether it ended without a message."""
        session = self._session = Session(self._options, self._role, self._handlers, ascending_ids=self._ascending_ids)
        self._serving = True
        if self._stopping.is_set():  # `stop` may have run just before this session existed
            session.end()
        try:
            if self._take_session_stale():
                discard_session(self._options, self._role)
            return session.run(), session.ended_without_message
        except Exception as error:
            # The boundary to paho and to handlers: any error costs one connection, not the link.
            log.exception("the MQTT connection for %s failed", self._role.name)
            reason = f"the connection to {self._options.broker} failed ({type(error).__name__})"
            return reason, session.ended_without_message
        finally:
            self._serving = False
            self._ascending_ids = session.ascending_ids
            session.close()
