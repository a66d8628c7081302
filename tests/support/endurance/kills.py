"""Publishes lines while daemon, broker or both are killed; then checks that every line has one outcome."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.endurance.figures import faults_of
from support.endurance.final_events import FinalEvents
from support.endurance.queue_file import lost_with_broker, open_texts, rows_of
from support.publisher import Publisher
from support.quick_daemon import code, height, read_notes
from support.waiting import eventually

_START_S = 1.5  # about what a daemon takes to be connected
_CONNECTED_WITHIN_S = 40.0


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        daemon_kills, broker_kills: how often each is ended with SIGKILL, and started again.
        every_s: the longest time between the daemon's connection and the next kill; the shortest is none. One kill in
            four does not wait for the connection.
        sound_s: how long a line sounds. The shorter, the less often one is on the air at two kills, which fails it.
        protocol: 5 or "3.1.1".
    """

    lines: int = 120
    daemon_kills: int = 0
    broker_kills: int = 0
    every_s: float = 2.5
    sound_s: float = 0.1
    protocol: int | str = 5
    seed: int = 0


@dataclass
class Figures:
    """What came of it. Every count that should be 0 is a list of the texts it is about.

    Attributes:
        kills_at_work: those of a daemon that had been connected; the others hit its start.
        republished: publishes beyond the first of a text, since the broker had not said that it has it.
        repeated: rows beyond the first of a text that its publisher published again: the broker had taken it before.
        lost: texts without a row.
        lost_at_broker: texts that a broker confirmed, and had neither saved nor passed on when it was killed: no fault
            of the daemon's, and there is no way to get them back.
        doubled: texts with more rows than publishes.
        open: rows without an outcome.
        told_otherwise: ids with a final event that is not the outcome in the inbox.
        untold: ids without a final event. `untold_by_broker`: the same where a broker was killed, which may have
            confirmed an event and neither saved it nor passed it on.
        failed_by_contract: lines that two kills hit on the air (queue.max_attempts).
        heard_again: lines that were heard more than once: those that a kill of the daemon cut off.
        heard_again_wrongly: lines heard again although they were not the last one before a kill.
        redelivered: how often the inbox was handed a message that it had already, and knew it.
    """

    plan: dict[str, Any]
    seconds: float = 0.0
    kills_of_daemon: int = 0
    kills_at_work: int = 0
    kills_of_broker: int = 0
    published: int = 0
    republished: int = 0
    rows: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    redelivered: int = 0
    heard_again: int = 0
    failed_by_contract: int = 0
    lost: list[str] = field(default_factory=list)
    lost_at_broker: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    told_otherwise: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    untold_by_broker: list[str] = field(default_factory=list)
    heard_again_wrongly: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        """What should not be, by name; empty where all is well."""
        names = ("lost", "doubled", "open", "told_otherwise", "untold", "heard_again_wrongly")
        return faults_of(self, names)


def endure(folder: Path, plan: Plan) -> Figures:
    """Carry out a plan in an empty folder."""
    (folder / "broker").mkdir()
    settings = {"queue": {"max_lines": 10 * plan.lines}, "text": {"normalise": False}}
    began_s = time.monotonic()
    figures = Figures(asdict(plan))
    with Broker(folder / "broker", saves_changes=True) as broker:
        mqtt = {"host": broker.host, "port": broker.port, "protocol": plan.protocol}
        with (
            Appliance(folder, broker, {**settings, "mqtt": mqtt}, quick_s=plan.sound_s) as appliance,
            FinalEvents(broker, appliance.root) as events,
        ):
            with Client(broker.host, broker.port) as client:
                appliance.wait_ready(client)
            broker.save()
            topic = f"{appliance.root}/say"
            publisher = Publisher(broker.host, broker.port, topic, protocol=5 if plan.protocol == 5 else 4)
            with closing(publisher):
                with _Killers(plan, appliance, broker, publisher, figures) as killers:
                    _publish(publisher, plan, killers)
                publisher.finish(60)
                _settle(appliance, plan, killers.gone())
            appliance.stop()
            events.settle(folder)
            figures.seconds = round(time.monotonic() - began_s, 1)
            _audit(figures, appliance, publisher, events, killers.gone())
    return figures


def _publish(publisher: Publisher, plan: Plan, killers: _Killers) -> None:
    """Evenly over the time that the kills take."""
    number = 0
    while number < plan.lines or killers.busy:
        if number < plan.lines and number <= killers.progress * plan.lines:
            publisher.publish(number, text_of(number).encode())
            number += 1
            publisher.step(0.02)
        else:
            publisher.step(0.05)


def text_of(number: int) -> str:
    """A line without an id: only its words tell it from others."""
    return f"{code(number)} is the number of this line."


class _Killers:
    """A thread that kills at random moments and starts again."""

    def __init__(
        self,
        plan: Plan,
        appliance: Appliance,
        broker: Broker,
        publisher: Publisher,
        out: Figures,
    ) -> None:
        chance = random.Random(plan.seed)
        self._plan, self._chance, self._out = plan, chance, out
        self._publisher = publisher
        victims = ["daemon"] * plan.daemon_kills + ["broker"] * plan.broker_kills
        chance.shuffle(victims)
        self._moments = [(chance.uniform(0, plan.every_s), victim) for victim in victims]
        self._kill: dict[str, Callable[[], None]] = {"daemon": self._kill_daemon, "broker": self._kill_broker}
        self._appliance, self._broker = appliance, broker
        self._error: BaseException | None = None
        self._gone: set[str] = set()
        self._log_began = 0
        self._thread = threading.Thread(target=self._run, name="killers")
        self.progress = 0.0

    @property
    def busy(self) -> bool:
        return self._thread.is_alive()

    def __enter__(self) -> _Killers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self.progress = 1.0
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            for number, (wait_s, victim) in enumerate(self._moments):
                self._await(number, wait_s, at_work=number % 4 != 3)
                if self._chance.random() < 0.5:
                    self._aim()
                self._kill[victim]()
        except BaseException as error:
            self._error = error
        self.progress = 1.0

    def _await(self, number: int, wait_s: float, *, at_work: bool) -> None:
        """The moment of a kill: counted from when the daemon is connected, or from now."""
        began_s = time.monotonic()
        ends_s = None if at_work else began_s + wait_s
        while ends_s is None or time.monotonic() < ends_s:
            gone_s = time.monotonic() - began_s
            if ends_s is None and (self._at_work() or gone_s > _CONNECTED_WITHIN_S):
                ends_s = time.monotonic() + wait_s
            self.progress = (number + min(1.0, gone_s / (wait_s + _START_S))) / len(self._moments)
            time.sleep(0.03)

    def _at_work(self) -> bool:
        """Whether the daemon has been connected since its start."""
        return "connected to the broker" in self._appliance.log[self._log_began :]

    def _aim(self) -> None:
        """Wait until a line has just been published: it is between the broker, the inbox and its acknowledgement."""
        before, deadline = len(self._publisher.published), time.monotonic() + 0.5
        while len(self._publisher.published) == before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(self._chance.uniform(0, 0.01))

    def _kill_daemon(self) -> None:
        self._out.kills_at_work += self._at_work()
        self._appliance.stop(SIGKILL)
        self._log_began = len(self._appliance.log)
        self._out.kills_of_daemon += 1
        time.sleep(self._chance.uniform(0, 0.3))
        self._appliance.start()

    def _kill_broker(self) -> None:
        self._broker.kill()
        killed_s = time.monotonic()
        self._out.kills_of_broker += 1
        time.sleep(self._chance.uniform(0.1, 0.4))
        texts = {number: text_of(number) for number in list(self._publisher.published)}
        lost = lost_with_broker(self._appliance.folder, self._broker, self._publisher, killed_s, texts)
        self._gone |= {texts[number] for number in lost}
        self._broker.start()

    def gone(self) -> set[str]:
        """Texts that a killed broker took with it."""
        return self._gone


def _settle(appliance: Appliance, plan: Plan, gone: set[str]) -> None:
    """Until every row has its outcome; no row comes any more once the broker has nothing left."""

    def settled() -> bool:
        rows = rows_of(appliance.folder)
        return len({row["text"] for row in rows} | gone) >= plan.lines and not open_texts(rows)

    try:
        eventually(settled, "the outcomes", 30 + plan.lines * (plan.sound_s + 0.05))
    except AssertionError:
        return  # the audit says what is missing


def _audit(figures: Figures, appliance: Appliance, publisher: Publisher, events: FinalEvents, gone: set[str]) -> None:
    rows = rows_of(appliance.folder)
    each = Counter(row["text"] for row in rows)
    texts = {text_of(number): number for number in publisher.published}
    figures.published = len(publisher.published)
    figures.republished = sum(publisher.published.values()) - figures.published
    figures.rows = len(rows)
    figures.outcomes = dict(Counter(row["state"] for row in rows))
    figures.repeated = sum(count - 1 for count in each.values())
    figures.redelivered = appliance.log.count("once more")
    missing = texts.keys() - each.keys()
    figures.lost, figures.lost_at_broker = sorted(missing - gone), sorted(missing & gone)
    figures.doubled = [text for text, count in each.items() if count > publisher.published[texts[text]]]
    figures.open = open_texts(rows)
    figures.told_otherwise = [row["id"] for row in rows if set(events.finals.get(row["id"], ())) - {row["state"]}]
    untold = [row["id"] for row in rows if row["id"] not in events.finals]
    if figures.kills_of_broker:
        figures.untold_by_broker = untold
    else:
        figures.untold = untold
    figures.failed_by_contract = figures.outcomes.get("failed", 0)
    _audit_speech(figures, appliance, each)


def _audit_speech(figures: Figures, appliance: Appliance, each: Counter[str]) -> None:
    """A line is heard again only where it was the last one that a killed daemon began to play."""
    by_height = {height(text): text for text in each}
    lives: dict[int, list[str]] = {}
    for note in read_notes(appliance.notes):
        if "wrote" in note:
            heard, text = lives.setdefault(note["pid"], []), by_height.get(note["peak"])
            if text is not None and heard[-1:] != [text]:
                heard.append(text)
    spoken = Counter(text for texts in lives.values() for text in texts)
    cut_off = Counter(texts[-1] for texts in lives.values() if texts)
    figures.heard_again = sum(max(0, spoken[text] - each[text]) for text in each)
    figures.heard_again_wrongly = [text for text in each if spoken[text] - each[text] > cut_off[text]]
