"""The boards that are watched: their connection, and which one of them is shown."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ishowtts.config import Config
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts_gateway.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliance_record import ApplianceRecord
from ishowtts_gateway.appliance_requests import ApplianceRequests, new_reply_root
from ishowtts_gateway.broker_link import BrokerLink
from ishowtts_gateway.message_backlog import LinkMessage
from ishowtts_gateway.terminal_view.board_view import BoardView
from ishowtts_gateway.terminal_view.progress_estimate import ProgressEstimate
from ishowtts_gateway.terminal_view.top_frame import TopView

_STOP_LINK_S = 2.0


@dataclass(frozen=True)
class Boards:
    """The connection to the broker, and what it tells of the boards.

    Attributes:
        shown: In words, which boards are looked for.
    """

    directory: ApplianceDirectory
    link: BrokerLink
    requests: ApplianceRequests
    shown: str

    @classmethod
    def from_config(cls, settings: Config, own_root: str, devices: Sequence[str] | None) -> Boards:
        """Make the parts. Nothing connects before `connected`.

        Args:
            own_root: `<prefix>/<device>` of this machine, for the default of `devices`.
            devices: Names of boards; `None`: every board under the prefix.

        Raises:
            ConfigError: a password cannot be read.
        """
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        options = MqttOptions.from_config(settings, own_root, settings.gateway_user(Path(folder) if folder else None))
        prefix = settings.mqtt.prefix
        reply_root = new_reply_root(prefix, options.username)
        directory = ApplianceDirectory(prefix, devices)

        def message_arrived(message: LinkMessage) -> None:
            if not requests.reply_arrived(message):
                directory.apply(message.topic, message.payload, retained=message.retained)

        link = BrokerLink(options, [*directory.topics, f"{reply_root}/#"], message_arrived, directory.set_broker)
        directory.set_broker(False, link.detail)
        requests = ApplianceRequests(directory, link, reply_root=reply_root, controls=settings.gateway.controls)
        for name in directory.records:
            requests.refresh_controls(name)
        return cls(directory, link, requests, f"{prefix}/+" if devices is None else ", ".join(devices))

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Keep the connection inside of the block."""
        self.link.start()
        try:
            yield
        finally:
            self.directory.close()
            await self.link.stop(_STOP_LINK_S)


class BoardChoice:
    """Which board is shown: the first one that is online, until a key chooses another one."""

    def __init__(self, directory: ApplianceDirectory) -> None:
        self._directory = directory
        self._name: str | None = None
        self._is_settled = False
        self._progress = ProgressEstimate()
        self._progress_of: str | None = None

    def move(self, step: int) -> None:
        """Choose the next board, or the previous one."""
        names = sorted(self._directory.records)
        if names:
            position = names.index(self._name) if self._name in names else -step
            self._name, self._is_settled = names[(position + step) % len(names)], True

    def view(self) -> BoardView | None:
        """The chosen board; `None` if none is known."""
        record = self._record()
        if record is None:
            return None
        if self._progress_of != record.name:
            self._progress, self._progress_of = ProgressEstimate(), record.name
        return BoardView.of(record, self._progress.now(record.state), time.time())

    def _record(self) -> ApplianceRecord | None:
        records = self._directory.records
        if not self._is_settled or self._name not in records:
            online = sorted(name for name, record in records.items() if record.online)
            self._name = next(iter(online or sorted(records)), None)
            self._is_settled = bool(online)
        return None if self._name is None else records[self._name]


def top_view(
    boards: Boards, choice: BoardChoice, message: tuple[str, str] | None = None, *, help_shown: bool = False
) -> TopView:
    """What there is to show now."""
    directory = boards.directory
    return TopView(
        boards=[(name, directory.records[name].online) for name in sorted(directory.records)],
        board=choice.view(),
        broker_connected=directory.broker_connected,
        broker_detail=directory.broker_detail,
        nothing_known=f"no board publishes on {boards.shown}; set mqtt.prefix, or name boards with --device",
        message=message,
        help_shown=help_shown,
    )
