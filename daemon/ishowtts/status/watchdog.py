"""Finds what only a restart repairs: a thread that has ended, or one that has not responded for too long.

The limits are far above what a slow disk or a cold GPU takes: a needless restart interrupts the current line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ishowtts.engines.remote.remote_engine import RemoteEngine
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.inbox import Inbox
from ishowtts.mqtt.connection import Connection
from ishowtts.playback.player import Player
from ishowtts.speech import Scheduler
from ishowtts.util.loop_thread import LoopThread

SCHEDULER_S = 20.0
"""The scheduler never waits for a disk, an engine or a device."""
THREAD_S = 120.0
"""Other threads wait at most 30 s for the inbox, and 5 s for the broker."""
INBOX_S = 300.0
"""The thread `inbox` itself may wait for a slow disk, or copy a large queue to another file."""
CONNECTION_S = 300.0
"""A connection to the broker may wait for the resolver of host names, which asks several servers several times."""
_SYNTHESIS_S = 120.0
_WORKER_WAITS = 5


@dataclass(frozen=True)
class Watched:
    """One thread that the watchdog looks at.

    Args:
        alive: Whether the thread runs, or is not meant to run.
        overdue_s: Seconds that the current step has taken, or that the next one is late.
        limit_s: Highest allowed value of `overdue_s`.
    """

    name: str
    alive: Callable[[], bool]
    overdue_s: Callable[[], float]
    limit_s: float


def fault(watched: Sequence[Watched]) -> str | None:
    """Describe the first fault; `None` if there is none."""
    for thread in watched:
        if not thread.alive():
            return f"the thread {thread.name} has ended"
        overdue_s = thread.overdue_s()
        if overdue_s > thread.limit_s:
            return f"the thread {thread.name} has not responded for {overdue_s:.0f} s"
    return None


def threads(
    *,
    inbox: Inbox,
    player: Player,
    scheduler: Scheduler,
    workers: Sequence[WorkerEngine],
    asking_loops: Sequence[LoopThread],
    loops: Sequence[LoopThread],
    connections: Sequence[Connection] = (),
    lives: Sequence[LoopThread] = (),
    segment_s: float,
    remote: RemoteEngine | None = None,
) -> list[Watched]:
    """List the threads that a line depends on, or that report on lines.

    `archive` is not in the list, since no line waits for it.

    Args:
        asking_loops: Loop threads that ask a worker, and wait for it like a line.
        loops: All other loop threads.
        connections: Those to the broker. The daemon starts the thread of one again that has ended.
        lives: Loop threads that may wait for ever for something that a restart would wait for too.
        segment_s: Deadline of the worker for preparing a voice, and for one run, in seconds.
        remote: The engine that has other appliances render; a segment waits for several of them.
    """
    # A line may wait for each worker this often before the next engine speaks it: until a voice that another line
    # needs is prepared, then for its own voice and a run of several segments, then for both again, alone.
    synthesis_s = _SYNTHESIS_S + len(workers) * _WORKER_WAITS * segment_s
    synthesis_s += 0.0 if remote is None else remote.longest_wait_s
    return [
        Watched("playback", player.alive, player.overdue_s, THREAD_S),
        Watched("inbox", inbox.alive, inbox.overdue_s, INBOX_S),
        Watched("synthesis", scheduler.synthesis_alive, scheduler.synthesis_busy_s, synthesis_s),
        _loop(scheduler, SCHEDULER_S),
        *(_loop(loop, synthesis_s) for loop in asking_loops),
        *(_loop(loop, THREAD_S) for loop in loops),
        *(Watched(each.thread_name, lambda: True, each.overdue_s, CONNECTION_S) for each in connections),
        *(Watched(loop.name, loop.alive, lambda: 0.0, 0.0) for loop in lives),
        *(Watched(f"engine-supervisor of {worker.name}", worker.alive, lambda: 0.0, 0.0) for worker in workers),
    ]


def _loop(loop: LoopThread, limit_s: float) -> Watched:
    return Watched(loop.name, loop.alive, loop.overdue_s, limit_s)
