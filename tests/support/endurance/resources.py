"""Uses an appliance and a gateway for a day, and checks that nothing grows: memory, threads, files, disk, latency.

The wall clock of both goes on by a day over the run. The sound device is a PulseAudio server that comes and goes; while
it is away, lines are played on a device of ALSA that takes them at once. Each line is of a kind that its number
determines, as in a day of use. What is bounded by design is kept small, so that the first lines fill it.
"""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe
from wyoming.tts import Synthesize

from support import pulse
from support.appliance import FINAL, Appliance
from support.broker import Broker
from support.client import Client
from support.endurance.resource_usage import HEAD, Growth, Usage, folder_mb, growth, row, usage, workers
from support.gateway_process import GatewayProcess
from support.stream_readers import StreamReaders
from support.waiting import eventually
from support.wall_clock import WallClock

_DAY_S = 86_400
_AHEAD = 20  # lines that wait in the queue at most
_ALONE = 5  # one line of so many is said to an idle appliance, and its latency measured
_ON_PULSE = 3  # lines that are played in real time before the server is killed
_SETTLED = 0.2  # of the lines come before the first sample that counts
_WAIT_S = 120.0
_PARTS = ("pulse", "broker", "reload")
_GATEWAY_GETS = ("/api/devices", "/api/devices/test", "/api/devices/test/lines", "/api/devices/test/series", "/metrics")
_ANNOUNCEMENTS = 7
_MAX_CHARS = 300

# What 1,000 lines may add at most. It is a fault if the lower bound of the growth is above it.
_MOST_PER_1000 = {
    "rss_mb": 1.0,
    "pss_mb": math.inf,  # it grows when another process ends that had the same pages
    "private_mb": 0.5,
    "threads": 0.2,
    "descriptors": 0.2,
    "children": 0.2,
    "disk_mb": 0.5,
    "latency_ms": 5.0,
}

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


@dataclass(frozen=True)
class Sample:
    """What was measured after so many lines: processes by name, `state_dir` and `cache_dir`, lines said alone."""

    lines: int
    processes: dict[str, Usage]
    disk_mb: dict[str, float]
    latencies_ms: list[float]


@dataclass
class DayOfUse:
    """What came of a day.

    Attributes:
        outcomes: How many lines had each outcome, and by which engine the finished ones were spoken.
        wrong: Ids of lines with another outcome than they should have.
        pids: The pids that each process had. More than one is a fault.
        growth: Of each value of each process, over all samples but those of the first fifth of the lines.
        latency_ms: For each tenth of the day: its last line, and the median and the 99th percentile of the time from
            PUBLISH to the event `started`, both as a publisher sees them.
        device_losses: As telemetry counted them.
        broken: Other things that should not be.
    """

    seconds: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    pids: dict[str, list[int]] = field(default_factory=dict)
    growth: dict[str, Growth] = field(default_factory=dict)
    latency_ms: list[tuple[int, float, float]] = field(default_factory=list)
    device_losses: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, Any]:
        """What should not be, by name; empty if all is well."""
        grown: dict[str, Any] = {
            name: found for name, found in self.growth.items() if found.low > _MOST_PER_1000[name.split()[-1]]
        }
        restarted = {f"restarted {name}": pids for name, pids in self.pids.items() if len(pids) != 1}
        lists = {name: found for name in ("wrong", "broken") if (found := getattr(self, name))}
        return {**grown, **restarted, **lists}

    def table(self) -> str:
        """Returns it for a reader."""
        latency = [f"{lines:8} {median:8.1f} {most:8.1f}" for lines, median, most in self.latency_ms]
        grown = [row(name, found) for name, found in self.growth.items()]
        return "\n".join([HEAD, *grown, f"{'lines':>8} {'ms':>8} {'99th':>8}", *latency, f"{self.outcomes}"])


def spend_day(folder: Path, plan: Plan) -> DayOfUse:
    """Says so many lines in an empty folder, and measures every so many. The samples are in its `samples.jsonl`."""
    out, began_s, samples = DayOfUse(), time.monotonic(), list[Sample]()
    with ExitStack() as stack:
        day = stack.enter_context(_day(folder, plan))
        for done in range(0, plan.lines, plan.every):
            latencies_ms = day.say_lines(range(done, min(done + plan.every, plan.lines)))
            day.disturb(_PARTS[done // plan.every % len(_PARTS)])
            samples.append(day.measure(min(done + plan.every, plan.lines), latencies_ms))
            with (folder / "samples.jsonl").open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(asdict(samples[-1]))}\n")
        day.client.forget()
        telemetry = day.client.wait_for(f"{day.appliance.root}/telemetry").json
        out.device_losses = telemetry["audio"]["device_losses"]
        out.outcomes, out.wrong, out.pids = dict(day.outcomes), day.wrong, day.pids
        logs = day.appliance.log + (day.gateway.log if day.gateway else "")
        out.broken += ["a log has a traceback"] if "Traceback" in logs else []
    out.seconds = round(time.monotonic() - began_s, 1)
    _judge(out, samples, plan)
    return out


@contextmanager
def _day(folder: Path, plan: Plan) -> Iterator[_Day]:
    """Starts everything."""
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
        day = _Day(plan, appliance, broker, client)
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


class _Day:
    """What runs, and what has been counted."""

    def __init__(self, plan: Plan, appliance: Appliance, broker: Broker, client: Client) -> None:
        self.appliance, self.client = appliance, client
        self.pulse: pulse.Pulse | None = None
        self.clock: WallClock | None = None
        self.gateway: GatewayProcess | None = None
        self.wyoming_port = 0
        self.outcomes = Counter[str]()
        self.wrong: list[str] = []
        self.pids: dict[str, list[int]] = {}
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
            eventually(self._is_connected, "the client", _WAIT_S)
            self.client.subscribe(f"{self.appliance.root}/#")
            self.appliance.final(self.client, self.appliance.say(self.client, "The broker is back."), _WAIT_S)
        elif part == "reload":
            self.client.publish(f"{self.appliance.root}/command", "reload")
            self.client.publish(f"{self.appliance.root}/command", "history", ResponseTopic="ishowtts/reply/history")

    def measure(self, lines: int, latencies_ms: list[float]) -> Sample:
        """Measures every process and folder."""
        pids = {"daemon": self.appliance.pid}
        if self.gateway is not None:
            pids |= {"gateway": self.gateway.pid, **workers(self.appliance.pid)}
        for name, pid in pids.items():
            known = self.pids.setdefault(name, [])
            if pid not in known:
                known.append(pid)
        folders = {name: folder_mb(self.appliance.folder / name) for name in ("state", "cache", "recordings")}
        return Sample(lines, {name: usage(pid) for name, pid in pids.items()}, folders, latencies_ms)

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

    def _is_connected(self) -> bool:
        try:
            self.client.publish("ishowtts-test/nothing", "")
        except RuntimeError:
            return False
        return True


def _request(url: str, body: dict[str, Any] | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: bytes = response.read()
        return answer


def _judge(out: DayOfUse, samples: list[Sample], plan: Plan) -> None:
    """Fills in what the samples show."""
    settled = [each for each in samples if each.lines > plan.lines * _SETTLED]
    lines = [each.lines for each in settled]
    for name in settled[-1].processes:
        for value in Usage.__dataclass_fields__:
            found = [getattr(each.processes[name], value) for each in settled]
            out.growth[f"{name} {value}"] = growth(lines, found)
    for name in settled[-1].disk_mb:
        out.growth[f"{name} disk_mb"] = growth(lines, [each.disk_mb[name] for each in settled])
    out.growth["median latency_ms"] = growth(lines, [float(np.median(each.latencies_ms)) for each in settled])
    for part in np.array_split(np.arange(len(samples)), min(10, len(samples))):
        all_ms = [each for index in part for each in samples[index].latencies_ms]
        at = samples[part[-1]].lines
        out.latency_ms.append((at, *(round(float(each), 1) for each in np.percentile(all_ms, (50, 99)))))
