"""The lines that the gateway missed: after a connection, a restart of the daemon, or without any event."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.appliances import history_sync
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.appliance_requests import ApplianceRequests
from ishowtts_gateway.appliances.history_sync import HistorySync
from support.broker_scripts import confirm_with
from support.broker_session import Message
from support.gateway_waiting import until
from support.hostile_broker import HostileBroker
from support.mqtt_packets import Packet
from support.scripted_appliance import appliance, ask, event, reply

ENDED = {"id": "old", "status": "finished", "accepted_ts": "2026-11-20T10:14:00.000Z", "text": "Before."}


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_sync, "_SETTLE_S", 0.05)
    monkeypatch.setattr(history_sync, "_MIN_INTERVAL_S", 0.1)
    monkeypatch.setitem(HistorySync.__init__.__kwdefaults__, "check_s", 0.05)
    monkeypatch.setitem(HistorySync.__init__.__kwdefaults__, "quiet_s", 0.2)


class Daemon:
    """A broker with an appliance that is online and has this history."""

    def __init__(self, *lines: dict[str, Any], cursor: str | None = None) -> None:
        self.lines = list(lines)
        self.cursor = cursor
        self.asked = 0
        self.broker = HostileBroker(on_publish=appliance(history=self._history))
        self.retain("availability", b"online")
        self.retain("info", b'{"instance": "first"}')

    def retain(self, name: str, payload: bytes) -> None:
        topic = f"ishowtts/test/{name}"
        self.broker.retained[topic] = Message(topic, payload, retain=True)

    def _history(self, broker: HostileBroker, packet: Packet, _asked: Any) -> None:
        self.asked += 1
        reply(broker, packet, {"command": "history", "lines": self.lines, "next": self.cursor, "private": False})


def statuses(gateway: ApplianceClient) -> dict[str, str]:
    return {line.id: line.status for line in gateway.directory.records["test"].lines.recent(99)}


def test_lines_from_before_and_from_while_the_broker_was_away() -> None:
    daemon = Daemon(ENDED)

    async def scenario(gateway: ApplianceClient) -> None:
        await until(lambda: statuses(gateway) == {"old": "finished"})
        event(daemon.broker, "accepted", id="new", text="Hi.", ts="2026-11-20T10:15:00.000Z")
        await until(lambda: statuses(gateway).get("new") == "waiting")
        daemon.lines.insert(0, {"id": "new", "status": "failed", "accepted_ts": "2026-11-20T10:15:00.000Z"})
        daemon.broker.forget_sessions()
        await until(lambda: statuses(gateway) == {"old": "finished", "new": "failed"})

    with daemon.broker:
        ask(daemon.broker, scenario)


def test_a_daemon_that_was_started_again_and_lost_a_line() -> None:
    daemon = Daemon(ENDED)

    async def scenario(gateway: ApplianceClient) -> None:
        await until(lambda: daemon.asked == 1)
        event(daemon.broker, "accepted", id="lost", text="Hi.")
        event(daemon.broker, "started", id="lost")
        await until(lambda: statuses(gateway).get("lost") == "speaking")
        asked, line = daemon.asked, gateway.directory.records["test"].lines
        await until(lambda: line.missing(lambda _: False, 0.2))
        daemon.broker.publish("ishowtts/test/info", b'{"instance": "second"}', retain=True)
        await until(lambda: daemon.asked > asked)
        await until(lambda: statuses(gateway).get("lost") == "unknown")

    with daemon.broker:
        ask(daemon.broker, scenario)


def test_a_state_that_contradicts_the_lines_causes_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(ENDED)

    async def scenario(gateway: ApplianceClient) -> None:
        await until(lambda: daemon.asked == 1)
        for line_id in ("spoken", "waits", "lost"):
            event(daemon.broker, "accepted", id=line_id)
        for line_id in ("lost", "spoken"):
            event(daemon.broker, "started", id=line_id)
        known = [{"id": "lost", "status": "cancelled"}, {"id": "spoken", "status": "speaking"}]
        daemon.lines = [*known, {"id": "waits", "status": "waiting"}, ENDED]
        state = {"state": "speaking", "queue_depth": 1, "speaking": {"id": "spoken"}}
        daemon.broker.publish("ishowtts/test/state", json.dumps(state), retain=True)
        monkeypatch.setattr(history_sync, "_AGAIN_S", 0.0)
        await until(lambda: statuses(gateway).get("lost") == "cancelled")
        assert statuses(gateway) == {
            "spoken": "speaking", "waits": "waiting", "lost": "cancelled", "old": "finished",
        }  # fmt: skip

    with daemon.broker:
        ask(daemon.broker, scenario)


def test_without_a_history_the_state_decides() -> None:
    daemon = Daemon()
    daemon.broker.on_publish = appliance()

    async def scenario(gateway: ApplianceClient) -> None:
        for line_id in ("lost-1", "lost-2"):
            event(daemon.broker, "accepted", id=line_id)
        daemon.broker.publish("ishowtts/test/state", b'{"queue_depth": 0, "speaking": null}')
        await until(lambda: statuses(gateway) == {"lost-1": "unknown", "lost-2": "unknown"})

    with daemon.broker:
        ask(daemon.broker, scenario)


def test_lines_that_a_page_of_the_history_cannot_have_stay() -> None:
    daemon = Daemon({**ENDED, "accepted_ts": "2026-11-20T10:16:00.000Z"}, cursor="more")

    async def scenario(gateway: ApplianceClient) -> None:
        await until(lambda: daemon.asked == 1)
        event(daemon.broker, "accepted", id="older", ts="2026-11-20T10:15:00.000Z")
        event(daemon.broker, "accepted", id="newer", ts="2026-11-20T10:17:00.000Z")
        lines = gateway.directory.records["test"].lines
        await until(lambda: len(lines.missing(lambda _: False, 0.2)) == 2)
        daemon.broker.publish("ishowtts/test/info", b'{"instance": "second"}', retain=True)
        await until(lambda: statuses(gateway).get("newer") == "unknown")
        assert statuses(gateway)["older"] == "waiting"

    with daemon.broker:
        ask(daemon.broker, scenario)


def test_a_flood_of_restarts_causes_no_flood_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(ENDED)

    async def scenario(gateway: ApplianceClient) -> None:
        record = gateway.directory.records["test"]
        await until(lambda: daemon.asked == 1 and statuses(gateway))
        monkeypatch.setattr(history_sync, "_MIN_INTERVAL_S", 60.0)
        before = daemon.asked
        for number in range(20):
            daemon.broker.publish("ishowtts/test/info", json.dumps({"instance": str(number)}))
            await until(lambda number=number: (record.info or {}).get("instance") == str(number))
        assert daemon.asked <= before + 1
        monkeypatch.setattr(history_sync, "_MIN_INTERVAL_S", 0.0)
        await until(lambda: daemon.asked > before)

    with daemon.broker:
        ask(daemon.broker, scenario)


def test_what_the_broker_permits_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(ENDED)
    permitted, daemon.broker.on_publish = daemon.broker.on_publish, confirm_with(0x87)
    daemon.retain("availability", b"offline")

    async def scenario(gateway: ApplianceClient) -> None:
        record = gateway.directory.records["test"]
        await until(lambda: record.controls == {"say": False, "command": False, "voices": False, "history": False})
        daemon.broker.on_publish = permitted
        idle = HistorySync(gateway.directory, gateway.requests)
        idle._check(record)
        assert idle._queued == {"test"}
        monkeypatch.setattr(history_sync, "_AGAIN_S", 0.0)
        await until(lambda: record.controls == {"say": True, "command": True, "voices": False, "history": True})

    with daemon.broker:
        ask(daemon.broker, scenario)


def test_appliances_that_are_gone_are_forgotten_even_if_their_changes_were_too_many() -> None:
    async def scenario() -> None:
        directory = ApplianceDirectory("ishowtts", ["test"])
        sync = HistorySync(directory, cast(ApplianceRequests, None))
        sync._asked_s = dict.fromkeys(("test", "gone"), 0.0)
        sync._instances = dict.fromkeys(("test", "gone"), "first")
        following = asyncio.create_task(sync._follow_devices())
        await asyncio.sleep(0)
        for number in range(3000):
            directory._tell("device", f"d{number}", {})
        directory.close()
        await following
        assert (sync._asked_s.keys(), sync._instances.keys()) == ({"test"}, {"test"})

    asyncio.run(scenario())


def test_appliances_that_do_not_answer_hold_up_no_other() -> None:
    class Requests:
        def __init__(self) -> None:
            self.silent = 0

        async def history(self, name: str, _limit: int) -> dict[str, Any]:
            if name != "test":
                self.silent += 1
                await asyncio.Event().wait()
            return {"lines": [ENDED], "next": None}

        def refresh_controls(self, _name: str) -> None:
            pass

        def forbidden(self, _name: str) -> bool:
            return False

    async def scenario() -> None:
        names = [*(f"silent-{number}" for number in range(12)), "test"]
        directory, requests = ApplianceDirectory("ishowtts", names), Requests()
        running = asyncio.create_task(HistorySync(directory, cast(ApplianceRequests, requests)).run())
        await asyncio.sleep(0)
        directory.set_broker(True, None)
        for name in names:
            directory.apply(f"ishowtts/{name}/availability", b"online", retained=True)
        await until(lambda: directory.records["test"].lines.get("old") is not None)
        assert requests.silent == 12
        directory.close()
        await running

    asyncio.run(scenario())
