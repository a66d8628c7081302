"""The values that travel from a publisher to the loudspeaker. Frozen; units stand in names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum, IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

IsCancelled = Callable[[], bool]
"""Asked between steps of long work; true if it must stop and raise `Cancelled`."""
Samples = NDArray[np.int16]
"""Mono sound, S16."""


class Priority(IntEnum):
    """Who goes first; equal priority goes by age."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    URGENT = 3


class Outcome(str, Enum):
    """The one final event of a line."""

    FINISHED = "finished"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    EVICTED = "evicted"
    MERGED = "merged"
    FAILED = "failed"


class Reason(str, Enum):
    """Why a line was rejected."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    BAD_UTF8 = "bad_utf8"
    BAD_JSON = "bad_json"
    BAD_FIELD = "bad_field"
    UNKNOWN_VOICE = "unknown_voice"
    QUEUE_FULL = "queue_full"
    RATE_LIMITED = "rate_limited"
    FILTERED = "filtered"
    TOO_BIG = "too_big"


@dataclass(frozen=True)
class ReplyTo:
    """Where a publisher wants the final event as well (MQTT 5 Response Topic and Correlation Data)."""

    topic: str
    correlation: bytes | None = None


@dataclass(frozen=True)
class Line:
    """What a publisher asked to be said. `None` means: as the voice or the configuration has it.

    `done`: what the policies did to it, in the words of docs/policies.md.
    """

    id: str
    text: str
    voice: str | None = None
    priority: Priority = Priority.NORMAL
    ttl_s: float | None = None
    speed: float | None = None
    nfe_step: int | None = None
    volume: int | None = None
    chime: bool | str | None = None
    author: str | None = None
    seed: int | None = None
    reply_to: ReplyTo | None = None
    done: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """A part of a line that is synthesised in one go: number `index` of `count`."""

    line_id: str
    index: int
    count: int
    text: str
    voice: str | None = None
    nfe_step: int | None = None
    seed: int | None = None
    speed: float | None = None


@dataclass(frozen=True)
class Utterance:
    """The sound of one segment, as an engine made it. `cached`: it was made before, and `synth_s` is 0."""

    samples: Samples
    rate_hz: int
    synth_s: float
    engine: str
    voice: str
    nfe_step: int | None = None
    cached: bool = False

    @property
    def audio_s(self) -> float:
        """Length of the sound in seconds."""
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True)
class Report:
    """How one line went. RTF is synthesis seconds divided by audio seconds."""

    queue_s: float
    synth_s: float
    audio_s: float
    ttfa_s: float | None
    engine: str
    voice: str
    nfe_step: int | None = None
    cached: bool = False

    @property
    def rtf(self) -> float | None:
        """Synthesis seconds per audio second; `None` where nothing sounded."""
        return self.synth_s / self.audio_s if self.audio_s > 0 else None


@dataclass(frozen=True)
class Event:
    """Something that happened to a line or a command, as it is published.

    `ts` is UTC in ISO 8601 with milliseconds; `data` holds the fields that the contract names for `event`.
    """

    ts: str
    id: str
    event: str
    data: dict[str, Any] = field(default_factory=dict)
    reply_to: ReplyTo | None = None


@dataclass(frozen=True)
class Rejection:
    """A payload that was not accepted as a line: it still gets its one final event. `line`: where it was one."""

    id: str
    reason: Reason
    detail: str
    reply_to: ReplyTo | None = None
    line: Line | None = None


@dataclass(frozen=True)
class Delivery:
    """How the broker delivered a message at QoS 1: what tells a redelivery from a repetition.

    Attributes:
        packet_id: 1 to 65535; the broker gives it again once we have acknowledged it.
        digest: of topic and payload.
        again: the broker may have sent it before (DUP).
    """

    packet_id: int
    digest: bytes
    again: bool


@dataclass(frozen=True)
class Arrival:
    """What came from the broker: a line, or why it is none. `delivery` is `None` at QoS 0."""

    what: Line | Rejection
    delivery: Delivery | None = None


@dataclass(frozen=True)
class Command:
    """What a controller asked for: a word of the contract, and the line that it is about, if any."""

    command: str
    line_id: str | None = None
    transaction: str | None = None


def timestamp(wall_s: float) -> str:
    """Seconds since the epoch as the contract writes times: UTC, ISO 8601, milliseconds."""
    return datetime.fromtimestamp(wall_s, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
