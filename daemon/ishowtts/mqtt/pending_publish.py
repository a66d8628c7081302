"""A publish at QoS 1 that is under way, until the broker has answered it."""

from __future__ import annotations

import time
from typing import Protocol

import paho.mqtt.client as paho

# PUBACK reason codes that may pass: unspecified error, implementation specific error, quota exceeded.
TRY_AGAIN = (0x80, 0x83, 0x97)
_WAIT_SLICE_S = 0.2


class _Connection(Protocol):
    closed: bool

    def wants_again(self, mid: int) -> bool:
        """Whether the broker has answered that it does not take this publish now."""


class PendingPublish:
    """A publish under way.

    Args:
        info: `None`: it is larger than the broker takes, and was not sent.
        insists: whether it is to be published again where the broker answers that it does not take it now; else every
            answer is final.
    """

    def __init__(self, connection: _Connection, info: paho.MQTTMessageInfo | None, *, insists: bool) -> None:
        self._connection = connection
        self._info = info
        self._insists = insists

    def wait(self, deadline_s: float) -> bool:
        """Whether the broker has it by `deadline_s` (monotonic); false soon after the connection ends."""
        while not self.done():
            left_s = deadline_s - time.monotonic()
            if self._info is None or left_s <= 0 or self._connection.closed or self.refused:
                return self.done()
            try:
                self._info.wait_for_publish(min(left_s, _WAIT_SLICE_S))
            except (RuntimeError, ValueError):  # paho could not even queue it
                return False
        return True

    @property
    def refused(self) -> bool:
        """Whether it is to be published again."""
        return self._insists and self._info is not None and self._connection.wants_again(self._info.mid)

    def done(self) -> bool:
        """Whether the broker has it, or has refused it for good."""
        if self._info is None:
            return True
        try:
            return self._info.is_published() and not self.refused
        except (RuntimeError, ValueError):
            return False
