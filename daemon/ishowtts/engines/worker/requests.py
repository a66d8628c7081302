"""What the daemon and its worker exchange: deadlines, requests, and how a conversation ends."""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ishowtts.engines import VoiceInfo
from ishowtts.engines.worker.wire import FrameKind
from ishowtts.errors import IShowError
from ishowtts.model import Utterance

Answer = TypeVar("Answer")
_PLAUSIBLE_FLOOR_S = 10.0
_PLAUSIBLE_S_PER_BYTE = 1.0


@dataclass(frozen=True)
class Deadlines:
    """How long the worker may take without progress before it is ended."""

    hello_s: float = 60.0
    load_s: float = 300.0
    warm_step_s: float = 300.0
    segment_s: float = 120.0


@dataclass(frozen=True)
class Ready:
    """What the worker said when it was warm."""

    name: str
    rate_hz: int
    warm_s: float
    card: VoiceInfo


@dataclass(frozen=True)
class WorkerExit:
    """Why a conversation is over.

    Attributes:
        reason: one sentence.
        hung: the worker still runs, and must be aborted.
        hopeless: an error that a new worker would only repeat.
        voice: the voice that was being prepared, as a request named it, where one was.
    """

    reason: str
    hung: bool = False
    hopeless: IShowError | None = None
    preparing: bool = False
    voice: str | None = None


@dataclass(eq=False)
class Request(Generic[Answer]):
    """Something asked of the worker; `future` takes the answer, or why there is none.

    Attributes:
        longest_s: how long the sound of each segment can plausibly be; empty where none is asked for.
        began_s: when its turn came, in monotonic seconds.
        sounds: that have come, in order.
        misfit: why one of them cannot be the sound of its segment; `None`: each can.
    """

    seq: int
    kind: FrameKind
    voice: str | None
    longest_s: tuple[float, ...] = ()
    future: Future[Answer] = field(default_factory=Future)
    began_s: float = math.inf
    sounds: list[Utterance] = field(default_factory=list)
    misfit: str | None = None

    @property
    def awaits_sound(self) -> bool:
        """Whether there is a segment whose sound has not come."""
        return len(self.sounds) < len(self.longest_s)


def longest_s(text: str, speed: float | None) -> float:
    """How long the sound of a text can plausibly be, in seconds, at a speed (`None`: 1)."""
    sound_s = _PLAUSIBLE_FLOOR_S + len(text.encode("utf-8", "replace")) * _PLAUSIBLE_S_PER_BYTE
    return sound_s / min(speed or 1.0, 1.0)
