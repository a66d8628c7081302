"""The gateway with a real broker and a real daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ishowtts.config import Config
from ishowtts_gateway.gateway_app import Gateway
from support.appliance import Appliance
from support.broker import Broker


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Appliance]]:
    """A broker, and a daemon that makes tones at once."""
    folder: Path = tmp_path_factory.mktemp("board")
    (folder / "broker").mkdir()
    with Broker(folder / "broker") as broker, Appliance(folder, broker, quick_s=0.3) as appliance:
        yield broker, appliance


@asynccontextmanager
async def gateway_of(broker: Broker, **gateway: Any) -> AsyncIterator[Gateway]:
    mqtt = {"host": broker.host, "port": broker.port}
    async with Gateway(Config(mqtt=mqtt, gateway=gateway), "ishowtts/test") as made:
        yield made


async def until(condition: Callable[[], Any], timeout_s: float = 15.0) -> Any:
    async def poll() -> Any:
        while not (found := condition()):
            await asyncio.sleep(0.01)
        return found

    return await asyncio.wait_for(poll(), timeout_s)


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
