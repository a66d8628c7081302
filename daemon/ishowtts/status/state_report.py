"""Tells the log and `systemctl status` what the appliance does, and why no line can come while none can."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from ishowtts.systemd import Notifier
from ishowtts.util.logs import log_fields

log = logging.getLogger(__name__)

_ROUTINE = ("ready", "speaking")


class Link(Protocol):
    """What this module needs of the link to the broker."""

    @property
    def why_not_connected(self) -> str | None:
        """Why no line can reach us now; `None` if we are connected."""

    @property
    def deaf(self) -> str | None:
        """Why lines may not reach us although we are connected; `None` if they do."""


class StateReport:
    """Any thread may call `on_state`; the main thread calls the rest.

    Args:
        root: The root topic, for the sentence at the start.
        state: Composes the payload of `state`.
    """

    def __init__(self, root: str, state: Callable[[], dict[str, Any]], link: Link, notifier: Notifier) -> None:
        self._root = root
        self._state = state
        self._link = link
        self._notifier = notifier
        self._was_routine = True  # the word ready at the start comes from `log_start`
        self._detail: str | None = None
        self._waiting_logged = False
        self._ready_logged = False

    def on_state(self, state: dict[str, Any], is_news: bool) -> None:
        """The state was published. Each line makes it speaking and ready again: that is logged for debugging only."""
        self._notifier.status(self.status_line(state))
        if is_news:
            # A detail that stays, as of a volume of 0, is logged once and not with each line.
            routine = state["state"] in _ROUTINE
            same = routine and self._was_routine and state["detail"] == self._detail
            level = logging.DEBUG if same else logging.INFO
            self._was_routine, self._detail = routine, state["detail"]
            detail = f" ({state['detail']})" if state["detail"] else ""
            log.log(level, "state: %s%s", state["state"], detail, extra=log_fields(event="state"))

    def ready(self) -> None:
        """Report READY to systemd. The daemon does its part, though a broker may be missing."""
        self._notifier.ready(self.status_line(self._state()))
        self.log_start()

    def notify(self) -> None:
        """Set the line of `systemctl status`."""
        self._notifier.status(self.status_line(self._state()))

    def status_line(self, state: dict[str, Any]) -> str:
        """What the appliance does; first, why no line can come. Refused, away and ready are three different things."""
        words = f"{state['state']}{f' ({detail})' if (detail := state['detail']) else ''}"
        if reason := self._link.why_not_connected:
            words = f"no line can come: {reason}" + (f"; {words}" if state["state"] != "ready" else "")
        return f"{words}, lines waiting: {state['queue_depth']}"

    def log_start(self) -> None:
        """Log once that lines can come, and before that, once, why they cannot. To be called every few seconds."""
        if self._ready_logged:
            return
        reason = self._link.why_not_connected or self._link.deaf
        if reason is None:
            self._ready_logged = True
            log.info("ready: lines on %s/say", self._root)
        elif not self._waiting_logged:
            self._waiting_logged = True
            log.warning("started, but no line can come yet: %s", reason)
