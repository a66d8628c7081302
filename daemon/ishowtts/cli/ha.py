"""`ishowtts ha`: shows or removes the message by which Home Assistant finds the appliance.

Exit status: 0 it was shown or removed, 1 the broker does not answer or refuses the removal.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ishowtts.cli.appliance_view import connect, read_view
from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.util.logs import visible
from ishowtts.util.user_rights import as_owner_of

if TYPE_CHECKING:
    from ishowtts.board import BoardIdentity
    from ishowtts.config import Config


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("ha", parents=[common])
    parser.add_argument(
        "action",
        choices=["show", "remove"],
        help="show: print the message as JSON; remove: delete it, so that Home Assistant removes the device",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if it was shown or removed."""
    from ishowtts.board.detect import detect_board

    settings = read_config(arguments)
    identity = detect_board(settings.board.source, settings.board.sysfs_root).identity()
    root = settings.root_topic(identity.serial)
    if arguments.action == "show":
        _show(settings, root, identity)
    else:
        _remove(settings, root, identity)
    return 0


def _show(settings: Config, root: str, identity: BoardIdentity) -> None:
    """Print the message on stdout, and what is to be known about it on stderr."""
    from ishowtts.engines.voices.voice_library import open_voice_library
    from ishowtts.mqtt.discovery_message import DiscoveryFacts, discovery_message, discovery_topic

    topic = discovery_topic(settings.home_assistant.prefix, root)
    if settings.home_assistant.discovery:
        print(
            f"the daemon publishes this, retained, on {topic}; `ishowtts doctor` shows whether it could:",
            file=sys.stderr,
        )
    else:
        print(f"not published, because home_assistant.discovery is false; it would be on {topic}:", file=sys.stderr)
    voices = open_voice_library(settings).names()
    print_json(discovery_message(DiscoveryFacts.from_config(settings, root, identity, voices)))


def _remove(settings: Config, root: str, identity: BoardIdentity) -> None:
    """Empty the topic of this configuration, and those on which this board has published before."""
    from ishowtts.mqtt.discovery_message import discovery_topic

    topics = [discovery_topic(settings.home_assistant.prefix, root), *_published(settings, identity)]
    with connect(settings, root) as client:
        for topic in dict.fromkeys(topics):
            client.publish(topic, "", retain=True)
            print(visible(f"removed: {topic}"))
        if settings.mqtt.protocol != 5:
            print("Over MQTT 3.1.1 a broker does not say whether it takes that. It does if its ACL allows it.")
        online = read_view(client, root, ()).online
    if online and settings.home_assistant.discovery:
        print(
            f"The appliance at {root} runs, and publishes the message again after its next connection to the broker, "
            "or when Home Assistant starts.\n"
            "To prevent that: home_assistant.discovery: false in the configuration, and sudo systemctl reload ishowtts"
        )


def _published(settings: Config, identity: BoardIdentity) -> list[str]:
    """The topics that the daemon of the local `state_dir` has published on. None if this user may not read it."""
    from ishowtts.inbox import read_setting
    from ishowtts.mqtt.discovery import PUBLISHED_KEY, stored_topics

    try:
        with as_owner_of(settings.state_dir):
            stored = stored_topics(read_setting(settings.inbox_file, PUBLISHED_KEY))
    except OSError:
        return []
    return [topic for topic, serial in stored.items() if serial == identity.serial]
