"""The Wyoming server in this process, with a real broker and boards that a script plays, and clients of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice

from ishowtts.config import Config
from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.appliances.appliance_record import ApplianceRecord
from ishowtts_gateway.wyoming_server.wyoming_server import WyomingServer
from support.broker import Broker
from support.gateway_waiting import until


@dataclass
class Heard:
    """What a client got.

    Attributes:
        sound: All sound; `sounds`: that of each `audio-start`.
        error: The text of `error`.
        is_ended: Whether what ends the answer came: `audio-stop`, of a stream `synthesize-stopped`.
        is_closed: Whether the server closed the connection.
    """

    sounds: list[bytes] = field(default_factory=list)
    rates_hz: set[int] = field(default_factory=set)
    error: str | None = None
    code: str | None = None
    is_ended: bool = False
    is_closed: bool = False

    @property
    def sound(self) -> bytes:
        return b"".join(self.sounds)


class WyomingSite:
    """A running server."""

    def __init__(self, server: WyomingServer, client: ApplianceClient, port: int) -> None:
        self.server = server
        self.client = client
        self.port = port

    def connect(self) -> AsyncTcpClient:
        """A client of the library `wyoming`: `async with site.connect() as client: …`."""
        return AsyncTcpClient("127.0.0.1", self.port, connect_timeout=10, read_timeout=30)

    async def describe(self) -> Info:
        """What the server offers."""
        async with self.connect() as client:
            await client.write_event(Describe().event())
            event = await client.read_event()
            assert event is not None
            return Info.from_event(event)

    async def synthesize(self, text: str, voice: SynthesizeVoice | None = None, **fields: Any) -> Heard:
        """Have a text spoken."""
        async with self.connect() as client:
            await client.write_event(Synthesize(text, voice, **fields).event())
            return await hear(client)

    async def stream(self, chunks: Sequence[str], voice: SynthesizeVoice | None = None) -> Heard:
        """Have a text spoken that comes in chunks, as Home Assistant does it."""
        async with self.connect() as client:
            await client.write_event(SynthesizeStart(voice).event())
            for chunk in chunks:
                await client.write_event(SynthesizeChunk(chunk).event())
            await client.write_event(Synthesize("".join(chunks), voice).event())
            await client.write_event(SynthesizeStop().event())
            return await hear(client, stream=True)

    async def send(self, *parts: bytes) -> list[Event]:
        """Send bytes, and return the events that come until the server closes the connection."""
        async with self.connect() as client:
            assert client._writer is not None
            for part in parts:
                client._writer.write(part)
            found = []
            while (event := await client.read_event()) is not None:
                found.append(event)
            return found


async def hear(client: AsyncTcpClient, *, stream: bool = False) -> Heard:
    """Read events until the end of the answer."""
    heard = Heard()
    while not heard.is_ended and (event := await client.read_event()) is not None:
        if AudioStart.is_type(event.type):
            heard.sounds.append(b"")
            heard.rates_hz.add(AudioStart.from_event(event).rate)
        elif AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            assert (chunk.rate, chunk.width, chunk.channels) == (*heard.rates_hz, 2, 1)
            heard.sounds[-1] += chunk.audio
        elif AudioStop.is_type(event.type):
            heard.is_ended = not stream
        elif SynthesizeStopped.is_type(event.type):
            heard.is_ended = True
        elif Error.is_type(event.type):
            error = Error.from_event(event)
            heard.error, heard.code = error.text, error.code
    heard.is_closed = not heard.is_ended
    return heard


@asynccontextmanager
async def open_wyoming(broker: Broker, prefix: str, boards: int = 1) -> AsyncIterator[WyomingSite]:
    """A server that has found the boards under a prefix. At the end no render is left."""
    # Below the range of ports that the kernel gives to clients.
    port = random.randint(15_000, 32_000)
    mqtt = {"host": broker.host, "port": broker.port, "prefix": prefix}
    made = ApplianceClient(Config(mqtt=mqtt, gateway={"devices": "+"}), "ishowtts/test")
    server = WyomingServer(f"127.0.0.1:{port}", made.directory, made.renders)
    async with made.connected(sync_history=False):
        await until(lambda: made.link.connected and sum(map(_is_known, made.directory.records.values())) == boards)
        async with server.running():
            yield WyomingSite(server, made, port)
        assert server.connections == 0
        left = (made.renders.running, made.renders.unread_bytes)
        assert left == (0, 0), left


def run_site(broker: Broker, prefix: str, scenario: Callable[[WyomingSite], Awaitable[None]], boards: int = 1) -> None:
    """Run a scenario with a server."""

    async def main() -> None:
        async with open_wyoming(broker, prefix, boards) as site:
            await scenario(site)

    asyncio.run(main())


def _is_known(record: ApplianceRecord) -> bool:
    return record.online and None not in (record.state, record.info, record.telemetry)
