"""`ishowtts say TEXT`: publishes a line over MQTT, as any publisher does, and prints the outcome.

Exit status: 0 the line was finished (or sent, with `--wait 0`), 1 it has another outcome or nothing took it, 3 it was
sent and still waits, for example because the appliance is offline or paused. `--wait` changes no status.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ishowtts.cli.appliance_view import RETAINED_S, START_FIX, ApplianceView, connect, messages_and_ticks
from ishowtts.cli.common import (
    Commands,
    language_tag,
    number,
    print_json,
    read_config,
    root_topic,
    spoken_by,
    text_of,
    volume,
    why,
)  # fmt: skip
from ishowtts.cli.other_appliance import CHANGE_NAME, other_appliance
from ishowtts.errors import BrokerError, SubscriptionRefused
from ishowtts.model import FINAL_EVENTS, Outcome
from ishowtts.util.logs import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ishowtts.config import Config
    from ishowtts.mqtt.client import Message, ShortLivedClient

WAITS = 3
"""Exit status: the line was sent, and waits."""

_MAX_WAIT_S = 86_400
_USUAL_WAIT_S = 60.0
_QUIET_S = 1.0  # within this time after `accepted`, `state` says until when quiet hours last
_DEGRADED_S = 5.0  # a fallback voice speaks within this time, if any can
_UNSEEN = "the line was sent, but what becomes of it cannot be seen"
_EVENT_TYPES = (str, int, float, type(None))


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("say", parents=[common])
    parser.add_argument(
        "text",
        nargs="+",
        metavar="TEXT",
        help="words to speak, with or without quotes; - reads standard input",
    )
    parser.add_argument("--voice", help="one of `ishowtts voices`")
    parser.add_argument(
        "--language",
        type=language_tag,
        metavar="TAG",
        help="language of the text, as in de or pt-BR (default: that of the voice, unless the text shows another)",
    )
    parser.add_argument(
        "--volume", type=volume, metavar="N", help="volume of this line, 0 to 100 (default: that of the appliance)"
    )
    parser.add_argument(
        "--chime", metavar="NAME", help="chime before the line: one of `ishowtts chimes`, true or false"
    )
    parser.add_argument("--priority", choices=["low", "normal", "high", "urgent"], default="normal")
    parser.add_argument(
        "--wait",
        type=_seconds,
        nargs="?",
        const=_USUAL_WAIT_S,
        metavar="SECONDS",
        help="wait so long for the outcome, also if the appliance is offline, paused or in quiet hours"
        " (default: up to 60 s, and not at all in these cases; 0: never wait)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say first to which appliance the line goes")
    parser.add_argument("--json", action="store_true", help="print the final event as JSON")
    parser.epilog = (
        "exit status: 0 the line was finished, or sent with --wait 0; 1 it has another outcome, or the"
        " appliance did not take it; 2 wrong usage; 3 it was sent and still waits, also after --wait SECONDS"
    )
    parser.set_defaults(command=run)


def _seconds(written: str) -> float:
    try:
        seconds = float(written)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MAX_WAIT_S:
        raise argparse.ArgumentTypeError(
            f"{written!r} is not a number of seconds from 0 to {_MAX_WAIT_S}; the text goes before --wait"
        )
    return seconds


@dataclass(frozen=True)
class SayResult:
    """What became of a line that was sent.

    Attributes:
        event: Its latest event: the final one, or `accepted`, or `sent` if none came.
        status: Exit status of the command.
    """

    event: dict[str, Any]
    status: int


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the line was finished; see the module for the others."""
    settings = read_config(arguments)
    text = text_of(arguments.text)
    line: dict[str, Any] = {"id": uuid.uuid4().hex, "text": text}
    if arguments.voice:
        line["voice"] = arguments.voice
    if arguments.language:
        line["language"] = arguments.language
    if arguments.volume is not None:
        line["volume"] = arguments.volume
    if arguments.chime is not None:
        line["chime"] = {"true": True, "false": False}.get(arguments.chime, arguments.chime)
    urgent = arguments.priority == "urgent"
    if not urgent:
        line["priority"] = arguments.priority
    root = root_topic(settings)
    if arguments.verbose:
        where = f"{root} at {settings.mqtt.host}:{settings.mqtt.port}"
        print(visible(f"ishowtts: line {line['id']} goes to {where}"), file=sys.stderr)
    result = send(settings, root, "urgent" if urgent else "say", line, arguments.wait)
    if arguments.json:
        print_json(result.event)
    else:
        print(sentence(result.event))
    return result.status


def send(settings: Config, root: str, topic: str, line: dict[str, Any], wait_s: float | None) -> SayResult:
    """Publish one line, and wait for its final event.

    Args:
        wait_s: How long; 0: not at all; `None`: up to 60 s, but only until it is clear that the line has to wait.

    Raises:
        BrokerError: no broker, or no appliance took the line in time.
    """
    with connect(settings, root) as client:
        refusal = None if wait_s == 0 else _subscribe(client, root)
        client.publish(f"{root}/{topic}", line)
        if refusal is not None:
            raise BrokerError(f"{_UNSEEN} (--wait 0 avoids this): {refusal}")
        sent = {"id": line["id"], "event": "sent", "to": root}
        if wait_s == 0:
            return SayResult(sent, 0)
        progress = SentLine(line, topic, ApplianceView(root), settings.queue.max_age_s)
        is_ours_known = False
        limit_s = _USUAL_WAIT_S if wait_s is None else wait_s
        for message in _messages_after(client, limit_s):
            if message is not None and (event := progress.take(message)) is not None:
                return SayResult(event, 0 if event["event"] == Outcome.FINISHED.value else 1)
            progress.print_warnings()
            if not is_ours_known and progress.view.online and progress.view.info:
                is_ours_known = True
                if (other := other_appliance(settings, root, progress.view.info)) is not None:
                    _warn(f"{other}: {CHANGE_NAME}")
            if wait_s is None and (waiting := progress.waiting()) is not None:
                return waiting
    return progress.waiting() or progress.not_finished(limit_s)


def _messages_after(client: ShortLivedClient, wait_s: float) -> Iterator[Message | None]:
    """What arrives after the line was sent. Raises BrokerError if the connection ends."""
    try:
        yield from messages_and_ticks(client, wait_s)
    except BrokerError as error:
        raise BrokerError(f"{_UNSEEN}: {error}") from error


def _subscribe(client: ShortLivedClient, root: str) -> str | None:
    """Subscribes to what tells the outcome of a line. Returns why that is not possible; `None` if it is."""
    try:
        client.subscribe(f"{root}/event", f"{root}/availability", f"{root}/state", f"{root}/info")
    except SubscriptionRefused as error:
        return str(error) if f"{root}/event" in error.topics else None
    return None


class SentLine:
    """A line that was sent: follows its events and the state of the appliance.

    Args:
        topic: Where it was sent, below the root: `say` or `urgent`.
        view: The appliance; nothing of it needs to be known yet.
        max_age_s: How long the broker and the appliance keep a line that waits.

    Attributes:
        accepted: Its event `accepted`; `None` until it comes.
    """

    def __init__(self, line: dict[str, Any], topic: str, view: ApplianceView, max_age_s: float) -> None:
        self.view = view
        self.accepted: dict[str, Any] | None = None
        self._line = line
        self._topic = topic
        self._max_age_s = max_age_s
        self._sent_s = self._accepted_s = time.monotonic()
        self._is_quiet = False
        self._started = False
        self._warned = False

    def take(self, message: Message) -> dict[str, Any] | None:
        """Take one message. Returns the final event of the line if it is that."""
        self.view = self.view.with_message(message)
        event = message.data() if message.topic == f"{self.view.root}/event" else None
        if (
            not isinstance(event, dict)
            or event.get("id") != self._line["id"]
            or not isinstance(event.get("event"), str)
        ):
            return None
        kind = event["event"]
        # On an open broker anybody may publish events: drop values of types that the appliance never sends.
        known = {
            key: value for key, value in event.items() if isinstance(value, _EVENT_TYPES) or _are_engines(key, value)
        }
        if kind in FINAL_EVENTS:
            return known
        if kind == "accepted" and self.accepted is None:
            self.accepted, self._accepted_s = known, time.monotonic()
            done = event.get("done")
            self._is_quiet = isinstance(done, list) and "quiet" in done
        self._started = self._started or kind in ("started", "interrupted")
        return None

    def print_warnings(self) -> None:
        """Say once, on stderr, what will keep the line from being heard, or delays it."""
        if self._warned or not self.view.state or not self.view.online:
            return
        self._warned = True
        if self.view.silence is not None:  # a volume of 0 silences a line whatever its own volume is
            silence, fix = self.view.silence
            _warn(f"{silence}: the line is played without sound; {fix}")
        if self.view.starting:
            _warn(f"the appliance is still starting, and the line may wait until it is ready: {self.view.summary}")
        if self.view.degraded:
            _warn(f"the appliance is degraded: {self.view.detail}")

    def waiting(self) -> SayResult | None:
        """Why it makes no sense to wait for the outcome; `None` if it may come soon."""
        view, now_s = self.view, time.monotonic()
        if view.offline:
            place = "at the broker" if self.accepted is None else "in its queue"
            return self._waits(
                f"the appliance at {view.root} is offline ({START_FIX}); the line waits {place} for up to"
                f" {self._max_age_s:g} s and is spoken when it comes back"
            )
        if view.availability is None and self.accepted is None and now_s - self._sent_s > RETAINED_S:
            raise BrokerError(
                f"the line was sent, but nothing is known of an appliance at {view.root}: none has ever run there"
                " (then nobody keeps the line; device.name and mqtt.prefix make the name), or this user may not read"
                " its topics"
            )
        if self.accepted is None or self._started:
            return None
        age_s = now_s - self._accepted_s
        if view.paused:
            return self._waits(
                f"the appliance at {view.root} is paused, and all lines wait, urgent ones too (`ishowtts resume` lets"
                f" it speak); this one expires after {self._max_age_s:g} s"
            )
        if self._is_quiet and (view.detail or age_s > _QUIET_S):
            return self._waits(view.detail or "quiet hours: the line waits until they end")
        if view.degraded and not view.speaking and age_s > _DEGRADED_S:
            return self._waits(f"the line waits until the appliance can speak again: {view.detail}")
        return None

    def not_finished(self, limit_s: float) -> SayResult:
        """What is known of the line after `limit_s` seconds. Raises BrokerError if the appliance did not take it."""
        root = self.view.root
        if self.accepted is not None:
            return self._waits(f"no outcome came within {limit_s:g} s; the appliance at {root} is {self.view.summary}")
        if not self.view.online:
            raise BrokerError(f"no outcome came within {limit_s:g} s; the appliance at {root} is {self.view.summary}")
        raise BrokerError(
            f"the appliance at {root} is {self.view.summary}, but it did not accept the line within {limit_s:g} s:"
            f" the broker probably does not let the user of the appliance read {root}/{self._topic}, or this user read"
            f" {root}/event; give them these rights in the broker's ACL (docs/mqtt.md, Troubleshooting)"
        )

    def _waits(self, detail: str) -> SayResult:
        event = self.accepted or {"id": self._line["id"], "event": "sent"}
        return SayResult({**event, "detail": detail}, WAITS)


def _are_engines(key: str, value: object) -> bool:
    """Whether a value is the only list of a final event: the names of the engines that spoke."""
    return key == "engines" and isinstance(value, list) and all(isinstance(name, str) for name in value)


def _warn(text: str) -> None:
    print(visible(f"ishowtts: {text}"), file=sys.stderr, flush=True)


def sentence(event: dict[str, Any]) -> str:
    """Format the last event for a person. Any value may be missing or of another type, since anybody may publish."""
    kind = event.get("event")
    if kind == Outcome.FINISHED.value:
        return visible(_finished(event))
    if kind == "sent" and "to" in event:
        return visible(f"sent as {event.get('id')} to {event['to']}")
    reason = why(event)
    return visible(f"{kind}: {reason}" if reason else str(kind))


def _finished(event: dict[str, Any]) -> str:
    speed = "from the cache" if event.get("cached") else f"RTF {number(event.get('rtf'), 3) or 'unknown'}"
    audio, queue = (number(event.get(name), 2) or "?" for name in ("audio_s", "queue_s"))
    figures = [f"{audio} s of speech by {spoken_by(event) or 'an unknown engine'}", speed, f"waited {queue} s"]
    silent = event.get("audible") is False
    if not silent and (first_sound := _first_sound(event)):
        figures.insert(0, f"heard after {first_sound} s")
    note = event.get("note") or (event.get("silent") if silent else None)
    told = [str(note)] if note else []
    if silent:
        return f"finished, but not heard: {'; '.join([*told, ', '.join(figures)])}"
    return f"finished: {'; '.join([', '.join(figures), *told])}"


def _first_sound(event: dict[str, Any]) -> str:
    """Seconds from the arrival of the line to its first sound; empty if they are unknown."""
    waited_s, made_s = event.get("queue_s"), event.get("ttfa_s")
    if not number(waited_s, 1) or not number(made_s, 1):
        return ""
    return number(float(waited_s or 0) + float(made_s or 0), 1)
