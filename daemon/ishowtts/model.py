"""The values that travel from a publisher to the loudspeaker. All are frozen, and their names hold the units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Acknowledge = Callable[[], None]
"""Acknowledges one message to the broker. Without it, the broker delivers the message again."""
IsCancelled = Callable[[], bool]
"""Long work calls this between its steps. If it returns True, the work stops and raises `Cancelled`."""
Samples: TypeAlias = "NDArray[np.int16]"
"""Mono samples, int16. A name only: numpy takes 0.2 s to import, and many commands do not need it."""


class Priority(IntEnum):
    """Order in which lines are spoken. Lines of equal priority are spoken by age."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    URGENT = 3


class Outcome(str, Enum):
    """The final event of a line; each line has exactly one."""

    FINISHED = "finished"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    EVICTED = "evicted"
    MERGED = "merged"
    FAILED = "failed"


FINAL_EVENTS = frozenset(outcome.value for outcome in Outcome) | {"duplicate"}
"""The events after which no other one of a line comes. `duplicate` is no outcome: the line is known already."""


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


class AlertName(str, Enum):
    """The alerts of the contract; each has a retained topic `alert/<name>`."""

    THROTTLED = "throttled"
    HOT = "hot"
    CLOCKS_UNLOCKED = "clocks_unlocked"
    SLOW = "slow"
    NO_SOUND = "no_sound"
    MUTED_CARD = "muted_card"
    FALLBACK_VOICE = "fallback_voice"
    DEAF = "deaf"
    DISK_SHORT = "disk_short"


@dataclass(frozen=True)
class ReplyTo:
    """Where the final event is published in addition (MQTT 5 Response Topic and Correlation Data)."""

    topic: str
    correlation: bytes | None = None


@dataclass(frozen=True)
class Line:
    """A line of text that a publisher wants spoken. `None` uses the value of the voice or of the configuration.

    Attributes:
        language: Language of the text, as in `de` or `pt-BR`; `None`: that of the voice, unless the text shows another.
        sent_text: The text as it was sent; `None` if nothing changed it.
        done: What the policies changed, in the terms of docs/policies.md.
        bare_text: The text without `policies.template`, if that names the author and lines are merged: lines of several
            authors with the same bare text become one.
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
    language: str | None = None
    sent_text: str | None = None
    reply_to: ReplyTo | None = None
    done: tuple[str, ...] = ()
    bare_text: str | None = None


@dataclass(frozen=True)
class Segment:
    """A part of a line that is synthesised in one piece: number `index` of `count`.

    Attributes:
        language: Language of its text, as in `de`; `None`: that of the voice.
    """

    line_id: str
    index: int
    count: int
    text: str
    voice: str | None = None
    nfe_step: int | None = None
    seed: int | None = None
    speed: float | None = None
    language: str | None = None


@dataclass(frozen=True)
class Utterance:
    """The samples of one segment, as an engine returned them.

    Attributes:
        synth_s: Seconds that the synthesis took.
        cached: Whether the samples come from the cache; `synth_s` is 0 then.
    """

    samples: Samples
    rate_hz: int
    synth_s: float
    engine: str
    voice: str
    nfe_step: int | None = None
    cached: bool = False

    @property
    def audio_s(self) -> float:
        """Length of the sound, in seconds."""
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True)
class EngineShare:
    """What one engine synthesised of a line. Sound from the cache has no part in it.

    Attributes:
        ttfa_s: Time to first audio of the line, if this engine synthesised its first sound; else `None`.
    """

    engine: str
    synth_s: float
    audio_s: float
    ttfa_s: float | None = None

    @property
    def rtf(self) -> float | None:
        """Real-time factor: synthesis seconds per audio second; `None` if nothing was heard."""
        return self.synth_s / self.audio_s if self.audio_s > 0 else None


@dataclass(frozen=True)
class Report:
    """Statistics of one line.

    Attributes:
        queue_s: Seconds that the line waited in the queue.
        ttfa_s: Time to first audio: seconds from the moment when the line was next to the first sample that was heard.
        engine: The engine of the last segment.
        shares: One entry for each engine that synthesised a part of it.
    """

    queue_s: float
    synth_s: float
    audio_s: float
    ttfa_s: float | None
    engine: str
    voice: str
    nfe_step: int | None = None
    cached: bool = False
    shares: tuple[EngineShare, ...] = ()

    @property
    def rtf(self) -> float | None:
        """Real-time factor: synthesis seconds per audio second; `None` if nothing was heard."""
        return self.synth_s / self.audio_s if self.audio_s > 0 else None


@dataclass(frozen=True)
class Event:
    """Something that happened to a line or a command, as it is published.

    Attributes:
        ts: Time of the event: UTC, ISO 8601, milliseconds.
        data: The fields that the contract names for `event`.
    """

    ts: str
    id: str
    event: str
    data: dict[str, Any] = field(default_factory=dict)
    reply_to: ReplyTo | None = None


@dataclass(frozen=True)
class Rejection:
    """A payload that was not accepted as a line. It still gets its final event.

    Attributes:
        line: The line, if the payload could be parsed as one.
        sent: The head of the payload, if it could not.
        text, author: The text that the payload has and the author that it names, if it could not.
    """

    id: str
    reason: Reason
    detail: str
    reply_to: ReplyTo | None = None
    line: Line | None = None
    sent: str | None = None
    text: str | None = None
    author: str | None = None


@dataclass(frozen=True)
class Delivery:
    """How the broker delivered a message at QoS 1. This distinguishes a redelivery from a repeated message.

    Attributes:
        packet_id: 1 to 65535. The broker uses it again after the acknowledgement.
        digest: Digest of topic and payload.
        again: Whether the broker may have sent the message before (DUP).
    """

    packet_id: int
    digest: bytes
    again: bool


@dataclass(frozen=True)
class Arrival:
    """A message from the broker: a line, or the reason why it is not one. `delivery` is `None` at QoS 0."""

    what: Line | Rejection
    delivery: Delivery | None = None


class SoundFormat(str, Enum):
    """In which form the sound of a render is sent."""

    PCM = "pcm"
    WAV = "wav"
    FLAC = "flac"
    OPUS = "opus"
    MP3 = "mp3"


@dataclass(frozen=True)
class RenderRequest:
    """A text whose sound is sent to the requester and not played here.

    Attributes:
        line: What to speak. Its `ttl_s` is how long the requester waits for the first sound.
        is_segment: Whether the text was read and split before: no policies, no reading, no chime, no post-processing.
    """

    line: Line
    format: SoundFormat = SoundFormat.PCM
    is_segment: bool = False


@dataclass(frozen=True)
class Command:
    """A command from a controller: a word of the contract, and the line or the author that it is about, if any."""

    command: str
    line_id: str | None = None
    transaction: str | None = None
    author: str | None = None


@dataclass(frozen=True)
class VoiceAbout:
    """What the sender of a voice says about its recording.

    Attributes:
        text: The words of the recording.
        replace: Replace a voice of the same name.
        language: Tag of the language of the words; `None`: that of `engine.espeak_voice`.
    """

    text: str
    replace: bool = False
    language: str | None = None


@dataclass(frozen=True)
class VoicePart:
    """A part of a recording that is sent over MQTT to become a voice.

    Attributes:
        name: Name of the voice.
        upload: Id of the upload.
        part, parts: Number of this part, from 0, and of all parts.
        data: Bytes of the recording.
        about: In part 0; `None` in the others.
    """

    name: str
    upload: str
    part: int
    parts: int
    data: bytes
    about: VoiceAbout | None = None


@dataclass(frozen=True)
class VoiceRemoval:
    """A request to remove a voice that came over MQTT."""

    name: str
    transaction: str | None = None


@dataclass(frozen=True)
class BadVoiceRequest:
    """A message on a topic for voices that cannot be used, with the sentence that says why.

    Attributes:
        command: `voice_add` or `voice_remove`.
        name: Name of the voice; `None` if it is not a valid name.
        transaction: Id of the upload, or transaction of the removal; `None` if it could not be read.
    """

    command: str
    name: str | None
    detail: str
    transaction: str | None = None


VoiceRequest = VoicePart | VoiceRemoval | BadVoiceRequest


def timestamp(wall_s: float) -> str:
    """Formats seconds since the epoch as the contract does: UTC, ISO 8601, milliseconds."""
    return datetime.fromtimestamp(wall_s, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
