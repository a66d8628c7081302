"""Keys become requests, and answers become sentences."""

from __future__ import annotations

import asyncio
from typing import Any

from ishowtts_gateway.appliances.appliance_record import ApplianceRecord
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.terminal_view.board_controls import BoardControls
from ishowtts_gateway.terminal_view.board_view import BoardView


class Requests:
    """Notes what is asked; answers once `release` is set."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.release = asyncio.Event()
        self.answer: dict[str, Any] | GatewayError = {"ok": True, "detail": "done"}

    async def command(self, device: str, command: dict[str, Any]) -> dict[str, Any]:
        return await self._asked((device, command["command"]))

    async def set_volume(self, device: str, volume: int) -> dict[str, Any]:
        return await self._asked((device, volume))

    async def _asked(self, what: Any) -> dict[str, Any]:
        self.asked.append(what)
        await self.release.wait()
        if isinstance(self.answer, GatewayError):
            raise self.answer
        return self.answer


class Keys:
    """Controls with a board that is online."""

    def __init__(self) -> None:
        self.requests = Requests()
        self.said: list[tuple[str, str]] = []
        self.record = ApplianceRecord("kitchen", "ishowtts/kitchen")
        self.record.availability = "online"
        self.record.volume = 50
        self.controls = BoardControls(self.requests, lambda *message: self.said.append(message))  # type: ignore[arg-type]

    def press(self, keys: str) -> None:
        for key in keys:
            assert self.controls.press(key, BoardView.of(self.record, None, 0.0))

    async def settle(self) -> None:
        self.requests.release.set()
        for _ in range(20):
            await asyncio.sleep(0)


def test_each_key_sends_its_command() -> None:
    async def scenario() -> None:
        keys = Keys()
        keys.press("spm")
        await keys.settle()
        keys.record.state = {"paused": True}
        keys.record.muted = True
        keys.press("pm")
        await keys.settle()
        assert [command for _, command in keys.requests.asked] == ["skip", "pause", "mute", "resume", "unmute"]
        assert keys.said[-1] == ("done", "good")
        assert not keys.controls.press("x", BoardView.of(keys.record, None, 0.0))

    asyncio.run(scenario())


def test_a_volume_key_that_is_held_down_asks_for_the_last_level() -> None:
    async def scenario() -> None:
        keys = Keys()
        keys.press("++")
        await asyncio.sleep(0)
        keys.press("+++---" + "+" * 20)
        await keys.settle()
        assert keys.requests.asked == [("kitchen", 60), ("kitchen", 100)]
        keys.record.volume, keys.record.state = None, {}
        keys.press("+")
        assert keys.said[-1] == ("the volume is not known yet", "warn")

    asyncio.run(scenario())


def test_what_is_refused_is_said() -> None:
    async def scenario() -> None:
        keys = Keys()
        keys.requests.answer = {"ok": False, "detail": "nothing is being spoken"}
        keys.press("s")
        await keys.settle()
        assert keys.said[-1] == ("refused: nothing is being spoken", "bad")
        keys.requests.answer = GatewayError(403, "kitchen: this is not allowed here")
        keys.press("s+")
        await keys.settle()
        assert keys.said[-2:] == [("kitchen: this is not allowed here", "bad")] * 2
        keys.requests.answer = {"ok": True, "detail": ["odd"]}
        keys.press("m")
        await keys.settle()
        assert keys.said[-1] == ("mute", "good")

    asyncio.run(scenario())


def test_many_commands_and_a_board_that_is_offline() -> None:
    async def scenario() -> None:
        keys = Keys()
        keys.press("s" * 9)
        await asyncio.sleep(0)
        assert len(keys.requests.asked) == 5
        assert keys.said[-1] == ("5 commands have no answer yet; wait for them", "warn")
        keys.controls.close()
        await keys.settle()
        keys.record.availability = "offline"
        keys.press("s")
        assert keys.said[-1] == ("kitchen is not online, and commands do not wait for it", "bad")
        assert len(keys.requests.asked) == 5

    asyncio.run(scenario())
