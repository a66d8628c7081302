"""Requests a render over MQTT, and hands its sound out as it comes. Cancels the render if anything goes wrong."""

from __future__ import annotations

import re
import secrets
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from ishowtts.cli.appliance_view import START_FIX, ApplianceView, messages_and_ticks, read_view
from ishowtts.errors import BrokerError, LineError
from ishowtts.model import SoundFormat
from ishowtts.util.logs import visible

if TYPE_CHECKING:
    from ishowtts.mqtt.client import Message, ShortLivedClient
    from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderHead, RenderPart

_ANSWER_S = 10.0
_MARGIN_S = 10.0
# A segment may take as long as engine.deadlines.segment_s, 120 s unless it is configured.
_NEXT_PART_S = 150.0
_MOST_BYTES = 1_000_000_000
# Names of users of the broker that can stand in a topic.
_USER = re.compile(r"[^/+#\x00-\x20\x7f-\x9f]{1,64}")


class SoundTaker(Protocol):
    """Takes the sound of a render."""

    requested: SoundFormat

    def begin(self, rate_hz: int) -> None:
        """Takes the sample rate, before the first sound."""

    def write(self, data: bytes) -> None:
        """Takes one piece of the sound."""


class RemoteRender:
    """One render of one appliance.

    Args:
        client: A connection that is open.
        prefix: First part of all topics.
        root: `<prefix>/<device>`.
    """

    def __init__(self, client: ShortLivedClient, prefix: str, root: str) -> None:
        from ishowtts.mqtt.publish_packet import MessageProperties

        self._client = client
        self._root = root
        self._view = ApplianceView(root)
        # A user may read the replies below their name, by the ACL that comes with iShowTTS.
        user = client.username or ""
        name = f"{user}/{uuid.uuid4().hex}" if _USER.fullmatch(user) else uuid.uuid4().hex
        self._reply_topic = f"{prefix}/reply/{name}"
        self._correlation = secrets.token_bytes(16)
        self._properties = MessageProperties(response_topic=self._reply_topic, correlation=self._correlation)

    def render(
        self,
        text: str,
        taker: SoundTaker,
        wait_s: float,
        *,
        voice: str | None = None,
        language: str | None = None,
        speed: float | None = None,
    ) -> tuple[RenderHead, RenderEnd]:
        """Have a text rendered, and return what its sound is and the report.

        Args:
            wait_s: For the first sound.

        Raises:
            BrokerError: the appliance is offline, does not answer, or sent a part of the sound only.
            LineError: the appliance refuses the text, or cannot speak it.
        """
        from ishowtts.mqtt.renders.render_parts import request_payload

        self._client.subscribe(self._reply_topic)
        self._view = read_view(self._client, self._root, ("info", "state"))
        self._refuse_unable()
        payload = request_payload(
            text, format=taker.requested, voice=voice, language=language, speed=speed, ttl_s=wait_s
        )
        try:
            is_taken = self._client.publish(f"{self._root}/render", payload.decode(), properties=self._properties)
            found = self._receive(taker, wait_s) if is_taken else None
        except LineError:
            raise  # the appliance has ended it
        except BaseException:
            if not self._client.lost:
                self._cancel()
            raise
        if found is None:
            raise BrokerError(
                f"nothing takes renders at {self._root}; is the name right, does the appliance run, "
                "and is its version this one?"
            )
        return found

    def _refuse_unable(self) -> None:
        """Raise BrokerError if the appliance is known to render nothing."""
        from ishowtts.mqtt.renders.render_boards import BoardFacts, why_not

        view = self._view
        if view.availability is None and not view.info:
            return  # this user may not read its topics, or it has never run: the broker's answer tells
        if (why := why_not(BoardFacts(self._root, view.availability, view.state, {}, view.info))) is not None:
            fix = f"{START_FIX}, or ask" if view.offline else "ask"
            raise BrokerError(f"the appliance at {self._root} {visible(why)}; {fix} another one with --device NAME")

    def _receive(self, taker: SoundTaker, wait_s: float) -> tuple[RenderHead, RenderEnd]:
        """Hand out the sound until the end."""
        from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderHead, RenderQueued, RenderSound
        from ishowtts.mqtt.renders.reply_order import BrokenReply, ReplyOrder

        order = ReplyOrder(taker.requested, _MOST_BYTES)
        for part in self._parts(wait_s):
            try:
                is_new = order.take(part)
            except BrokenReply as error:
                raise BrokerError(f"{error}; try again") from error
            if not is_new:
                continue
            if isinstance(part, RenderQueued) and part.waiting and order.head is None:
                print(f"ishowtts: {part.waiting} renders are before this one", file=sys.stderr)
            elif isinstance(part, RenderHead):
                taker.begin(part.rate_hz)
            elif isinstance(part, RenderSound):
                taker.write(part.data)
            elif isinstance(part, RenderError):
                raise LineError(f"{part.reason}: {part.detail}")
            elif isinstance(part, RenderEnd) and order.head is not None:
                return order.head, part
        raise BrokerError("no sound came")

    def _parts(self, wait_s: float) -> Iterator[RenderPart]:
        """Yield the parts of the reply. Raises BrokerError if the next one does not come in time."""
        from ishowtts.mqtt.renders.render_parts import RenderQueued, parse_part

        limit_s = _ANSWER_S
        while True:
            for message in messages_and_ticks(self._client, limit_s):
                if message is not None and self._is_ours(message):
                    part = parse_part(message.payload, message.properties.user)
                    if part is not None:
                        limit_s = wait_s + _MARGIN_S if isinstance(part, RenderQueued) else _NEXT_PART_S
                        yield part
                        break
                elif message is not None:
                    self._view = self._view.with_message(message)
                    if self._view.offline:
                        raise BrokerError(f"the appliance at {self._root} went offline before all sound had come")
            else:
                raise self._silent(limit_s)

    def _silent(self, limit_s: float) -> BrokerError:
        return BrokerError(
            f"no answer came within {limit_s:g} s; the appliance at {self._root} is {self._view.summary}. If it is"
            " online, the ACL of the broker may not let this user publish there, or the appliance publish replies"
        )

    def _is_ours(self, message: Message) -> bool:
        return message.topic == self._reply_topic and message.properties.correlation == self._correlation

    def _cancel(self) -> None:
        with suppress(BrokerError):
            self._client.publish(f"{self._root}/render/cancel", "", properties=self._properties)
