"""Finds the addresses of `gateway.wyoming.listen`: those of a network interface, or the one that it names."""

from __future__ import annotations

import errno
import ipaddress
import socket

import psutil

from ishowtts.config.gateway_section import split_listen
from ishowtts.errors import ConfigError, FatalError
from ishowtts_gateway.tcp_listener import open_sockets

_KEY = "gateway.wyoming.listen"
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class ListenAddress:
    """The address or the interface of the configuration.

    Attributes:
        is_interface: Whether it is the name of a network interface, whose addresses may change.

    Args:
        listen: `gateway.wyoming.listen`.
    """

    def __init__(self, listen: str) -> None:
        self._listen = listen
        self._host, self._port = split_listen(listen)
        self.is_interface = self._host in psutil.net_if_addrs()

    def addresses(self) -> list[str]:
        """The addresses to listen on. Empty if the interface is gone or has none now.

        An address of IPv6 that is valid on one link only is left out: its clients would have to name their interface.
        """
        if not self.is_interface:
            return [self._host]
        found = psutil.net_if_addrs().get(self._host, [])
        hosts = (each.address.partition("%")[0] for each in found if each.family in _FAMILIES)
        return [host for host in hosts if not _is_of_one_link(host)]

    def open(self, address: str) -> list[socket.socket]:
        """Open the sockets of an address.

        Returns an empty list if an address of the interface cannot be used yet: a new one of IPv6 is first checked for
        duplicates.

        Raises:
            FatalError: It cannot be used.
            ConfigError: It stands for every address of this machine, or the port may not be used.
        """
        key = f"{_KEY}: {self._listen}"
        try:
            sockets = open_sockets(key, address, self._port)
        except FatalError as error:
            if isinstance(error.__cause__, socket.gaierror):
                raise FatalError(
                    f"{key}: this machine has neither a network interface nor an address {self._host}; "
                    "`ip address` lists both"
                ) from error
            if self.is_interface and getattr(error.__cause__, "errno", None) == errno.EADDRNOTAVAIL:
                return []
            raise
        if any(ipaddress.ip_address(each.getsockname()[0]).is_unspecified for each in sockets):
            for each in sockets:
                each.close()
            raise ConfigError([f"{key} is every address of this machine; name one address, or one network interface"])
        return sockets


def _is_of_one_link(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return address.version == 6 and address.is_link_local
