"""The topics of one appliance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ishowtts.model import AlertName

_ValueName = Literal["state", "info", "telemetry", "volume", "muted", "voice"]
RetainedName = _ValueName | AlertName


@dataclass(frozen=True)
class Topics:
    """The topics under `root`, which is `<prefix>/<device>`, and under the roots of its groups.

    Args:
        group_roots: As in `ishowtts/group/downstairs`.
    """

    root: str
    group_roots: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """Subscriptions of the lines connection."""
        return tuple(topic for root in (self.root, *self.group_roots) for topic in lines_of(root))

    @property
    def commands(self) -> tuple[str, ...]:
        """Subscriptions of the commands connection."""
        groups = (f"{root}/command" for root in self.group_roots)
        return (self.command, self.volume_set, self.voice_set, *groups)

    @property
    def renders(self) -> tuple[str, ...]:
        """Subscriptions of the connection for renders."""
        return (f"{self.root}/render", self.render_cancel)

    @property
    def render_cancel(self) -> str:
        """Topic of requests to end a render."""
        return f"{self.root}/render/cancel"

    @property
    def watched(self) -> tuple[str, ...]:
        """Topics on which another appliance of our name publishes."""
        return (
            self.retained("info"),
            self.retained("state"),
            self.retained("telemetry"),
            self.probe,
            self.availability,
        )

    @property
    def command(self) -> str:
        """Topic of commands to the appliance."""
        return f"{self.root}/command"

    @property
    def volume_set(self) -> str:
        """Topic of requests for another volume."""
        return f"{self.root}/volume/set"

    @property
    def voice_set(self) -> str:
        """Topic of requests for another default voice."""
        return f"{self.root}/voice/set"

    @property
    def voice_upload(self) -> str:
        """Subscription of the voices connection."""
        return f"{self.root}/voice/+/set"

    @property
    def availability(self) -> str:
        """Topic of `online` or `offline`, retained. Also the topic of the last will."""
        return f"{self.root}/availability"

    @property
    def event(self) -> str:
        """Topic of events."""
        return f"{self.root}/event"

    @property
    def probe(self) -> str:
        """Topic of the probe by which the lines connection proves that messages reach it."""
        return f"{self.root}/probe"

    @property
    def commands_probe(self) -> str:
        """Topic of the probe of the commands connection."""
        return f"{self.root}/probe/commands"

    @property
    def voices_probe(self) -> str:
        """Topic of the probe of the voices connection."""
        return f"{self.root}/probe/voices"

    @property
    def renders_probe(self) -> str:
        """Topic of the probe of the connection for renders."""
        return f"{self.root}/probe/renders"

    def retained(self, name: RetainedName) -> str:
        """The topic of one retained value."""
        return f"{self.root}/alert/{name.value}" if isinstance(name, AlertName) else f"{self.root}/{name}"

    @property
    def all_retained(self) -> tuple[str, ...]:
        """Every topic under the root on which the broker keeps a value."""
        return (self.availability, *(self.retained(name) for name in (*get_args(_ValueName), *AlertName)))

    def tail(self, topic: str) -> str:
        """The part of a topic after the root: `say`, `say/anna`, `urgent`. For another topic: that topic."""
        for root in (self.root, *self.group_roots):
            if topic.startswith(f"{root}/"):
                return topic.removeprefix(f"{root}/")
        return topic


def lines_of(root: str) -> tuple[str, ...]:
    """The topics of lines under a root."""
    return (f"{root}/say", f"{root}/say/+", f"{root}/urgent")
