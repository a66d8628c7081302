"""What only a restart repairs: a thread that has ended, or that has been at one thing for longer than it can take.

The limits are far above what a slow disk or a cold GPU takes: a restart without need cuts off the line that is spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ishowtts.engines.worker.remote_engine import RemoteEngine
from ishowtts.inbox import Inbox
from ishowtts.playback.player import Player
from ishowtts.speech import Scheduler
from ishowtts.util.loop_thread import LoopThread

CONDUCTOR_S = 20.0
"""The conductor waits for no disk, engine or device."""
THREAD_S = 120.0
"""A change of the inbox is waited for 30 s at most, a broker 5 s."""
INBOX_S = 300.0
"""The thread `inbox` itself: a slow disk, or a large queue that is moved to another file."""
_SYNTHESIS_S = 120.0
_WORKER_WAITS = 5


@dataclass(frozen=True)
class Watched:
    """One thread.

    Args:
        alive: whether it runs, or is not to run.
        overdue_s: how long it has been at one thing, or has been late, in seconds.
        limit_s: how long that may be.
    """

    name: str
    alive: Callable[[], bool]
    overdue_s: Callable[[], float]
    limit_s: float


def fault(parts: Sequence[Watched]) -> str | None:
    """What is wrong with the first part with which something is; `None` while all is well."""
    for part in parts:
        if not part.alive():
            return f"the thread {part.name} has ended"
        overdue_s = part.overdue_s()
        if overdue_s > part.limit_s:
            return f"the thread {part.name} has not responded for {overdue_s:.0f} s"
    return None


def threads(
    *,
    inbox: Inbox,
    player: Player,
    conductor: Scheduler,
    remote: RemoteEngine | None,
    librarian: LoopThread,
    loops: Sequence[LoopThread],
    segment_s: float,
) -> list[Watched]:
    """The threads that a line waits for, or that tell of it.

    Not `mqtt-lines` and `mqtt-commands`, which the daemon starts again itself, nor `archive`, which no line waits for.

    Args:
        loops: all others that go round.
        segment_s: how long the worker may take to prepare a voice, or for one run.
    """
    synthesis_s = _SYNTHESIS_S
    if remote is not None:
        # A line may wait for the worker so often before the fallback voice speaks it: until a voice that is prepared
        # for others is ready, then for its own voice and a run of several segments, then for both again, alone.
        synthesis_s += _WORKER_WAITS * segment_s
    return [
        Watched("playback", player.alive, player.overdue_s, THREAD_S),
        Watched("inbox", inbox.alive, inbox.overdue_s, INBOX_S),
        Watched("synthesis", lambda: True, conductor.synthesis_busy_s, synthesis_s),
        _loop(conductor, CONDUCTOR_S),
        _loop(librarian, synthesis_s),  # it has voices prepared, and waits for the worker like a line
        *(_loop(loop, THREAD_S) for loop in loops),
        *([Watched("engine-supervisor", remote.alive, lambda: 0.0, 0.0)] if remote is not None else []),
    ]


def _loop(loop: LoopThread, limit_s: float) -> Watched:
    return Watched(loop.name, loop.alive, loop.overdue_s, limit_s)
