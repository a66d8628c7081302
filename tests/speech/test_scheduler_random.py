"""Under random lines, commands and faults a line ends once, is heard whole once, and is not heard after its end.

Inbox, player and scheduler are real, in real time. The engines and the device fail at random as real ones do. A failure
names its seed, but threads make each run a little different.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from random import Random

import numpy as np
import pytest

from ishowtts.engines import VoiceInfo
from ishowtts.errors import Cancelled, EngineUnavailable, SpeakerError, SynthesisError, WorkerDied
from ishowtts.inbox import DequeuedLine, Inbox, InboxLimits, PendingTake, wait_for
from ishowtts.model import Arrival, Event, IsCancelled, Line, Outcome, Priority, Samples, Segment, Utterance
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.playback.silent_speaker import SilentSpeaker
from ishowtts.speech import FallbackSynthesizer, Scheduler, SpeechResources, segment_planner
from support.engine_order import engine_order
from support.fake_policy import FakePolicy
from support.waiting import eventually

RATE_HZ, BLOCK, BLOCKS = 24_000, 240, 8
LEVELS = range(8_000, 32_000, 400)
FINAL = {outcome.value for outcome in Outcome}
AFTER_A_STOP = 2  # blocks: the one that is being written, and the fade
ALONE = VoiceInfo("any", 20)
BATCHED = VoiceInfo("any", 20, reference_s=0.01, bytes_per_s=20 / 0.08, cost=0.01, batch_s=10.0)


@dataclass(frozen=True)
class Heard:
    """A block that went to the device: its line, its part of the text, and the number of its synthesis."""

    line_id: str
    part: str
    call: int


@dataclass
class World:
    """What goes wrong, and what was made and heard. Each synthesis has its own level, which identifies it."""

    random: Random
    engine_away: bool = False
    faults: float = 0.0
    slow_s: float = 0.0
    ignores_cancel: bool = False
    unplugged: bool = False
    card: VoiceInfo = ALONE
    batches: int = 0
    made: list[Heard] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, segment: Segment) -> Samples:
        with self.lock:
            level = LEVELS[len(self.made) % len(LEVELS)]
            self.made.append(Heard(segment.line_id, segment.text, len(self.made)))
        return np.full(BLOCK * BLOCKS, level, np.int16)

    def hear(self, block: Samples) -> None:
        peak = int(np.abs(block).max())
        if peak == 0:
            return
        with self.lock:
            nearest = round((peak - LEVELS[0]) / LEVELS.step)
            newest = len(self.made) - 1
            self.heard.append(self.made[newest - (newest - nearest) % len(LEVELS)])


class LevelEngine:
    """Speaks each segment at one constant level."""

    rate_hz = RATE_HZ

    def __init__(self, name: str, world: World, *, is_primary: bool) -> None:
        self.name = name
        self._world = world
        self._is_primary = is_primary

    def prepare(self, voice: str | None) -> VoiceInfo:
        self._fail_if_away()
        return self._world.card if self._is_primary else ALONE

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        self._fail_if_away()
        world = self._world
        ends_at = time.monotonic() + world.slow_s * world.random.random()
        while time.monotonic() < ends_at:
            if cancelled() and not world.ignores_cancel:
                raise Cancelled
            time.sleep(0.002)
        if self._is_primary and world.random.random() < world.faults:
            raise world.random.choice([SynthesisError("no"), WorkerDied("dead"), EngineUnavailable("away"), OSError()])
        return Utterance(world.make(segment), RATE_HZ, 0.001, self.name, "any")

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        self._world.batches += 1
        return [self.synthesize(segment, cancelled) for segment in segments]

    def _fail_if_away(self) -> None:
        if self._is_primary and self._world.engine_away:
            raise EngineUnavailable("it is away")

    def load(self, progress: object) -> None: ...

    def warm(self, progress: object) -> None: ...

    def close(self) -> None: ...


class Card(SilentSpeaker):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def open(self, rate_hz: int) -> None:
        self._check()
        super().open(rate_hz)

    def write(self, block: Samples) -> None:
        self._check()
        self._world.hear(block)
        super().write(block)

    def away(self) -> str | None:
        return "it is not there" if self._world.unplugged else None

    def _check(self) -> None:
        if self._world.unplugged:
            raise SpeakerError("it is not there")


class RecordingInbox(Inbox):
    """Notes which lines were taken, in order."""

    taken: list[str]

    def take(self, minimum: Priority = Priority.LOW, held: Collection[str | None] = ()) -> PendingTake[DequeuedLine]:
        order = super().take(minimum, held)
        order.future.add_done_callback(lambda done: done.result() and self.taken.append(done.result().line.id))
        return order


class Run:
    """Inbox, player and scheduler from one start to their end or crash."""

    def __init__(self, path: Path, world: World, stack: ExitStack, *, has_fallback: bool, drop_when_lost: bool) -> None:
        self.path = path
        self.first_heard = len(world.heard)
        limits = InboxLimits(merge_s=60, max_lines=200)
        self.scheduler: Scheduler | None = None
        self.inbox = RecordingInbox(path, limits, on_lines=self._wake)
        self.inbox.taken = []
        primary = LevelEngine("primary", world, is_primary=True)
        fallback = LevelEngine("fallback", world, is_primary=False) if has_fallback else None
        self.player = Player(Card(world), on_change=self._wake)
        unchanged = PostProcessor(rate_hz=RATE_HZ, loudness_lufs=None, peak_dbtp=None)
        self.scheduler = Scheduler(
            self.inbox,
            SpeechResources(FallbackSynthesizer(engine_order(primary, fallback)), self.player, FakePolicy(), unchanged),
            available=lambda: has_fallback or not world.engine_away,
            paused=False,
            pause_s=0.02,
            drop_when_lost=drop_when_lost,
            on_change=lambda: None,
            on_report=lambda _: None,
        )
        self.player.start()
        self.scheduler.start()
        stack.callback(self.close)

    def _wake(self) -> None:
        if self.scheduler is not None:
            self.scheduler.wake()

    def close(self) -> None:
        self.scheduler.close(10)
        self.player.close(10)
        self.inbox.close()

    def events(self) -> list[Event]:
        return [event for _, event in wait_for(self.inbox.unsent(10_000))]


class Storm:
    """Random lines, commands and faults; the guarantees are checked at the end."""

    def __init__(self, seed: int, folder: Path, stack: ExitStack, card: VoiceInfo) -> None:
        self.random = Random(seed)
        self.world = World(Random(seed + 1), card=card)
        self.folder = folder
        self.stack = stack
        self.has_fallback = self.random.random() < 0.5
        self.drop_when_lost = self.random.random() < 0.3
        self.lines: dict[str, Line] = {}
        self.crashed: set[str] = set()  # lines that were open in a crash
        self.stops: list[tuple[int, set[str]]] = []
        self.runs: list[Run] = []
        self.start(folder / "0.sqlite")

    def start(self, path: Path) -> None:
        self.runs.append(
            Run(path, self.world, self.stack, has_fallback=self.has_fallback, drop_when_lost=self.drop_when_lost)
        )

    @property
    def run(self) -> Run:
        return self.runs[-1]

    def run_steps(self, steps: int) -> None:
        acts = [self.say] * 12 + [self.urgent] * 2 + [self.skip, self.stop, self.cancel, self.cancel]
        acts += [self.pause, self.resume, self.resume, self.resume, self.unplug, self.plug, self.plug, self.plug]
        acts += [
            self.engine_leaves,
            self.engine_returns,
            self.engine_returns,
            self.change_faults,
            self.change_faults,
            self.crash,
            self.reopen,
        ]
        for _ in range(steps):
            self.random.choice(acts)()
            time.sleep(self.random.choice([0, 0.01, 0.05, 0.15]))

    def end_faults(self) -> None:
        self.plug()
        self.resume()
        self.world.engine_away, self.world.faults, self.world.slow_s = False, 0.0, 0.0
        eventually(lambda: self.run.inbox.depth() == 0 and self.open_lines() == set(), "the end of every line")

    def open_lines(self) -> set[str]:
        return set(self.lines) - {event.id for event in self.run.events() if event.event in FINAL}

    # What happens

    def say(self, priority: Priority | None = None) -> None:
        number = len(self.lines)
        if priority is None:
            priority = self.random.choice([Priority.LOW, Priority.NORMAL, Priority.NORMAL, Priority.HIGH])
        said = number if self.random.random() < 0.8 else max(0, number - 1)
        text = f"Line {said:02d} begins. Line {said:02d} goes on. Line {said:02d} turns. Line {said:02d} ends."
        ttl_s = 0.1 if self.random.random() < 0.1 else None
        line = Line(f"{number}", text, priority=priority, ttl_s=ttl_s)
        self.lines[line.id] = line
        wait_for(self.run.inbox.accept([Arrival(line)]))

    def urgent(self) -> None:
        self.say(Priority.URGENT)

    def skip(self) -> None:
        self.submit(lambda run: run.scheduler.cancel_current("skip"))

    def stop(self) -> None:
        known = set(self.lines)

        def stop(run: Run) -> None:
            run.scheduler.cancel_current("stop")
            self.stops.append((len(self.world.heard), known))
            run.inbox.cancel_waiting("stop")

        self.submit(stop)

    def cancel(self) -> None:
        line_id = self.random.choice([*self.lines, "nobody"])

        def cancel(run: Run) -> None:
            current = run.scheduler.current_line
            if current is not None and current.id == line_id:
                run.scheduler.cancel_current("cancel")
            run.inbox.cancel_waiting("cancel", line_id)

        self.submit(cancel)

    def pause(self) -> None:
        self.submit(lambda run: run.scheduler.set_paused(True))

    def resume(self) -> None:
        self.submit(lambda run: run.scheduler.set_paused(False))

    def submit(self, command: Callable[[Run], object]) -> None:
        run = self.run

        def execute() -> None:
            command(run)

        run.scheduler.submit(execute)

    def unplug(self) -> None:
        self.world.unplugged = True

    def plug(self) -> None:
        self.world.unplugged = False

    def engine_leaves(self) -> None:
        self.world.engine_away = True

    def engine_returns(self) -> None:
        self.world.engine_away = False

    def change_faults(self) -> None:
        self.world.faults = self.random.choice([0.0, 0.2, 0.4])
        self.world.slow_s = self.random.choice([0.0, 0.05, 0.2])
        self.world.ignores_cancel = self.random.random() < 0.5

    def crash(self) -> None:
        """The next run knows only what is in the file at this moment."""
        former, path = self.run, self.folder / f"{len(self.runs)}.sqlite"
        with sqlite3.connect(former.path) as db, sqlite3.connect(path) as copy:
            db.backup(copy)
        db.close()
        copy.close()
        former.close()
        self.stops.clear()  # the file need not have heard of one yet
        self.start(path)
        self.crashed |= self.open_lines()

    def reopen(self) -> None:
        former = self.run
        former.close()
        self.start(former.path)

    # The guarantees

    def check(self) -> None:
        events = self.run.events()
        outcomes = Counter(event.id for event in events if event.event in FINAL)
        assert outcomes == Counter(list(self.lines)), "each line has one outcome"
        ends = [*(run.first_heard for run in self.runs[1:]), None]
        for run, end in zip(self.runs, ends, strict=True):
            self.check_order(run, self.world.heard[run.first_heard : end])
        for at, known in self.stops:
            late = [one for one in self.world.heard[at + AFTER_A_STOP :] if one.line_id in known]
            assert not late, "nothing is heard after a stop"
        interrupted = {event.id for event in events if event.event == "interrupted"} | self.crashed
        for event in events:
            if event.event == "finished":
                self.check_whole(event.id, once=event.id not in interrupted)

    def check_order(self, run: Run, heard: list[Heard]) -> None:
        """Only lines that were taken are heard, in that order."""
        spoken = [line_id for line_id, _ in groupby(heard, lambda one: one.line_id)]
        taken: Iterator[str] = iter(run.inbox.taken)
        assert all(line_id in taken for line_id in spoken), (spoken, run.inbox.taken)

    def check_whole(self, line_id: str, *, once: bool) -> None:
        blocks = Counter(one for one in self.world.heard if one.line_id == line_id)
        for part in self.lines[line_id].text.split(". "):
            counts = [count for one, count in blocks.items() if one.part.startswith(part)]
            assert BLOCKS in counts, (line_id, part, counts)
            assert not once or counts == [BLOCKS], (line_id, part, counts)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "card"), [(0, ALONE), (1, ALONE), (2, ALONE), (3, BATCHED), (4, BATCHED)])
def test_no_line_is_lost_or_heard_twice_under_random_lines_commands_and_faults(
    seed: int, card: VoiceInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_planner, "_SLACK_S", 0.0)  # a part sounds for 0.08 s here
    with ExitStack() as stack:
        storm = Storm(seed, tmp_path, stack, card)
        storm.run_steps(50)
        storm.end_faults()
        storm.check()
        assert (storm.world.batches > 0) is (card is BATCHED)
