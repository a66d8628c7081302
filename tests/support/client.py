"""An MQTT client for tests: paho, with waits that have a timeout."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_DEADLINE_S = 20.0


@dataclass(frozen=True)
class Message:
    """A message that arrived."""

    topic: str
    payload: bytes
    retain: bool
    qos: int
    correlation: bytes | None = None
    user: tuple[tuple[str, str], ...] = ()
    at: float = field(default_factory=time.monotonic)
    """Time of arrival, in monotonic seconds."""

    @property
    def text(self) -> str:
        return self.payload.decode()

    @cached_property
    def json(self) -> Any:
        return json.loads(self.payload)


class Client:
    """A connected client; `with Client(host, port) as client: …`.

    Args:
        protocol: 5 or 4 (MQTT 3.1.1).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        protocol: int = 5,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self.address = (host, port)
        self.messages: list[Message] = []
        self._changed = threading.Condition()
        self._subscribed: set[int] = set()
        self._connected = False
        self._host, self._port = host, port
        self._paho = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5 if protocol == 5 else paho.MQTTv311)
        if username is not None:
            self._paho.username_pw_set(username, password)

    def __enter__(self) -> Client:
        def on_connect(_c: Any, _u: Any, _f: Any, code: Any, _p: Any) -> None:
            with self._changed:
                self._connected = not code.is_failure
                self._changed.notify_all()

        def on_subscribe(_c: Any, _u: Any, mid: int, _codes: Any, _p: Any) -> None:
            with self._changed:
                self._subscribed.add(mid)
                self._changed.notify_all()

        def on_message(_c: Any, _u: Any, message: paho.MQTTMessage) -> None:
            correlation = getattr(message.properties, "CorrelationData", None)
            user = tuple(getattr(message.properties, "UserProperty", ()))
            found = Message(message.topic, message.payload, message.retain, message.qos, correlation, user)
            with self._changed:
                self.messages.append(found)
                self._changed.notify_all()

        self._paho.on_connect, self._paho.on_subscribe, self._paho.on_message = (
            on_connect,
            on_subscribe,
            on_message,
        )
        self._paho.reconnect_delay_set(1, 1)
        self._paho.connect(self._host, self._port, keepalive=60)
        self._paho.loop_start()
        self._wait(lambda: self._connected, "the connection")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()
        # Without callbacks there is no reference cycle: paho closes its socket pair at once.
        self._paho.on_connect = self._paho.on_subscribe = self._paho.on_message = None

    def subscribe(self, topic: str, qos: int = 1) -> Client:
        """Subscribe, and wait until the broker has granted it."""
        _, mid = self._paho.subscribe(topic, qos)
        assert mid is not None
        self._wait(lambda: mid in self._subscribed, f"the subscription to {topic}")
        return self

    def publish(
        self,
        topic: str,
        payload: str | bytes | dict[str, Any] | list[Any] | None,
        *,
        qos: int = 1,
        retain: bool = False,
        **properties: Any,
    ) -> None:
        """Publish, and wait until the message was sent (QoS 1: until it was acknowledged).

        `properties` are MQTT 5 names, such as `ResponseTopic="…"`, `CorrelationData=b"…"`, `ContentType="…"`.
        """
        body = json.dumps(payload) if isinstance(payload, (dict, list)) else payload
        carried = None
        if properties:
            carried = Properties(PacketTypes.PUBLISH)
            for name, value in properties.items():
                setattr(carried, name, value)
        info = self._paho.publish(topic, body, qos, retain, carried)
        info.wait_for_publish(_DEADLINE_S)
        assert info.is_published(), f"{topic} was not acknowledged"

    def is_connected(self) -> bool:
        """Whether the broker takes messages: after its restart the connection comes back by itself."""
        try:
            self.publish("ishowtts-test/nothing", "")
        except RuntimeError:
            return False
        return True

    def wait_for(
        self,
        topic: str | None = None,
        where: Callable[[Message], bool] = lambda _: True,
        *,
        count: int = 1,
        timeout_s: float = _DEADLINE_S,
    ) -> Message:
        """Wait for the `count`-th message on `topic` (`None`: any) that meets `where`. Fails after the timeout.

        It looks at each message once.
        """
        found: list[Message] = []
        seen = 0

        def enough() -> bool:
            nonlocal seen
            found.extend(m for m in self.messages[seen:] if topic in (None, m.topic) and where(m))
            seen = len(self.messages)
            return len(found) >= count

        self._wait(enough, f"message {count} on {topic or 'any topic'}", timeout_s)
        return found[count - 1]

    def on(self, topic: str) -> list[Message]:
        """The messages that arrived on `topic` so far."""
        with self._changed:
            return [m for m in self.messages if m.topic == topic]

    def forget(self) -> None:
        """Forget the messages that arrived so far."""
        with self._changed:
            self.messages.clear()

    def _wait(self, done: Callable[[], bool], what: str, timeout_s: float = _DEADLINE_S) -> None:
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not done():
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    recent = [m for m in self.messages if not m.topic.endswith("/telemetry")][-30:]
                    seen = "\n".join(f"  {m.topic} {m.payload[:200]!r}" for m in recent)
                    raise AssertionError(f"{what} did not come within {timeout_s:.0f} s; came:\n{seen}")
                self._changed.wait(left_s)
