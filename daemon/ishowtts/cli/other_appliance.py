"""Tells whether the appliance that answers is another one than that of the local `state_dir`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ishowtts.util.logs import visible
from ishowtts.util.user_rights import as_owner_of

if TYPE_CHECKING:
    from ishowtts.config import Config

CHANGE_NAME = "change device.name on one of them"
_SHOWN_INSTANCE_CHARS = 12
_MAX_CHARS = 80


def other_appliance(settings: Config, root: str, info: Mapping[str, Any]) -> str | None:
    """Return a sentence if an appliance of another `state_dir` answers on a root topic.

    `None` if it is the local one, and if that is unknown: there is no `state_dir` on this machine, this user may not
    read it, or its daemon uses another root topic.

    Args:
        settings: They name the `state_dir`.
        root: `<prefix>/<device>`.
        info: The retained `info` on this root topic. Any value may be odd, since anybody may publish.
    """
    answers = info.get("instance")
    if not isinstance(answers, str) or not answers:
        return None
    local = _local_instances(settings, root)
    if not local or answers in local:
        return None
    known = [f"instance {answers[:_SHOWN_INSTANCE_CHARS]}"]
    known += [f"{name} {info[name][:_MAX_CHARS]}" for name in ("host", "board") if isinstance(info.get(name), str)]
    return visible(f"another appliance ({', '.join(known)}) answers on {root}, not this one")


def _local_instances(settings: Config, root: str) -> list[str]:
    """The latest runs of the daemon of the local `state_dir`, if it uses this root topic."""
    # Imported here: with numpy it takes 0.1 s, and most callers have no local appliance.
    from ishowtts.inbox import read_setting
    from ishowtts.mqtt.stored_identity import INSTANCES_KEY, ROOT_KEY

    database = settings.inbox_file
    try:
        with as_owner_of(settings.state_dir):
            if not database.exists() or read_setting(database, ROOT_KEY) != root:
                return []
            return (read_setting(database, INSTANCES_KEY) or "").split()
    except OSError:  # a command without sudo may not look into the folder
        return []
