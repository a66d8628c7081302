"""`ishowtts say TEXT`: over MQTT, as any publisher; prints the outcome."""

from __future__ import annotations

import argparse
import re
import sys
import uuid
from typing import Any

from ishowtts.cli.common import Commands, number, print_json, read_config, root_topic, volume, why
from ishowtts.config import Config
from ishowtts.errors import BrokerError, LineError
from ishowtts.model import Outcome
from ishowtts.mqtt.client import ShortLivedClient
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.util.logs import visible

_LONGEST_WAIT_S = 86_400
_VALUES = (str, int, float, type(None))
_FINAL = {outcome.value for outcome in Outcome} | {"duplicate"}


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("say", parents=[common], help="send a line over MQTT and see how it ends")
    parser.add_argument("text", help="what to say; - reads it from standard input")
    parser.add_argument("--voice", help="one of `ishowtts voices`")
    parser.add_argument("--volume", type=volume, metavar="N", help="of this line, 0 to 100; else the appliance's")
    parser.add_argument("--chime", metavar="NAME", help="before it: one of `ishowtts chimes`, true or false")
    parser.add_argument("--priority", choices=["low", "normal", "high", "urgent"], default="normal")
    parser.add_argument(
        "--wait",
        type=_seconds,
        nargs="?",
        const=60.0,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for the outcome (default: 60); 0: not at all",
    )
    parser.add_argument("--json", action="store_true", help="print the final event as JSON")
    parser.set_defaults(command=run)


def _seconds(written: str) -> float:
    try:
        seconds = float(written)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST_WAIT_S:
        raise argparse.ArgumentTypeError(
            f"{written!r} is no number of seconds from 0 to {_LONGEST_WAIT_S}; the text goes before --wait"
        )
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """0 where the line was finished."""
    settings = read_config(arguments)
    text = sys.stdin.read() if arguments.text == "-" else arguments.text  # bytes that are no text are surrogates
    if re.search("[\ud800-\udfff]", text):
        raise LineError("the text is not UTF-8; save or type it as UTF-8")
    line: dict[str, Any] = {"id": uuid.uuid4().hex, "text": text}
    if arguments.voice:
        line["voice"] = arguments.voice
    if arguments.volume is not None:
        line["volume"] = arguments.volume
    if arguments.chime is not None:
        line["chime"] = {"true": True, "false": False}.get(arguments.chime, arguments.chime)
    urgent = arguments.priority == "urgent"
    if not urgent:
        line["priority"] = arguments.priority
    event = send(settings, "urgent" if urgent else "say", line, arguments.wait)
    if event is None:
        return 0
    if arguments.json:
        print_json(event)
    else:
        print(sentence(event))
    return 0 if event["event"] == Outcome.FINISHED.value else 1


def send(settings: Config, tail: str, line: dict[str, Any], wait_s: float) -> dict[str, Any] | None:
    """Publish one line and wait for its final event; `None` where nobody waits.

    Raises:
        BrokerError: no broker, or no final event in time.
    """
    root = root_topic(settings)
    with ShortLivedClient(MqttOptions.from_config(settings, root)) as client:
        if wait_s > 0:
            client.subscribe(f"{root}/event", f"{root}/availability", f"{root}/state")
        client.publish(f"{root}/{tail}", line)
        if wait_s <= 0:
            return None
        availability, state = "unknown: nothing has ever run there", ""
        for message in client.messages(wait_s):
            if message.topic.endswith("/availability"):
                availability = message.payload.decode(errors="replace")
            event = message.data()
            if message.topic.endswith("/state") and isinstance(event, dict):
                state = _state(event)
            if isinstance(event, dict) and event.get("id") == line["id"] and _is_final(event.get("event")):
                # On a broker that lets anybody in, the event may be anybody's: values of other kinds are not ours.
                return {key: value for key, value in event.items() if isinstance(value, _VALUES)}
    raise BrokerError(
        f"no outcome came within {wait_s:g} s; the appliance at {root} is {_present(availability, state)}"
    )


def _is_final(kind: object) -> bool:
    return isinstance(kind, str) and kind in _FINAL


def _present(availability: str, state: str) -> str:
    """What the appliance says of itself; the state of one that is away is of the past."""
    return visible(availability[:40] + (f", {state[:500]}" if state and availability == "online" else ""))


def _state(told: dict[str, Any]) -> str:
    return f"{told.get('state')}: {told['detail']}" if told.get("detail") else str(told.get("state"))


def sentence(event: dict[str, Any]) -> str:
    """The final event for a person. Any value may be missing or of another kind: anybody may have published it."""
    kind = event.get("event")
    if kind == Outcome.FINISHED.value:
        made = "kept from before" if event.get("cached") else f"RTF {number(event.get('rtf'), 3) or 'unknown'}"
        audio, queue = (number(event.get(name), 2) or "?" for name in ("audio_s", "queue_s"))
        return visible(f"finished: {audio} s of speech by {event.get('engine')}, {made}, waited {queue} s")
    reason = why(event)
    return visible(f"{kind}: {reason}" if reason else str(kind))
