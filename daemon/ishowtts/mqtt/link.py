"""The appliance's link to its broker: lines over one connection, commands over another."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ishowtts.model import Arrival, Event, Rejection, timestamp
from ishowtts.mqtt import strict_json
from ishowtts.mqtt.acknowledgements import Ack
from ishowtts.mqtt.connection import Connection
from ishowtts.mqtt.duplicate_guard import DuplicateInstanceGuard, GuardAction
from ishowtts.mqtt.event_sender import EventSender
from ishowtts.mqtt.incoming import Incoming
from ishowtts.mqtt.mqtt_options import MqttHandlers, MqttOptions
from ishowtts.mqtt.paho_client import ConnectionRole
from ishowtts.mqtt.payload import (
    BadCommand,
    LineLimits,
    new_id,
    parse_command,
    parse_line,
    parse_volume,
)
from ishowtts.mqtt.session import Session, SessionHandlers
from ishowtts.mqtt.topics import RetainedName, Topics
from ishowtts.util.logs import Untrusted
from ishowtts.util.rate_limit import RateLimit

__all__ = ["MqttHandlers", "MqttLink", "MqttOptions"]

logger = logging.getLogger(__name__)

_CORRECT_S = 5.0
_RETAINED_TOLD = 5  # log lines in 10 s
_INFO_ANSWERS = 5  # to a flood of other appliances' `info`, in 10 s: our events would wait behind them


class MqttLink:
    """Two connections that are kept up until `stop`.

    Lines come over a persistent session at QoS 1 and are acknowledged by whoever takes them. Commands come by
    a clean session at QoS 0: a full queue cannot delay them, and one sent while we were off is never obeyed.
    The second one comes first: it hears whether another appliance has our root, and then lines are not asked for.
    `availability` is `online` only once messages are proven to reach us (`mqtt.probe`); where they may not, it is
    `offline`, and `alert/deaf` says why.

    Args:
        handlers: called on the link's threads `mqtt-lines` and `mqtt-commands`; see `Handlers`.
    """

    def __init__(self, options: MqttOptions, limits: LineLimits, handlers: MqttHandlers) -> None:
        self._options = options
        self._limits = limits
        self._handlers = handlers
        self._topics = Topics(options.root)
        self._lock = threading.RLock()
        self._telling = threading.Lock()
        self._retained: dict[RetainedName, bytes] = {}
        self._events = EventSender(self._topics.event, answers=options.protocol == 5)
        self._announced: tuple[Session, Session] | None = None
        self._heard_on: dict[str, Session | None] = {}  # by connection: the session on which a message has come
        self._deaf: dict[str, str] = {}  # by connection: why messages may not reach us
        self._alerted: tuple[str | None] | None = None  # what `alert/deaf` says
        self._info_answers = RateLimit(_INFO_ANSWERS)
        self._retained_lines = RateLimit(_RETAINED_TOLD)
        self._corrected_s = -math.inf  # when somebody else's word on `availability` was corrected last
        self._available: bytes | None = None  # what `availability` says on the announced session
        self._times_connected = 0
        self._told: tuple[bool, str] | None = None
        self._stopped = False
        lines = ConnectionRole(
            "lines",
            options.client_id("lines"),
            self._topics.lines,
            qos=1,
            persistent=True,
            will_topic=self._topics.availability,
            probe_topic=self._topics.probe,
        )
        # An id of its own for each run: two appliances of one name hear each other there, and neither is thrown out.
        commands_id = options.client_id(f"commands-{options.instance[:12]}")
        commands = ConnectionRole(
            "commands",
            commands_id,
            self._topics.commands,
            qos=0,
            persistent=False,
            watched=self._topics.watched,
            probe_topic=self._topics.commands_probe,
        )
        self._neighbours = DuplicateInstanceGuard(
            options.root, options.instance, options.predecessors, options.patience
        )
        self._lines = Connection(
            options,
            lines,
            SessionHandlers(
                on_open=self._lines_open,
                on_ready=self._ready,
                on_message=self._line_arrived,
                on_hearing=lambda why: self._heard("lines", self._lines.session, why),
                on_settled=handlers.on_settled,
            ),
            on_down=self._lines_down,
            wait_s=self._neighbours.wait_s,
            take_stale=self._neighbours.take_stale,
        )
        self._commands = Connection(
            options,
            commands,
            SessionHandlers(
                on_open=_subscribe,
                on_ready=self._looked,
                on_message=self._command_arrived,
                on_hearing=lambda why: self._heard("commands", self._commands.session, why),
                on_settled=lambda _: None,
            ),
            on_down=self._commands_down,
        )

    @property
    def connected(self) -> bool:
        """Whether lines and commands both reach us now."""
        return self._lines.session is not None and self._commands.session is not None

    @property
    def deaf(self) -> str | None:
        """Why messages may not reach us although we are connected; `None`: they do, as far as anybody knows."""
        with self._lock:
            return "; ".join(self._deaf.values()) or None

    @property
    def reconnects(self) -> int:
        """How often the link came back after its first connection."""
        return max(0, self._times_connected - 1)

    @property
    def neighbour(self) -> str | None:
        """Why we keep away from our root: another appliance has it."""
        return self._neighbours.trouble

    def start(self) -> None:
        """Start connecting; returns at once, whether there is a broker or not."""
        self._lines.start()
        self._commands.start()

    def alive(self) -> bool:
        """Whether both threads run (or were told to end)."""
        return not self._lines.died() and not self._commands.died()

    def revive_if_dead(self) -> bool:
        """Start a thread again that ended by itself; whether there was one. For the service's watchdog."""
        dead = [connection for connection in (self._lines, self._commands) if connection.died()]
        for connection in dead:
            logger.error("an MQTT thread had died; it is started again")
            connection.start()
        return bool(dead)

    def stop(self, timeout_s: float) -> None:
        """Say `offline`, disconnect cleanly and end the threads. Idempotent."""
        deadline_s = time.monotonic() + timeout_s
        with self._lock:
            self._stopped = True
            session = self._lines.session
        self._commands.end()
        if session is not None:
            goodbye = session.publish(self._topics.availability, b"offline", qos=1, retain=True)
            if goodbye is None or not goodbye.wait(deadline_s):
                logger.warning("%s did not confirm our going offline", self._options.broker)
        self._lines.end()
        for connection in (self._commands, self._lines):
            if not connection.join(deadline_s - time.monotonic()):
                logger.warning("an MQTT thread does not end in time; it ends with the process")

    def publish_retained(self, name: RetainedName, payload: Any) -> None:
        """Publish what holds now, as JSON; the last one is published again after every connect.

        Raises:
            ValueError: NaN or infinity in it.
        """
        body = strict_json.dumps(payload)
        with self._lock:
            self._retained[name] = body
            if self._announced is not None and not self._stopped:
                self._publish_retained(self._announced[0], name, body)

    def send_events(self, numbered: Sequence[tuple[int, Event]], timeout_s: float) -> int:
        """Publish events in order, and wait until the broker has them.

        Returns: how many, from the first one on, are confirmed; 0 when not connected.
        """
        session = self._lines.session
        return 0 if session is None else self._events.send(session, numbered, timeout_s)

    def _publish_retained(self, session: Session, name: RetainedName, body: bytes) -> None:
        session.publish(self._topics.retained(name), body, qos=0 if name == "telemetry" else 1, retain=True)

    def _lines_open(self, resumed: bool, subscribe: Callable[[], None]) -> None:
        name = f"{self._options.client_id('lines')} at {self._options.host}:{self._options.port}"
        self._handlers.on_session(name, resumed, subscribe)

    def _looked(self) -> None:
        self._heed(self._neighbours.looked(self._lines.session is not None))
        self._lines.nudge()
        self._ready()

    def _heed(self, advice: GuardAction) -> None:
        if advice is GuardAction.YIELD:
            # Whoever lives here says `online` again (`_correct`); where that was forged, nobody does.
            if (session := self._lines.session) is not None:
                session.publish(self._topics.availability, b"offline", qos=1, retain=True)
            self._lines.drop()
        elif advice is GuardAction.ANSWER and self._info_answers.allows():
            with self._lock:
                if self._announced is not None and (info := self._retained.get("info")) is not None:
                    self._publish_retained(self._announced[0], "info", info)
        if (trouble := self._neighbours.trouble) is not None:
            self._tell(trouble)

    def _ready(self) -> None:
        if self._neighbours.wait_s() > 0:
            if self._lines.session is not None and self._neighbours.trouble is not None:
                self._lines.drop()  # it connected while we learned that the root is another's
            return
        self._announce()

    def _heard(self, role: str, session: Session | None, why: str | None) -> None:
        """Whether messages reach us on a connection, or why they may not."""
        with self._lock:
            self._heard_on[role] = session if why is None else None
            if why is None:
                self._deaf.pop(role, None)
            else:
                self._deaf[role] = why
        self._raise_alert()
        self._announce()

    def _correct(self, said: bytes) -> None:
        """Somebody else, or the will of an earlier connection, has said something else of us: say it again."""
        with self._lock:
            ours, now_s = self._available, time.monotonic()
            if self._stopped or ours is None or said == ours or now_s < self._corrected_s + _CORRECT_S:
                return
            if self._announced is not None and self._announced[0] is self._lines.session:
                self._corrected_s = now_s
                self._announced[0].publish(self._topics.availability, ours, qos=1, retain=True)

    def _raise_alert(self) -> None:
        """Publish `alert/deaf` where it is another than before."""
        detail = self.deaf
        with self._lock:
            if (detail,) == self._alerted:
                return
            self._alerted = (detail,)
        since = timestamp(time.time())
        self.publish_retained(
            "alert/deaf", {"active": detail is not None, "since": since, "detail": detail, "value": None}
        )

    def _announce(self) -> None:
        """Say what holds now: all of it on a new pair of sessions, and whether messages reach us."""
        with self._lock:
            lines, commands = self._lines.session, self._commands.session
            if lines is None or commands is None or self._stopped:
                return
            if self._announced != (lines, commands):
                self._announced, self._available = (lines, commands), None
                self._times_connected += 1
                for name, body in self._retained.items():
                    self._publish_retained(lines, name, body)
            proven = self._heard_on == {"lines": lines, "commands": commands}
            available = b"offline" if self._deaf else b"online" if proven else None
            if available is not None and available != self._available:
                self._available = available
                lines.publish(self._topics.availability, available, qos=1, retain=True)
        self._tell(self.deaf or f"connected to {self._options.broker}")

    def _lines_down(self, why: str, unheard: bool) -> None:
        self._down("lines", why, unheard)

    def _commands_down(self, why: str, unheard: bool) -> None:
        self._neighbours.lost()
        self._down("commands", why, unheard)

    def _down(self, role: str, why: str, unheard: bool) -> None:
        # Whatever a broker sends that ends each connection before a line can come: we do not hear.
        if unheard:
            self._heard(role, None, why)
        self._tell(self._neighbours.trouble or why)

    def _tell(self, why: str) -> None:
        """Log and pass on what holds now; once, though both connections find the same trouble."""
        with self._telling:
            now = (self.connected, why)
            if now == self._told:
                return
            # A connection that is opened again and stays deaf says the same at each end.
            if self._told is None or self._told[1] != why:
                well = self._stopped or (now[0] and self.deaf is None)
                logger.log(logging.INFO if well else logging.WARNING, "%s", why)
            self._told = now
            self._handlers.on_connection(*now)

    def _line_arrived(self, message: Incoming, ack: Ack) -> None:
        tail = self._topics.tail(message.topic)
        if message.retained:
            if self._retained_lines.allows():  # over MQTT 3.1.1 all of them come at each connect
                logger.info("what was retained on %s before we subscribed is not spoken", Untrusted(message.topic))
            ack()
            return
        if message.fault is None:
            line = parse_line(tail, message.payload, message.properties, self._limits)
        else:
            line = Rejection(new_id(), message.fault.reason, message.fault.detail)
        self._handlers.on_arrival(Arrival(line, message.delivery), ack)

    def _command_arrived(self, message: Incoming, ack: Ack) -> None:
        ack()
        if message.topic in self._topics.watched:
            if message.fault is not None:
                return
            if message.topic == self._topics.availability:
                self._correct(message.payload)
                return
            self._heed(self._neighbours.heard(self._topics.tail(message.topic), message.payload, message.retained))
            return
        if message.retained:
            logger.info("what was retained on %s before we subscribed is not obeyed", Untrusted(message.topic))
            return
        try:
            if message.fault is not None:
                raise BadCommand(message.fault.detail)
            if message.topic == self._topics.volume_set:
                self._handlers.on_volume(parse_volume(message.payload))
            else:
                self._handlers.on_command(parse_command(message.payload))
        except BadCommand as error:
            self._handlers.on_command_fault(str(error), error.transaction)


def _subscribe(_resumed: bool, subscribe: Callable[[], None]) -> None:
    """A clean session has nothing to wait for."""
    subscribe()
