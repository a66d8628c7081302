"""Sends the parts of one render to its requester, and notices if nobody is there any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ishowtts.limits import RENDER_PART_BYTES
from ishowtts.mqtt.publish_packet import MessageProperties
from ishowtts.mqtt.publisher import PendingPublish, PublishAnswer
from ishowtts.mqtt.renders.render_parts import (
    EXPIRY_S,
    PART_PROPERTY,
    SEQ_PROPERTY,
    RenderEnd,
    RenderError,
    RenderSound,
)
from ishowtts.mqtt.session import Session

_TOO_LARGE = RenderError(
    "failed",
    "the broker takes no messages as large as a part of the sound; raise its max_packet_size to 4000, better 40000",
)
# Of a PUBLISH without its payload: the topic has at most 512 characters, the Correlation Data 64 bytes.
_HEAD_BYTES = 2_200
_LEAST_PART_BYTES = 1_024  # smaller parts would be more head than sound
_LAST_PARTS = (RenderEnd.part, RenderError.part)


@dataclass(frozen=True)
class RenderKey:
    """Identifies a render: the response topic and the Correlation Data of its request."""

    topic: str
    correlation: bytes


class RenderReply:
    """The way back to one requester. Any thread may call any method; none of them blocks.

    A part of the sound is refused while too many others wait for their confirmation by the broker (PUBACK). The other
    parts are always taken: a render has four at most.

    Attributes:
        gone: Why no part can reach the requester any more, in words; `None` as long as it can.
        wake: Called on the connection's thread if there is room again, or if `gone` is set. Set it before the first
            `send`.

    Args:
        session: The connection on which the request came.
        window: Returns how many parts of the sound may be unconfirmed.
        on_closed: Called once: the broker has the last part, or the requester is gone.
    """

    def __init__(
        self,
        key: RenderKey,
        session: Session,
        window: Callable[[], int],
        on_closed: Callable[[RenderReply], None],
    ) -> None:
        self.key = key
        self.gone: str | None = None
        self.wake: Callable[[], None] = lambda: None
        self._session = session
        self._window = window
        self._on_closed = on_closed
        self._lock = threading.Lock()
        self._unconfirmed = 0
        self._waits_for_room = False
        self._last_sent: PendingPublish | None = None  # `end` or `error`

    @property
    def client(self) -> str:
        """Renders of one client, which is a response topic, take turns with those of others."""
        return self.key.topic

    @property
    def part_bytes(self) -> int:
        """The largest part of the sound: RENDER_PART_BYTES, or less if the broker takes less.

        It is even: whoever takes each part of `pcm` as whole samples would hear noise after an odd one.
        """
        largest = self._session.broker_max_packet_bytes
        if largest is None:
            return RENDER_PART_BYTES
        return max(_LEAST_PART_BYTES, min(RENDER_PART_BYTES, (largest - _HEAD_BYTES) // 2 * 2))

    def send(self, part: str, payload: bytes, *, seq: int | None = None) -> bool:
        """Publish a part at QoS 1. After `end` or `error`, nothing is published any more.

        Args:
            part: `queued`, `head`, `audio`, `end` or `error`.
            seq: The number of a part of the sound, from 0.

        Returns: False if it was not published: there is no room now, or `gone` is set, or the connection has just ended
            and `gone` will be set. `wake` says when one of these changes.
        """
        with self._lock:
            if self._last_sent is not None:
                return True
            if self.gone is not None:
                return False
            is_sound = part == RenderSound.part
            if is_sound and self._unconfirmed >= self._window():
                self._waits_for_room = True
                return False
            sent = self._session.publish(
                self.key.topic,
                payload,
                qos=1,
                retain=False,
                properties=self._properties(part, seq),
                retry=False,
                on_answer=self._sound_answered if is_sound else self._answered,
            )
            if sent is None:
                return False  # the owner of the connection calls `lost`, and tells the requester later
            if sent.mid is not None and part in _LAST_PARTS:
                self._last_sent = sent
            self._unconfirmed += is_sound
        if sent.mid is None:
            self._tell(_TOO_LARGE)
            self.lost("the broker does not take messages of this size")
        return self.gone is None

    def lost(self, why: str) -> None:
        """Nothing can reach the requester any more. `gone` keeps the first reason."""
        with self._lock:
            if self.gone is not None:
                return
            self.gone = why
        self._on_closed(self)
        self.wake()

    def wait(self, deadline_s: float) -> bool:
        """Wait until the broker has the last part, if it was sent. Returns whether it has by then (monotonic)."""
        return self._last_sent is None or self._last_sent.wait(deadline_s)

    def _tell(self, error: RenderError) -> None:
        """Publish the reason before nothing can be sent any more: the requester would wait for the sound."""
        properties = self._properties(error.part, None)
        self._session.publish(self.key.topic, error.payload(), qos=1, retain=False, properties=properties, retry=False)

    def _properties(self, part: str, seq: int | None) -> MessageProperties:
        number = () if seq is None else ((SEQ_PROPERTY, str(seq)),)
        return MessageProperties(
            correlation=self.key.correlation, expiry_s=EXPIRY_S, user=((PART_PROPERTY, part), *number)
        )

    def _sound_answered(self, answer: PublishAnswer) -> None:
        with self._lock:
            self._unconfirmed -= 1
            wake, self._waits_for_room = self._waits_for_room, False
        self._answered(answer)
        if wake:
            self.wake()

    def _answered(self, answer: PublishAnswer) -> None:
        with self._lock:  # `send` may not have noted yet what it sent
            last_mid = None if self._last_sent is None else self._last_sent.mid
        if answer.refusal is not None:
            self.lost(f"the broker refuses the answer ({answer.refusal})")
        elif not answer.has_subscribers:
            self.lost("nobody is subscribed to the response topic any more")
        elif answer.mid == last_mid:
            self._on_closed(self)
