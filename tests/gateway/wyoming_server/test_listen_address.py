"""Addresses and network interfaces on which the Wyoming server listens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from ishowtts.errors import ConfigError, FatalError
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.renders.render_client import RenderClient
from ishowtts_gateway.wyoming_server import wyoming_server
from ishowtts_gateway.wyoming_server.listen_address import ListenAddress
from ishowtts_gateway.wyoming_server.wyoming_server import WyomingServer
from support.gateway_waiting import until
from support.prometheus import free_port


def interfaces(**addresses: Iterable[str]) -> dict[str, list[Any]]:
    """As psutil shows network interfaces."""
    return {
        name: [
            SimpleNamespace(family=socket.AF_INET6 if ":" in each else socket.AF_INET, address=each) for each in found
        ]
        for name, found in addresses.items()
    }


def test_an_address_is_used_as_it_is() -> None:
    address = ListenAddress("127.0.0.1:10200")
    assert (address.is_interface, address.addresses()) == (False, ["127.0.0.1"])
    assert ListenAddress("[::1]:10200").addresses() == ["::1"]


def test_the_loopback_interface_has_its_addresses() -> None:
    address = ListenAddress(f"lo:{free_port()}")
    assert address.is_interface
    assert "127.0.0.1" in address.addresses()
    for listener in address.open("127.0.0.1"):
        listener.close()


def test_addresses_of_one_link_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = interfaces(eth0=["192.168.1.20", "fe80::1%eth0", "fd00::20"], **{"br-lan.5": []})
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    assert ListenAddress("eth0:10200").addresses() == ["192.168.1.20", "fd00::20"]
    assert ListenAddress("br-lan.5:10200").addresses() == []


@pytest.mark.parametrize(
    ("listen", "says"),
    [
        ("no-such-0:10200", "has neither a network interface nor an address no-such-0; `ip address` lists both"),
        ("192.0.2.1:10200", "gateway.wyoming.listen: 192.0.2.1:10200 is not an address of this machine"),
        ("0:10200", "is every address of this machine; name one address, or one network interface"),
        ("[::0]:10200", "is every address of this machine"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(listen: str, says: str) -> None:
    address = ListenAddress(listen.replace("10200", str(free_port())) if "0:" in listen else listen)
    with pytest.raises(FatalError, match=says) as refused:
        address.open(address.addresses()[0])
    assert isinstance(refused.value, ConfigError) == ("every address" in says)  # what may pass is tried again


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(FatalError, match=rf"gateway\.wyoming\.listen: {listen} is taken by another program"):
            ListenAddress(listen).open("127.0.0.1")


def test_the_addresses_of_an_interface_are_followed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wyoming_server, "_FOLLOW_S", 0.01)
    found = interfaces(eth0=[])
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    caplog.set_level("INFO")
    port = free_port()

    async def answers(host: str) -> bool:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:  # refused; some kernels have another word for a socket that has just been closed
            return False
        writer.write(b'{"type": "describe"}\n')
        answered = b"info" in await reader.readline()
        writer.close()
        return answered

    async def main() -> None:
        server = WyomingServer(
            f"eth0:{port}", ApplianceDirectory("ishowtts", None), cast(RenderClient, SimpleNamespace())
        )
        async with server.running():
            assert "eth0" in caplog.text  # DHCP has given it no address yet
            for hosts in (["127.0.0.2"], ["127.0.0.3", "192.0.2.1"], ["127.0.0.2", "127.0.0.3"], []):
                found.update(interfaces(eth0=hosts))
                used = [host for host in hosts if host != "192.0.2.1"]  # as one of IPv6 that is checked for duplicates
                await until(lambda used=used: sorted(server.addresses) == sorted(used))  # type: ignore[misc]
                assert [await answers(host) for host in ("127.0.0.2", "127.0.0.3")] == [
                    host in used for host in ("127.0.0.2", "127.0.0.3")
                ]
            found.clear()
            taken = socket.create_server(("127.0.0.4", port))
            found.update(interfaces(eth0=["127.0.0.4"]))
            await until(lambda: "is taken by another program" in caplog.text)
            taken.close()
            await until(lambda: server.addresses == ["127.0.0.4"])
        assert not server.addresses

    asyncio.run(main())
    assert caplog.text.count("has no address now; waiting for one") == 2
    assert caplog.text.count("is taken by another program") == 1
    assert caplog.text.count("Wyoming listens at") == 4
    assert f"Wyoming listens at 127.0.0.2:{port}, for programs on this machine" in caplog.text
