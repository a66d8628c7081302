"""`ishowtts skip`, `stop`, `pause` and the others: sends one command over MQTT and prints the answer.

Exit status: 0 the appliance executed it, 1 it refused it, is offline or did not answer.
"""

from __future__ import annotations

import argparse
import uuid
from typing import TYPE_CHECKING, Any

from ishowtts.cli.appliance_view import START_FIX, bounded_text, connect, read_view
from ishowtts.cli.common import Commands, print_json, read_config, root_topic, volume
from ishowtts.errors import BrokerError

if TYPE_CHECKING:
    from ishowtts.config import Config
    from ishowtts.mqtt.client import Message

_ANSWER_S = 5.0


def add(commands: Commands, common: argparse.ArgumentParser, name: str) -> None:
    """Add one of the commands.

    Args:
        name: Its name, on the command line and over MQTT.
    """
    parser = commands.add_parser(name, parents=[common])
    if name == "volume":
        parser.add_argument("level", type=volume, nargs="?", metavar="N", help="0 to 100 (default: print the volume)")
    if name == "cancel":
        parser.add_argument("id", metavar="ID", help="id of the line, as `ishowtts say --wait 0` prints it")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(command=run, control=name)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the command was executed."""
    settings = read_config(arguments)
    level = getattr(arguments, "level", None)
    if arguments.control == "volume" and level is None:
        return _print_volume(settings, as_json=arguments.json)
    answer = send(settings, arguments.control, level=level, line_id=getattr(arguments, "id", None))
    if arguments.json:
        print_json(answer)
    else:
        print(_sentence(answer))
    return 0 if answer.get("ok") is True else 1


def send(settings: Config, command: str, *, level: int | None = None, line_id: str | None = None) -> dict[str, Any]:
    """Send one command, and return its event `command`.

    Args:
        level: The volume, for the command `volume`.
        line_id: Id of the line, for `cancel`.

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
        transaction = uuid.uuid4().hex
        if command == "volume":
            client.publish(f"{root}/volume/set", str(level))
        else:
            fields = {"command": command, "id": line_id, "transaction": transaction}
            client.publish(f"{root}/command", {name: value for name, value in fields.items() if value is not None})
        for message in client.messages(_ANSWER_S):
            if (answer := _answer(message, root, command, transaction)) is not None:
                return answer
    raise BrokerError(f"no answer to {command} came within {_ANSWER_S:g} s; the appliance at {root} is {view.summary}")


def _answer(message: Message, root: str, command: str, transaction: str) -> dict[str, Any] | None:
    """The answer to our command, if the message is that. A volume request has no transaction."""
    event = message.data() if message.topic == f"{root}/event" else None
    if not isinstance(event, dict) or event.get("event") != "command":
        return None
    ours = event.get("command") == "volume" if command == "volume" else event.get("transaction") == transaction
    return event if ours else None


def _sentence(answer: dict[str, Any]) -> str:
    detail = bounded_text(answer.get("detail") or str(answer.get("command")))
    return detail if answer.get("ok") is True else f"refused: {detail}"


def _print_volume(settings: Config, *, as_json: bool) -> int:
    root = root_topic(settings)
    with connect(settings, root) as client:
        view = read_view(client, root, ("state",))
    if not view.online or view.volume is None:
        fix = f" ({START_FIX})" if view.offline else ""
        raise BrokerError(f"the volume is not known: the appliance at {root} is {view.summary}{fix}")
    if as_json:
        print_json({"volume": view.volume, "muted": view.muted})
    else:
        print(f"{view.volume}{', muted' if view.muted else ''}")
    return 0
