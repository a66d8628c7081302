"""What a frame shows of one board: its lines in order, and the values that its topics tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ishowtts.limits import VOLUME
from ishowtts.model import AlertName
from ishowtts_gateway.appliances.appliance_record import ApplianceRecord
from ishowtts_gateway.appliances.line_record import INTERRUPTED, SPEAKING, WAITING, LineRecord
from ishowtts_gateway.appliances.published_value import number
from ishowtts_gateway.terminal_view.progress_estimate import SpokenNow
from ishowtts_gateway.terminal_view.styled_line import screen_text

_MAX_ENDED = 200
_OPEN = (WAITING, INTERRUPTED, SPEAKING)
_RANKS = {"urgent": 0, "high": 1, "normal": 2, "low": 3}


@dataclass(frozen=True)
class BoardView:
    """One board at one moment.

    Attributes:
        waiting: Its lines that wait, in the order in which they are spoken.
        ended: Its lines that have ended, newest first.
        spoken: The current line.
        now_s: Seconds since 1970.
    """

    record: ApplianceRecord
    waiting: Sequence[LineRecord]
    ended: Sequence[LineRecord]
    spoken: SpokenNow | None
    now_s: float

    @classmethod
    def of(cls, record: ApplianceRecord, spoken: SpokenNow | None, now_s: float) -> BoardView:
        """Take the lines of a record."""
        speaking = (record.state or {}).get("speaking")
        current_id = speaking.get("id") if isinstance(speaking, dict) else None
        unended = record.lines.waiting()
        waiting = [line for line in unended if line.status in (WAITING, INTERRUPTED) and line.id != current_id]
        ended = [line for line in record.lines.recent(_MAX_ENDED + len(unended)) if line.status not in _OPEN]
        return cls(record, sorted(waiting, key=_rank), ended, spoken, now_s)

    @property
    def state(self) -> str:
        """The word of its state; empty if it is unknown."""
        return screen_text((self.record.state or {}).get("state"), 40)

    @property
    def paused(self) -> bool:
        """Whether it speaks no line until `resume`."""
        return (self.record.state or {}).get("paused") is True

    @property
    def muted(self) -> bool:
        """Whether lines are played without sound."""
        known = self.record.muted
        return known is True or (known is None and (self.record.state or {}).get("muted") is True)

    @property
    def volume(self) -> int | None:
        """In percent; `None` if it is unknown. Not every user of the broker may read the topic `volume`."""
        level = (self.record.state or {}).get("volume") if self.record.volume is None else self.record.volume
        return level if type(level) is int and VOLUME[0] <= level <= VOLUME[1] else None

    @property
    def queue_depth(self) -> int | None:
        """How many lines wait; `None` if it is unknown."""
        speech = (self.record.telemetry or {}).get("speech")
        depth = number((self.record.state or {}).get("queue_depth"))
        if depth is None and isinstance(speech, dict):
            depth = number(speech.get("queue_depth"))
        return None if depth is None else max(0, int(depth))

    @property
    def active_alerts(self) -> dict[str, str]:
        """The sentences of the active alerts. `state` also names those that this user of the broker may not read."""
        named = (self.record.state or {}).get("alerts")
        active = {}
        for name in (each.value for each in AlertName):
            alert = self.record.alerts.get(name)
            if alert is None and isinstance(named, list) and name in named:
                active[name] = f"this user of the broker may not read {self.record.root}/alert/{name}, which says why"
            elif alert is not None and alert.get("active") is True:
                active[name] = screen_text(alert.get("detail"))
        return active


def _rank(line: LineRecord) -> int:
    return _RANKS.get(line.priority or "", _RANKS["normal"])
