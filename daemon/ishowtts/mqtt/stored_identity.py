"""The identity of an appliance at the broker, which is stored in the settings of the inbox."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace

from ishowtts.inbox import Inbox, wait_for
from ishowtts.mqtt.discovery import PUBLISHED_KEY, REFUSAL_KEY
from ishowtts.mqtt.mqtt_options import MqttOptions

INSTANCES_KEY = "instances"
"""Setting of the inbox: the ids of the latest runs, this one first."""

ROOT_KEY = "root"
"""Setting of the inbox: the root topic of the latest run."""

SECRET_KEY = "client_secret"  # noqa: S105  the name of a setting
"""Setting of the inbox: makes the client ids of this appliance impossible to guess."""

IDENTITY_KEYS = (INSTANCES_KEY, ROOT_KEY, SECRET_KEY, PUBLISHED_KEY, REFUSAL_KEY)
"""Settings of the inbox that belong to one appliance at one broker. Another board with a copy of them would take its
session, and would remove its message for Home Assistant."""

_MAX_PREDECESSORS = 20  # starts in a row that may fail to reach the broker


def with_stored_identity(options: MqttOptions, inbox: Inbox, instance: str) -> MqttOptions:
    """Return options with the id of this run, the ids of earlier runs and the client secret.

    It also stores the id of this run for later runs, and the root topic for the commands on this machine. At the
    first start it makes the client secret and stores it.

    Args:
        inbox: Its settings hold the ids and the secret.
        instance: Id of this run.

    Raises:
        InboxError: the disk does not answer.
    """
    earlier = [each for each in (inbox.recall(INSTANCES_KEY) or "").split() if each != instance]
    # We do not wait for the disk. If it fails, the next start takes this run for another appliance and waits.
    inbox.remember(ROOT_KEY, options.root)
    inbox.remember(INSTANCES_KEY, " ".join([instance, *earlier][:_MAX_PREDECESSORS]))
    return replace(
        options, instance=instance, predecessors=frozenset(earlier), client_secret=_stored_client_secret(inbox)
    )


def _stored_client_secret(inbox: Inbox) -> str:
    """The client secret of the state directory. It is made at the first start."""
    stored = inbox.recall(SECRET_KEY)
    if stored is not None and re.fullmatch(r"[0-9a-f]{32}", stored):
        return stored
    secret = secrets.token_hex(16)
    wait_for(inbox.remember(SECRET_KEY, secret))
    return secret
