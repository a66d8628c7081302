"""`ishowtts say TEXT`: publishes a line over MQTT, as any publisher does, and prints the outcome."""

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

_MAX_WAIT_S = 86_400
_EVENT_TYPES = (str, int, float, type(None))
_FINAL = {outcome.value for outcome in Outcome} | {"duplicate"}


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("say", parents=[common])
    parser.add_argument("text", help="text to speak; - reads it from standard input")
    parser.add_argument("--voice", help="one of `ishowtts voices`")
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
        const=60.0,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for the outcome (default: 60; 0: do not wait)",
    )
    parser.add_argument("--json", action="store_true", help="print the final event as JSON")
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


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the line was finished."""
    settings = read_config(arguments)
    text = sys.stdin.read() if arguments.text == "-" else arguments.text  # bytes that are not UTF-8 become surrogates
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


def send(settings: Config, topic: str, line: dict[str, Any], wait_s: float) -> dict[str, Any] | None:
    """Publish one line and return its final event; `None` if `wait_s` is 0.

    Raises:
        BrokerError: no broker, or no final event in time.
    """
    root = root_topic(settings)
    with ShortLivedClient(MqttOptions.from_config(settings, root)) as client:
        if wait_s > 0:
            client.subscribe(f"{root}/event", f"{root}/availability", f"{root}/state")
        client.publish(f"{root}/{topic}", line)
        if wait_s <= 0:
            return None
        availability, state = "unknown: no appliance has ever run there", ""
        for message in client.messages(wait_s):
            if message.topic.endswith("/availability"):
                availability = message.payload.decode(errors="replace")
            event = message.data()
            if message.topic.endswith("/state") and isinstance(event, dict):
                state = _state(event)
            if isinstance(event, dict) and event.get("id") == line["id"] and _is_final(event.get("event")):
                # On an open broker anybody may publish events: drop values of types that the appliance never sends.
                return {key: value for key, value in event.items() if isinstance(value, _EVENT_TYPES)}
    raise BrokerError(
        f"no outcome came within {wait_s:g} s; the appliance at {root} is {_present(availability, state)}"
    )


def _is_final(kind: object) -> bool:
    return isinstance(kind, str) and kind in _FINAL


def _present(availability: str, state: str) -> str:
    """Format availability and state; the last state of an appliance that is offline is outdated, and left out."""
    return visible(availability[:40] + (f", {state[:500]}" if state and availability == "online" else ""))


def _state(state: dict[str, Any]) -> str:
    return f"{state.get('state')}: {state['detail']}" if state.get("detail") else str(state.get("state"))


def sentence(event: dict[str, Any]) -> str:
    """Format the final event for a person. Any value may be missing or of another type, since anybody may publish."""
    kind = event.get("event")
    if kind == Outcome.FINISHED.value:
        speed = "from the cache" if event.get("cached") else f"RTF {number(event.get('rtf'), 3) or 'unknown'}"
        audio, queue = (number(event.get(name), 2) or "?" for name in ("audio_s", "queue_s"))
        return visible(f"finished: {audio} s of speech by {event.get('engine')}, {speed}, waited {queue} s")
    reason = why(event)
    return visible(f"{kind}: {reason}" if reason else str(kind))
