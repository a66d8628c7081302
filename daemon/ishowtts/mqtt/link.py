"""The appliance's link to its broker: lines over one connection, commands over another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ishowtts.logs import Untrusted
from ishowtts.mqtt import strict_json
from ishowtts.mqtt.connection import Connection
from ishowtts.mqtt.neighbours import Advice, Neighbours
from ishowtts.mqtt.options import Handlers, MqttOptions
from ishowtts.mqtt.paho_client import Role
from ishowtts.mqtt.payload import (
    BadCommand,
    LineLimits,
    event_payload,
    parse_command,
    parse_line,
    parse_volume,
)
from ishowtts.mqtt.session import Ack, Incoming, Publishing, Session
from ishowtts.mqtt.topics import RetainedName, Topics
from ishowtts.speech import Arrival, Event, Outcome

__all__ = ["Handlers", "MqttLink", "MqttOptions"]

logger = logging.getLogger(__name__)

# A duplicate has no other final event, and whoever waits for an answer waits for this one.
_ANSWERS = frozenset(outcome.value for outcome in Outcome) | {"duplicate"}


class MqttLink:
    """Two connections that are kept up until `stop`.

    Lines come over a persistent session at QoS 1 and are acknowledged by whoever takes them. Commands come by
    a clean session at QoS 0: a full queue cannot delay them, and one sent while we were off is never obeyed.
    The second one comes first: it hears whether another appliance has our root, and then lines are not asked for.

    Args:
        handlers: called on the link's threads `mqtt-lines` and `mqtt-commands`; see `Handlers`.
    """

    def __init__(self, options: MqttOptions, limits: LineLimits, handlers: Handlers) -> None:
        self._options = options
        self._limits = limits
        self._handlers = handlers
        self._topics = Topics(options.root)
        self._lock = threading.RLock()
        self._telling = threading.Lock()
        self._retained: dict[RetainedName, bytes] = {}
        self._in_flight: dict[tuple[int, str, str, str], list[Publishing]] = {}
        self._in_flight_of: Session | None = None
        self._announced: tuple[Session, Session] | None = None
        self._times_connected = 0
        self._told: tuple[bool, str] | None = None
        self._stopped = False
        lines = Role("lines", options.client_id("lines"), self._topics.lines, 1, True, self._topics.availability)
        # An id of its own for each run: two appliances of one name hear each other there, and neither is thrown out.
        commands_id = options.client_id(f"commands-{options.instance[:12]}")
        commands = Role("commands", commands_id, self._topics.commands, 0, False, watched=self._topics.watched)
        self._neighbours = Neighbours(options.root, options.instance, options.predecessors, options.patience)
        self._lines = Connection(
            options,
            lines,
            on_open=self._lines_open,
            on_ready=self._ready,
            on_message=self._line_arrived,
            on_down=self._down,
            wait_s=self._neighbours.wait_s,
        )
        self._commands = Connection(
            options,
            commands,
            on_open=_subscribe,
            on_ready=self._looked,
            on_message=self._command_arrived,
            on_down=self._deaf,
        )

    @property
    def connected(self) -> bool:
        """Whether lines and commands both reach us now."""
        return self._lines.session is not None and self._commands.session is not None

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

        One that was not confirmed in time is known by its number when it comes again: two refused commands may look
        alike. A final event goes to its publisher's response topic as well.

        Returns: how many, from the first one on, are confirmed; 0 when not connected.
        """
        deadline_s = time.monotonic() + timeout_s
        session = self._lines.session
        if session is None:
            return 0
        with self._lock:
            if self._in_flight_of is not session:
                self._in_flight_of, self._in_flight = session, {}
            under_way = [self._under_way(session, number, event) for number, event in numbered]
        confirmed = 0
        for deliveries in under_way:
            if not deliveries or not all(delivery.wait(deadline_s) for delivery in deliveries):
                break
            confirmed += 1
        with self._lock:
            self._in_flight = {
                key: deliveries
                for key, deliveries in self._in_flight.items()
                if not all(delivery.done() for delivery in deliveries)
            }
        return confirmed

    def _under_way(self, session: Session, number: int, event: Event) -> list[Publishing]:
        """The deliveries of an event. One that timed out before is waited for again, not published again."""
        # An inbox that had to begin a fresh file may give a number again.
        key = (number, event.ts, event.id, event.event)
        if key not in self._in_flight:
            body = strict_json.dumps(event_payload(event))
            targets: list[tuple[str, bytes | None]] = [(self._topics.event, None)]
            if event.reply_to is not None and event.event in _ANSWERS and self._options.protocol == 5:
                targets.append((event.reply_to.topic, event.reply_to.correlation))
            sent = [
                session.publish(topic, body, qos=1, retain=False, correlation=correlation)
                for topic, correlation in targets
            ]
            deliveries = [delivery for delivery in sent if delivery is not None]
            if len(deliveries) < len(sent):
                return []
            self._in_flight[key] = deliveries
        return self._in_flight[key]

    def _publish_retained(self, session: Session, name: RetainedName, body: bytes) -> None:
        session.publish(self._topics.retained(name), body, qos=0 if name == "telemetry" else 1, retain=True)

    def _lines_open(self, resumed: bool, subscribe: Callable[[], None]) -> None:
        name = f"{self._options.client_id('lines')} at {self._options.host}:{self._options.port}"
        self._handlers.on_session(name, resumed, subscribe)

    def _looked(self) -> None:
        self._heed(self._neighbours.looked(self._lines.session is not None))
        self._lines.nudge()
        self._ready()

    def _deaf(self, why: str) -> None:
        self._neighbours.lost()
        self._down(why)

    def _heed(self, advice: Advice) -> None:
        if advice is Advice.YIELD:
            self._lines.drop()
        elif advice is Advice.ANSWER:
            with self._lock:
                if self._announced is not None and (info := self._retained.get("info")) is not None:
                    self._publish_retained(self._announced[0], "info", info)
        if self._neighbours.trouble is not None:
            self._down("")

    def _ready(self) -> None:
        if self._neighbours.wait_s() > 0:
            if self._lines.session is not None and self._neighbours.trouble is not None:
                self._lines.drop()  # it connected while we learned that the root is another's
            return
        with self._lock:
            lines, commands = self._lines.session, self._commands.session
            if lines is None or commands is None or self._stopped or self._announced == (lines, commands):
                return
            self._announced = (lines, commands)
            self._times_connected += 1
            lines.publish(self._topics.availability, b"online", qos=1, retain=True)
            for name, body in self._retained.items():
                self._publish_retained(lines, name, body)
        self._tell(f"connected to {self._options.broker}")

    def _down(self, why: str) -> None:
        self._tell(self._neighbours.trouble or why)

    def _tell(self, why: str) -> None:
        """Log and pass on what holds now; once, though both connections find the same trouble."""
        with self._telling:
            now = (self.connected, why)
            if now == self._told:
                return
            self._told = now
            logger.log(logging.INFO if now[0] or self._stopped else logging.WARNING, "%s", why)
            self._handlers.on_connection(*now)

    def _line_arrived(self, message: Incoming, ack: Ack) -> None:
        tail = self._topics.tail(message.topic)
        if message.retained:
            logger.info("what was retained on %s before we subscribed is not spoken", Untrusted(message.topic))
            ack()
            return
        line = parse_line(tail, message.payload, message.properties, self._limits)
        self._handlers.on_arrival(Arrival(line, message.delivery), ack)

    def _command_arrived(self, message: Incoming, ack: Ack) -> None:
        ack()
        if message.topic in self._topics.watched:
            self._heed(self._neighbours.heard(self._topics.tail(message.topic), message.payload, message.retained))
            return
        if message.retained:
            logger.info("what was retained on %s before we subscribed is not obeyed", Untrusted(message.topic))
            return
        try:
            if message.topic == self._topics.volume_set:
                self._handlers.on_volume(parse_volume(message.payload))
            else:
                self._handlers.on_command(parse_command(message.payload))
        except BadCommand as error:
            self._handlers.on_command_fault(str(error), error.transaction)


def _subscribe(_resumed: bool, subscribe: Callable[[], None]) -> None:
    """A clean session has nothing to wait for."""
    subscribe()
