"""The keys of the gateway: its page, its API and its metrics. `ishowtts gateway` reads them, the daemon does not."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ishowtts.config.device_names import device_names
from ishowtts.config.section import Section as _Section

_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  it is compared
_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")


def _devices(value: object) -> object:
    if value is None:
        return value
    return device_names(value, 'null (this board), "+" (every appliance under mqtt.prefix)')


def _listen(written: str) -> str:
    found = _LISTEN.fullmatch(written)
    if found is None or not 1 <= int(found[3]) <= 65_535:
        raise ValueError("must be an address and a port from 1 to 65535, as in 127.0.0.1:8770 or [::1]:8770")
    return written


def _wyoming_listen(written: str) -> str:
    try:
        host, _ = split_listen(_listen(written))
    except ValueError:
        raise ValueError(
            "must be an address or a network interface, and a port from 1 to 65535, "
            "as in 192.168.1.20:10200 or eth0:10200"
        ) from None
    if host in _EVERY_ADDRESS:
        raise ValueError(
            "must not be every address: Wyoming has no passwords, so name one address or one network interface, "
            "as in 192.168.1.20:10200 or eth0:10200"
        )
    return written


def _host_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name):
        raise ValueError("must be a host name without a port, as in kitchen.local")
    return name.lower()


def split_listen(listen: str) -> tuple[str, int]:
    """Split a checked `host:port`. The brackets of an IPv6 address are removed."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class GatewayMqttSection(_Section):
    """The gateway's own user at the broker of `mqtt`. Without it, the user of `mqtt`."""

    username: str | None = None
    password_file: Path | None = None


class GatewayTlsSection(_Section):
    """HTTPS: both keys, or neither."""

    cert: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> GatewayTlsSection:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together; set both or neither")
        return self


class GatewayHttpSection(_Section):
    """Where the page listens, and who may open it."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8770"
    token_file: Path | None = None
    allowed_hosts: list[Annotated[str, AfterValidator(_host_name)]] = Field([], max_length=20)
    behind_proxy: bool = False
    tls: GatewayTlsSection = GatewayTlsSection()

    @model_validator(mode="after")
    def _beyond_loopback_with_a_token(self) -> GatewayHttpSection:
        host, _ = split_listen(self.listen)
        if not is_loopback(host) and self.token_file is None:
            raise ValueError(
                f"listen is {self.listen}, which other machines can reach: set token_file, or listen on 127.0.0.1"
            )
        return self


class GatewayWyomingSection(_Section):
    """Where the Wyoming server listens, for Home Assistant's Assist; `None`: nowhere. The protocol has no passwords."""

    listen: Annotated[str, AfterValidator(_wyoming_listen)] | None = None


class GatewaySection(_Section):
    """`ishowtts gateway`: which appliances it shows, and what its page may do."""

    devices: Annotated[str | list[str] | None, BeforeValidator(_devices)] = None
    controls: Literal["auto", "none", "say", "all"] = "auto"
    mqtt: GatewayMqttSection = GatewayMqttSection()
    http: GatewayHttpSection = GatewayHttpSection()
    wyoming: GatewayWyomingSection = GatewayWyomingSection()

    @model_validator(mode="after")
    def _ports_of_their_own(self) -> GatewaySection:
        if self.wyoming.listen is not None:
            page, page_port = split_listen(self.http.listen)
            host, port = split_listen(self.wyoming.listen)
            if port == page_port and page in (host, *_EVERY_ADDRESS):
                raise ValueError(
                    f"http.listen and wyoming.listen both have port {port}: choose another one for wyoming.listen"
                )
        return self
