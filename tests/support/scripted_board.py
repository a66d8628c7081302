"""An appliance that a script plays over a real broker: it publishes what one would, and answers renders with tones.

`with ScriptedBoard(broker.host, broker.port, "kitchen") as board: board.script = Script(fault="error")`.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal

import numpy as np
import paho.mqtt.client as paho
import soundfile
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

RATE_HZ = 24_000
PART_BYTES = 32_768
_WINDOW = 8
_NO_SUBSCRIBERS = 0x10
_DEADLINE_S = 20.0
_CONTAINERS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", None)}

_GARBAGE = (("audio", b""), ("head", b"[]"), ("end", b"{"), ("nothing", b"{}"), ("queued", b"\xff"))

Key = tuple[str, bytes]
"""Response topic and Correlation Data of a render."""
Fault = Literal["silent", "dies", "error", "gap", "no_end", "twice", "garbage"]


@dataclass(frozen=True)
class Script:
    """How the board answers a render.

    Attributes:
        segments, segment_s: How many segments it makes, and seconds of sound of each.
        late_s: Before the first segment; `cost_s`: before each of the others.
        fault: `silent`: no answer at all; `dies`: its connection breaks; `error`: it answers so;
            `gap`: a part is missing; `no_end`: the sound stops, and no `end` comes; `twice`: each part comes twice;
            `garbage`: replies that follow no contract come first.
        after_parts: How many parts of sound it sends before the fault; 0: not even `head`.
        rate_hz: Of the sound.
    """

    segments: int = 3
    segment_s: float = 0.2
    late_s: float = 0.0
    cost_s: float = 0.0
    fault: Fault | None = None
    after_parts: int = 0
    reason: str = "failed"
    detail: str = "the engine has failed"
    rate_hz: int = RATE_HZ


@dataclass(frozen=True)
class Asked:
    """A render that was requested. `fields` is the object of the request."""

    key: Key
    fields: dict[str, Any]
    properties: Any = field(repr=False)
    at_s: float = field(default_factory=time.monotonic)


class ScriptedBoard:
    """A board. Its renders run at the same time, each on a thread.

    Attributes:
        script: How it answers the next render.
        asked: The renders that came.
        cancelled: Those that were cancelled by `render/cancel`; `gone`: those whose requester was gone.
        first_sent_s: When the first segment of a render was published, in monotonic seconds.
        open: Renders that run.

    Args:
        voices: Each voice with the tag of its language.
        info, state: Further fields.
        username: At the broker.
    """

    def __init__(
        self,
        host: str,
        port: int,
        name: str = "kitchen",
        *,
        prefix: str = "ishowtts",
        voices: dict[str, str | None] | None = None,
        info: dict[str, Any] | None = None,
        state: dict[str, Any] | None = None,
        script: Script | None = None,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self.name, self.root = name, f"{prefix}/{name}"
        self.script = script or Script()
        self.asked: list[Asked] = []
        self.cancelled: list[Key] = []
        self.gone: list[Key] = []
        self.first_sent_s: dict[Key, float] = {}
        self._address = (host, port)
        self._user = (username, password)
        self._info, self._state = _info(name, voices or {"anna": "en"}, info or {}), _state(state or {})
        self._changed = threading.Condition()
        self._renders: dict[Key, _Render] = {}
        self._threads: list[threading.Thread] = []
        self._unconfirmed: dict[int, _Render | int] = {}  # by mid: whose it is, or its reason code if that came first
        self._subscribed = False
        self._client: paho.Client | None = None

    def __enter__(self) -> ScriptedBoard:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def open(self) -> int:
        """How many renders run."""
        return sum(thread.is_alive() for thread in self._threads)

    def connect(self) -> None:
        """Connect and publish everything that an appliance retains."""
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, reconnect_on_failure=False)
        client.max_inflight_messages_set(1000)
        if self._user[0] is not None:
            client.username_pw_set(*self._user)
        client.on_message = self._message
        client.on_publish = self._published
        client.on_subscribe = self._granted
        client.will_set(f"{self.root}/availability", "offline", 1, True)
        self._subscribed, self._unconfirmed = False, {}
        client.connect(*self._address, keepalive=60)
        if isinstance(sock := client.socket(), socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.loop_start()
        self._client = client
        client.subscribe([(f"{self.root}/render", 1), (f"{self.root}/render/cancel", 1)])
        with self._changed:
            assert self._changed.wait_for(lambda: self._subscribed, _DEADLINE_S), "the board is not subscribed"
        self.publish("info", self._info)
        self.publish("telemetry", _telemetry())
        self.publish("state", self._state)
        self.publish("availability", "online")

    def publish(self, topic: str, value: Any) -> None:
        """Publish a retained value below the root."""
        assert self._client is not None
        payload = value if isinstance(value, str) else json.dumps(value)
        self._client.publish(f"{self.root}/{topic}", payload, 1, True).wait_for_publish(_DEADLINE_S)

    def change(self, **state: Any) -> None:
        """Publish the state with other fields."""
        self._state = {**self._state, **state}
        self.publish("state", self._state)

    def die(self) -> None:
        """Break the connection, as a power cut would. The broker publishes the will."""
        if self._client is not None and isinstance(sock := self._client.socket(), socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all renders and disconnect."""
        for render in list(self._renders.values()):
            render.end()
        for thread in self._threads:
            thread.join(_DEADLINE_S)
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()
            # Without callbacks there is no reference cycle: paho closes its socket pair at once.
            client.on_message = client.on_publish = client.on_subscribe = None

    def _granted(self, *_: Any) -> None:
        with self._changed:
            self._subscribed = True
            self._changed.notify_all()

    def _published(self, _client: Any, _data: Any, mid: int, code: Any, _properties: Any) -> None:
        with self._changed:
            found = self._unconfirmed.pop(mid, None)
            if found is None:
                self._unconfirmed[mid] = code.value
        if isinstance(found, _Render):
            found.confirm(code.value)

    def _sent(self, mid: int, render: _Render) -> None:
        """Remember whose message it is. paho calls `_published` in another thread, which may come first."""
        with self._changed:
            code = self._unconfirmed.pop(mid, None)
            if code is None:
                self._unconfirmed[mid] = render
        if isinstance(code, int):
            render.confirm(code)

    def _message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        properties: Any = message.properties
        key = (getattr(properties, "ResponseTopic", ""), getattr(properties, "CorrelationData", b""))
        if message.topic.endswith("/cancel"):
            if all(asked.key != key for asked in self.asked):
                self._answer_no_render(key)
                return
            self.cancelled.append(key)
            if (cancelled := self._renders.get(key)) is not None:
                cancelled.end(cancelled=True)
            return
        text = message.payload.decode()
        asked = Asked(key, json.loads(text) if text.startswith("{") else {"text": text}, properties)
        render = self._renders[key] = _Render(self, asked, self.script)
        thread = threading.Thread(target=render.run, name="scripted-render", daemon=True)
        self.asked.append(asked)
        self._threads.append(thread)
        thread.start()

    def _answer_no_render(self, key: Key) -> None:
        """Answer a cancel of a render that is not open, as a board does unless it is dead."""
        if self._client is None or self.script.fault in ("silent", "dies"):
            return
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = key[1]
        properties.UserProperty = [("part", "error")]
        error = {"reason": "cancelled", "detail": "no such render is open here"}
        self._client.publish(key[0], json.dumps(error), 1, False, properties)


class _Render:
    """One render of a board."""

    def __init__(self, board: ScriptedBoard, asked: Asked, script: Script) -> None:
        self._board, self._asked, self._script = board, asked, script
        assert board._client is not None
        self._client = board._client
        self._changed = threading.Condition()
        self._unconfirmed = 0
        self._over = self._cancelled = False
        self._parts = 0
        self._seq = 0

    def run(self) -> None:
        with contextlib.suppress(_Ended):
            self._play()

    def end(self, *, cancelled: bool = False) -> None:
        with self._changed:
            self._over, self._cancelled = True, cancelled
            self._changed.notify_all()

    def confirm(self, code: int) -> None:
        with self._changed:
            self._unconfirmed -= 1
            if code == _NO_SUBSCRIBERS and not self._over:
                self._board.gone.append(self._asked.key)
                self._over = True
            self._changed.notify_all()

    def _play(self) -> None:
        script, sound = self._script, str(self._asked.fields.get("format", "pcm"))
        if script.fault == "silent":
            return
        if script.fault == "garbage":
            for part, payload in _GARBAGE:
                self._send(part, payload, seq="-1")
        self._send("queued", {"waiting": 0})
        self._wait(script.late_s)
        if script.fault is not None and not script.after_parts:
            self._fail()
        voice = self._asked.fields.get("voice") or "anna"
        head = {"format": sound, "rate_hz": script.rate_hz, "channels": 1, "engine": "quick", "voice": voice}
        for number, segment in enumerate(_segments(sound, script.segments, script.segment_s, script.rate_hz)):
            self._wait(script.cost_s if number else 0.0)
            if not number:
                self._board.first_sent_s[self._asked.key] = time.monotonic()
                self._send("head", head)
            for start in range(0, len(segment), PART_BYTES):
                self._send("audio", segment[start : start + PART_BYTES], seq=str(self._seq))
                self._seq += 1
                self._parts += 1
                if script.fault == "twice":
                    self._send("audio", segment[start : start + PART_BYTES], seq=str(self._seq - 1))
                elif script.fault is not None and self._parts == script.after_parts:
                    self._fail()
        if script.fault == "no_end":
            raise _Ended
        seconds = script.segments * script.segment_s
        report = {"audio_s": seconds, "synth_s": 0.1, "ttfa_s": 0.1, "rtf": 0.1, "queue_s": 0.0, "parts": self._seq}
        self._send("end", {**report, "engine": "quick", "engines": ["quick"], "voice": voice, "cached": False})
        with self._changed:
            self._changed.wait_for(lambda: not self._unconfirmed or self._ends(), _DEADLINE_S)

    def _fail(self) -> None:
        """Do what the fault of the script is. Ends the render, except for those of the numbers of parts."""
        fault = self._script.fault
        if fault == "gap":
            self._seq += 1
        elif fault == "dies":
            self._board.die()
            raise _Ended
        elif fault == "error":
            self._send("error", {"reason": self._script.reason, "detail": self._script.detail})
            raise _Ended
        elif fault == "no_end":
            raise _Ended

    def _send(self, part: str, payload: bytes | dict[str, Any], seq: str | None = None) -> None:
        """Publish a reply as soon as fewer than 8 are unconfirmed."""
        with self._changed:
            self._changed.wait_for(lambda: self._ends() or self._unconfirmed < _WINDOW, _DEADLINE_S)
            ends = self._ends()
            self._unconfirmed += not ends
        if ends:
            self._stop()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = self._asked.key[1]
        properties.MessageExpiryInterval = 60
        properties.UserProperty = [("part", part)] + ([] if seq is None else [("seq", seq)])
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._board._sent(self._client.publish(self._asked.key[0], body, 1, False, properties).mid, self)

    def _ends(self) -> bool:
        return self._over or not self._client.is_connected()

    def _stop(self) -> None:
        """End the render. The lock must be free: `publish` waits for paho's thread, and that for the lock."""
        with self._changed:
            cancelled = self._cancelled
            if cancelled:
                self._over = self._cancelled = False
        if cancelled:
            self._send("error", {"reason": "cancelled", "detail": "the requester has cancelled it"})
        raise _Ended

    def _wait(self, seconds: float) -> None:
        with self._changed:
            ends = bool(seconds) and self._changed.wait_for(self._ends, seconds)
        if ends:
            self._stop()


class _Ended(Exception):
    """A render is over."""


@lru_cache(maxsize=32)
def tone(sound: str, seconds: float, rate_hz: int = RATE_HZ) -> bytes:
    """Return a tone in a format of renders."""
    count = round(seconds * rate_hz)
    samples = (8000 * np.sin(2 * np.pi * 200 / rate_hz * np.arange(count))).astype("<i2")
    if sound == "pcm":
        return bytes(samples.tobytes())
    container, subtype = _CONTAINERS[sound]
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=container, subtype=subtype)
    return file.getvalue()


def _segments(sound: str, count: int, seconds: float, rate_hz: int) -> Iterator[bytes]:
    if sound == "pcm":
        for _ in range(count):
            yield tone(sound, seconds, rate_hz)
        return
    whole = tone(sound, count * seconds, rate_hz)
    step = -(-len(whole) // count)
    for start in range(0, len(whole), step):
        yield whole[start : start + step]


def _info(name: str, voices: dict[str, str | None], further: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "1.0.0",
        "instance": "0" * 32,
        "host": name,
        "engine": "quick",
        "engines": ["quick", "espeak"],
        "telemetry_s": 5,
        "voices": list(voices),
        "voice_languages": voices,
        "engine_languages": {"quick": ["en", "de"], "espeak": None},
        "render_formats": ["pcm", "wav", "flac", "opus", "mp3"],
        "groups": [],
        "limits": {"max_chars": 1000, "max_lines": 100, "renders": 32},
        **further,
    }


def _state(further: dict[str, Any]) -> dict[str, Any]:
    known = {"state": "ready", "detail": None, "engine": "quick", "engines": ["quick", "espeak"], "queue_depth": 0}
    return {**known, "speaking": None, "paused": False, "muted": False, "voice": "anna", **further}


def _telemetry() -> dict[str, Any]:
    renders = {"active": 0, "waiting": 0, "done": 0, "failed": 0, "cancelled": 0}
    return {"ts": "2026-11-30T10:00:00.000Z", "speech": {"queue_depth": 0, "rtf_p50": 0.2}, "renders": renders}
