"""Uses an appliance and a gateway as in a day: lines of all kinds, renders, losses of the device and of the broker.

The wall clock of both goes on by a day over the lines. The sound device is a PulseAudio server that comes and goes;
while it is away, lines are played on a device of ALSA that takes them at once. The number of a line determines its
kind. What is bounded by design is kept small, so that the first lines fill it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wyoming.client import AsyncTcpClient
from wyoming.info import Describe
from wyoming.tts import Synthesize

from support import pulse
from support.appliance import FINAL, Appliance
from support.broker import Broker
from support.client import Client
from support.endurance.resource_usage import workers
from support.gateway_process import GatewayProcess
from support.stream_readers import StreamReaders
from support.waiting import eventually
from support.wall_clock import WallClock

PARTS = ("pulse", "broker", "reload")
_DAY_S = 86_400
_AHEAD = 20  # lines that wait in the queue at most
_ALONE = 5  # one line of so many is said to an idle appliance, and its latency measured
_ON_PULSE = 5  # lines that are played in real time before the server is killed
_WAIT_S = 120.0
_GATEWAY_GETS = ("/api/devices", "/api/devices/test", "/api/devices/test/lines", "/api/devices/test/series", "/metrics")
_ANNOUNCEMENTS = 7
_MAX_CHARS = 300

_BOUNDED = {
    "queue": {"history_lines": 500, "dedup_s": 10},
    "limits": {"max_chars": _MAX_CHARS},
    "policies": {"quiet": {"from": "22:00", "to": "07:00", "action": "quieter"}},
}


@dataclass(frozen=True)
class Plan:
    """How a day is spent.

    Attributes:
        lines: How many lines are said.
        every: After how many lines everything is measured.
        natural: The natural voice, F5 with a tiny model for Chinese, espeak-ng for German, a gateway with clients, and
            a wall clock that goes on by a day. Without it, an engine that costs nothing, and no gateway.
        sound_s: The length of a line of that engine.
    """

    lines: int
    every: int = 100
    natural: bool = True
    sound_s: float = 0.05


@contextmanager
def open_day(folder: Path, plan: Plan) -> Iterator[Day]:
    """Starts everything in an empty folder, and yields it when it is ready."""
    with ExitStack() as stack:
        for name in ("broker", "clock", "gateway"):
            (folder / name).mkdir()
        asoundrc = folder / "asoundrc"
        at_once = 'pcm.atonce { type plug slave.pcm { type file file "/dev/null" slave.pcm null } }'
        asoundrc.write_text(f"</usr/share/alsa/alsa.conf>\n{at_once}\n", encoding="utf-8")
        audio: dict[str, Any] = {"device": "atonce", "cache_mb": 2, "record_mb": 10}
        environment = {"ALSA_CONFIG_PATH": str(asoundrc)}
        server: pulse.Pulse | None = None
        if pulse.missing() is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pulse-")))  # sockets want short paths
            server = stack.enter_context(pulse.Pulse(home))
            server.asoundrc(home / "asoundrc")
            pulse_pcm = (home / "asoundrc").read_text(encoding="utf-8")
            asoundrc.write_text(f"{pulse_pcm}{at_once}\n", encoding="utf-8")
            audio.update(device=server.pcm, when_lost="atonce")
        broker = stack.enter_context(Broker(folder / "broker"))
        settings: dict[str, Any] = {"audio": audio, **_BOUNDED}
        clock = None
        if plan.natural:
            clock = WallClock(folder / "clock")
            environment |= clock.environment
            settings["engine"] = _engines(folder / "checkpoint")
            settings["telemetry"] = {"interval_s": 2}
            audio["record_dir"] = str(folder / "recordings")
            appliance = Appliance(folder, broker, settings, environment)
        else:
            appliance = Appliance(folder, broker, settings, environment, quick_s=plan.sound_s, quick=["--aloud"])
        stack.enter_context(appliance)
        client = stack.enter_context(Client(broker.host, broker.port))
        appliance.wait_ready(client, "ready", "degraded", timeout_s=_WAIT_S)
        day = Day(plan, appliance, broker, client)
        day.pulse, day.clock = server, clock
        if plan.natural:
            eventually(lambda: len(workers(appliance.pid)) == 2, "both workers", _WAIT_S)
            port = broker.port + 1
            gateway = GatewayProcess(
                folder / "gateway",
                client.address,
                {"controls": "all", "wyoming": {"listen": f"127.0.0.1:{port}"}},
                environment=clock.environment if clock else None,
            )
            day.gateway, day.wyoming_port = stack.enter_context(gateway), port
            stack.enter_context(StreamReaders(gateway.url, 2))
        yield day


def _engines(checkpoint: Path) -> dict[str, Any]:
    """Returns the section `engine`: F5 speaks Chinese, the natural voice English, and espeak-ng what is left."""
    from ishowtts_bench import random_checkpoint

    random_checkpoint.make_checkpoint(checkpoint)
    f5 = {"weights": str(checkpoint), "languages": ["zh"], "device": "cpu", "nfe_step": 5, "max_rtf": 100}
    return {"kind": "f5", "fallback": True, "f5": f5}


class Day:
    """What runs, and what has been counted.

    Attributes:
        outcomes: How many lines had each outcome, and by which engine the finished ones were spoken.
        wrong: The final events of lines with another outcome than they should have.
    """

    def __init__(self, plan: Plan, appliance: Appliance, broker: Broker, client: Client) -> None:
        self.appliance, self.client = appliance, client
        self.pulse: pulse.Pulse | None = None
        self.clock: WallClock | None = None
        self.gateway: GatewayProcess | None = None
        self.wyoming_port = 0
        self.outcomes = Counter[str]()
        self.wrong: list[str] = []
        self._plan, self._broker = plan, broker
        self._on_pulse = True  # while there is one

    def say_lines(self, numbers: range) -> list[float]:
        """Says lines, some of them alone. Returns the latencies of those, in milliseconds."""
        self.client.forget()
        if self.pulse is not None and self._on_pulse:
            for number in numbers[:_ON_PULSE]:
                self._say_alone(number)
            self.pulse.kill()
            self._on_pulse = False
            numbers = numbers[_ON_PULSE:]
        alone = len(numbers) // _ALONE
        latencies_ms = [self._say_alone(number) for number in numbers[:alone]]
        expected: dict[str, str] = {}
        for number in numbers[alone:]:
            expected |= self._say(number)
            self._wait_for_ends(expected, left=_AHEAD)
        self._wait_for_ends(expected, left=0)
        self._count(expected)
        if self.clock is not None:
            self.clock.set_ahead(round(numbers[-1] / self._plan.lines * _DAY_S))
        if self.gateway is not None:
            self._use_gateway(self.gateway, numbers[0])
        return latencies_ms

    def disturb(self, part: str) -> None:
        """Lets the sound device come back, restarts the broker, or has the configuration read again."""
        if part == "pulse" and self.pulse is not None:
            self.client.forget()
            self.pulse.start()
            topic, device = f"{self.appliance.root}/telemetry", self.pulse.pcm
            self.client.wait_for(topic, lambda each: each.json["audio"]["device"] == device, timeout_s=_WAIT_S)
            self._on_pulse = True
        elif part == "broker":
            self._broker.stop()
            self._broker.start()
            eventually(self.client.is_connected, "the client", _WAIT_S)
            self.client.subscribe(f"{self.appliance.root}/#")
            self.appliance.final(self.client, self.appliance.say(self.client, "The broker is back."), _WAIT_S)
        elif part == "reload":
            self.client.publish(f"{self.appliance.root}/command", "reload")
            self.client.publish(f"{self.appliance.root}/command", "history", ResponseTopic="ishowtts/reply/history")

    def _say_alone(self, number: int) -> float:
        """Says a line while nothing else is said. Returns the milliseconds until a publisher knows that it started."""
        text, began_s = f"This is line {number}.", time.monotonic()
        line_id = self.appliance.say(self.client, text, id=f"n{number}", speed=2)
        self.appliance.final(self.client, line_id, _WAIT_S)
        self._count({line_id: "finished"})
        started = [
            each.at
            for each in self.client.on(f"{self.appliance.root}/event")
            if (each.json["id"], each.json["event"]) == (line_id, "started")
        ]
        return 1000 * (started[0] - began_s)

    def _say(self, number: int) -> dict[str, str]:
        """Says a line of the kind that its number determines. Returns its id with the outcome that it should have."""
        root, line_id = self.appliance.root, f"n{number}"
        line: dict[str, Any] = {"id": line_id, "text": f"This is line {number}.", "speed": 2}
        topic, outcome, properties = "say", "finished", dict[str, Any]()
        kind = number % 20
        if kind in (1, 13):
            line["text"] = f"Announcement {number % _ANNOUNCEMENTS}: the tea is ready."
        elif kind == 3:
            line |= {"text": f"Der Zug Nummer {number} hat heute Verspätung.", "language": "de"}
        elif kind == 5 and number % 100 == 85:
            line |= {"text": "今天天气很好。", "language": "zh", "seed": number}
        elif kind == 7:
            line["text"], outcome = f"Too long: {number} " + "and so on " * (_MAX_CHARS // 10), "rejected"
        elif kind == 9:
            topic = "urgent"
        elif kind == 11:
            line |= {"chime": True, "volume": 40 + number % 50}
        elif kind == 17:
            properties = {"ResponseTopic": "ishowtts/reply/endure", "CorrelationData": b"%d" % number}
        self.client.publish(f"{root}/{topic}", line, **properties)
        if kind == 19:
            self.client.publish(f"{root}/{topic}", line)  # once more, as a publisher does that missed an answer
        if kind == 15:
            self.client.publish(f"{root}/say", b'{"text": ')
            self.client.publish(f"{root}/volume/set", str(50 + number % 40))
        return {line_id: outcome}

    def _use_gateway(self, gateway: GatewayProcess, number: int) -> None:
        """Reads and renders through the gateway, each time with new connections."""
        for path in _GATEWAY_GETS:
            _request(f"{gateway.url}{path}")
        with StreamReaders(gateway.url, 1):
            _request(f"{gateway.url}/api/devices/test/say", {"text": f"The page says line {number}."})
        text = f"The gateway asks for line {number}."
        assert len(_request(f"{gateway.url}/v1/audio/speech", {"input": text, "response_format": "wav"})) > 1000
        asyncio.run(self._ask_wyoming(text))

    async def _ask_wyoming(self, text: str) -> None:
        async with AsyncTcpClient("127.0.0.1", self.wyoming_port, connect_timeout=10, read_timeout=60) as client:
            await client.write_event(Describe().event())
            await client.read_event()
            await client.write_event(Synthesize(text).event())
            while (event := await client.read_event()) is not None and event.type != "audio-stop":
                assert event.type != "error", event

    def _finals(self) -> dict[str, dict[str, Any]]:
        events = self.appliance.events(self.client)
        return {e["id"]: e for e in events if e["event"] in FINAL and str(e["id"]).startswith("n")}

    def _wait_for_ends(self, lines: Iterable[str], left: int) -> None:
        """Waits until so many of these lines are left."""
        eventually(lambda: len(set(lines) - self._finals().keys()) <= left, f"the end of all lines but {left}", _WAIT_S)

    def _count(self, expected: dict[str, str]) -> None:
        finals = self._finals()
        for line_id, outcome in expected.items():
            event = finals[line_id]
            self.outcomes[" ".join(filter(None, (event["event"], event.get("engine"))))] += 1
            if event.get("cached"):
                self.outcomes["cached"] += 1
            if event["event"] != outcome:
                self.wrong.append(json.dumps(event, ensure_ascii=False))


def _request(url: str, body: dict[str, Any] | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: bytes = response.read()
        return answer
