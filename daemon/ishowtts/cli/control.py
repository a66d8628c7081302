"""`ishowtts skip`, `stop`, `pause` and the others: sends one command over MQTT and prints the answer.

Exit status: 0 the appliance executed it, 1 it refused it, is offline or did not answer.
"""

from __future__ import annotations

import argparse
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ishowtts.cli.appliance_view import START_FIX, bounded_text, connect, read_view
from ishowtts.cli.common import Commands, print_json, read_config, root_topic, volume
from ishowtts.errors import BrokerError, ConfigError

if TYPE_CHECKING:
    from ishowtts.config import Config
    from ishowtts.mqtt.client import Message

_ANSWER_S = 5.0


@dataclass(frozen=True)
class _Request:
    """What is published.

    Attributes:
        command: Name of the command, as its answer has it.
        topic: Topic below the root.
        transaction: That of the answer; `None`: requests for a volume or a voice have none.
    """

    command: str
    topic: str
    payload: str | dict[str, Any]
    transaction: str | None = None


def add(commands: Commands, common: argparse.ArgumentParser, name: str) -> None:
    """Add one of the commands.

    Args:
        name: Its name, on the command line and over MQTT.
    """
    parser = commands.add_parser(name, parents=[common])
    if name == "volume":
        parser.add_argument("level", type=volume, nargs="?", metavar="N", help="0 to 100 (default: print the volume)")
    if name == "voice":
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "voice", nargs="?", metavar="NAME", help="one of `ishowtts voices` (default: print the name)"
        )
        which.add_argument("--configured", action="store_true", help="go back to engine.f5.default_voice")
    if name == "cancel":
        parser.add_argument("id", nargs="?", metavar="ID", help="id of the line, as `ishowtts say --wait 0` prints it")
        parser.add_argument(
            "--author", metavar="NAME", help="all lines of this author; with ID, that line if it is theirs"
        )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(command=run, control=name)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the command was executed."""
    settings = read_config(arguments)
    if (request := _request(arguments)) is None:
        return _print_setting(settings, arguments.control, as_json=arguments.json)
    answer = _send(settings, request)
    if arguments.json:
        print_json(answer)
    else:
        print(_sentence(answer))
    return 0 if answer.get("ok") is True else 1


def _request(arguments: argparse.Namespace) -> _Request | None:
    """What to publish; `None`: the value of a setting is only printed."""
    name = arguments.control
    if name == "volume":
        return None if arguments.level is None else _Request(name, "volume/set", str(arguments.level))
    if name == "voice":
        asked = arguments.configured or arguments.voice is not None
        return _Request(name, "voice/set", {"voice": arguments.voice}) if asked else None
    transaction = uuid.uuid4().hex
    named = {key: getattr(arguments, key, None) for key in ("id", "author")}
    if name == "cancel" and not any(named.values()):
        raise ConfigError(["ishowtts cancel: name a line (ID) or an author (--author NAME)"])
    fields = {"command": name, **named, "transaction": transaction}
    known = {key: value for key, value in fields.items() if value is not None}
    return _Request(name, "command", known, transaction)


def _send(settings: Config, request: _Request) -> dict[str, Any]:
    """Publish a request, and return the event that answers it.

    Raises:
        BrokerError: No broker, no appliance that is online, or no answer.
    """
    root = root_topic(settings)
    with connect(settings, root) as client:
        view = read_view(client, root, ())
        if view.offline:
            raise BrokerError(
                f"the appliance at {root} is offline ({START_FIX}); nothing was done, since commands do not wait for it"
            )
        client.subscribe(f"{root}/event")
        client.publish(f"{root}/{request.topic}", request.payload)
        for message in client.messages(_ANSWER_S):
            if (answer := _answer(message, root, request)) is not None:
                return answer
    raise BrokerError(
        f"no answer to {request.command} came within {_ANSWER_S:g} s; the appliance at {root} is {view.summary}"
    )


def _answer(message: Message, root: str, request: _Request) -> dict[str, Any] | None:
    """The answer to our request, if the message is that."""
    event = message.data() if message.topic == f"{root}/event" else None
    if not isinstance(event, dict) or event.get("event") != "command":
        return None
    if request.transaction is None:
        return event if event.get("command") == request.command else None
    return event if event.get("transaction") == request.transaction else None


def _sentence(answer: dict[str, Any]) -> str:
    detail = bounded_text(answer.get("detail") or str(answer.get("command")))
    return detail if answer.get("ok") is True else f"refused: {detail}"


def _print_setting(settings: Config, name: str, *, as_json: bool) -> int:
    root = root_topic(settings)
    with connect(settings, root) as client:
        view = read_view(client, root, ("state",))
    value = view.volume if name == "volume" else view.voice
    if not view.online or value is None:
        fix = f" ({START_FIX})" if view.offline else ""
        raise BrokerError(f"the {name} is not known: the appliance at {root} is {view.summary}{fix}")
    muted = {"muted": view.muted} if name == "volume" else {}
    if as_json:
        print_json({name: value, **muted})
    else:
        print(f"{value}{', muted' if muted.get('muted') else ''}")
    return 0
