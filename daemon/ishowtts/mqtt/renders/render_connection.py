"""The connection on which requests for sound come, and on which the sound is sent.

It is a connection of its own, so that sound delays neither a line nor a `stop`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from ishowtts.model import Acknowledge, Rejection, RenderRequest
from ishowtts.mqtt.connection import Connection
from ishowtts.mqtt.line_payload import LineLimits
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import ConnectionRole
from ishowtts.mqtt.publish_packet import ReceivedMessage
from ishowtts.mqtt.renders.render_parts import RenderError
from ishowtts.mqtt.renders.render_payload import parse_render
from ishowtts.mqtt.renders.render_reply import RenderKey, RenderReply
from ishowtts.mqtt.response_topic import BadResponseTopic, checked_reply_to
from ishowtts.mqtt.session import Session, SessionHandlers
from ishowtts.mqtt.topics import Topics
from ishowtts.util.rate_limit import RateLimit

log = logging.getLogger(__name__)

_CORRELATION_BYTES = (1, 64)
_MAX_UNCONFIRMED = 8  # parts of the sound of one render: 0.26 MB
_MAX_UNCONFIRMED_TOTAL = 512  # of all renders together: 17 MB
_MAX_OPEN = 2000  # `limits.renders` is 1000 at most; the others are refused, which takes the time of one message
_MAX_OPEN_OF_CLIENT = 1000  # so one client that floods does not keep out the others
_MAX_ANSWERED = 2000
"""Answers in 10 s about renders that are not open. 100 stages cancel one each second, to see if a board is there."""
_MAX_LOGGED = 5  # log lines in 10 s
_FORGET_S = 60.0  # a requester that heard nothing for longer has given up
_FLUSH_S = 1.0

OnRender = Callable[[RenderRequest | Rejection, RenderReply], None]
OnRenderCancel = Callable[[RenderKey], None]


class RenderConnection:
    """Owns the connection, and knows the renders whose last part the broker does not have yet.

    Its session is clean: what was asked while we were away is not rendered.

    Args:
        limits: The limits of lines. A text may have `render_chars` characters.
        wait_s: See `Connection`.
        on_render: Called on the thread `mqtt-renders` for each request that can be answered.
        on_cancel: Called there with the key of an open render that its requester cancels.
    """

    def __init__(
        self,
        options: MqttOptions,
        topics: Topics,
        limits: LineLimits,
        *,
        wait_s: Callable[[], float],
        on_render: OnRender,
        on_cancel: OnRenderCancel,
    ) -> None:
        self._options = options
        self._topics = topics
        self.limits = limits
        self._on_render = on_render
        self._on_cancel = on_cancel
        self._lock = threading.Lock()
        self._open: dict[RenderKey, RenderReply] = {}
        self._open_of_client: Counter[str] = Counter()
        self._lost: list[tuple[float, RenderKey]] = []  # when each lost the connection
        self._log_limit = RateLimit(_MAX_LOGGED)
        self._answers = RateLimit(_MAX_ANSWERED)
        role = ConnectionRole(
            "renders",
            options.client_id(f"renders-{options.instance[:12]}"),
            topics.renders,
            qos=1,
            persistent=False,
            probe_topic=topics.renders_probe,
        )
        handlers = SessionHandlers(
            on_open=lambda _resumed, subscribe: subscribe(),
            on_ready=self._tell_lost,
            on_message=self._arrived,
            on_reachable=self._reachable,
            on_completed=lambda _: None,
        )
        self.connection = Connection(
            options, role, handlers, on_down=lambda reason, _without_message: self._down(reason), wait_s=wait_s
        )

    def stop(self) -> None:
        """Tell the thread to end, once the broker has the parts that were sent, or after a second."""
        deadline_s = time.monotonic() + _FLUSH_S
        with self._lock:
            replies = list(self._open.values())
        for reply in replies:
            reply.wait(deadline_s)
        self.connection.stop()

    def _arrived(self, message: ReceivedMessage, acknowledge: Acknowledge) -> None:
        acknowledge()
        if message.retained:
            self._log_dropped("it was retained before we subscribed", "publish it without the retain flag")
            return
        key = self._key(message)
        session = self.connection.session
        if key is None or session is None:
            return
        if message.topic == self._topics.render_cancel:
            if key in self._open:
                self._on_cancel(key)
            elif self._answers.allows():
                _answer(key, session, RenderError("cancelled", "no such render is open here"))
        elif key not in self._open:  # else its publisher sent it again after a reconnect
            self._requested(key, session, message)

    def _requested(self, key: RenderKey, session: Session, message: ReceivedMessage) -> None:
        """Pass a new request on, unless too many are open."""
        with self._lock:
            is_full = len(self._open) >= _MAX_OPEN or self._open_of_client[key.topic] >= _MAX_OPEN_OF_CLIENT
            if not is_full:
                reply = self._open[key] = RenderReply(key, session, self._window, self._close)
                self._open_of_client[key.topic] += 1
        if not is_full:
            self._on_render(parse_render(message.payload, message.properties, self.limits), reply)
            return
        fix = "send fewer, or wait for their ends"
        self._log_dropped("too many are open", fix)
        if self._answers.allows():
            _answer(key, session, RenderError("busy", f"too many renders are open here; {fix}"))

    def _key(self, message: ReceivedMessage) -> RenderKey | None:
        """Where the sound goes; `None` if nothing can be answered, which is logged."""
        prefix, (least, most) = self._options.reply_prefix, _CORRELATION_BYTES
        fix = f"give it a Response Topic under {prefix} and Correlation Data of {least} to {most} bytes (MQTT 5)"
        if message.fault is not None:
            self._log_dropped(message.fault.detail, fix)
            return None
        try:
            reply_to = checked_reply_to(message.properties, prefix)
        except BadResponseTopic as error:
            self._log_dropped(f"its response topic cannot be used: {error}", fix)
            return None
        if reply_to is None:
            self._log_dropped("it has no Response Topic, so nothing can be answered", fix)
        elif not least <= len(reply_to.correlation or b"") <= most:
            size = len(reply_to.correlation or b"")
            self._log_dropped(f"its Correlation Data has {size} bytes", fix)
        else:
            return RenderKey(reply_to.topic, reply_to.correlation or b"")
        return None

    def _window(self) -> int:
        return max(1, min(_MAX_UNCONFIRMED, _MAX_UNCONFIRMED_TOTAL // max(1, len(self._open))))

    def _close(self, reply: RenderReply) -> None:
        with self._lock:
            if self._open.pop(reply.key, None) is not None:
                self._open_of_client -= Counter([reply.client])  # a client without open ones is dropped

    def _down(self, reason: str) -> None:
        """Tell the renders that their connection has ended. Their requesters are told once there is another one."""
        with self._lock:
            replies = list(self._open.values())
            self._lost = [(time.monotonic(), reply.key) for reply in replies] + self._lost[: _MAX_OPEN - len(replies)]
        for reply in replies:
            reply.lost(reason)

    def _tell_lost(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, []
        session = self.connection.session
        oldest_s = time.monotonic() - _FORGET_S
        if session is None:
            return
        error = RenderError("failed", "the appliance lost its connection to the broker; send the request again")
        for lost_s, key in lost:
            if lost_s > oldest_s:
                _answer(key, session, error)

    def _reachable(self, reason: str | None) -> None:
        if reason is not None:
            log.warning("requests for sound may not come over MQTT: %s", reason)

    def _log_dropped(self, why: str, fix: str) -> None:
        """Log the first few in 10 s. The next log line after those says how many more there were."""
        if count := self._log_limit.held_back().total():
            log.warning("%d more requests for sound were dropped", count)
        if self._log_limit.allows():
            log.warning("a request for sound is dropped: %s; %s", why, fix)


def _answer(key: RenderKey, session: Session, error: RenderError) -> None:
    """Answer about a render that is not open."""
    RenderReply(key, session, lambda: 1, lambda _: None).send(RenderError.part, error.payload())
