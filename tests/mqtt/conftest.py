"""A link to a real broker, with handlers that record their calls."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ishowtts.model import Arrival, Command, Delivery, Line, Rejection, RenderRequest, VoiceRequest
from ishowtts.mqtt.history_payload import HistoryRequest
from ishowtts.mqtt.line_payload import LineLimits
from ishowtts.mqtt.link import MqttLink
from ishowtts.mqtt.link_handlers import MqttHandlers
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.renders.render_reply import RenderKey, RenderReply
from ishowtts.mqtt.response_topic import Reply
from support.broker import Broker
from support.hostile_broker import HostileBroker
from support.waiting import eventually

ROOT = "ishowtts/unit"


class Recorder:
    """Handlers that record their calls. They acknowledge lines at once unless `acknowledge` is false.

    Args:
        takes_voices: Whether voices may come.
        takes_renders: Whether requests for sound may come.
    """

    def __init__(self, takes_voices: bool = False, takes_renders: bool = False) -> None:
        self._takes_voices = takes_voices
        self._takes_renders = takes_renders
        self.renders: list[tuple[RenderRequest | Rejection, RenderReply]] = []
        self.cancelled: list[RenderKey] = []
        self.acknowledge = True
        self.voice_requests: list[tuple[VoiceRequest, Callable[[], None]]] = []
        self.hold_sessions = False
        self.sessions: list[tuple[str, bool, Callable[[], None]]] = []
        self.arrivals: list[Line | Rejection] = []
        self.deliveries: list[Delivery | None] = []
        self.acks: list[Callable[[], None]] = []
        self.commands: list[Command] = []
        self.history: list[tuple[HistoryRequest, Reply]] = []
        self.faults: list[tuple[str, str | None]] = []
        self.volumes: list[int] = []
        self.voices: list[str | None] = []
        self.connection: list[tuple[bool, str]] = []
        self.threads: set[str] = set()

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.arrivals if isinstance(line, Line)]

    def handlers(self) -> MqttHandlers:
        return MqttHandlers(
            on_arrival=self.arrival,
            on_session=self.session,
            on_command=self.commands.append,
            on_history=lambda request, reply: self.history.append((request, reply)),
            on_command_fault=lambda sentence, transaction, _: self.faults.append((sentence, transaction)),
            on_volume=self.volumes.append,
            on_voice=self.voices.append,
            on_connection=lambda connected, why: self.connection.append((connected, why)),
            on_voice_request=self.voice_request if self._takes_voices else None,
            on_render=(lambda *render: self.renders.append(render)) if self._takes_renders else None,
            on_render_cancel=self.cancelled.append,
        )

    def voice_request(self, request: VoiceRequest, ack: Callable[[], None]) -> None:
        self.voice_requests.append((request, ack))

    def session(self, name: str, resumed: bool, then: Callable[[], None]) -> None:
        self.sessions.append((name, resumed, then))
        if not self.hold_sessions:
            then()

    def arrival(self, arrival: Arrival, ack: Callable[[], None]) -> None:
        self.threads.add(threading.current_thread().name)
        self.acks.append(ack)
        self.arrivals.append(arrival.what)
        self.deliveries.append(arrival.delivery)
        if self.acknowledge:
            ack()


class LinkUnderTest:
    """A link and the recorder of its handlers."""

    def __init__(self, link: MqttLink, recorder: Recorder) -> None:
        self.link = link
        self.recorder = recorder

    def start(self) -> LinkUnderTest:
        self.link.start()
        eventually(lambda: self.recorder.connection and self.recorder.connection[-1][0], "the connection")
        return self


@pytest.fixture
def options(broker: Broker) -> MqttOptions:
    return MqttOptions(
        host=broker.host, port=broker.port, root=ROOT, prefix="ishowtts", retry_min_s=0.05, retry_max_s=0.2
    )


@pytest.fixture
def hostile() -> Iterator[HostileBroker]:
    """A broker that breaks the standard by script, and keeps to it without one."""
    with HostileBroker() as broker:
        yield broker


@pytest.fixture
def hostile_options(hostile: HostileBroker, monkeypatch: pytest.MonkeyPatch) -> MqttOptions:
    """For modules whose links connect to the hostile broker: their fixture `options` returns these."""
    # The link checks its deadlines after each turn of the loop. A short turn lets tests use short deadlines.
    monkeypatch.setattr("ishowtts.mqtt.session._LOOP_S", 0.05)
    return MqttOptions(
        host=hostile.host, port=hostile.port, root=ROOT, prefix="ishowtts", retry_min_s=0.02, retry_max_s=0.05
    )


@pytest.fixture
def make_link(options: MqttOptions) -> Iterator[Callable[..., LinkUnderTest]]:
    """`make_link(protocol=4, …)`: a link that is not started; the keywords change its options."""
    with ExitStack() as stack:

        def make(
            recorder: Recorder | None = None, *, takes_voices: bool = False, takes_renders: bool = False, **changes: Any
        ) -> LinkUnderTest:
            recorder = recorder or Recorder(takes_voices, takes_renders)
            changed = dataclasses.replace(options, **changes)
            limits = LineLimits(max_chars=100, voices=lambda: ["anna", "bob"], reply_prefix=changed.reply_prefix)
            link = MqttLink(changed, limits, recorder.handlers())
            stack.callback(link.stop, 10.0)
            return LinkUnderTest(link, recorder)

        yield make


@pytest.fixture(params=[5, 4], ids=["mqtt5", "mqtt311"])
def link(request: pytest.FixtureRequest, make_link: Callable[..., LinkUnderTest]) -> LinkUnderTest:
    """A connected link, over each of the two protocols."""
    return make_link(protocol=request.param).start()
