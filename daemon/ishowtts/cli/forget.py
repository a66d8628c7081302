"""`ishowtts forget`: removes what an appliance that is gone has left at the broker, so that nobody shows it any more.

Exit status: 0 nothing is left, 1 the appliance is online, or the broker does not answer or keeps something.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ishowtts.cli.appliance_view import RETAINED_S, connect
from ishowtts.cli.common import Commands, read_config
from ishowtts.errors import BrokerError, LineError
from ishowtts.limits import NAME
from ishowtts.util.logs import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ishowtts.mqtt.client import ShortLivedClient


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("forget", parents=[common])
    parser.add_argument("name", metavar="NAME", help="name of the appliance: the part of its topics after the prefix")
    parser.add_argument("--dry-run", action="store_true", help="only print the topics that would be removed")
    parser.add_argument(
        "--force",
        action="store_true",
        help="also if the broker says that it is online, as after a crash of the broker",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if nothing is left."""
    from ishowtts.mqtt.discovery_message import discovery_topic
    from ishowtts.mqtt.topics import Topics

    if not NAME.fullmatch(arguments.name):
        raise LineError("this is not a name of an appliance: it has 1 to 64 of a-z, 0-9, _ and -")
    settings = read_config(arguments)
    root = f"{settings.mqtt.prefix}/{arguments.name}"
    discovery = discovery_topic(settings.home_assistant.prefix, root)
    filters = f"{root}/#", discovery
    with connect(settings, root) as client:
        found = _retained(client, filters)
        if found.get(f"{root}/availability") == b"online" and not arguments.force:
            raise BrokerError(
                f"{arguments.name} is online, and would publish everything again; stop it first "
                "(sudo systemctl stop ishowtts, there), or give --force if it is gone"
            )
        # The appliance's user of our ACL may write some of its topics, and not read them.
        unseen = {*Topics(root).all_retained, discovery} - found.keys()
        for topic in found:
            if not arguments.dry_run:
                client.publish(topic, "", retain=True)
            print(visible(f"{'would remove' if arguments.dry_run else 'removed'}: {topic}"))
        if arguments.dry_run:
            print(f"would empty {len(unseen)} topics of it too, on which this user sees nothing")
            return 0
        for topic in sorted(unseen):
            client.publish(topic, "", retain=True)
        print(f"emptied {len(unseen)} topics of it too, on which this user sees nothing")
        left = _retained(client, filters)
    if left:
        raise BrokerError(
            f"the broker keeps {len(left)} of them, the first is {visible(min(left))}: the appliance runs, or the ACL "
            "of the broker does not let this user write there"
        )
    return 0


def _retained(client: ShortLivedClient, filters: Sequence[str]) -> dict[str, bytes]:
    """What the broker keeps on these topics."""
    client.subscribe(*filters)  # again, too: the broker sends what it keeps at each subscription
    return {
        message.topic: message.payload
        for message in client.messages(RETAINED_S)
        if message.retained and message.payload
    }
