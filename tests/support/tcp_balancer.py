"""A TCP load balancer in a process of its own: each connection goes to the next server that can be reached.

`python -m support.tcp_balancer PORT SERVER_PORT...` listens on loopback until SIGTERM. Part of scripts/bench-scale.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

HOST = "127.0.0.1"
_START_S = 20.0
_READ_BYTES = 1 << 17


class TcpBalancer:
    """`with TcpBalancer(ports) as balancer: …` clients connect to `balancer.host` and `balancer.port`."""

    host = HOST

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self.port = random.randint(15_000, 32_000)  # below the range of ports that the kernel gives to clients
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> TcpBalancer:
        arguments = [str(port) for port in (self.port, *self._ports)]
        self._process = subprocess.Popen([sys.executable, "-m", __name__, *arguments], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_S
        while True:
            with suppress(OSError), socket.create_connection((self.host, self.port), 1):
                return self
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the load balancer does not listen on port {self.port}")
            time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()


async def serve(port: int, server_ports: Sequence[int]) -> None:
    """Forwards connections until the task is cancelled."""
    turn = itertools.count()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(turn)
        for number in range(len(server_ports)):
            server_port = server_ports[(first + number) % len(server_ports)]
            with suppress(OSError):
                server_reader, server_writer = await asyncio.open_connection(HOST, server_port)
                await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))
                return
        writer.close()

    server = await asyncio.start_server(forward, HOST, port)
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies one direction. At its end both sides are closed, as the other direction then ends too."""
    try:
        while data := await reader.read(_READ_BYTES):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
