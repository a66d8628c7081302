"""Whether messages reach a connection: the broker grants its subscriptions, and its probe comes back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import zip_longest

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ishowtts.mqtt import reason_codes
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import ConnectionRole

log = logging.getLogger(__name__)

_SEND_RETAINED, _NEVER_SEND_RETAINED = 0, 2  # MQTT 5 retain handling


class Reachability:
    """Reports whether messages are proven to reach a connection, or why they may not.

    Args:
        on_change: `None`: messages are proven to reach us. Otherwise the sentence that says why they may not.
    """

    def __init__(self, options: MqttOptions, role: ConnectionRole, on_change: Callable[[str | None], None]) -> None:
        self._options = options
        self._role = role
        self._on_change = on_change
        self._reported: tuple[str | None] | None = None  # the last argument of `on_change`
        self.subscriptions = Subscriptions(options, role)
        self.probe = LinkProbe(options.probe_interval_s, options.probe_timeout_s)

    @property
    def proven(self) -> bool:
        """Whether messages reach us, as far as the last report says."""
        return self._reported == (None,)

    def report(self, reason: str | None) -> None:
        """Call `on_change` if this is news."""
        if self._reported != (reason,):
            self._reported = (reason,)
            self._on_change(reason)

    def message_arrived(self) -> None:
        """A message came on the connection: a proof, unless the broker refuses subscriptions."""
        self.probe.arrived()
        if not self.subscriptions.refused:
            self.report(None)

    def report_refused_subscriptions(self) -> None:
        """Report the subscriptions that the broker refuses, if there are any."""
        if refused := self.subscriptions.refused:
            self.report(f"{self._options.broker} does not let us subscribe to {refused}; {self.subscriptions.fix}")

    def report_lost_probe(self) -> str | None:
        """Report a probe that did not come back in time. Returns the sentence if a new connection may help."""
        if not self.probe.overdue() or self.subscriptions.refused:
            return None
        topic, refusal = self._role.probe_topic, self.probe.refusal
        answer = "" if refusal is None else f" ({self._options.broker} refuses it: {refusal})"
        user = self._options.username or "this appliance"
        reason = (
            f"the probe on {topic} did not come back within {self._options.probe_timeout_s:g} s{answer}: "
            f"{self._role.name} may not reach us; let {user} read and write {topic} in the broker's ACL, "
            "and see that its queue is not full"
        )
        self.report(reason)
        # On another connection the broker would only refuse it again.
        return reason if refusal is None else None


class Subscriptions:
    """Subscribes to the topics of a role and stores the broker's answers.

    The caller of a method holds the session's lock. Any thread may read the properties.
    """

    def __init__(self, options: MqttOptions, role: ConnectionRole) -> None:
        self._options = options
        self._role = role
        self._asked: dict[int, tuple[str, ...]] = {}  # by mid of a SUBSCRIBE that is not answered yet
        self._refused: dict[str, tuple[str, str]] = {}  # topic -> the broker's reason, and what to do
        self._unsafe: set[str] = set()  # topics for which the broker granted a lower QoS, which was logged

    @property
    def asked(self) -> str:
        """The topics that the broker has not answered yet, in one text. Empty if it has answered all."""
        return ", ".join(topic for topics in list(self._asked.values()) for topic in topics)

    @property
    def refused(self) -> str:
        """The topics that the broker refuses, with its reasons. Empty if it refuses none."""
        return ", ".join(f"{topic} ({reason})" for topic, (reason, _) in list(self._refused.items()))

    @property
    def fix(self) -> str:
        """What to do about the topics that the broker refuses."""
        return " and ".join(sorted({fix for _, fix in list(self._refused.values())}))

    def ask(self, client: paho.Client) -> None:
        """Send two SUBSCRIBE packets. When the second is granted, all retained values have come."""
        if self._role.watched:
            self._send(client, self._role.watched, _SEND_RETAINED)
        self._send(client, (*self._role.topics, self._role.probe_topic), _NEVER_SEND_RETAINED)

    def answered(self, mid: int, codes: list[ReasonCode]) -> bool:
        """Store the broker's answer (SUBACK). Returns whether it answers what we have asked."""
        topics = self._asked.pop(mid, None)
        if topics is None:
            return False
        for topic, code in zip_longest(topics, codes[: len(topics)]):
            self._refused.pop(topic, None)
            if code is None or code.is_failure:
                reason = "no answer" if code is None else str(code)
                if topic in self._role.watched:
                    log.warning("%s does not let us subscribe to %s (%s)", self._options.broker, topic, reason)
                else:
                    self._refused[topic] = (reason, reason_codes.subscription_fix(code))
            elif code.value < self._role.qos and topic not in self._unsafe:
                self._unsafe.add(topic)
                log.warning(
                    "%s grants only QoS %d for %s: lines are lost if they come while we are away or the connection "
                    "breaks; allow QoS %d there",
                    self._options.broker,
                    code.value,
                    topic,
                    self._role.qos,
                )
        return True

    def _send(self, client: paho.Client, topics: tuple[str, ...], retain_handling: int) -> None:
        if self._options.protocol == 5:
            wish = SubscribeOptions(qos=self._role.qos, retainHandling=retain_handling)
            _, mid = client.subscribe([(topic, wish) for topic in topics])
        else:
            _, mid = client.subscribe([(topic, self._role.qos) for topic in topics])
        if mid is not None:
            self._asked[mid] = topics


class LinkProbe:
    """One probe is in flight at a time. Any other message that arrives on the connection proves the same.

    Not thread-safe: the thread of the connection calls all methods.

    Args:
        interval_s: A probe is due after this time without a message.
        timeout_s: A message must follow the probe within this time.
        clock: Monotonic seconds.
    """

    def __init__(self, interval_s: float, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._due_s = clock()  # a new connection must be proven at once
        self._overdue_s: float | None = None
        self._mid: int | None = None
        self.refusal: str | None = None
        """Why the broker refuses the last probe; `None` if it does not."""

    def due(self) -> bool:
        """Whether to send a probe now. If so, it counts as sent."""
        now_s = self._clock()
        if self._overdue_s is not None or now_s < self._due_s:
            return False
        self._overdue_s = now_s + self._timeout_s
        return True

    def sent(self, mid: int | None) -> None:
        """The probe was published under this mid."""
        self._mid = mid

    def answered(self, mid: int, refusal: str | None) -> bool:
        """The broker answered a publish (PUBACK). Returns whether it was the probe."""
        if mid != self._mid:
            return False
        self.refusal = refusal
        return True

    def hold(self) -> None:
        """We ourselves hold back the next message: a probe in flight does not count and is sent again later."""
        if self._overdue_s is not None:
            self._overdue_s, self._due_s = None, self._clock()

    def arrived(self) -> None:
        """A message came on the connection."""
        self._overdue_s = None
        self._due_s = self._clock() + self._interval_s

    def overdue(self) -> bool:
        """Whether nothing followed the probe in time. If so, the next probe is due after the interval."""
        if self._overdue_s is None or self._clock() < self._overdue_s:
            return False
        self.arrived()
        return True
