"""The appliance's link to its broker: lines over one connection, commands over another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ishowtts.config import Config
from ishowtts.model import Acknowledge, Arrival, Event
from ishowtts.mqtt import strict_json
from ishowtts.mqtt.command_dispatcher import CommandDispatcher
from ishowtts.mqtt.connection import Connection
from ishowtts.mqtt.duplicate_guard import DuplicateInstanceGuard, GuardAction
from ishowtts.mqtt.event_sender import EventSender
from ishowtts.mqtt.line_payload import LineLimits, received_line
from ishowtts.mqtt.link_handlers import MqttHandlers
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.outside_topics import OutsideTopics
from ishowtts.mqtt.paho_client import ConnectionRole
from ishowtts.mqtt.publish_packet import ReceivedMessage
from ishowtts.mqtt.renders.render_connection import RenderConnection
from ishowtts.mqtt.retained_publisher import RetainedPublisher
from ishowtts.mqtt.session import Session, SessionHandlers
from ishowtts.mqtt.topics import RetainedName, Topics, lines_of
from ishowtts.mqtt.voice_connection import voice_connection
from ishowtts.util.logs import Untrusted
from ishowtts.util.rate_limit import RateLimit

log = logging.getLogger(__name__)

_MAX_RETAINED_LOGGED = 5  # log lines in 10 s
_MAX_INFO_REPUBLISHED = 5  # in 10 s: a flood of other instances' `info` must not delay our events


class MqttLink:
    """Two connections that are kept up until `stop`.

    There is a third one if voices may come over MQTT (`voice_connection`), and one for renders (`RenderConnection`).
    An appliance whose segments others render has one for that (`RenderRequester`).

    Lines come over a persistent session at QoS 1. `speech/intake` acknowledges each line once it is stored. Commands
    come over a clean session at QoS 0: a full queue cannot delay them, and one that was sent while we were away is
    never executed.
    The commands connection is made first: it detects whether another appliance uses our root. If so, the link does not
    subscribe to lines.

    Args:
        handlers: Called on the link's threads `mqtt-lines` and `mqtt-commands`; see `MqttHandlers`.
    """

    def __init__(self, options: MqttOptions, limits: LineLimits, handlers: MqttHandlers) -> None:
        self._options = options
        self._limits = limits
        self._handlers = handlers
        self._topics = Topics(options.root, options.group_roots)
        self._reporting = threading.Lock()
        self._reported: tuple[bool, str] | None = None  # the last arguments of `on_connection`
        self._events = EventSender(self._topics.event, answers=options.protocol == 5)
        self._outside = OutsideTopics(options.home_assistant_status)
        self._retained = RetainedPublisher(
            self._topics, lambda: (self._lines.session, self._commands.session), self._outside
        )
        self._on_home_assistant: Callable[[], None] = lambda: None
        self._info_republished = RateLimit(_MAX_INFO_REPUBLISHED)
        self._retained_logged = RateLimit(_MAX_RETAINED_LOGGED)
        self._guard = DuplicateInstanceGuard(
            options.root, options.instance, options.predecessors, options.guard_timeouts
        )
        self._lines = self._lines_connection()
        self._commands = self._commands_connection()
        self._dispatcher = CommandDispatcher(options, self._topics, handlers, self._session_for_replies)
        on_voice, on_render, wait_s = handlers.on_voice_request, handlers.on_render, self._guard.wait_s
        self._voices = () if on_voice is None else (voice_connection(options, self._topics, wait_s, on_voice),)
        self._renders: tuple[RenderConnection, ...] = ()
        if on_render is not None and options.protocol == 5:
            renders = RenderConnection(
                options,
                self._topics,
                limits,
                wait_s=wait_s,
                on_render=on_render,
                on_cancel=handlers.on_render_cancel,
            )
            self._renders = (renders,)
        self._boards = () if handlers.boards is None else (handlers.boards.connection(options, wait_s),)
        self._others = (*self._voices, *self._boards, *(each.connection for each in self._renders))
        self.connections = (self._lines, self._commands, *self._others)

    def _lines_connection(self) -> Connection:
        role = ConnectionRole(
            "lines",
            self._options.client_id("lines"),
            self._topics.lines,
            qos=1,
            persistent=True,
            will_topic=self._topics.availability,
            probe_topic=self._topics.probe,
        )
        handlers = SessionHandlers(
            on_open=self._lines_open,
            on_ready=self._connected,
            on_message=self._line_arrived,
            on_reachable=lambda reason: self._set_reachable("lines", reason),
            on_completed=self._handlers.on_completed,
            on_retained_answer=self._outside.answered,
        )
        return Connection(
            self._options,
            role,
            handlers,
            on_down=self._lines_down,
            wait_s=self._guard.wait_s,
            take_session_stale=self._guard.take_session_stale,
        )

    def _commands_connection(self) -> Connection:
        # Each run has its own client id: two appliances of one name see each other, and neither is disconnected.
        role = ConnectionRole(
            "commands",
            self._options.client_id(f"commands-{self._options.instance[:12]}"),
            self._topics.commands,
            qos=0,
            persistent=False,
            watched=self._topics.watched,
            probe_topic=self._topics.commands_probe,
        )
        handlers = SessionHandlers(
            on_open=_subscribe_at_once,
            on_ready=self._commands_subscribed,
            on_message=self._command_arrived,
            on_reachable=lambda reason: self._set_reachable("commands", reason),
            on_completed=lambda _: None,
        )
        return Connection(self._options, role, handlers, on_down=self._commands_down)

    @property
    def connected(self) -> bool:
        """Whether lines and commands both reach us now."""
        return self._lines.session is not None and self._commands.session is not None

    @property
    def has_failed(self) -> bool:
        """Whether a try to connect has failed, and none has succeeded since."""
        return self._reported is not None and not self._reported[0]

    @property
    def deaf(self) -> str | None:
        """Why messages may not reach us although we are connected. `None` if they do, as far as we know."""
        return self._retained.deaf

    @property
    def reconnects(self) -> int:
        """How often the link came back after its first connection."""
        return self._retained.reconnects

    @property
    def why_not_connected(self) -> str | None:
        """Why no line can reach us now: the broker refuses us, cannot be reached, or another appliance is live.

        `None` if we are connected.
        """
        if self.connected:
            return None
        with self._reporting:
            was_connected, reason = self._reported or (True, "")
        return self._guard.problem or (f"{self._options.broker} has not answered yet" if was_connected else reason)

    def start(self) -> None:
        """Start to connect. Returns at once, even if the broker is away."""
        for connection in self.connections:
            connection.start()

    def alive(self) -> bool:
        """Whether all threads run, or `stop` was called."""
        return not any(connection.died() for connection in self.connections)

    def revive_if_dead(self) -> bool:
        """Start each thread again that ended by itself. Returns whether there was one. The watchdog calls this."""
        dead = [connection for connection in self.connections if connection.died()]
        for connection in dead:
            log.error("an MQTT thread had died; it is started again")
            connection.start()
        return bool(dead)

    def stop(self, timeout_s: float) -> None:
        """Publish `offline`, disconnect cleanly and end the threads. Idempotent."""
        deadline_s = time.monotonic() + timeout_s
        self._retained.stop()
        session = self._lines.session
        for part in (self._commands, *self._voices, *self._boards, *self._renders):
            part.stop()
        if session is not None:
            offline = session.publish(self._topics.availability, b"offline", qos=1, retain=True)
            if offline is None or not offline.wait(deadline_s):
                log.warning("%s did not confirm that we go offline", self._options.broker)
        self._lines.stop()
        for connection in reversed(self.connections):
            if not connection.join(deadline_s - time.monotonic()):
                log.warning("an MQTT thread does not end in time; it ends with the process")

    def publish_retained(self, name: RetainedName, payload: Any) -> None:
        """Publish a retained value as JSON. The latest one is published again after every connect.

        Raises:
            ValueError: it contains NaN or infinity.
        """
        self._retained.publish(name, strict_json.dumps(payload))

    def serve_outside(
        self, on_home_assistant: Callable[[], None], on_answer: Callable[[str, str | None], None]
    ) -> OutsideTopics:
        """Return the topics outside our root. Call this before `start`.

        Args:
            on_home_assistant: Called when Home Assistant says that it has started.
            on_answer: See `OutsideTopics`.
        """
        self._on_home_assistant, self._outside.on_answer = on_home_assistant, on_answer
        return self._outside

    def change(self, config: Config, chimes: Callable[[], Collection[str]]) -> None:
        """Take what a reload of the configuration may change, and the names of the chimes. The connections stay."""
        options = self._options.changed(config)
        self._limits = self._limits.changed(config, chimes)
        for renders in self._renders:
            renders.limits = self._limits
        self._guard.set_timeouts(options.guard_timeouts)
        self._lines.set_options(options)  # the broker learns of another expiry of the session at the next connect
        self._outside.watch(options.home_assistant_status)

    def send_events(self, numbered: Sequence[tuple[int, Event]], timeout_s: float) -> int:
        """Publish events in order, and wait until the broker has confirmed them.

        Returns: how many events, counted from the first one, are confirmed without a gap. 0 if not connected.
        """
        session = self._lines.session
        return 0 if session is None else self._events.send(session, numbered, timeout_s)

    def _lines_open(self, resumed: bool, subscribe: Callable[[], None]) -> None:
        name = f"{self._options.client_id('lines')} at {self._options.host}:{self._options.port}"
        self._handlers.on_session(name, resumed, subscribe)

    def _commands_subscribed(self) -> None:
        self._apply(self._guard.subscribed(self._lines.session is not None))
        for connection in self.connections:
            connection.wake()
        self._connected()

    def _apply(self, action: GuardAction) -> None:
        """Do what the duplicate guard asks for."""
        if action is GuardAction.YIELD:
            # A live appliance corrects this to `online` (`correct_availability`). For forged messages nobody does.
            if (session := self._lines.session) is not None:
                session.publish(self._topics.availability, b"offline", qos=1, retain=True)
            for connection in (self._lines, *self._others):
                connection.disconnect()
        elif action is GuardAction.REPUBLISH_INFO and self._info_republished.allows():
            self._retained.publish_again("info")
        if (problem := self._guard.problem) is not None:
            self._report(problem)

    def _connected(self) -> None:
        """One of the two connections is ready."""
        if self._guard.wait_s() > 0:
            if self._lines.session is not None and self._guard.problem is not None:
                self._lines.disconnect()  # it connected while we learned that another appliance uses the root
            return
        self._announce()

    def _announce(self) -> None:
        if self._retained.announce():
            self._report(self.deaf or f"connected to {self._options.broker}")

    def _set_reachable(self, role: str, reason: str | None) -> None:
        connection = self._lines if role == "lines" else self._commands
        self._retained.set_reachable(role, connection.session, reason)
        self._announce()

    def _lines_down(self, reason: str, without_message: bool) -> None:
        self._down("lines", reason, without_message)

    def _commands_down(self, reason: str, without_message: bool) -> None:
        self._guard.disconnected()
        self._down("commands", reason, without_message)

    def _down(self, role: str, reason: str, without_message: bool) -> None:
        # A broker may send something that ends each connection before a line can come: no message reaches us then.
        if without_message:
            self._set_reachable(role, reason)
        self._report(self._guard.problem or reason)

    def _report(self, reason: str) -> None:
        """Log the state of the connection and pass it on, once even if both connections find the same problem."""
        with self._reporting:
            now = (self.connected, reason)
            if now == self._reported:
                return
            # A connection that is made again and stays deaf reports the same reason each time it ends.
            if self._reported is None or self._reported[1] != reason:
                well = self._retained.stopped or (self.connected and self.deaf is None)
                log.log(logging.INFO if well else logging.WARNING, "%s", reason)
            self._reported = now
            self._handlers.on_connection(*now)

    def _line_arrived(self, message: ReceivedMessage, acknowledge: Acknowledge) -> None:
        tail = self._topics.tail(message.topic)
        if tail == message.topic:
            self._leave_group(tail)
            acknowledge()
            return
        if message.retained:
            if self._retained_logged.allows():  # over MQTT 3.1.1 all of them come at each connect
                log.info(
                    "a message that was retained on %s before we subscribed is not spoken", Untrusted(message.topic)
                )
            acknowledge()
            return
        self._handlers.on_arrival(Arrival(received_line(tail, message, self._limits), message.delivery), acknowledge)

    def _leave_group(self, topic: str) -> None:
        """Unsubscribe from a group that the configuration names no longer: the broker has kept our subscription."""
        if (session := self._lines.session) is not None:
            root = "/".join(topic.split("/")[: len(self._options.prefix.split("/")) + 2])
            session.unsubscribe(lines_of(root))
            log.info("this appliance is not in the group of %s any more; its lines are not spoken", Untrusted(root))

    def _command_arrived(self, message: ReceivedMessage, acknowledge: Acknowledge) -> None:
        acknowledge()
        if message.topic == self._outside.watched:
            if message.payload.strip(b"\0 \t\r\n") == b"online" and not message.retained and message.fault is None:
                self._on_home_assistant()
            return
        if message.topic in self._topics.watched:
            self._watched_arrived(message)
            return
        if message.retained:
            log.info("a message that was retained on %s before we subscribed is not executed", Untrusted(message.topic))
            return
        self._dispatcher.dispatch(message)

    def _session_for_replies(self) -> Session | None:
        """The commands connection; `None` while another appliance uses our root, and replies itself."""
        return self._commands.session if self._guard.problem is None else None

    def _watched_arrived(self, message: ReceivedMessage) -> None:
        if message.fault is not None:
            return
        if message.topic == self._topics.availability:
            self._retained.correct_availability(message.payload)
            return
        self._apply(self._guard.message(self._topics.tail(message.topic), message.payload, message.retained))


def _subscribe_at_once(_resumed: bool, subscribe: Callable[[], None]) -> None:
    """A clean session has nothing to wait for."""
    subscribe()
