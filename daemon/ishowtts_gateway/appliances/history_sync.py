"""Asks appliances for their last lines when events may have been missed, and learns what the broker permits."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Any

from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.appliance_record import ApplianceRecord
from ishowtts_gateway.appliances.appliance_requests import ApplianceRequests
from ishowtts_gateway.appliances.line_record import SPEAKING, LineRecord
from ishowtts_gateway.appliances.published_value import text
from ishowtts_gateway.gateway_error import GatewayError

log = logging.getLogger(__name__)

_LINES = 50
_WORKERS = 16  # one that does not answer holds a worker for 10 s, and there may be 200 of them
_SETTLE_S = 2.0  # the broker sends what it retains within milliseconds of the subscription
_CHECK_S = 10.0
_MIN_INTERVAL_S = 5.0
_QUIET_S = 20.0
_AGAIN_S = 60.0
_MAX_INSTANCE_CHARS = 128
_DEPTH_MARGIN = 2  # `queue_depth` may lag behind the events


class HistorySync:
    """Keeps the lines of all appliances complete.

    It asks for the history of an appliance after each connection to the broker, when the appliance comes online or was
    started again, and if its `state` contradicts the lines that we know. The publish of a request also shows whether
    the broker lets us send commands.

    Args:
        directory: The appliances.
        requests: Sends the requests.
        check_s: Seconds between two looks for contradictions.
        quiet_s: Lines that had an event within this time are taken for right.
    """

    def __init__(
        self,
        directory: ApplianceDirectory,
        requests: ApplianceRequests,
        *,
        check_s: float = _CHECK_S,
        quiet_s: float = _QUIET_S,
    ) -> None:
        self._directory = directory
        self._requests = requests
        self._check_s = check_s
        self._quiet_s = quiet_s
        self._due: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._postponed: set[str] = set()
        self._asked_s: dict[str, float] = {}  # when we last asked, by device
        self._instances: dict[str, object] = {}  # the run of the daemon, by device

    async def run(self) -> None:
        """Work until the directory is closed, or the task is cancelled."""
        tasks = [
            asyncio.create_task(self._follow_connection(), name="history-connection"),
            asyncio.create_task(self._check_regularly(), name="history-check"),
            *(asyncio.create_task(self._work(), name=f"history-{i}") for i in range(_WORKERS)),
        ]
        try:
            await self._follow_devices()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow_devices(self) -> None:
        with self._directory.watch({"device", "gone"}) as changes:
            async for change in changes:
                if change.kind == "reset":
                    self._forget_the_gone()
                    self._ask_all()
                elif change.kind == "gone":
                    self._asked_s.pop(change.device or "", None)
                    self._instances.pop(change.device or "", None)
                elif change.device is not None and change.data.keys() & {"availability", "info"}:
                    self._device_changed(change.device, change.data)

    async def _follow_connection(self) -> None:
        """After each connection, wait for what the broker retains, then ask all appliances."""
        was_connected = False
        with self._directory.watch({"broker"}) as changes:
            async for change in changes:
                connected = change.data.get("connected") is True
                if connected and not was_connected:
                    await asyncio.sleep(_SETTLE_S)
                    self._directory.forget_unconfirmed()
                    self._ask_all()
                was_connected = connected

    def _device_changed(self, name: str, fields: dict[str, Any]) -> None:
        self._requests.refresh_controls(name)
        info = fields.get("info")
        instance = text(info.get("instance"), _MAX_INSTANCE_CHARS) if isinstance(info, dict) else None
        restarted = instance is not None and self._instances.get(name) not in (None, instance)
        if instance is not None:
            self._instances[name] = instance
        if restarted or fields.get("availability") is not None:
            self._ask(name)

    def _forget_the_gone(self) -> None:
        """Forget appliances that the directory has forgotten meanwhile."""
        for name in self._asked_s.keys() - self._directory.records.keys():
            del self._asked_s[name]
        for name in self._instances.keys() - self._directory.records.keys():
            del self._instances[name]

    def _ask_all(self) -> None:
        for name in self._directory.records:
            self._ask(name)

    def _ask(self, name: str) -> None:
        """Ask soon; later if we asked a moment ago, so that a flood of messages causes no flood of requests."""
        if time.monotonic() - self._asked_s.get(name, -math.inf) < _MIN_INTERVAL_S:
            self._postponed.add(name)
        elif name not in self._queued:
            self._queued.add(name)
            self._due.put_nowait(name)

    async def _work(self) -> None:
        while True:
            name = await self._due.get()
            self._queued.discard(name)
            record = self._directory.records.get(name)
            if record is not None and self._directory.broker_connected:
                self._asked_s[name] = time.monotonic()
                try:
                    await self._synchronise(record)
                except GatewayError as error:
                    log.debug("no history of %s: %s", name, error)
                except Exception:
                    # The boundary to what an appliance answers: any error costs one answer, not the worker.
                    log.exception("an answer of %s cannot be processed", name)

    async def _synchronise(self, record: ApplianceRecord) -> None:
        """Ask one appliance, and apply its answer."""
        if not record.online:
            await self._requests.probe(record.name)
            return
        reply = await self._requests.history(record.name, _LINES)
        self._directory.tell_lines(record.name, record.lines.merge(reply["lines"]))
        told = {line["id"]: line.get("accepted_ts") for line in reply["lines"]}
        oldest_ts = min((ts for ts in told.values() if isinstance(ts, str)), default="")

        def still_open(line: LineRecord) -> bool:
            """Whether the reply has the line, or could not have it."""
            return line.id in told or (reply.get("next") is not None and (line.accepted_ts or "") <= oldest_ts)

        self._directory.tell_lines(record.name, record.lines.end_missing(still_open, self._quiet_s))

    async def _check_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._check_s)
            postponed, self._postponed = self._postponed, set()
            for record in list(self._directory.records.values()):
                if record.name in postponed:
                    self._ask(record.name)
                elif self._directory.broker_connected:
                    self._check(record)

    def _check(self, record: ApplianceRecord) -> None:
        """Ask an appliance if its state contradicts its lines. If that has not helped, believe the state."""
        asked_lately = time.monotonic() - self._asked_s.get(record.name, -math.inf) < _AGAIN_S
        if self._requests.forbidden(record.name) and not asked_lately:
            self._ask(record.name)  # somebody may have changed the ACL
        if not record.online or record.state is None:
            return
        still_open = _by_state(record.state, record.lines.waiting())
        if not record.lines.missing(still_open, self._quiet_s):
            return
        if asked_lately:
            self._directory.tell_lines(record.name, record.lines.end_missing(still_open, self._quiet_s))
        else:
            self._ask(record.name)


def _by_state(state: dict[str, Any], open_lines: list[LineRecord]) -> Callable[[LineRecord], bool]:
    """A function that says whether a line without an end still waits or is spoken, by `state`."""
    speaking, depth = state.get("speaking"), state.get("queue_depth")
    spoken_id = speaking.get("id") if isinstance(speaking, dict) else None
    waiting = [line.id for line in open_lines if line.status != SPEAKING]
    if type(depth) is int and len(waiting) > depth + (_DEPTH_MARGIN if depth else 0):
        waiting = waiting[len(waiting) - max(depth, 0) :]
    waiting_ids = frozenset(waiting)

    def still_open(line: LineRecord) -> bool:
        return line.id == spoken_id or (line.status != SPEAKING and line.id in waiting_ids)

    return still_open
