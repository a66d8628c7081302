"""Compares the inbox with a simple model of it that has lists and dicts, and no file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ishowtts.model import Arrival, Delivery, Line, Outcome, Priority, Reason, Rejection

pytestmark = pytest.mark.slow

MAX_LINES, MAX_AGE_S, DEDUP_S, MAX_ATTEMPTS, MERGE_S = 4, 900.0, 600.0, 2, 100.0
ANOTHER = "another id"  # of a rejection whose own id an open line has
FINAL = {outcome.value for outcome in Outcome}


@dataclass
class Known:
    line: Line
    life_s: float
    age_s: float = 0.0
    state: str = "waiting"
    started: bool = False
    position: int = 0
    attempts: int = 0
    times: int = 1


class InboxMachine(RuleBasedStateMachine):
    build_queue: Callable[..., Any]
    make_folder: Callable[[], AbstractContextManager[Path]]

    def __init__(self) -> None:
        super().__init__()
        self.folders = ExitStack()
        folder = self.folders.enter_context(type(self).make_folder())
        self.queue = type(self).build_queue(folder, merge_s=MERGE_S)
        self.known: list[Known] = []
        self.expected: list[tuple[str, str]] = []
        self.received: list[tuple[str, str]] = []
        self.speaking: tuple[int, Known] | None = None
        self.delivered: dict[int, bytes] = {}
        self.prefetched: Known | None = None
        self.suspect: Known | None = None
        self.boots = 0

    def teardown(self) -> None:
        self.queue.inbox.close()
        self.folders.close()

    # The model

    def waiting(self) -> list[Known]:
        return [one for one in self.known if one.state == "waiting"]

    def end(self, one: Known, outcome: str) -> None:
        one.state = outcome
        self.expected.append((one.line.id, outcome))

    def expire(self) -> None:
        for one in self.waiting():
            if one.age_s >= one.life_s and not one.started:
                self.end(one, "expired")

    def arrive(self, line: Line) -> None:
        life_s = MAX_AGE_S if line.ttl_s is None else min(MAX_AGE_S, line.ttl_s)
        for one in self.known:
            alike = replace(one.line, ttl_s=line.ttl_s) == line
            if alike and one.age_s < DEDUP_S and one.state != "expired":
                if one.state == "waiting":
                    one.life_s = max(one.life_s, one.age_s + life_s)
                self.expected.append((line.id, "duplicate"))
                return
        for one in self.waiting():
            alike = replace(one.line, id=line.id) == line
            if alike and not one.started and one.age_s < MERGE_S:
                one.times += 1
                # It is still a separate line, known by its id.
                self.known.append(Known(line, 0.0, state="merged"))
                self.expected.append((line.id, "merged"))
                return
        if len(self.waiting()) >= MAX_LINES:
            unheard = [k for k in self.waiting() if not k.started]
            if line.priority is Priority.LOW:
                may_go = [k for k in unheard if k.line.priority is Priority.LOW]
            else:
                below = [k for k in reversed(unheard) if k.line.priority < line.priority]
                may_go = sorted(below, key=lambda k: k.line.priority)  # the newest of each stays first
            if not may_go:
                claimed = any(k.line.id == line.id and k.state in ("waiting", "speaking") for k in self.known)
                self.expected.append((ANOTHER if claimed else line.id, "rejected"))
                return
            self.end(may_go[0], "evicted")
        self.known.append(Known(line, life_s))
        self.expected.append((line.id, "accepted"))

    def first(self, minimum: Priority) -> Known | None:
        may = [one for one in self.waiting() if one.line.priority >= minimum or one.started]
        return max(may, key=lambda one: one.line.priority, default=None)  # the first of equals is the oldest

    # What happens

    @rule(
        arrivals=st.lists(
            st.builds(
                Line,
                st.sampled_from("abcdef"),
                st.sampled_from(["one", "two"]),
                priority=st.sampled_from(Priority),
                ttl_s=st.sampled_from([None, 5.0, 50.0, 5000.0]),
            )
            | st.just(Rejection("bad", Reason.EMPTY, "it is empty")),
            max_size=5,
        ),
        deliveries=st.lists(
            st.none() | st.builds(Delivery, st.integers(1, 3), st.sampled_from([b"x", b"y"]), st.booleans()),
            min_size=5,
            max_size=5,
        ),
    )
    def accept(self, arrivals: list[Line | Rejection], deliveries: list[Delivery | None]) -> None:
        self.expire()
        for arrival, delivery in zip(arrivals, deliveries, strict=False):
            if delivery is not None:
                if delivery.again and self.delivered.get(delivery.packet_id) == delivery.digest:
                    continue
                self.delivered[delivery.packet_id] = delivery.digest
            if isinstance(arrival, Line):
                self.arrive(arrival)
            else:
                self.expected.append((arrival.id, "rejected"))
        self.queue.inbox.accept([Arrival(*both) for both in zip(arrivals, deliveries, strict=False)])

    @rule(resumed=st.booleans())
    def session(self, resumed: bool) -> None:
        if not (resumed and self.queue.inbox.recall(".session") == "s"):
            self.delivered.clear()
        self.queue.inbox.begin_session("s", resumed)

    @precondition(lambda self: self.speaking is None)
    @rule(minimum=st.sampled_from([Priority.LOW, Priority.LOW, Priority.HIGH]))
    def take(self, minimum: Priority) -> None:
        self.expire()
        taken = self.queue.inbox.take(minimum)
        best = self.first(minimum)
        if best is None:
            assert taken is None
            return
        best.state = "speaking"
        best.attempts += 1
        assert (taken.line, taken.position, taken.attempts) == (best.line, best.position, best.attempts)
        assert taken.times == best.times
        assert taken.queue_s == pytest.approx(best.age_s, abs=1e-3)
        self.speaking = (taken.seq, best)

    @rule(minimum=st.sampled_from([Priority.LOW, Priority.LOW, Priority.HIGH]))
    def prefetch(self, minimum: Priority) -> None:
        taken = self.queue.inbox.peek_for_prefetch(minimum)
        if self.suspect is not None and self.suspect.state in ("waiting", "speaking"):
            assert taken is None
            return
        self.expire()
        best = self.first(minimum)
        assert (None if taken is None else taken.line) == (None if best is None else best.line)
        self.prefetched = best or self.prefetched

    @precondition(lambda self: self.speaking is not None)
    @rule(muted=st.booleans())
    def start(self, muted: bool) -> None:
        seq, one = self.speaking
        if not one.started:
            self.expected.append((one.line.id, "started"))
        one.started = True
        self.queue.inbox.started(seq, muted=muted)

    @precondition(lambda self: self.speaking is not None)
    @rule(position=st.integers(0, 5))
    def reach(self, position: int) -> None:
        seq, one = self.speaking
        one.position = position
        self.queue.inbox.reached(seq, position)

    @precondition(lambda self: self.speaking is not None)
    @rule(outcome=st.sampled_from([Outcome.FINISHED, Outcome.FAILED, Outcome.CANCELLED]))
    def finish(self, outcome: Outcome) -> None:
        seq, one = self.speaking
        self.end(one, outcome.value)
        self.queue.inbox.finish(seq, outcome, {})
        self.speaking = None

    @precondition(lambda self: self.speaking is not None)
    @rule(position=st.none() | st.integers(0, 5))
    def put_back(self, position: int | None) -> None:
        seq, one = self.speaking
        one.state = "waiting"
        one.attempts -= 1
        if position is None:
            self.queue.inbox.postpone(seq)
        else:
            one.position = position
            self.expected.append((one.line.id, "interrupted"))
            self.queue.inbox.interrupt(seq, position)
        self.speaking = None

    @rule(line_id=st.none() | st.sampled_from("abcdef"))
    def cancel(self, line_id: str | None) -> None:
        waiting = [one for one in self.waiting() if line_id in (None, one.line.id)]
        for one in waiting:
            self.end(one, "cancelled")
        assert self.queue.inbox.cancel_waiting("command", line_id) == len(waiting)

    @rule(seconds=st.sampled_from([0.5, 10.0, 300.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.queue.clock.pass_s(seconds)
        for one in self.known:
            one.age_s += seconds
        self.expire()
        self.queue.inbox.expire()

    @rule(seconds=st.sampled_from([-1e9, -60.0, 60.0, 1e9]))
    def wall_clock_jumps(self, seconds: float) -> None:
        self.queue.clock.wall = max(0.0, self.queue.clock.wall + seconds)

    @rule(boots=st.booleans())
    def crash(self, boots: bool) -> None:
        if boots:
            # A new value each time: a transaction that changes nothing does not store the time.
            self.boots += 1
            self.queue.inbox.remember("seen", str(self.boots))
            self.queue.clock.reboot()
        self.queue.crash()
        self.suspect, self.prefetched = self.prefetched or self.suspect, None
        if self.speaking:
            one = self.speaking[1]
            one.state = "waiting"
            if one.attempts >= MAX_ATTEMPTS:
                self.end(one, "failed")
        self.speaking = None

    @rule()
    def publish(self) -> None:
        self.received += [(line_id if len(line_id) < 10 else ANOTHER, name) for line_id, name in self.queue.events()]

    # What always holds

    @invariant()
    def the_queue_is_the_models(self) -> None:
        assert self.queue.inbox.depth() == len(self.waiting())
        speakable = [one for one in self.waiting() if one.started or one.age_s < one.life_s]
        urgent = any(one.line.priority is Priority.URGENT for one in speakable)
        assert self.queue.inbox.urgent_waiting() == urgent

    @invariant()
    def every_event_comes_once_and_in_order(self) -> None:
        events = [event for _, event in self.queue.inbox.unsent(10_000)]
        unsent = [(event.id if len(event.id) < 10 else ANOTHER, event.event) for event in events]
        assert self.received + unsent == self.expected

    @invariant()
    def each_accepted_line_has_exactly_one_final_event_or_is_open(self) -> None:
        names = [name for _, name in self.expected]
        final = sum(name in FINAL for name in names) - names.count("rejected") - names.count("merged")
        still_open = len(self.waiting()) + (self.speaking is not None)
        assert names.count("accepted") == final + still_open


def test_the_inbox_does_what_the_model_does(
    build_queue: Callable[..., Any], make_folder: Callable[[], AbstractContextManager[Path]]
) -> None:
    parts = {"build_queue": staticmethod(build_queue), "make_folder": staticmethod(make_folder)}
    machine = type("Machine", (InboxMachine,), parts)
    run_state_machine_as_test(
        machine, settings=settings(max_examples=100, stateful_step_count=40, deadline=None, database=None)
    )
