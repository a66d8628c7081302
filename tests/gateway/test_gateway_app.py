"""The gateway with a real broker and a real daemon."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ishowtts.config import Config
from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.gateway_error import GatewayError
from support.appliance import Appliance
from support.broker import Broker, ShippedBroker
from support.client import Client
from support.gateway_waiting import until


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Appliance]]:
    """A broker, and a daemon that makes tones at once."""
    folder: Path = tmp_path_factory.mktemp("board")
    (folder / "broker").mkdir()
    with Broker(folder / "broker") as broker, Appliance(folder, broker, quick_s=0.3) as appliance:
        yield broker, appliance


@asynccontextmanager
async def gateway_of(
    broker: Broker, keys: dict[str, Any] | None = None, /, **gateway: Any
) -> AsyncIterator[ApplianceClient]:
    section = {"host": broker.host, "port": broker.port, **(keys or {})}
    made = ApplianceClient(Config(mqtt=section, gateway=gateway), "ishowtts/test")
    async with made.connected():
        yield made


def test_a_line_is_said_and_its_events_are_followed(board: tuple[Broker, Appliance]) -> None:
    async def scenario() -> None:
        async with gateway_of(board[0]) as gateway:
            record = gateway.directory.records["test"]
            await until(lambda: record.online and record.state and record.info and record.telemetry)
            with gateway.directory.watch() as changes:
                answer = await gateway.requests.say("test", {"text": "One two three.", "author": "Ann"})
                assert answer["event"] == "accepted"
                async for change in changes:
                    if change.kind == "line" and change.data["status"] == "finished":
                        break
            assert change.data["id"] == answer["id"]
            line = record.lines.recent(1)[0]
            assert (line.text, line.author, line.status) == ("One two three.", "Ann", "finished")
            refused = await gateway.requests.say("test", {"text": "..."})
            assert (refused["event"], refused["reason"]) == ("rejected", "empty")

    asyncio.run(scenario())


def test_commands_volume_and_voice_get_their_own_answers(board: tuple[Broker, Appliance]) -> None:
    async def scenario() -> None:
        async with gateway_of(board[0]) as gateway:
            requests, record = gateway.requests, gateway.directory.records["test"]
            await until(lambda: record.online)
            muted, unknown = await asyncio.gather(
                requests.command("test", {"command": "mute"}), requests.command("test", {"command": "dance"})
            )
            assert (muted["ok"], unknown["ok"]) == (True, False)
            await until(lambda: record.muted is True)
            answers = await asyncio.gather(requests.set_volume("test", 40), requests.set_volume("test", 50))
            assert ["40" in answer["detail"] for answer in answers] == [True, False]
            await until(lambda: record.volume == 50)
            assert (await requests.set_voice("test", None))["ok"] is True
            assert (await requests.command("test", {"command": "unmute"}))["ok"] is True

    asyncio.run(scenario())


def test_lines_from_before_the_gateway_and_a_daemon_that_is_killed_while_it_speaks(
    board: tuple[Broker, Appliance],
) -> None:
    broker, appliance = board

    async def scenario() -> None:
        with Client(broker.host, broker.port) as client:
            await asyncio.to_thread(client.subscribe, "ishowtts/test/event")
            await asyncio.to_thread(appliance.wait_ready, client)
            before = await asyncio.to_thread(appliance.say, client, "Before the gateway.")
            await asyncio.to_thread(appliance.final, client, before)
        async with gateway_of(broker) as gateway:
            record = gateway.directory.records["test"]
            line = await until(lambda: record.lines.get(before))
            assert (line.status, line.text) == ("finished", "Before the gateway.")
            spoken = await gateway.requests.say("test", {"text": "This is an endless line."})
            waits = await gateway.requests.say("test", {"text": "And this one waits."})
            await until(lambda: record.lines.get(spoken["id"]).status == "speaking")
            instance = (record.info or {})["instance"]
            await asyncio.to_thread(appliance.stop, signal.SIGKILL)
            appliance.start()
            await until(lambda: record.online and (record.info or {}).get("instance") != instance)
            await until(lambda: record.lines.get(spoken["id"]).status == "speaking")
            assert (await gateway.requests.command("test", {"command": "skip"}))["ok"] is True
            await until(lambda: record.lines.get(spoken["id"]).status == "cancelled")
            await until(lambda: record.lines.get(waits["id"]).status == "finished")
            reply = await gateway.requests.history("test", 2)
            assert [line["id"] for line in reply["lines"]] == [waits["id"], spoken["id"]]
            older = await gateway.requests.history("test", 2, reply["next"])
            assert before in [line["id"] for line in older["lines"]]

    asyncio.run(scenario())


def test_the_users_of_the_shipped_broker_see_everything_and_may_do_what_their_role_says(tmp_path: Path) -> None:
    users = {name: name for name in ("ishowtts", "observer")}
    (tmp_path / "broker").mkdir()

    async def scenario(broker: ShippedBroker, client: Client) -> None:
        (tmp_path / "secret").write_text("observer\n")
        own = {"username": "observer", "password_file": str(tmp_path / "secret")}
        async with gateway_of(broker, {"username": "nobody", "password_file": "/nonexistent/x"}, mqtt=own) as gateway:
            record = gateway.directory.records["test"]
            await until(lambda: record.controls == {"say": False, "command": False, "voices": False, "history": False})
            for topic, payload in (("state", "{}"), ("info", "{}"), ("telemetry", "{}"), ("alert/hot", "{}")):
                await asyncio.to_thread(client.publish, f"ishowtts/test/{topic}", payload, retain=True)
            await until(lambda: record.telemetry == {} and record.alerts == {"hot": {}})
            with pytest.raises(GatewayError, match="give it the lines of `user gateway`"):
                await gateway.requests.say("test", {"text": "Hi."})

    with (
        ShippedBroker(tmp_path / "broker", users) as broker,
        Client(broker.host, broker.port, username="ishowtts", password="ishowtts") as client,
    ):
        asyncio.run(scenario(broker, client))
