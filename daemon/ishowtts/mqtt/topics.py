"""The topics of one appliance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RetainedName = Literal["state", "info", "telemetry", "volume", "muted", "alert/deaf"]


@dataclass(frozen=True)
class Topics:
    """The topics under `root`, which is `<prefix>/<device>`."""

    root: str

    @property
    def lines(self) -> tuple[str, ...]:
        """Subscriptions of the lines connection."""
        return (f"{self.root}/say", f"{self.root}/say/+", f"{self.root}/urgent")

    @property
    def commands(self) -> tuple[str, ...]:
        """Subscriptions of the commands connection."""
        return (self.command, self.volume_set)

    @property
    def watched(self) -> tuple[str, ...]:
        """Where another appliance of our name shows itself."""
        return (
            self.retained("info"),
            self.retained("state"),
            self.retained("telemetry"),
            self.probe,
            self.availability,
        )

    @property
    def command(self) -> str:
        """Where commands arrive."""
        return f"{self.root}/command"

    @property
    def volume_set(self) -> str:
        """Where a wish for another volume arrives."""
        return f"{self.root}/volume/set"

    @property
    def availability(self) -> str:
        """`online` or `offline`, retained; the will."""
        return f"{self.root}/availability"

    @property
    def event(self) -> str:
        """Where events leave."""
        return f"{self.root}/event"

    @property
    def probe(self) -> str:
        """Where the lines connection proves to itself that messages reach it."""
        return f"{self.root}/probe"

    @property
    def commands_probe(self) -> str:
        """The same for the commands connection."""
        return f"{self.root}/probe/commands"

    def retained(self, name: RetainedName) -> str:
        """The topic of one retained value."""
        return f"{self.root}/{name}"

    def tail(self, topic: str) -> str:
        """What follows the root: `say`, `say/anna`, `urgent`."""
        return topic.removeprefix(f"{self.root}/")
