"""systemd is fed only while every thread responds: one that is stuck, or gone, is named, and the food stops."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.inbox import Inbox, InboxLimits
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.playback.silent_speaker import SilentSpeaker
from ishowtts.speech import FallbackSynthesizer, Scheduler, SpeechResources
from ishowtts.status import watchdog
from ishowtts.status.watchdog import Watched
from ishowtts.util.loop_thread import LoopThread
from support.appliance import Appliance
from support.client import Client
from support.engine_order import engine_order
from support.fake_policy import FakePolicy
from support.waiting import eventually

# In the daemon's process: a file `hold-NAME` blocks the thread NAME until it is gone, `end-NAME` ends it.
HOLDS = """
import os, threading, time
from pathlib import Path
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.inbox.writer_thread import WriterThread
from ishowtts.mqtt.connection import Connection
from ishowtts.mqtt.session import Session
from ishowtts.util.loop_thread import LoopThread
from ishowtts.playback.output_device import OutputDevice
from ishowtts.status import watchdog

watchdog.CONNECTION_S = 2.5
watchdog.THREAD_S = watchdog.INBOX_S = watchdog.SCHEDULER_S = watchdog._SYNTHESIS_S = 1.0
folder = Path(os.environ["HOLDS"])

def held(call):
    def wrapper(self, *arguments, **options):
        name = threading.current_thread().name.split("_")[0]
        while (folder / f"hold-{name}").exists():
            time.sleep(0.02)
        if (folder / f"end-{name}").exists():
            (folder / f"end-{name}").unlink()
            raise SystemExit
        return call(self, *arguments, **options)
    return wrapper

held_methods = (
    (EspeakEngine, "synthesize"), (WriterThread, "_has_work"), (OutputDevice, "maintain"), (Connection, "_may_connect"),
    (Session, "_take_answers"),
)
for owner, name in held_methods:
    setattr(owner, name, held(getattr(owner, name)))

start = LoopThread.start
def starts(self):
    type(self).run_once = held(type(self).run_once) if type(self) not in seen else type(self).run_once
    seen.add(type(self))
    start(self)
seen = set()
LoopThread.start = starts
"""
STOPS = (
    *("playback", "inbox", "scheduler", "intake", "outbox", "status", "voice-watcher", "espeak-check", "synthesis"),
    "mqtt-commands",
)


class Systemd:
    """The end of the socket that systemd has. It reads at once: a full socket would hold up the whole daemon."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fed = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._read, name="systemd")
        self._thread.start()

    def fed(self, within_s: float = 20.0) -> bool:
        """Whether it is fed from now on within the time."""
        self._fed.clear()
        return self._fed.wait(within_s)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"", str(self.path))
        self._thread.join(10)
        self._socket.close()

    def _read(self) -> None:
        while words := self._socket.recv(4096):
            if "WATCHDOG=1" in words.decode().splitlines():
                self._fed.set()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path / "notify")
    yield systemd
    systemd.close()


def held_appliance(make_appliance: Callable[..., Appliance], systemd: Systemd, folder: Path) -> Appliance:
    environment = {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "200000", "HOLDS": str(folder)}
    return make_appliance(environment=environment, site=HOLDS)


def test_a_thread_that_is_stuck_is_named_and_the_watchdog_is_not_fed_until_it_responds(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, systemd: Systemd, tmp_path: Path
) -> None:
    appliance = held_appliance(make_appliance, systemd, tmp_path)
    appliance.wait_ready(mqtt_client)
    assert systemd.fed()
    for name in STOPS:
        # On a busy machine a thread can be late before it is held: only a sentence from now on counts.
        before = len(appliance.log)
        (tmp_path / f"hold-{name}").touch()
        # Something to do for each: the line waits for whoever is held.
        line_id = appliance.say(mqtt_client, "one", speed=2.0)
        sentence = f"the watchdog is not fed: the thread {name} has not responded for"
        eventually(lambda sentence=sentence, before=before: sentence in appliance.log[before:], f"a word about {name}")
        # A thread that was late by the load alone may end one more step before it is held.
        eventually(lambda: not systemd.fed(within_s=0.5), f"no food while {name} is stuck")
        (tmp_path / f"hold-{name}").unlink()
        assert systemd.fed(), f"not fed after {name}"
        assert appliance.final(mqtt_client, line_id)["event"] == "finished"


@pytest.mark.parametrize("name", ["scheduler", "intake"])
def test_a_thread_that_has_ended_is_named_and_the_watchdog_is_not_fed(
    name: str, make_appliance: Callable[..., Appliance], mqtt_client: Client, systemd: Systemd, tmp_path: Path
) -> None:
    appliance = held_appliance(make_appliance, systemd, tmp_path)
    appliance.wait_ready(mqtt_client)
    (tmp_path / f"end-{name}").touch()
    appliance.say(mqtt_client, "one")
    eventually(lambda: f"the watchdog is not fed: the thread {name} has ended" in appliance.log, "a word about it")
    assert not systemd.fed(within_s=0.3)


def test_an_mqtt_thread_that_has_ended_is_started_again(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, systemd: Systemd, tmp_path: Path
) -> None:
    (tmp_path / "end-mqtt-lines").touch()
    appliance = held_appliance(make_appliance, systemd, tmp_path)
    appliance.wait_ready(mqtt_client)
    assert "an MQTT thread had died; it is started again" in appliance.log
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "one"))["event"] == "finished"


class Loop(LoopThread):
    """Looks when it is woken, for as long as it is held."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("loop")
        self.looks = 0
        self.may_go = threading.Event()
        self.may_go.set()
        self._wait_s = wait_s

    def run_once(self, last: bool) -> float:
        self.looks += 1
        self.may_go.wait(20)
        return self._wait_s


def test_a_loop_is_overdue_by_its_look_and_not_by_its_rest() -> None:
    loop = Loop(wait_s=60.0)
    loop.start()
    try:
        eventually(lambda: loop.overdue_s() < -50, "its rest")
        loop.may_go.clear()
        loop.wake()
        eventually(lambda: 0.2 < loop.overdue_s() < 10, "a look that takes long")
        loop.progressed()
        assert loop.overdue_s() < 0.2, "a look may say that it is not stuck"
    finally:
        loop.may_go.set()
        loop.close(10)


@pytest.fixture
def watched() -> Iterator[dict[str, Watched]]:
    """The parts that are watched where F5 leads, none of them started."""
    inbox, player = Inbox(None, InboxLimits()), Player(SilentSpeaker())
    unchanged = PostProcessor(rate_hz=24_000, loudness_lufs=None, peak_dbtp=None)
    scheduler = Scheduler(
        inbox,
        SpeechResources(FallbackSynthesizer(engine_order(EspeakEngine())), player, FakePolicy(), unchanged),
        available=lambda: True,
        paused=False,
        on_change=lambda: None,
        on_report=lambda _: None,
    )
    parts = watchdog.threads(
        inbox=inbox,
        player=player,
        scheduler=scheduler,
        workers=[WorkerEngine("f5", {})],
        asking_loops=[Loop(1.0)],
        loops=[],
        segment_s=500.0,
    )
    yield {part.name: part for part in parts}
    inbox.close()


def test_limits_are_beyond_what_a_slow_disk_and_a_cold_gpu_take(watched: dict[str, Watched]) -> None:
    """A slow disk answers within 30 s or the wait for it ends; the worker may take `segment_s` for each answer."""
    assert min(watchdog.THREAD_S, watched["inbox"].limit_s) > 2 * 30 + 5
    assert watched["synthesis"].limit_s > 4 * 500 + 30
    assert watched["loop"].limit_s > 2 * 500, "that of the voice watcher"


def test_the_supervisor_of_the_worker_is_watched(watched: dict[str, Watched]) -> None:
    supervisor = watched["engine-supervisor of f5"]
    assert watchdog.fault([supervisor]) is None
    ended = replace(supervisor, alive=lambda: False)
    assert watchdog.fault([watched["inbox"], ended]) == "the thread engine-supervisor of f5 has ended"
