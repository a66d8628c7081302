"""One line as its events tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WAITING, SPEAKING, INTERRUPTED, UNKNOWN = "waiting", "speaking", "interrupted", "unknown"


@dataclass(frozen=True)
class LineRecord:
    """A line that waits, is spoken, or has ended. A value that no event told is `None`.

    Attributes:
        status: `waiting`, `speaking`, `interrupted`, or the final event: `finished`, `rejected`, `cancelled` …
            `unknown`: it has ended, and nothing told how.
        accepted_ts, started_ts, ended_ts: UTC, as events write it.
        text: As the publisher sent it; `None` with `log.private`.
        detail: Why it ended so, in words: `detail`, `error`, `note` or `by` of the final event.
        rtf: Synthesis seconds divided by audio seconds.
        ttfa_s: From the moment when the line was next until its first sound.
        queue_s: How long it waited.
    """

    id: str
    status: str
    accepted_ts: str | None = None
    started_ts: str | None = None
    ended_ts: str | None = None
    text: str | None = None
    author: str | None = None
    priority: str | None = None
    reason: str | None = None
    detail: str | None = None
    engine: str | None = None
    voice: str | None = None
    rtf: float | None = None
    ttfa_s: float | None = None
    queue_s: float | None = None
    synth_s: float | None = None
    audio_s: float | None = None
    audible: bool | None = None
    cached: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """The values that are known."""
        return {name: value for name, value in vars(self).items() if value is not None}
