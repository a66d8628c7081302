"""Listening sockets that come and go while the loop runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from ishowtts_gateway.tcp_listener import ConnectionLimits, TcpListener, open_sockets
from support.gateway_waiting import until
from support.prometheus import free_port


def test_a_socket_may_get_the_descriptor_of_one_that_was_removed() -> None:
    accepted: list[socket.socket] = []

    async def connect(connection: socket.socket, _group: str, _lost: Callable[[], None]) -> None:
        accepted.append(connection)
        connection.close()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        listener = TcpListener(ConnectionLimits(100, 100, 100, 100, 100, 100), connect)
        port = free_port()
        (opened,) = open_sockets("a test", "127.0.0.1", port)
        descriptor = opened.fileno()
        listener.add([opened])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        await until(lambda: accepted)
        await listener.remove(opened)
        with socket.socket() as other:
            assert other.fileno() == descriptor
            loop.add_writer(other, lambda: None)  # fails if the loop still knows the descriptor
            loop.remove_writer(other)
        await listener.close()

    asyncio.run(main())


@pytest.mark.parametrize("failure", [ConnectionResetError(), RuntimeError("as it was meant to")])
def test_a_connection_that_cannot_be_made_is_closed_and_not_counted(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def connect(_connection: socket.socket, _group: str, _lost: Callable[[], None]) -> None:
        raise failure

    async def main() -> None:
        listener = TcpListener(ConnectionLimits(100, 100, 100, 100, 100, 100), connect)
        port = free_port()
        listener.add(open_sockets("a test", "127.0.0.1", port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        await until(lambda: listener.connections == 0)
        await listener.close()

    asyncio.run(main())
    assert ("a connection could not be made" in caplog.text) == isinstance(failure, RuntimeError)
