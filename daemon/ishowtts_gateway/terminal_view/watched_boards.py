"""Chooses the board that is shown."""

from __future__ import annotations

import time

from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.appliance_record import ApplianceRecord
from ishowtts_gateway.terminal_view.board_view import BoardView
from ishowtts_gateway.terminal_view.progress_estimate import ProgressEstimate
from ishowtts_gateway.terminal_view.top_frame import TopView


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
    boards: ApplianceClient, choice: BoardChoice, message: tuple[str, str] | None = None, *, help_shown: bool = False
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
