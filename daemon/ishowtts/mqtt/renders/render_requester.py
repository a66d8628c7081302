"""Has segments rendered by other appliances, the boards: watches them, sends requests, and collects the sounds."""

from __future__ import annotations

import logging
import math
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ishowtts.config import Config
from ishowtts.engines.remote.board_link import FailureKind, ReadyBoard, RenderFailure
from ishowtts.engines.remote.remote_engine import RemoteEngine
from ishowtts.model import Acknowledge, Segment, SoundFormat
from ishowtts.mqtt.connection import Connection
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import ConnectionRole
from ishowtts.mqtt.publish_packet import MessageProperties, ReceivedMessage
from ishowtts.mqtt.publisher import PublishAnswer
from ishowtts.mqtt.renders.board_watch import BoardWatch
from ishowtts.mqtt.renders.render_boards import ONLINE, BoardFacts, recent_rtf
from ishowtts.mqtt.renders.render_parts import parse_part, request_payload
from ishowtts.mqtt.renders.requested_render import RequestedRender, new_correlation
from ishowtts.mqtt.session import SessionHandlers

log = logging.getLogger(__name__)

_MAX_UNACKNOWLEDGED = 100  # messages that the broker may send before we have taken the first of them: 3.3 MB
NEEDS_MQTT5 = "engine.kind remote needs MQTT 5, whose response topics bring the sounds; set mqtt.protocol to 5"
_SETTLE_S = 3.0
_START_S = 5.0
_REPORT_S = 1.0  # what boards have published comes within some 10 ms after the connection is made
_CANCEL_EXPIRY_S = 60
_SILENT_S = 3.0
_MOST_PROBES = 200
_USER_IN_TOPIC = re.compile(r"[^+#/\0]{1,64}")
_NOT_CONNECTED = "the boards are not known, because the broker has not answered yet; see that it runs"


class RenderRequester:
    """The boards, and the way to them: `BoardLink` of the engine `remote`. Any thread may call it.

    Args:
        watch: What is known of the boards.
        on_change: Called after boards, or the connection to them, came or went. It must not block.
    """

    def __init__(self, watch: BoardWatch, on_change: Callable[[], None]) -> None:
        self._watch = watch
        self._on_change = on_change
        self._lock = threading.Lock()
        self._renders: dict[bytes, RequestedRender] = {}  # by Correlation Data
        self._probes: dict[bytes, str] = {}  # by Correlation Data: the board that was asked whether it is there
        self._heard_s: dict[str, float] = {}  # when each board that answers probes was heard last
        self._subscribed: set[str] = set()
        self._connection: Connection | None = None
        self._options: MqttOptions | None = None
        self._reply_topic = ""
        self._down: str | None = _NOT_CONNECTED
        self._refused: str | None = None
        self._unsupported: str | None = None
        self._was_ready = False
        self._began_s = self._connection_changed_s = time.monotonic()

    @classmethod
    def for_engine(
        cls, engine: RemoteEngine | None, config: Config, root: str, on_change: Callable[[], None]
    ) -> RenderRequester | None:
        """Build it for the engine `remote`, if there is one.

        Args:
            root: `<prefix>/<device>` of this appliance.
        """
        if engine is None:
            return None
        watch = BoardWatch.from_config(config, root)
        requester = cls(watch, on_change)
        engine.attach(requester)
        return requester

    def connection(self, options: MqttOptions, wait_s: Callable[[], float]) -> Connection:
        """Build the connection `mqtt-boards`. Its session is clean: what was asked before is not wanted any more.

        Args:
            wait_s: See `Connection`.
        """
        if options.protocol != 5:
            self._unsupported = NEEDS_MQTT5
        # A broker that has users lets each read below its own name only.
        valid = options.username is not None and _USER_IN_TOPIC.fullmatch(options.username)
        user = options.username if valid else options.root.rpartition("/")[2]
        self._reply_topic = f"{options.reply_prefix}{user}/{secrets.token_hex(12)}"
        role = ConnectionRole(
            "boards",
            options.client_id(f"boards-{options.instance[:12]}"),
            (self._reply_topic,),
            qos=1,
            persistent=False,
            watched=self._watch.first_topics,
            probe_topic=f"{options.root}/probe/boards",
        )
        handlers = SessionHandlers(
            on_open=self._open,
            on_ready=self._ready,
            on_message=self._arrived,
            on_reachable=self._set_reachable,
            on_completed=lambda _: None,
        )
        self._options = replace(options, receive_maximum=_MAX_UNACKNOWLEDGED)
        self._connection = Connection(self._options, role, handlers, on_down=self._lost, wait_s=wait_s)
        return self._connection

    def ready_boards(self, voice: str | None, language: str | None) -> Sequence[ReadyBoard]:
        """Return the boards that can render in this voice and language now, best first."""
        if self._down is not None:
            return []
        with self._lock:
            own_renders = Counter(render.board for render in self._renders.values())
        return [_ready_board(board) for board in self._watch.ranked(voice, language, own_renders)]

    def any_ready(self) -> Sequence[ReadyBoard]:
        """Return the boards that can render now, in no order."""
        return [] if self._down is not None else [_ready_board(board) for board in self._watch.summary.ready]

    def problem(self) -> str | None:
        """Return why no board can render now; `None` if one can."""
        return self.refusal or self._down or self._watch.summary.problem

    @property
    def refusal(self) -> str | None:
        """Why no board can be asked on any connection: our configuration or the rights at the broker."""
        return self._unsupported or self._refused

    def languages(self) -> frozenset[str] | None:
        """Return the base languages that the boards speak; `None`: every language, or unknown."""
        return self._watch.summary.languages

    def voices(self) -> dict[str, str | None]:
        """Return the voices of the boards, with their languages."""
        return dict(self._watch.summary.voices)

    def voices_known(self) -> bool:
        """Return whether the broker has sent what the boards published."""
        return self._was_ready

    def starting(self) -> bool:
        """Return whether this process has just started, and no board is ready yet."""
        if self._watch.summary.ready or self.refusal is not None:
            return False
        now_s = time.monotonic()
        reported = self._was_ready and now_s - self._connection_changed_s >= _REPORT_S
        return now_s - self._began_s < _START_S and not reported

    def settled(self) -> bool:
        """Return whether the connection has been as it is for some seconds."""
        return time.monotonic() - self._connection_changed_s >= _SETTLE_S

    def render(self, board: str, segment: Segment, timeout_s: float) -> RequestedRender:
        """Ask a board for a segment. A board that cannot be asked is a result like any other."""
        render = RequestedRender(board, self._withdraw, self._probe)
        payload = request_payload(
            segment.text,
            format=SoundFormat.PCM,
            is_segment=True,
            voice=segment.voice,
            language=segment.language,
            speed=segment.speed,
            nfe_step=segment.nfe_step,
            seed=segment.seed,
            ttl_s=timeout_s,
        )
        with self._lock:
            self._renders[render.correlation] = render
        if not self._publish(render, "render", payload, render.correlation, math.ceil(timeout_s)):
            self._end(render, RenderFailure(FailureKind.DISCONNECTED, self._down or "the broker cannot be reached"))
        elif board not in self._heard_s:
            self._probe(render)  # a board of an earlier version does not answer: its silence means nothing
        return render

    def _publish(self, render: RequestedRender, what: str, payload: bytes, correlation: bytes, expiry_s: int) -> bool:
        """Publish a message about a render to its board. Returns whether it was handed to the network."""
        session = None if self._connection is None else self._connection.session
        if session is None or self._options is None:
            return False
        sent = session.publish(
            f"{self._options.prefix}/{render.board}/{what}",
            payload,
            qos=1,
            retain=False,
            properties=MessageProperties(response_topic=self._reply_topic, correlation=correlation, expiry_s=expiry_s),
            retry=False,
            on_answer=lambda answer: self._answered(render, answer),
        )
        return sent is not None

    def _answered(self, render: RequestedRender, answer: PublishAnswer) -> None:
        """The broker has answered a request. Not every broker says that nobody subscribes to it."""
        if answer.refusal is not None:
            detail = f"the broker does not let us publish to {render.board}/render ({answer.refusal}); change its ACL"
            self._end(render, RenderFailure(FailureKind.GONE, detail))
        elif not answer.has_subscribers:
            self._end(
                render,
                RenderFailure(
                    FailureKind.GONE, "nothing takes its requests: it has died, or it has just lost its connection"
                ),
            )

    def _withdraw(self, render: RequestedRender) -> None:
        with self._lock:
            self._renders.pop(render.correlation, None)
        self._publish(render, "render/cancel", b"", render.correlation, _CANCEL_EXPIRY_S)

    def _probe(self, render: RequestedRender) -> None:
        """Ask whether the board is there: cancel a render that does not exist, which a board answers at once.

        A broker may say earlier that nobody subscribes there any more. The will comes 10 s after the connection broke,
        since a board that only loses its connection may be back by then.
        """
        now_s = time.monotonic()
        with self._lock:
            heard_s = self._heard_s.get(render.board)
        if heard_s is not None and now_s - max(heard_s, render.began_s) > _SILENT_S:
            self._end(render, RenderFailure(FailureKind.GONE, f"it has answered nothing for {_SILENT_S:g} s"))
            return
        correlation = new_correlation()
        with self._lock:
            self._probes[correlation] = render.board
            while len(self._probes) > _MOST_PROBES:
                del self._probes[next(iter(self._probes))]
        self._publish(render, "render/cancel", b"", correlation, _CANCEL_EXPIRY_S)

    def _end(self, render: RequestedRender, result: RenderFailure) -> None:
        with self._lock:
            self._renders.pop(render.correlation, None)
        render.end(result)

    # The methods below run on the thread `mqtt-boards`.

    def _open(self, _resumed: bool, subscribe: Callable[[], None]) -> None:
        self._subscribed.clear()
        self._watch.forget_states()
        subscribe()

    def _ready(self) -> None:
        self._was_ready, self._down = True, None
        self._connection_changed_s = time.monotonic()
        self._subscribe_renderers()
        self._on_change()

    def _arrived(self, message: ReceivedMessage, acknowledge: Acknowledge) -> None:
        acknowledge()
        if message.fault is not None:
            return
        if message.topic != self._reply_topic:
            self._take_board(message)
            return
        correlation = message.properties.correlation or b""
        with self._lock:
            render, probed = self._renders.get(correlation), self._probes.pop(correlation, None)
            if probed is not None:
                self._heard_s[probed] = time.monotonic()
            elif render is not None and render.board in self._heard_s:
                self._heard_s[render.board] = time.monotonic()
        # A late answer has no render any more.
        if render is not None and render.take(parse_part(message.payload, message.properties.user)):
            with self._lock:
                self._renders.pop(render.correlation, None)

    def _take_board(self, message: ReceivedMessage) -> None:
        changed = self._watch.take(message.topic, message.payload)
        if self._down is not None:
            return
        self._subscribe_renderers()
        if not changed:
            return
        ready = {board.name for board in self._watch.summary.ready}
        with self._lock:
            lost = [render for render in self._renders.values() if render.board not in ready]
        for render in lost:
            board = self._watch.board(render.board)
            if board is None or board.availability != ONLINE:
                self._end(render, RenderFailure(FailureKind.GONE, "it went offline"))
        self._on_change()

    def _subscribe_renderers(self) -> None:
        """Subscribe to the state and the telemetry of boards that are new."""
        session = None if self._connection is None else self._connection.session
        for topic in self._watch.renderer_topics:
            if session is not None and topic not in self._subscribed:
                self._subscribed.add(topic)
                session.subscribe_optional(topic, partial(_granted, topic))

    def _set_reachable(self, reason: str | None) -> None:
        if reason != self._refused:
            self._refused = reason
            if reason is not None:
                log.warning("no board can render: %s", reason)
            self._on_change()

    def _lost(self, reason: str, _without_message: bool) -> None:
        if self._down is None:
            self._connection_changed_s = time.monotonic()
        self._down = reason
        with self._lock:
            renders, self._renders = list(self._renders.values()), {}
        for render in renders:
            render.end(RenderFailure(FailureKind.DISCONNECTED, reason))
        self._on_change()


def _granted(topic: str, refusal: str | None) -> None:
    if refusal is not None:
        log.warning("the broker does not let us subscribe to %s (%s); allow it in its ACL", topic, refusal)


def _ready_board(board: BoardFacts) -> ReadyBoard:
    engines = board.state.get("engines")
    engine = engines[0] if isinstance(engines, list) and engines and isinstance(engines[0], str) else None
    return ReadyBoard(board.name, engine, recent_rtf(board))
